"""Sets up what a function finds around it, before any of its code runs."""

import json
import os
import sys

from . import causes, clock, endpoint, packages


DIRECT = "SHARDMILL_RUNTIME_API"

_direct = None  # address of the server's Runtime API


def set_up_connection():
    global _direct
    _direct = os.environ.pop(DIRECT, None)


def is_direct(address):
    """Reports whether the server itself is at an address: a wrapper may have put a proxy before it."""
    return address == _direct


def set_up_clock():
    offset = os.environ.get(clock.VARIABLE)
    if offset is not None:
        clock.install(int(offset))


def set_up_packages(path):
    """path is what survey.py has found for this interpreter."""
    with open(path, "rb") as f:
        found = json.load(f)
    causes.surroundings.update(found)
    if sys.flags.no_site:
        sys.meta_path.append(packages.Bundled(found["modules"], found["metadata"]))


def set_up_endpoint():
    if any(name.startswith(endpoint.VARIABLE) for name in os.environ):
        packages.after_import(endpoint.PATCHES)
