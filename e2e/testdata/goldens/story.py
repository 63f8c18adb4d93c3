"""Calls every operation of Kinesis through boto3, most of them also in a way that is refused.

Each call is announced to the recorder, which keeps what goes over the wire under that name.
"""
import os
import sys
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint = os.environ["AWS_ENDPOINT_URL"]
kinesis = boto3.client("kinesis", config=Config(retries={"max_attempts": 0}, parameter_validation=False))
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"


def call(case, operation, **members):
    announce = f"{endpoint}/announce?{urllib.parse.urlencode({'case': case})}"
    urllib.request.urlopen(announce).read()
    try:
        return getattr(kinesis, operation)(**members)
    except ClientError as e:
        print(case, e.response["Error"]["Code"])
        return None


call("two shards", "create_stream", StreamName="orders", ShardCount=2, Tags={"team": "payments"})
call("on demand", "create_stream", StreamName="clicks", StreamModeDetails={"StreamMode": "ON_DEMAND"})
call("taken", "create_stream", StreamName="orders", ShardCount=1)
call("of wrong types", "create_stream", StreamName="x", ShardCount="1")
call("of wrong values", "create_stream", StreamName="", ShardCount=0)
described = call("by name", "describe_stream", StreamName="orders")
call("unknown", "describe_stream", StreamName="absent")
call("a page", "describe_stream", StreamARN=ARN + "orders", Limit=1)
call("by name", "describe_stream_summary", StreamName="orders")
call("by ARN", "describe_stream_summary", StreamARN=ARN + "clicks")
call("all", "list_streams")
call("after one", "list_streams", ExclusiveStartStreamName="clicks", Limit=1)
call("all", "list_shards", StreamName="orders")
page = call("a page", "list_shards", StreamName="orders", MaxResults=1)
call("the next page", "list_shards", NextToken=page["NextToken"])
created = described["StreamDescription"]["StreamCreationTimestamp"]
call("of a namesake", "list_shards", StreamName="orders", StreamCreationTimestamp=created)
call("by filter", "list_shards", StreamName="orders", ShardFilter={"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000000"})
call("both", "list_shards", StreamName="orders", NextToken=page["NextToken"])

first = call("bytes", "put_record", StreamName="orders", Data=bytes(range(0, 256, 5)), PartitionKey="a")
call("a hash key", "put_record", StreamName="orders", Data=b"", PartitionKey="k\u00e9y", ExplicitHashKey="0")
call(
    "in order", "put_record", StreamARN=ARN + "orders", Data=b"x", PartitionKey="a",
    SequenceNumberForOrdering=first["SequenceNumber"],
)
call("no stream", "put_record", StreamName="absent", Data=b"x", PartitionKey="a")
call("no key", "put_record", StreamName="orders", Data=b"x")
call(
    "three", "put_records", StreamName="orders",
    Records=[{"Data": b"one", "PartitionKey": "a"}, {"Data": b"two", "PartitionKey": "b"}, {"Data": b"3", "PartitionKey": "c"}],
)
call("a bad entry", "put_records", StreamName="orders", Records=[{"Data": b"x", "PartitionKey": ""}])
call("none", "put_records", StreamName="orders", Records=[])

