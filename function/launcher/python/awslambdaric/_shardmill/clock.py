"""Shows the function the server's clock, which is ahead of the machine's when somebody has moved it.

The types of time and datetime stay what they are, since code compares them, pickles them and derives from them, in Python and in C: what reads the system's
clock is replaced in place. Monotonic clocks, sleep and timeouts are left alone.
"""

import gc
import sys
import time

VARIABLE = "SHARDMILL_CLOCK_OFFSET_MS"

DEPRECATED = (
    "datetime.datetime.utcnow() is deprecated and scheduled for removal in a future version. Use timezone-aware objects to represent datetimes in UTC:"
    " datetime.datetime.now(datetime.UTC)."
)

_offset = [0, 0.0]  # nanoseconds and seconds
_installed = False
_followed = None  # the last offset, as it came
_real = {name: getattr(time, name) for name in ("time", "time_ns", "gmtime", "localtime", "ctime", "asctime", "strftime", "clock_gettime", "clock_gettime_ns")}
_clocks = {getattr(time, name) for name in ("CLOCK_REALTIME", "CLOCK_TAI") if hasattr(time, name)}
if sys.platform == "linux":
    _clocks.add(5)  # CLOCK_REALTIME_COARSE


def follow(milliseconds):
    """Takes the offset that comes with an invocation; None leaves the last."""
    global _followed
    if milliseconds != _followed and _installed and milliseconds is not None:
        _followed = milliseconds
        _set(int(milliseconds))


def _set(milliseconds):
    _offset[:] = [milliseconds * 1_000_000, milliseconds / 1000]


def install(milliseconds):
    """Replaces what reads the clock. Everything that has been imported from time or datetime afterwards follows the clock, too."""
    global _installed
    _set(milliseconds)
    _installed = True
    for name, read in _replacements.items():
        setattr(time, name, _Function(name, read))
    import datetime

    _replace_methods(datetime.datetime)
    from .packages import after_import

    after_import({"uuid": _patch_uuid})


class _Function:
    """A function that is no method when a class has it as an attribute, like the built-in one in whose place it stands."""

    def __init__(self, name, read):
        self.__name__ = self.__qualname__ = name
        self.__module__ = "time"
        self.__doc__ = _real[name].__doc__
        self._read = read

    def __call__(self, *args):
        return self._read(*args)

    def __reduce__(self):
        return self.__name__

    def __repr__(self):
        return "<built-in function %s>" % self.__name__


def _time(_read=_real["time"]):
    return _read() + _offset[1]


def _time_ns(_read=_real["time_ns"]):
    return _read() + _offset[0]


def _gmtime(seconds=None, _read=_real["gmtime"]):
    return _read(_time() if seconds is None else seconds)


def _localtime(seconds=None, _read=_real["localtime"]):
    return _read(_time() if seconds is None else seconds)


def _ctime(seconds=None, _read=_real["ctime"]):
    return _read(_time() if seconds is None else seconds)


def _asctime(t=None):
    return _real["asctime"](_localtime() if t is None else t)


def _strftime(format, t=None):
    return _real["strftime"](format, _localtime() if t is None else t)


def _clock_gettime(clock):
    return _real["clock_gettime"](clock) + (_offset[1] if clock in _clocks else 0)


def _clock_gettime_ns(clock):
    return _real["clock_gettime_ns"](clock) + (_offset[0] if clock in _clocks else 0)


_replacements = {
    "time": _time, "time_ns": _time_ns, "gmtime": _gmtime, "localtime": _localtime, "ctime": _ctime, "asctime": _asctime, "strftime": _strftime,
    "clock_gettime": _clock_gettime, "clock_gettime_ns": _clock_gettime_ns,
}


def _replace_methods(kind):
    """Replaces the methods of datetime that read the clock in the type's own dictionary, which nobody else can be asked for but the collector of garbage.

    today() reads time.time and follows by itself.
    """
    from datetime import timezone

    methods = gc.get_referents(kind.__dict__)[0]
    from_seconds = methods["fromtimestamp"]

    def now(cls, tz=None):
        seconds, nanoseconds = divmod(_time_ns(), 1_000_000_000)
        return from_seconds.__get__(None, cls)(seconds, tz).replace(microsecond=nanoseconds // 1000)

    def utcnow(cls):
        if sys.version_info >= (3, 12):
            import warnings

            warnings.warn(DEPRECATED, DeprecationWarning, stacklevel=2)
        seconds, nanoseconds = divmod(_time_ns(), 1_000_000_000)
        return from_seconds.__get__(None, cls)(seconds, timezone.utc).replace(microsecond=nanoseconds // 1000, tzinfo=None)

    for method in (now, utcnow):
        method.__qualname__ = "datetime." + method.__name__
        method.__module__ = "datetime"
        method.__doc__ = methods[method.__name__].__doc__
        methods[method.__name__] = classmethod(method)
    if getattr(kind.now, "__func__", None) is not now or getattr(kind.utcnow, "__func__", None) is not utcnow:
        import ctypes  # somebody has used them before, and the interpreter remembers the old ones

        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


def _patch_uuid(module):
    """uuid1 without the system's library reads time.time_ns."""
    module._generate_time_safe = module._UuidCreate = None
