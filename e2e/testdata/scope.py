"""What boto3 users of two accounts and two regions see of one stream, under AWS's limits.

python scope.py

Prints, as JSON, what was seen at each step of the server at AWS_ENDPOINT_URL, which runs with --limits aws.
"""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(account, region="us-east-1", tries=1):
    retries = Config(retries={"mode": "standard", "total_max_attempts": tries})
    return boto3.client("kinesis", region_name=region, aws_access_key_id=account, aws_secret_access_key="any", config=retries)


def outcome(call, **parameters):
    try:
        return {k: v for k, v in call(**parameters).items() if k != "ResponseMetadata"}
    except ClientError as e:
        return e.response["Error"]["Code"]


owner, friend, elsewhere = client("111111111111"), client("222222222222"), client("111111111111", "us-west-2")
arn = "arn:aws:kinesis:us-east-1:111111111111:stream/s"
record = {"StreamARN": arn, "PartitionKey": "a", "Data": b"x"}
owner.create_stream(StreamName="s", ShardCount=1)
seen = {
    "another region": outcome(elsewhere.delete_stream, StreamARN=arn),
    "another account": outcome(friend.put_record, **record),
}
policy = json.dumps({
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "kinesis:PutRecord", "Resource": arn},
})
owner.put_resource_policy(ResourceARN=arn, Policy=policy)
seen["policy"] = owner.get_resource_policy(ResourceARN=arn)["Policy"] == policy
seen["shared"] = outcome(friend.put_record, **record)["ShardId"]
seen["not shared"] = outcome(friend.describe_stream, StreamARN=arn)

owner.start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId="alias/aws/kinesis")
seen["encrypted put"] = owner.put_record(**record)["EncryptionType"]
owner.stop_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId="alias/aws/kinesis")
iterator = owner.get_shard_iterator(StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
seen["foreign iterator"] = outcome(friend.get_records, ShardIterator=iterator)
seen["records"] = [r.get("EncryptionType") for r in owner.get_records(ShardIterator=iterator)["Records"]]

owner.tag_resource(ResourceARN=arn, Tags={"team": "a"})
seen["tags"] = owner.list_tags_for_resource(ResourceARN=arn)["Tags"]
seen["commitment"] = owner.update_account_settings(MinimumThroughputBillingCommitment={"Status": "ENABLED"})[
    "MinimumThroughputBillingCommitment"]["Status"]
seen["limits"] = owner.describe_limits()["OpenShardCount"]
seen["too often"] = outcome(owner.describe_limits)

# a full shard: the SDK tries a PutRecord again until there is room
owner.put_records(StreamName="s", Records=[{"PartitionKey": "a", "Data": b"x" * 2400}] * 500)
full = {"StreamName": "s", "PartitionKey": "a", "Data": b"x" * 400_000}
seen["full"] = outcome(owner.put_record, **full)
seen["tried again"] = outcome(client("111111111111", tries=10).put_record, **full)["ShardId"]
print(json.dumps(seen))
