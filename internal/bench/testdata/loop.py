"""The reference for Python functions: a bare loop that long-polls for a payload, decodes it, calls the handler, and posts what it returns. Nothing else."""

import importlib
import json
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
handler = getattr(importlib.import_module("handler"), os.environ["_HANDLER"].partition(".")[2])
host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
sock = socket.create_connection((host, int(port)))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
BASE = b"/2018-06-01/runtime/invocation/"


def receive():
    data = sock.recv(65536)
    if not data:
        sys.exit(0)
    while True:
        head, mark, body = data.partition(b"\r\n\r\n")
        if mark:
            break
        data += sock.recv(65536)
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    size = int(headers[b"Content-Length"])
    whole = bytearray(size)
    whole[: len(body)] = body
    view, at = memoryview(whole), len(body)
    while at < size:
        at += sock.recv_into(view[at:])
    return headers, whole


while True:
    sock.sendall(b"GET %snext HTTP/1.1\r\nHost: bare\r\n\r\n" % BASE)
    headers, body = receive()
    result = json.dumps(handler(json.loads(body), None)).encode()
    sock.sendall(b"POST %s%s/response HTTP/1.1\r\nHost: bare\r\nContent-Length: %d\r\n\r\n%s" % (BASE, headers[b"Lambda-Runtime-Aws-Request-Id"], len(result), result))
    receive()
