"""The same with a partial batch response: it reports the records that failed instead of raising."""
import orders


def handler(event, context):
    failures = []
    for record in event["Records"]:
        try:
            orders.process(record)
        except ValueError as e:
            print("cannot process", record["kinesis"]["sequenceNumber"], e)
            failures.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
    return {"batchItemFailures": failures}
