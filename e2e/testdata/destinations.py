"""What a boto3 user does: sends discards of one stream to a topic with two queues behind it, and to a bucket, and prints what arrived.

python destinations.py ENDPOINT CODE.zip
"""
import json
import sys

import boto3

endpoint, code = sys.argv[1], sys.argv[2]
client = lambda service: boto3.client(
    service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="000000000000", aws_secret_access_key="any"
)
kinesis, lambda_, sqs, sns, s3 = (client(name) for name in ("kinesis", "lambda", "sqs", "sns", "s3"))

topic = sns.create_topic(Name="discards")["TopicArn"]
queues = {}
for name, raw in (("wrapped", "false"), ("raw", "true")):
    queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queues[name], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
s3.create_bucket(Bucket="discards")
kinesis.create_stream(StreamName="orders", ShardCount=1)
stream = kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
uuids = {}
for name, to in (("to-topic", topic), ("to-bucket", "arn:aws:s3:::discards")):
    with open(code, "rb") as f:
        lambda_.create_function(
            FunctionName=name, Runtime="python3.12", Handler="orders.handler", Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": f.read()}, Timeout=60
        )
    uuids[name] = lambda_.create_event_source_mapping(
        EventSourceArn=stream, FunctionName=name, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": to}}
    )["UUID"]
put = kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"poison")["SequenceNumber"]


def message(queue):
    for _ in range(3):
        for m in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10).get("Messages", []):
            return m["Body"]


wrapped = json.loads(message(queues["wrapped"]))
json.dump({"put": put, "topic": topic, "envelope": wrapped, "raw": message(queues["raw"]), "mapping": uuids["to-bucket"]}, sys.stdout)
