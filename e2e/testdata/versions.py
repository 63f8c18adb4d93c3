"""Follows an alias of a function with boto3: weights, then another version, with a mapping on the alias."""
import collections
import json
import sys
import time

import boto3

endpoint, mapping = sys.argv[1:]
client = {name: boto3.client(name, endpoint_url=endpoint) for name in ("kinesis", "lambda", "logs")}


def put(first, last):
    records = [{"PartitionKey": f"k{n}", "Data": str(n).encode()} for n in range(first, last + 1)]
    answer = client["kinesis"].put_records(StreamName="orders", Records=records)
    assert answer["FailedRecordCount"] == 0, answer


def ran(count):
    """Which version each record was delivered to, from the log, when there are so many."""
    end = time.time() + 60
    while True:
        seen = {}
        for page in client["logs"].get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/orders", filterPattern="delivered"):
            for event in page["events"]:
                _, number, version = event["message"].split()
                assert f"[{version}]" in event["logStreamName"], event
                seen[int(number)] = version
        if len(seen) >= count or time.time() > end:
            return seen
        time.sleep(0.2)


put(1, 60)
weighted = ran(60)
alias = client["lambda"].update_alias(FunctionName="orders", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
put(61, 100)
all_of_them = ran(100)
invoked = client["lambda"].invoke(FunctionName="orders", Qualifier="live", Payload=b'{"Records": []}')
try:
    client["lambda"].get_alias(FunctionName="orders", Name="nowhere")
    missing = ""
except client["lambda"].exceptions.ResourceNotFoundException as e:
    missing = e.response["Error"]["Message"]
print(json.dumps({
    "Weighted": collections.Counter(weighted.values()),
    "After": sorted({all_of_them[n] for n in range(61, 101)}),
    "Records": sorted(all_of_them),
    "Routing": alias.get("RoutingConfig"),
    "Executed": invoked["ExecutedVersion"],
    "Versions": [v["Version"] for page in client["lambda"].get_paginator("list_versions_by_function").paginate(FunctionName="orders") for v in page["Versions"]],
    "FunctionArn": client["lambda"].get_event_source_mapping(UUID=mapping)["FunctionArn"],
    "Missing": missing,
}))
