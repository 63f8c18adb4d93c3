"""The handler of the tutorial: decodes every record and fails the whole batch when one of them cannot be processed."""
import base64
import json

import boto3  # comes from the interpreter, as AWS bundles it


def process(record):
    order = json.loads(base64.b64decode(record["kinesis"]["data"]))
    print("order", order["id"], "from", record["eventID"].split(":")[0], "arrived", record["kinesis"]["approximateArrivalTimestamp"])


def handler(event, context):
    failed = []
    for record in event["Records"]:
        try:
            process(record)
        except ValueError as e:
            print("cannot process", record["kinesis"]["sequenceNumber"], e)
            failed.append(record)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(event['Records'])} records failed")
    return {"processed": len(event["Records"]), "boto3": boto3.__version__}
