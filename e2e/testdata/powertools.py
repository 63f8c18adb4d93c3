"""Orders with Powertools for AWS Lambda: a partial batch response made by BatchProcessor, structured log lines, and metrics in the embedded metric format."""
import json

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

logger = Logger(service="orders")
metrics = Metrics(namespace="Shop", service="orders")
processor = BatchProcessor(event_type=EventType.KinesisDataStreams, raise_on_entire_batch_failure=False)


def take(*, order):
    """The work on one order, by keyword: idempotency can be laid around it."""
    logger.info("taken", extra={"order": order["id"]})
    metrics.add_metric(name="OrdersTaken", unit=MetricUnit.Count, value=1)
    return order["id"]


def record_handler(record):
    return take(order=json.loads(record.kinesis.data_as_text()))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
