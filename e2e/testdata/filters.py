"""Gives the mapping a filter with boto3, waits until it is in force, puts records, and prints the pattern that the mapping shows."""
import sys
import time

import boto3

uuid, pattern, *records = sys.argv[1:]
kinesis, functions = boto3.client("kinesis"), boto3.client("lambda")
functions.update_event_source_mapping(UUID=uuid, FilterCriteria={"Filters": [{"Pattern": pattern}]})
while (mapping := functions.get_event_source_mapping(UUID=uuid))["State"] != "Enabled":
    time.sleep(0.05)
kinesis.put_records(StreamName="orders", Records=[{"Data": r.encode(), "PartitionKey": "k"} for r in records])
print(mapping["FilterCriteria"]["Filters"][0]["Pattern"])
