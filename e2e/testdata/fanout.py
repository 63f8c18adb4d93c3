"""What a boto3 user does to read a shard by enhanced fan-out: registers a consumer, subscribes, and takes the events as they come. Puts a record after each
event, until three are read. Prints their data, and what a second subscription is told.

python fanout.py ENDPOINT STREAM
"""
import json
import sys
import time

import boto3

endpoint, stream = sys.argv[1:]
kinesis = boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="000000000000", aws_secret_access_key="any")
arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="boto3")["Consumer"]["ConsumerARN"]
while kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
    time.sleep(0.1)
start = dict(ConsumerARN=consumer, ShardId="shardId-000000000000")
kinesis.put_record(StreamName=stream, PartitionKey="k", Data="boto3 0")
events = kinesis.subscribe_to_shard(StartingPosition={"Type": "TRIM_HORIZON"}, **start)["EventStream"]
try:
    kinesis.subscribe_to_shard(StartingPosition={"Type": "TRIM_HORIZON"}, **start)
except kinesis.exceptions.ResourceInUseException as e:
    again = e.response["Error"]["Message"]
data = []
for event in events:
    event = event["SubscribeToShardEvent"]
    data += [r["Data"].decode() for r in event["Records"] if r["Data"].startswith(b"boto3")]
    last, behind = event["ContinuationSequenceNumber"], event["MillisBehindLatest"]
    if len(data) == 3:
        break
    kinesis.put_record(StreamName=stream, PartitionKey="k", Data="boto3 %d" % len(data))
events.close()
kinesis.deregister_stream_consumer(ConsumerARN=consumer)
print(json.dumps({"data": data, "behind": behind, "last": last, "again": again}))
