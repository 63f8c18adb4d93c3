"""What a boto3 user does to the shards of a stream under traffic: splits one, merges the halves, and asks for one shard more. Prints the answer to the last.

python reshard.py ENDPOINT STREAM
"""
import json
import sys

import boto3

endpoint, stream = sys.argv[1:]
kinesis = boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="000000000000", aws_secret_access_key="any")


def open_shards():
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream, ShardFilter={"Type": "AT_LATEST"})
    return sorted((s for page in pages for s in page["Shards"]), key=lambda s: int(s["HashKeyRange"]["StartingHashKey"]))


before = open_shards()
start, end = (int(before[0]["HashKeyRange"][k]) for k in ("StartingHashKey", "EndingHashKey"))
kinesis.split_shard(StreamName=stream, ShardToSplit=before[0]["ShardId"], NewStartingHashKey=str((start + end) // 2))
kinesis.get_waiter("stream_exists").wait(StreamName=stream)
left, right = open_shards()[:2]
kinesis.merge_shards(StreamName=stream, ShardToMerge=left["ShardId"], AdjacentShardToMerge=right["ShardId"])
try:
    kinesis.split_shard(StreamName=stream, ShardToSplit=left["ShardId"], NewStartingHashKey="9")
except kinesis.exceptions.InvalidArgumentException as e:
    again = e.response["Error"]["Message"]
answer = kinesis.update_shard_count(StreamName=stream, TargetShardCount=len(before) + 1, ScalingType="UNIFORM_SCALING")
print(json.dumps({"current": answer["CurrentShardCount"], "target": answer["TargetShardCount"], "again": again}))
