import logging
import os
import sys
import time

W3C_ALLOWED_FIELDS = ("traceparent", "tracestate", "baggage")


VARIABLES = (
    "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
)
_KEYS = tuple(name.encode() for name in VARIABLES)
_raw, _values = None, None  # what VARIABLES were last


def configured():
    """The values of VARIABLES. Functions may change them, and rarely do: they are decoded again only then."""
    global _raw, _values
    data = getattr(os.environ, "_data", None)  # None where os.environ is a stand-in
    if data is None:
        return tuple(map(os.environ.get, VARIABLES))
    raw = tuple(map(data.get, _KEYS))
    if raw != _raw:
        _raw, _values = raw, tuple(map(os.environ.get, VARIABLES))
    return _values


class LambdaContext(object):
    def __init__(self, invoke_id, client_context, cognito_identity, epoch_deadline_time_in_ms, invoked_function_arn=None, tenant_id=None):
        self.aws_request_id = invoke_id
        self.log_group_name, self.log_stream_name, self.function_name, self.memory_limit_in_mb, self.function_version = configured()
        self.invoked_function_arn = invoked_function_arn
        self.tenant_id = tenant_id
        self._w3c_fields = self._take_w3c(client_context) if client_context else {}
        self.client_context = make_obj_from_dict(ClientContext, client_context)
        if self.client_context is not None:
            self.client_context.client = make_obj_from_dict(Client, self.client_context.client)
        self.identity = identity = CognitoIdentity()
        identity.cognito_identity_id = identity.cognito_identity_pool_id = None
        if cognito_identity is not None:
            self.identity.cognito_identity_id = cognito_identity.get("cognitoIdentityId")
            self.identity.cognito_identity_pool_id = cognito_identity.get("cognitoIdentityPoolId")
        self._epoch_deadline_time_in_ms = epoch_deadline_time_in_ms

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def w3c(self):
        return dict(self._w3c_fields)

    @staticmethod
    def _take_w3c(client_context):
        fields = client_context.pop("w3c", None) if isinstance(client_context, dict) else None
        if not isinstance(fields, dict):
            return {}
        return {name: fields[name] for name in W3C_ALLOWED_FIELDS if isinstance(fields.get(name), str)}

    def log(self, msg):
        for handler in logging.getLogger().handlers:
            if hasattr(handler, "log_sink"):
                handler.log_sink.log(str(msg))
                return
        sys.stdout.write(str(msg))

    def __repr__(self):
        names = (
            "aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb", "function_version",
            "invoked_function_arn", "client_context", "identity", "tenant_id",
        )
        return show(self, names)


class CognitoIdentity(object):
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]

    def __repr__(self):
        return show(self, self.__slots__)


class Client(object):
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]

    def __repr__(self):
        return show(self, self.__slots__)


class ClientContext(object):
    __slots__ = ["custom", "env", "client"]

    def __repr__(self):
        return show(self, self.__slots__)


def show(obj, names):
    return "%s([%s])" % (type(obj).__name__, ",".join("%s=%s" % (n, getattr(obj, n)) for n in names))


def make_obj_from_dict(_class, _dict, fields=None):
    if _dict is None:
        return None
    obj = _class()
    set_obj_from_dict(obj, _dict)
    return obj


def set_obj_from_dict(obj, _dict, fields=None):
    for field in obj.__class__.__slots__ if fields is None else fields:
        setattr(obj, field, _dict.get(field, None))
