"""What boto3 users of two accounts see of a queue, a bucket and a table that policies open.

python policies.py

Prints, as JSON, what was seen of each resource of the server at AWS_ENDPOINT_URL: before its policy, under it (what it
allows, and what it does not), and after it.
"""
import json

import boto3
from botocore.exceptions import ClientError

OWNER, FRIEND = "111111111111", "222222222222"


def clients(service):
    return [
        boto3.client(service, region_name="us-east-1", aws_access_key_id=account, aws_secret_access_key="any")
        for account in (OWNER, FRIEND)
    ]


def outcome(call, **parameters):
    try:
        call(**parameters)
        return "done"
    except ClientError as e:
        return e.response["Error"]["Code"]


def policy(actions, *resources):
    return json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": FRIEND}, "Action": actions, "Resource": resources}],
    })


seen = {}

owner, friend = clients("sqs")
url = owner.create_queue(QueueName="q")["QueueUrl"]
send = {"QueueUrl": url, "MessageBody": "x"}
seen["queue"] = [outcome(friend.send_message, **send)]
owner.add_permission(QueueUrl=url, Label="friend", AWSAccountIds=[FRIEND], Actions=["SendMessage"])
seen["queue"] += [outcome(friend.send_message, **send), outcome(friend.receive_message, QueueUrl=url)]
text = owner.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
owner.set_queue_attributes(QueueUrl=url, Attributes={"Policy": text})
owner.remove_permission(QueueUrl=url, Label="friend")
seen["queue"].append(outcome(friend.send_message, **send))

owner, friend = clients("s3")
owner.create_bucket(Bucket="shared")
put = {"Bucket": "shared", "Key": "k", "Body": b"x"}
seen["bucket"] = [outcome(friend.put_object, **put)]
text = policy(["s3:PutObject"], "arn:aws:s3:::shared/*")
owner.put_bucket_policy(Bucket="shared", Policy=text)
seen["bucket"] += [outcome(friend.put_object, **put), outcome(friend.get_object, Bucket="shared", Key="k")]
seen["bucket policy"] = owner.get_bucket_policy(Bucket="shared")["Policy"] == text
seen["public"] = owner.get_bucket_policy_status(Bucket="shared")["PolicyStatus"]["IsPublic"]
owner.delete_bucket_policy(Bucket="shared")
seen["bucket"].append(outcome(friend.put_object, **put))

owner, friend = clients("dynamodb")
arn = owner.create_table(
    TableName="tab", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
)["TableDescription"]["TableArn"]
put = {"TableName": arn, "Item": {"k": {"S": "x"}}}
seen["table"] = [outcome(friend.put_item, **put)]
text = policy("dynamodb:PutItem", arn)
revision = owner.put_resource_policy(ResourceArn=arn, Policy=text)["RevisionId"]
seen["table"] += [outcome(friend.put_item, **put), outcome(friend.scan, TableName=arn)]
read = owner.get_resource_policy(ResourceArn=arn)
seen["table policy"] = read["Policy"] == text and read["RevisionId"] == revision
owner.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=revision)
seen["table"].append(outcome(friend.put_item, **put))
print(json.dumps(seen))
