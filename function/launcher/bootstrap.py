"""Python runtime of shardmill: loads a handler and works for the Lambda Runtime API.

Standard library only. The file must keep its name: frames of a file called bootstrap.py are cut from the top of stack traces, as on AWS.
Error documents, fault types, the context object and log lines follow AWS's own Python runtime interface client.
"""

import decimal
import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/"
# A log message of several lines goes out as one line: EVENT, then the text with its line breaks as BREAK. The other end puts them back.
EVENT, BREAK = "\x1e", "\x1f"
NBSP = "\u00a0"

request_id = None


class Fault(Exception):
    """A fault of the function's set-up, named by a type of the Runtime family instead of a Python class."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, trace


class RuntimeAPI:
    """One keep-alive connection, one buffer, headers read by hand: http.client costs three times as much per invocation."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.address, self.host = (host, int(port)), address
        self.sock, self.buffer = None, b""

    def connect(self):
        self.sock = socket.create_connection(self.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def call(self, method, path, body=None, kind=None, content_type="application/json"):
        head = "%s %s%s HTTP/1.1\r\nHost: %s\r\n" % (method, BASE, path, self.host)
        if body is not None:
            head += "Content-Type: %s\r\nContent-Length: %d\r\n" % (content_type, len(body))
        if kind:
            head += "Lambda-Runtime-Function-Error-Type: %s\r\n" % kind
        head = (head + "\r\n").encode("latin-1", "replace")
        if self.sock is None:
            self.connect()
        if body is None:
            self.sock.sendall(head)
        elif len(body) < 65536:
            self.sock.sendall(head + body)
        else:
            self.sock.sendall(head)
            self.sock.sendall(body)
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
            data += part
        lines = data[:end].split(b"\r\n")
        status = int(lines[0].split(b" ", 2)[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower().decode()] = value.strip().decode("utf-8", "replace")
        size = int(headers.get("content-length", 0))
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


class Client:
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]


class ClientContext:
    __slots__ = ["custom", "env", "client"]


class CognitoIdentity:
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]


def fill(kind, source):
    if source is None:
        return None
    target = kind()
    for name in kind.__slots__:
        setattr(target, name, source.get(name))
    return target


class LambdaContext:
    def __init__(self, headers):
        env = os.environ.get
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.log_group_name = env("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = env("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = env("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        context = headers.get("lambda-runtime-client-context")
        if context:
            try:
                context = json.loads(context)
            except Exception as e:
                raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse Client Context JSON: %s" % e)
        self.client_context = fill(ClientContext, context or None)
        if self.client_context is not None:
            self.client_context.client = fill(Client, self.client_context.client)
        self.identity = fill(CognitoIdentity, {})
        self._deadline = int(headers.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)

    def log(self, message):
        write_event(str(message))

    def __repr__(self):
        names = (
            "aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb", "function_version",
            "invoked_function_arn", "client_context", "identity", "tenant_id",
        )
        return "LambdaContext([%s])" % ",".join("%s=%s" % (n, getattr(self, n)) for n in names)


class Encoder(json.JSONEncoder):
    """JSON as AWS's runtime writes it: a Decimal is a number with all its digits, NaN and Infinity pass, bytes and dates do not."""

    def __init__(self):
        version = os.environ.get("AWS_EXECUTION_ENV", "").partition("python")[2]
        minor = version.partition(".")[2]
        super().__init__(ensure_ascii=not (minor.isdigit() and int(minor) >= 12))
        self.mark = '"decimal-%s:' % os.urandom(12).hex()
        self.decimals = False

    def default(self, value):
        if isinstance(value, decimal.Decimal):
            if value.is_nan():
                return float("nan")
            self.decimals = True
            return self.mark[1:] + str(value)
        return super().default(value)

    def encode(self, value):
        self.decimals = False
        text = super().encode(value)
        if self.decimals:  # the standard encoder has no raw numbers: take the quotes off again
            first, *rest = text.split(self.mark)
            text = first + "".join(part.replace('"', "", 1) for part in rest)
        return text


def write_event(text):
    """One log event, whatever line breaks it has."""
    text = text.rstrip("\n").replace("\n", BREAK)
    sys.stdout.flush()
    line = (EVENT + text + "\n").encode("utf-8", "backslashreplace")
    while line:
        line = line[os.write(1, line) :]


class LogHandler(logging.Handler):
    def emit(self, record):
        try:
            write_event(self.format(record))
        except Exception:
            self.handleError(record)


class AddRequestId(logging.Filter):
    def filter(self, record):
        record.aws_request_id = request_id or ""
        return True


def set_up_logging():
    logging.Formatter.converter = time.gmtime
    handler = LogHandler()
    handler.setFormatter(
        logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S")
    )
    handler.addFilter(AddRequestId())
    logging.getLogger().addHandler(handler)


def load(handler):
    try:
        module_name, name = handler.rsplit(".", 1)
    except ValueError as e:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (handler, e))
    try:
        if module_name.split(".")[0] in sys.builtin_module_names:
            raise Fault("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name)
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as e:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, e))
    except SyntaxError as e:
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module '%s': %s" % (module_name, e),
            ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)],
        )
    try:
        return getattr(module, name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (name, module_name))