shard = first["ShardId"]
begin = call("trim horizon", "get_shard_iterator", StreamName="orders", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
got = call("from the beginning", "get_records", ShardIterator=begin["ShardIterator"], Limit=2)
call("the rest", "get_records", ShardIterator=got["NextShardIterator"])
at = call(
    "at a number", "get_shard_iterator", StreamName="orders", ShardId=shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER",
    StartingSequenceNumber=first["SequenceNumber"],
)
call("after a number", "get_records", ShardIterator=at["ShardIterator"])
when = call(
    "at a time", "get_shard_iterator", StreamARN=ARN + "orders", ShardId=shard, ShardIteratorType="AT_TIMESTAMP",
    Timestamp=got["Records"][0]["ApproximateArrivalTimestamp"],
)
call("from a time", "get_records", ShardIterator=when["ShardIterator"], StreamARN=ARN + "orders")
call("of no type", "get_shard_iterator", StreamName="orders", ShardId=shard, ShardIteratorType="NOWHERE")
call("forged", "get_records", ShardIterator="AAAA")

call("two", "add_tags_to_stream", StreamName="orders", Tags={"a": "1", "b": ""})
call("all", "list_tags_for_stream", StreamName="orders")
call("a page", "list_tags_for_stream", StreamName="orders", Limit=1, ExclusiveStartTagKey="a")
call("one", "remove_tags_from_stream", StreamName="orders", TagKeys=["b"])
call("a stream", "tag_resource", ResourceARN=ARN + "orders", Tags={"c": "3"})
call("a stream", "list_tags_for_resource", ResourceARN=ARN + "orders")
call("a stream", "untag_resource", ResourceARN=ARN + "orders", TagKeys=["a", "c"])

call("longer", "increase_stream_retention_period", StreamName="orders", RetentionPeriodHours=48)
call("shorter", "increase_stream_retention_period", StreamName="orders", RetentionPeriodHours=24)
call("shorter", "decrease_stream_retention_period", StreamName="orders", RetentionPeriodHours=24)
call("some", "enable_enhanced_monitoring", StreamName="orders", ShardLevelMetrics=["IncomingBytes", "OutgoingBytes"])
call("all", "disable_enhanced_monitoring", StreamName="orders", ShardLevelMetrics=["ALL"])
call("KMS", "start_stream_encryption", StreamName="orders", EncryptionType="KMS", KeyId="alias/aws/kinesis")
call("encrypted", "put_record", StreamName="orders", Data=b"secret", PartitionKey="a")
call("encrypted", "describe_stream_summary", StreamName="orders")
call("KMS", "stop_stream_encryption", StreamName="orders", EncryptionType="KMS", KeyId="alias/aws/kinesis")

POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"readers","Effect":"Allow","Principal":{"AWS":"111111111111"},'
    '"Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],"Resource":"' + ARN + 'orders"}]}'
)
call("a stream", "put_resource_policy", ResourceARN=ARN + "orders", Policy=POLICY)
call("a stream", "get_resource_policy", ResourceARN=ARN + "orders")
call("a stream", "delete_resource_policy", ResourceARN=ARN + "orders")
call("no JSON", "put_resource_policy", ResourceARN=ARN + "orders", Policy="{")

consumer = call("one", "register_stream_consumer", StreamARN=ARN + "orders", ConsumerName="reader")
call("taken", "register_stream_consumer", StreamARN=ARN + "orders", ConsumerName="reader")
consumer_arn = consumer["Consumer"]["ConsumerARN"]
call("by ARN", "describe_stream_consumer", ConsumerARN=consumer_arn)
call("unknown", "describe_stream_consumer", StreamARN=ARN + "orders", ConsumerName="nobody")
call("all", "list_stream_consumers", StreamARN=ARN + "orders")
call("by ARN", "deregister_stream_consumer", ConsumerARN=consumer_arn)

call("all", "describe_limits")
call("enabled", "update_account_settings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
call("all", "describe_account_settings")
call("some", "update_stream_warm_throughput", StreamName="clicks", WarmThroughputMiBps=20)
call("larger", "update_max_record_size", StreamARN=ARN + "orders", MaxRecordSizeInKiB=2048)
call("on demand", "update_stream_mode", StreamARN=ARN + "orders", StreamModeDetails={"StreamMode": "ON_DEMAND"})
call("provisioned", "update_stream_mode", StreamARN=ARN + "orders", StreamModeDetails={"StreamMode": "PROVISIONED"})
half = "85070591730234615865843651857942052863"
call("a half", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=half)
call("closed", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=half)
end = call(
    "at the end", "get_shard_iterator", StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="LATEST",
)
call("at the end", "get_records", ShardIterator=end["ShardIterator"])
call("neighbours", "merge_shards", StreamName="orders", ShardToMerge="shardId-000000000002", AdjacentShardToMerge="shardId-000000000003")
call("to one", "update_shard_count", StreamName="orders", TargetShardCount=1, ScalingType="UNIFORM_SCALING")
call("of all times", "list_shards", StreamName="orders", ShardFilter={"Type": "FROM_TRIM_HORIZON"})
call("with consumers", "delete_stream", StreamName="orders", EnforceConsumerDeletion=True)
call("gone", "delete_stream", StreamName="orders")
latest = {"Type": "LATEST"}  # only refusals: what else is answered lasts for minutes
call("gone", "subscribe_to_shard", ConsumerARN=consumer_arn, ShardId="shardId-000000000000", StartingPosition=latest)
call("of wrong values", "subscribe_to_shard", ConsumerARN="x", ShardId="", StartingPosition={"Type": "X"})
sys.exit(0)
