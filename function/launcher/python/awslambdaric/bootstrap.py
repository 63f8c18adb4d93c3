import importlib
import json
import logging
import os
import sys
import time
import traceback

from ._shardmill import causes
from .lambda_context import LambdaContext
from .lambda_runtime_client import LambdaRuntimeClient
from .lambda_runtime_exception import FaultException
from .lambda_runtime_marshaller import to_json

ERROR_LOG_IDENT = "\u00a0"  # log viewers eat ordinary blanks
# A log message of several lines goes out as one line: EVENT, then the text with its line breaks as BREAK. The other end puts them back.
EVENT, BREAK = "\x1e", "\x1f"

_GLOBAL_AWS_REQUEST_ID = None
_GLOBAL_TENANT_ID = None


def _get_handler(handler):
    try:
        modname, fname = handler.rsplit(".", 1)
    except ValueError as e:
        raise FaultException(FaultException.MALFORMED_HANDLER_NAME, "Bad handler '{}': {}".format(handler, str(e)))
    try:
        if modname.split(".")[0] in sys.builtin_module_names:
            raise FaultException(FaultException.BUILT_IN_MODULE_CONFLICT, "Cannot use built-in module {} as a handler module".format(modname))
        m = importlib.import_module(modname.replace("/", "."))
    except ImportError as e:
        raise FaultException(FaultException.IMPORT_MODULE_ERROR, "Unable to import module '{}': {}".format(modname, str(e)))
    except SyntaxError as e:
        trace = ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)]
        raise FaultException(FaultException.USER_CODE_SYNTAX_ERROR, "Syntax error in module '{}': {}".format(modname, str(e)), trace)
    try:
        return getattr(m, fname)
    except AttributeError:
        raise FaultException(FaultException.HANDLER_NOT_FOUND, "Handler '{}' missing on module '{}'".format(fname, modname), None)


def make_error(error_message, error_type, stack_trace, invoke_id=None):
    return {
        "errorMessage": error_message if error_message else "",
        "errorType": error_type if error_type else "",
        "requestId": invoke_id if invoke_id is not None else "",
        "stackTrace": stack_trace if stack_trace else [],
    }


def replace_line_indentation(line, indent_char, new_indent_char):
    text = line.lstrip(indent_char)
    return new_indent_char * (len(line) - len(text)) + text


def log_error(error_result, log_sink):
    head = "[ERROR]"
    if error_result.get("errorType"):
        head += " " + error_result["errorType"]
    if error_result.get("errorMessage"):
        head += (":" if error_result.get("errorType") else "") + " " + error_result["errorMessage"]
    lines = [head]
    if error_result.get("stackTrace") is not None:
        lines.append("Traceback (most recent call last):")
        for element in error_result["stackTrace"]:
            lines += [replace_line_indentation(line, " ", ERROR_LOG_IDENT) for line in element.splitlines()] or [""]
    log_sink.log_error(lines)


def handle_event_request(
    lambda_runtime_client,
    request_handler,
    invoke_id,
    event_body,
    content_type,
    client_context_json,
    cognito_identity_json,
    invoked_function_arn,
    epoch_deadline_time_in_ms,
    tenant_id,
    log_sink,
    invocation_id=None,
):
    error_result = None
    try:
        lambda_context = create_lambda_context(
            client_context_json, cognito_identity_json, epoch_deadline_time_in_ms, invoke_id, invoked_function_arn, tenant_id
        )
        event = lambda_runtime_client.marshaller.unmarshal_request(event_body, content_type)
        response = request_handler(event, lambda_context)
        result, result_content_type = lambda_runtime_client.marshaller.marshal_response(response)
        event = lambda_context = response = None  # what they do at their end is part of this invocation, and the answer may end it
    except FaultException as e:
        xray_fault = make_xray_fault("LambdaValidationError", e.msg, os.getcwd(), [])
        error_result = make_error(e.msg, e.exception_type, e.trace, invoke_id)
    except Exception:
        etype, value, tb = sys.exc_info()
        tb_tuples = _without_runtime(extract_traceback(tb))
        xray_fault = make_xray_fault(etype.__name__, str(value), os.getcwd(), tb_tuples)
        error_result = make_error(str(value), etype.__name__, traceback.format_list(tb_tuples), invoke_id)
        lambda_runtime_client.hint = causes.explain(value)
    if error_result is not None:
        log_error(error_result, log_sink)
        lambda_runtime_client.post_invocation_error(invoke_id, to_json(error_result), to_json(xray_fault), invocation_id)
    else:
        lambda_runtime_client.post_invocation_result(invoke_id, result, result_content_type, invocation_id)


def parse_json_header(header, name):
    try:
        return json.loads(header)
    except Exception as e:
        raise FaultException(FaultException.LAMBDA_CONTEXT_UNMARSHAL_ERROR, "Unable to parse {} JSON: {}".format(name, str(e)), None)


