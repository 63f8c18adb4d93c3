"""JSON as AWS's client writes it, with simplejson: bytes are text, what has _asdict is an object, a Decimal is a number with all its digits.

The standard library's encoder does the work, on values that were made plain before where they are not: it is written in C and always there.
"""

import decimal
import json
import marshal
import os
import sys

from .lambda_runtime_exception import FaultException

# From python3.12 on text leaves as it is.
ESCAPES = os.environ.get("AWS_EXECUTION_ENV") not in {"AWS_Lambda_python3.%d" % minor for minor in range(12, 20)}

_loads, _decoder = json.loads, getattr(json, "_default_decoder", None)


class Encoder(json.JSONEncoder):
    def __init__(self):
        super().__init__(ensure_ascii=ESCAPES, allow_nan=True)
        self.c, self.within = None, {}  # what JSONEncoder makes anew for each value: the encoder in C, and the containers that it is in
        if json.encoder.c_make_encoder is not None:
            text = json.encoder.encode_basestring_ascii if ESCAPES else json.encoder.encode_basestring
            self.c = json.encoder.c_make_encoder(
                self.within, self.default, text, None, self.key_separator, self.item_separator, False, False, True
            )

    def encode(self, o):
        try:
            marshal.dumps(o)  # fails for what is no plain value, or not exactly one: in C, at a third of the price of encoding
            if self.c is None:
                return super().encode(o)
            try:
                return "".join(self.c(o, 0))
            except BaseException:
                self.within.clear()
                raise
        except (TypeError, ValueError):
            raw = Raw()
            return raw.put_in(super().encode(Plain(self, raw).of(o)))

    def default(self, o):
        if isinstance(o, bytes):
            return o.decode("utf-8")
        return super().default(o)


class Raw:
    """Numbers that the standard encoder cannot write: it writes a mark in their place, which nobody else can have written."""

    def __init__(self):
        self.mark = None
        self.texts = []

    def add(self, text):
        if self.mark is None:
            self.mark = "raw-%s-" % os.urandom(12).hex()
        self.texts.append(text)
        return "%s%d." % (self.mark, len(self.texts) - 1)

    def put_in(self, text):
        if self.mark is None:
            return text
        first, *rest = text.split('"' + self.mark)
        parts = [first]
        for part in rest:
            number, _, after = part.partition('."')
            parts += [self.texts[int(number)], after]
        return "".join(parts)


class Plain:
    """Makes plain values of whatever simplejson takes; for the rest the encoder's default has the word, as it has there."""

    def __init__(self, encoder, raw):
        self.encoder, self.raw = encoder, raw
        self.within = set()

    def of(self, o):
        if o is None or isinstance(o, (str, int, float)):
            return o
        if isinstance(o, bytes):
            return o.decode("utf-8")
        if id(o) in self.within:
            raise ValueError("Circular reference detected")
        self.within.add(id(o))
        try:
            return self.composed(o)
        finally:
            self.within.discard(id(o))

    def composed(self, o):
        as_dict = getattr(o, "_asdict", None)
        if callable(as_dict):
            fields = as_dict()
            if not isinstance(fields, dict):
                raise TypeError("_asdict() must return a dict, not " + type(fields).__name__)
            o = fields
        if isinstance(o, dict):
            return Members([(self.key(k), self.of(v)) for k, v in o.items()])
        if isinstance(o, (list, tuple)):
            return [self.of(v) for v in o]
        if isinstance(o, decimal.Decimal):
            return float("nan") if o.is_nan() else self.raw.add(str(o))
        simplejson = sys.modules.get("simplejson.raw_json")  # the function's own
        if simplejson is not None and isinstance(o, simplejson.RawJSON):
            return self.raw.add(o.encoded_json)
        return self.of(self.encoder.default(o))

    def key(self, k):
        if isinstance(k, bytes):
            return k.decode("utf-8")
        if k is None or isinstance(k, (str, int, float)):
            return k
        raise TypeError("keys must be str, int, float, bool or None, not " + type(k).__name__)


class Members(dict):
    """A dict whose members may have the same name, as b"a" and "a" have. The encoder asks a subclass for its items only."""

    def __init__(self, members):
        super().__init__(members)
        self.members = members

    def items(self):
        return self.members


def from_json(document):
    """json.loads, without what it does first and last where the document is UTF-8 with nothing around it."""
    if json.loads is _loads and getattr(json, "_default_decoder", None) is _decoder:
        try:
            text = str(document, "utf-8", "surrogatepass")
            value, end = _decoder.scan_once(text, 0)
            if end == len(text):
                return value
        except Exception:
            pass  # in another encoding, or wrong: it knows
    return json.loads(document)


def to_json(obj):
    return Encoder().encode(obj)


class LambdaMarshaller:
    def __init__(self):
        self.jsonEncoder = Encoder()

    def unmarshal_request(self, request, content_type="application/json"):
        if content_type != "application/json":
            return request
        try:
            return from_json(request)
        except Exception as e:
            raise FaultException(FaultException.UNMARSHAL_ERROR, "Unable to unmarshal input: {}".format(str(e)), None)

    def marshal_response(self, response):
        if isinstance(response, bytes):
            return response, "application/unknown"
        try:
            return self.jsonEncoder.encode(response), "application/json"
        except Exception as e:
            raise FaultException(FaultException.MARSHAL_ERROR, "Unable to marshal response: {}".format(str(e)), None)
