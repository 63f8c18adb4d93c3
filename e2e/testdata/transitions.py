"""What a boto3 user sees at AWS's pace: transitions that take their time, tags of a function and a mapping, and what EventCount counts.

python transitions.py SHARDMILL ZIP

Prints, as JSON, what was seen at each step. SHARDMILL moves the clock of the server at AWS_ENDPOINT_URL.
"""
import datetime
import json
import subprocess
import sys

import boto3

shardmill, package = sys.argv[1:3]
kinesis, functions, cloudwatch = (boto3.client(s) for s in ("kinesis", "lambda", "cloudwatch"))
seen = {}


def advance(seconds):
    subprocess.run([shardmill, "clock", "advance", f"{seconds}s"], check=True, stdout=subprocess.DEVNULL)


def code(call, **parameters):
    try:
        call(**parameters)
    except call.__self__.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return "none"


kinesis.create_stream(StreamName="orders", ShardCount=1)
with open(package, "rb") as f:
    function = functions.create_function(
        FunctionName="f", Runtime="python3.12", Handler="index.handler", Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": f.read()}, Tags={"team": "a"},
    )
seen["stream"] = [kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamStatus"]]
seen["function"] = [function["State"]]
seen["update of a pending function"] = code(functions.update_function_configuration, FunctionName="f", Timeout=5)
advance(5)
functions.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
seen["stream"].append(kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamStatus"])
seen["function"].append(functions.get_function(FunctionName="f")["Configuration"]["State"])

mapping = functions.create_event_source_mapping(
    EventSourceArn="arn:aws:kinesis:us-east-1:000000000000:stream/orders", FunctionName="f", StartingPosition="TRIM_HORIZON",
    MetricsConfig={"Metrics": ["EventCount"]}, Tags={"team": "a", "cost": "7"}, MaximumRetryAttempts=1,
)
uuid, arn = mapping["UUID"], mapping["EventSourceMappingArn"]
seen["mapping"] = [mapping["State"]]
seen["update of a mapping that is Creating"] = code(functions.update_event_source_mapping, UUID=uuid, BatchSize=5)
advance(5)
seen["mapping"].append(functions.get_event_source_mapping(UUID=uuid)["State"])

functions.tag_resource(Resource=arn, Tags={"team": "b"})
functions.untag_resource(Resource=arn, TagKeys=["cost", "absent"])
functions.tag_resource(Resource=function["FunctionArn"], Tags={"cost": "7"})
seen["tags"] = [functions.list_tags(Resource=arn)["Tags"], functions.get_function(FunctionName="f")["Tags"]]
seen["tags of a malformed ARN"] = code(functions.list_tags, Resource=arn + ":1")

kinesis.put_records(StreamName="orders", Records=[{"PartitionKey": "k", "Data": b"x"}] * 3)
advance(30)  # the next poll, and the retry after its back-off


def total(metric):
    now = datetime.datetime.now(datetime.timezone.utc)
    points = cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda", MetricName=metric, Dimensions=[{"Name": "EventSourceMappingUUID", "Value": uuid}],
        StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(hours=1), Period=3600, Statistics=["Sum"],
    )["Datapoints"]
    return sum(p["Sum"] for p in points)


seen["counts"] = {
    m: total(m) for m in ("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DroppedEventCount")
}
functions.delete_event_source_mapping(UUID=uuid)
seen["mapping"].append(functions.get_event_source_mapping(UUID=uuid)["State"])
advance(5)
seen["mapping"].append(code(functions.get_event_source_mapping, UUID=uuid))
print(json.dumps(seen))