def create_lambda_context(client_context_json, cognito_identity_json, epoch_deadline_time_in_ms, invoke_id, invoked_function_arn, tenant_id):
    client_context = parse_json_header(client_context_json, "Client Context") if client_context_json else None
    cognito_identity = parse_json_header(cognito_identity_json, "Cognito Identity") if cognito_identity_json else None
    return LambdaContext(invoke_id, client_context, cognito_identity, epoch_deadline_time_in_ms, invoked_function_arn, tenant_id)


def build_fault_result(exc_info, msg):
    etype, value, tb = exc_info
    return make_error(msg if msg else str(value), etype.__name__, traceback.format_list(_without_runtime(extract_traceback(tb))))


def make_xray_fault(ex_type, ex_msg, working_dir, tb_tuples):
    stack = [{"label": method, "path": file, "line": line} for file, line, method, _ in tb_tuples]
    exception = {"message": ex_msg, "type": ex_type, "stack": stack}
    return {"working_directory": working_dir, "exceptions": [exception], "paths": list({file for file, *_ in tb_tuples})}


def extract_traceback(tb):
    return [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(tb)]


def _without_runtime(tb_tuples):
    """Cuts the runtime's frames off the top; where there are no others, they stay."""
    for i, frame in enumerate(tb_tuples):
        if "/bootstrap.py" not in frame[0]:
            return tb_tuples[i:]
    return tb_tuples


class LambdaLoggerHandler(logging.Handler):
    def __init__(self, log_sink):
        logging.Handler.__init__(self)
        self.log_sink = log_sink

    def emit(self, record):
        self.log_sink.log(self.format(record))


class LambdaLoggerFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = _GLOBAL_AWS_REQUEST_ID or ""
        record.tenant_id = _GLOBAL_TENANT_ID
        return True


class Unbuffered(object):
    def __init__(self, stream):
        self.stream = stream
        self.flush = stream.flush  # asked for once an invocation

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, exc_tb):
        pass

    def __getattr__(self, attr):
        return getattr(self.stream, attr)

    def write(self, msg):
        self.stream.write(msg)
        self.stream.flush()

    def writelines(self, msgs):
        self.stream.writelines(msgs)
        self.stream.flush()


class StandardLogSink(object):
    """One log event for each message, whatever line breaks it has."""

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, exc_tb):
        pass

    def log(self, msg, frame_type=None):
        sys.stdout.flush()
        line = EVENT.encode() + msg.rstrip("\n").replace("\n", BREAK).encode("utf-8") + b"\n"
        while line:
            line = line[os.write(1, line) :]

    def log_error(self, message_lines):
        self.log("\n".join(message_lines))


def update_xray_env_variable(xray_trace_id):
    if xray_trace_id is not None:
        os.environ["_X_AMZN_TRACE_ID"] = xray_trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def create_log_sink():
    return StandardLogSink()


def _setup_logging(log_sink):
    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler(log_sink)
    handler.setFormatter(
        logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S")
    )
    handler.addFilter(LambdaLoggerFilter())
    logging.getLogger().addHandler(handler)


def next_follows(lambda_runtime_client):
    """Reports whether nothing comes between an answer and the wait for the next event. The code of a tool that has wrapped what lies on the way does: it runs as
    long as the environment has not asked."""
    own = lambda_runtime_client.__dict__
    kind = type(lambda_runtime_client)
    on_the_way = (run, handle_event_request, kind.post_invocation_result, kind.wait_next_invocation)
    return on_the_way == _ON_THE_WAY and "post_invocation_result" not in own and "wait_next_invocation" not in own


def run(handler, lambda_runtime_client):
    global _GLOBAL_AWS_REQUEST_ID, _GLOBAL_TENANT_ID
    sys.stdout = Unbuffered(sys.stdout)
    sys.stderr = Unbuffered(sys.stderr)
    with create_log_sink() as log_sink:
        error_result = None
        try:
            _setup_logging(log_sink)
            request_handler = _get_handler(handler)
        except FaultException as e:
            error_result = make_error(e.msg, e.exception_type, e.trace)
            lambda_runtime_client.hint = causes.explain(e)
        except Exception as e:
            error_result = build_fault_result(sys.exc_info(), None)
            lambda_runtime_client.hint = causes.explain(e)
        if error_result is not None:
            from .lambda_literals import lambda_unhandled_exception_warning_message

            logging.warning(lambda_unhandled_exception_warning_message)
            log_error(error_result, log_sink)
            lambda_runtime_client.post_init_error(error_result)
            sys.exit(1)
        while True:
            event_request = lambda_runtime_client.wait_next_invocation()
            _GLOBAL_AWS_REQUEST_ID = event_request.invoke_id
            _GLOBAL_TENANT_ID = event_request.tenant_id
            update_xray_env_variable(event_request.x_amzn_trace_id)
            handle_event_request(
                lambda_runtime_client,
                request_handler,
                event_request.invoke_id,
                event_request.event_body,
                event_request.content_type,
                event_request.client_context,
                event_request.cognito_identity,
                event_request.invoked_function_arn,
                event_request.deadline_time_in_ms,
                event_request.tenant_id,
                log_sink,
                event_request.invocation_id,
            )


_ON_THE_WAY = (run, handle_event_request, LambdaRuntimeClient.post_invocation_result, LambdaRuntimeClient.wait_next_invocation)
