import json
import socket
import sys
from urllib.parse import quote

from ._shardmill import clock
from .lambda_runtime_exception import FaultException
from .lambda_runtime_marshaller import LambdaMarshaller, to_json

BASE = "/2018-06-01/runtime/"
LARGE = 65536  # bytes of a body from which on a write of its own costs less than joining it to what goes before
ERROR_TYPE_HEADER = "Lambda-Runtime-Function-Error-Type"


# What is read, as the server writes it, and as a proxy may.
HEADERS = frozenset((
    "Content-Type", "Content-Length", "Lambda-Runtime-Aws-Request-Id", "Lambda-Runtime-Deadline-Ms", "Shardmill-Clock-Offset-Ms",
    "Lambda-Runtime-Invoked-Function-Arn", "Lambda-Runtime-Trace-Id", "Lambda-Runtime-Client-Context", "Lambda-Runtime-Cognito-Identity",
    "Lambda-Runtime-Aws-Tenant-Id", "Lambda-Runtime-Invocation-Id",
))
LOWER = {name.lower(): name for name in HEADERS}


class InvocationRequest(object):
    def __init__(self, **kwds):
        self.__dict__ = kwds

    def __eq__(self, other):
        return self.__dict__ == other.__dict__


class LambdaRuntimeClientError(Exception):
    def __init__(self, endpoint, response_code, response_body):
        self.endpoint = endpoint
        self.response_code = response_code
        self.response_body = response_body
        super().__init__(
            f"Request to Lambda Runtime '{endpoint}' endpoint failed. Reason: '{response_code}'. Response body: '{response_body}'"
        )


class Connection:
    """One keep-alive connection, one buffer, headers read by hand: http.client costs three times as much per invocation."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.address, self.host = (host, int(port)), address
        self.sock, self.buffer = None, b""
        self.asked = False  # for the next event
        end = f"HTTP/1.1\r\nHost: {address}\r\n".encode("latin-1")
        self.next = b"GET %binvocation/next %b\r\n" % (BASE.encode(), end)
        self.quiet = b"POST %binvocation/%%b/response %bShardmill-Quiet: 1\r\nContent-Type: %%b\r\nContent-Length: %%d\r\n\r\n" % (BASE.encode(), end)

    def connect(self):
        if self.sock is None:
            self.sock = socket.create_connection(self.address)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.sock

    def get_next(self):
        if not self.asked:
            self.connect().sendall(self.next)
        self.asked = False
        return self.receive()

    def answer_and_ask(self, invoke_id, body, content_type):
        """Posts an answer that gets no reply and asks for the next event in one write: nobody waits for the reply."""
        head = self.quiet % (invoke_id.encode("latin-1", "replace"), content_type.encode("latin-1", "replace"), len(body))
        sock = self.connect()
        if len(body) < LARGE:
            sock.sendall(b"%b%b%b" % (head, body, self.next))
        else:
            sock.sendall(head)
            sock.sendall(body)
            sock.sendall(self.next)
        self.asked = True

    def post(self, path, body, headers):
        head = f"POST {BASE}{path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(body)}\r\n"
        for name, value in headers:
            head += f"{name}: {value}\r\n"
        head = (head + "\r\n").encode("latin-1", "replace")
        sock = self.connect()
        if len(body) < LARGE:
            sock.sendall(head + body)
        else:
            sock.sendall(head)
            sock.sendall(body)
        return self.receive()

    def receive(self):
        data = self.buffer
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                break
            # Blocking on purpose: a signal interrupts it, its Python handler runs, and the read goes on.
            part = self.sock.recv(65536)
            if not part:
                raise ConnectionError("the Runtime API closed the connection")
            data = data + part if data else part
        lines = data[:end].decode("utf-8", "replace").split("\r\n")
        status = int(lines.pop(0).split(" ", 2)[1])
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            if name not in HEADERS:
                name, _, value = line.partition(":")
                name, value = LOWER.get(name.lower()), value.strip()
            headers[name] = value
        size = int(headers.get("Content-Length", 0))
        body = data[end + 4 :]
        missing = size - len(body)
        if missing > 0:
            whole = bytearray(size)
            whole[: len(body)] = body
            view = memoryview(whole)[len(body) :]
            while missing > 0:
                n = self.sock.recv_into(view, missing)
                if n == 0:
                    raise ConnectionError("the Runtime API closed the connection")
                view = view[n:]
                missing -= n
            view.release()
            body, self.buffer = whole, b""
        else:
            body, self.buffer = body[:size], body[size:]
        return status, headers, body


class LambdaRuntimeClient(object):
    marshaller = LambdaMarshaller()
    hint = None  # advice for a person on what made the error that is posted next
    next_follows = None  # a function that says whether nothing comes between posting a result and waiting for the next event

    def __init__(self, lambda_runtime_address, use_thread_for_polling_next=False):
        self.lambda_runtime_address = lambda_runtime_address
        self.use_thread_for_polling_next = use_thread_for_polling_next
        self._connection = Connection(lambda_runtime_address)

    def wait_next_invocation(self):
        status, headers, body = self._connection.get_next()
        if status != 200:
            raise LambdaRuntimeClientError("/2018-06-01/runtime/invocation/next", status, bytes(body))
        get = headers.get
        clock.follow(get("Shardmill-Clock-Offset-Ms"))
        return InvocationRequest(
            invoke_id=get("Lambda-Runtime-Aws-Request-Id"),
            x_amzn_trace_id=get("Lambda-Runtime-Trace-Id"),
            invoked_function_arn=get("Lambda-Runtime-Invoked-Function-Arn"),
            deadline_time_in_ms=int(get("Lambda-Runtime-Deadline-Ms", 0)),
            client_context=get("Lambda-Runtime-Client-Context"),
            cognito_identity=get("Lambda-Runtime-Cognito-Identity"),
            tenant_id=get("Lambda-Runtime-Aws-Tenant-Id"),
            content_type=get("Content-Type"),
            event_body=body,
            invocation_id=get("Lambda-Runtime-Invocation-Id"),
        )

    def post_invocation_result(self, invoke_id, result_data, content_type="application/json", invocation_id=None):
        body = result_data if isinstance(result_data, (bytes, bytearray)) else result_data.encode("utf-8")
        flush()
        if self.next_follows is not None and self.next_follows(self):
            self._connection.answer_and_ask(invoke_id, body, content_type)
        else:
            self._connection.post("invocation/%s/response" % invoke_id, body, (("Content-Type", content_type),))

    def post_invocation_error(self, invoke_id, error_response_data, xray_fault, invocation_id=None):
        self._post_error("invocation/%s/error" % invoke_id, error_response_data.encode("utf-8"), json.loads(error_response_data).get("errorType"))

    def post_init_error(self, error_response_data, error_type_override=None):
        self._post_error("init/error", to_json(error_response_data).encode("utf-8", "backslashreplace"), error_type_override or error_response_data["errorType"])

    def _post_error(self, path, document, kind):
        headers = [("Content-Type", "application/json")]
        if kind:
            headers.append((ERROR_TYPE_HEADER, "".join(c for c in str(kind) if c >= " ")))
        if self.hint:
            headers.append(("Shardmill-Hint", quote(self.hint[:2000], safe=" ")))
        self.hint = None
        flush()
        self._connection.post(path, document, headers)


def flush():
    """Whatever the invocation has printed is out before its answer is."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # it is the function's own, or closed
