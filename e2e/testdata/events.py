# What a tutorial's function does with records: every one becomes an item, by a resource of boto3.
import base64
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    for record in event["Records"]:
        table.put_item(Item={"eventId": record["eventID"], "payload": base64.b64decode(record["kinesis"]["data"]).decode()})
    return {"batchItemFailures": []}
