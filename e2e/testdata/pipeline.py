"""What a boto3 user does: builds a pipeline, puts records with one poison among them, and prints the one message of the failure queue with the record it names.

python pipeline.py ENDPOINT CODE.zip
"""
import json
import sys

import boto3

endpoint, code = sys.argv[1], sys.argv[2]
client = lambda service: boto3.client(service, endpoint_url=endpoint)  # region and keys come from the environment
kinesis, lambda_, sqs = client("kinesis"), client("lambda"), client("sqs")

queue = sqs.create_queue(QueueName="py-failures", tags={"team": "orders", "cost": "7"})["QueueUrl"]
sqs.tag_queue(QueueUrl=queue, Tags={"cost": "8"})
sqs.untag_queue(QueueUrl=queue, TagKeys=["team"])
queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
kinesis.create_stream(StreamName="py-orders", ShardCount=4)
kinesis.get_waiter("stream_exists").wait(StreamName="py-orders")
stream_arn = kinesis.describe_stream_summary(StreamName="py-orders")["StreamDescriptionSummary"]["StreamARN"]
with open(code, "rb") as f:
    lambda_.create_function(
        FunctionName="py-orders", Runtime="python3.12", Handler="orders.handler", Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": f.read()}, Timeout=60
    )
lambda_.get_waiter("function_active_v2").wait(FunctionName="py-orders")
mapping = lambda_.create_event_source_mapping(
    EventSourceArn=stream_arn, FunctionName="py-orders", StartingPosition="TRIM_HORIZON", BatchSize=100, ParallelizationFactor=2, MaximumRetryAttempts=0,
    BisectBatchOnFunctionError=True, MaximumRecordAgeInSeconds=86400, DestinationConfig={"OnFailure": {"Destination": queue_arn}},
)["UUID"]

records = [{"PartitionKey": f"customer-{i % 7}", "Data": json.dumps({"id": i})} for i in range(50)]
records[23]["Data"] = "poison"
answer = kinesis.put_records(StreamName="py-orders", Records=records)
assert answer["FailedRecordCount"] == 0, answer

messages = []
for _ in range(10):
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10).get("Messages", [])
    if messages:
        break
body = json.loads(messages[0]["Body"])
info = body["KinesisBatchInfo"]
iterator = kinesis.get_shard_iterator(
    StreamName="py-orders", ShardId=info["shardId"], ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=info["startSequenceNumber"]
)["ShardIterator"]
record = kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"][0]

try:
    kinesis.describe_stream_summary(StreamName="nope")
except kinesis.exceptions.ResourceNotFoundException as e:
    missing = e.response["Error"]["Message"]

json.dump(
    {
        "notice": messages[0]["Body"],
        "put": answer["Records"][23]["SequenceNumber"],
        "data": record["Data"].decode(),
        "arrival": record["ApproximateArrivalTimestamp"].timestamp(),
        "mapping": lambda_.get_event_source_mapping(UUID=mapping)["State"],
        "more": len(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])),
        "missing": missing,
        "tags": sqs.list_queue_tags(QueueUrl=queue)["Tags"],
    },
    sys.stdout,
)
