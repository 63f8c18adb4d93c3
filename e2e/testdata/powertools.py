"""Orders with Powertools for AWS Lambda: a partial batch response made by BatchProcessor, structured log lines, and metrics in the embedded metric format.

With IDEMPOTENCY_TABLE, what was done about an order is kept in that table, and an order that comes again is not taken again.
"""
import json
import os

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function

logger = Logger(service="orders")
metrics = Metrics(namespace="Shop", service="orders")
processor = BatchProcessor(event_type=EventType.KinesisDataStreams, raise_on_entire_batch_failure=False)
once = IdempotencyConfig(event_key_jmespath="id")


def take(*, order):
    """The work on one order."""
    logger.info("taken", extra={"order": order["id"]})
    metrics.add_metric(name="OrdersTaken", unit=MetricUnit.Count, value=1)
    if order.get("fails"):
        raise RuntimeError("taken in vain")
    return {"taken": order["id"]}


if "IDEMPOTENCY_TABLE" in os.environ:
    store = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
    take = idempotent_function(take, data_keyword_argument="order", config=once, persistence_store=store)


def record_handler(record):
    return take(order=json.loads(record.kinesis.data_as_text()))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    once.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