def describe(error, invocation):
    """The error document of an exception, keys in AWS's order."""
    if isinstance(error, Fault):
        message, kind, trace = error.message, error.kind, error.trace
    else:
        frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
        for i, frame in enumerate(frames):
            if "/bootstrap.py" not in frame[0]:
                frames = frames[i:]
                break
        message, kind, trace = str(error), type(error).__name__, traceback.format_list(frames)
    return {"errorMessage": message or "", "errorType": kind or "", "requestId": invocation or "", "stackTrace": trace or []}


def log_error(document):
    head = "[ERROR]"
    if document["errorType"]:
        head += " " + document["errorType"]
    if document["errorMessage"]:
        head += (":" if document["errorType"] else "") + " " + document["errorMessage"]
    lines = [head, "Traceback (most recent call last):"]
    for element in document["stackTrace"]:
        for line in element.splitlines() or [""]:
            text = line.lstrip(" ")
            lines.append(NBSP * (len(line) - len(text)) + text)  # log viewers eat ordinary blanks
    write_event("\n".join(lines))


def encode_document(document):
    return json.dumps(document, ensure_ascii=encoder.ensure_ascii).encode("utf-8", "backslashreplace")


def set_up_path():
    root = os.environ["LAMBDA_TASK_ROOT"]
    site = "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    extra = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [root, site, "/opt/python"] + extra + [p for p in sys.path if os.path.abspath(p) != here]


def invoke(api, handler, headers, body):
    invocation = headers["lambda-runtime-aws-request-id"]
    content_type = "application/json"
    try:
        context = LambdaContext(headers)
        try:
            event = json.loads(body)
        except Exception as e:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e)
        result = handler(event, context)
        if isinstance(result, bytes):
            content_type = "application/unknown"
        else:
            try:
                result = encoder.encode(result).encode("utf-8", "surrogatepass")
            except Exception as e:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % e)
    except Exception as e:
        document = describe(e, invocation)
        log_error(document)
        api.call("POST", "invocation/%s/error" % invocation, encode_document(document), document["errorType"])
        return
    api.call("POST", "invocation/%s/response" % invocation, result, content_type=content_type)


def main():
    global request_id
    sys.stdout.reconfigure(line_buffering=True, write_through=True, errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True, write_through=True, errors="backslashreplace")
    set_up_path()
    set_up_logging()
    api = RuntimeAPI(API)
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as e:
        document = describe(e, None)
        log_error(document)
        api.call("POST", "init/error", encode_document(document), document["errorType"])
        sys.exit(1)
    while True:
        status, headers, body = api.call("GET", "invocation/next")
        if status != 200:
            sys.exit(1)
        request_id = headers["lambda-runtime-aws-request-id"]
        trace = headers.get("lambda-runtime-trace-id")
        if trace is not None:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        invoke(api, handler, headers, body)


if __name__ == "__main__":
    encoder = Encoder()
    sys.modules["bootstrap"] = sys.modules["__main__"]
    try:
        main()
    except ConnectionError:
        sys.exit(0)  # the daemon is gone
