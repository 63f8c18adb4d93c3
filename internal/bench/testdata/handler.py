"""The Python functions of the benchmarks. They report to the ledger as the Go handler does."""

import base64
import os
import socket
import time

ledger = None
if "BENCH_LEDGER" in os.environ:
    host, _, port = os.environ["BENCH_LEDGER"].partition(":")
    ledger = socket.create_connection((host, int(port)))


def count(event, context):
    now = time.time_ns()
    records = event["Records"]
    first, last = records[0]["kinesis"]["sequenceNumber"], records[-1]["kinesis"]["sequenceNumber"]
    shard = records[0]["eventID"].partition(":")[0]
    ledger.sendall(b"b %d %d %s %s %s %d\n" % (now, now, shard.encode(), first.encode(), last.encode(), len(records)))
    return {}


def stamp(event, context):
    now = time.time_ns()
    for record in event["Records"]:
        sent = base64.b64decode(record["kinesis"]["data"]).split(b" ", 1)[0]
        ledger.sendall(b"r %s %d\n" % (sent, now))
    return {}


def echo(event, context):
    return event
