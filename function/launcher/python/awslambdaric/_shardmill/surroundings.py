"""Sets up what a function finds around it, before any of its code runs."""

import json
import os
import sys

from . import causes, clock, endpoint, packages


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
