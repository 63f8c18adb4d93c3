"""Asks an interpreter of this machine what functions need to know of it, and prints it as JSON: a start need not walk through what is installed.

modules and metadata are what AWS bundles with its runtime, as far as it is installed: boto3 and botocore with everything they require by their metadata, and what
AWS's runtime interface client requires. installed is where the interpreter looks beside the standard library; reads are directories that functions must be able to
read; watch are those whose modification time changes when something is installed. Its argument is a directory whose modules are compiled.
"""

import compileall
import importlib.metadata
import importlib.util
import json
import os
import re
import site
import sys
import sysconfig

ROOTS = ["boto3", "botocore", "simplejson", "snapshot-restore-py"]


def closure():
    """The distributions that the roots lead to."""
    found, todo = {}, list(ROOTS)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in found[name].requires or []:
            required, _, marker = requirement.partition(";")
            if "extra" not in marker:  # other markers choose among versions; what is not for this one is not installed
                todo.append(re.match(r"\s*([A-Za-z0-9._-]+)", required).group(1))
    return found


def names(distribution):
    """Modules that a distribution installs, parts of namespaces by their full names. Debian's have no list of files, and those of an editable install are
    elsewhere."""
    files = [tuple(f.parts) for f in distribution.files or [] if f.suffix in (".py", ".so", ".pyd")]
    files = [f for f in files if ".." not in f and not f[0].startswith("__editable__")]
    if not files:
        name = distribution.metadata["Name"]
        return (distribution.read_text("top_level.txt") or "").split() or [{"python-dateutil": "dateutil"}.get(name, re.sub(r"[-.]", "_", name))]
    packages = {f[:-1] for f in files if f[-1].startswith("__init__.")}
    out = set()
    for f in files:
        for n in range(1, len(f) + 1):
            if f[:n] in packages or n == len(f):
                out.add(".".join(f[: n - 1] + (f[n - 1].split(".")[0],)))
                break
    return sorted(n for n in out if all(part.isidentifier() for part in n.split(".")))


def find(name):
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        spec = None
    if spec is None:
        return None
    if spec.origin is None or not os.path.exists(spec.origin):
        return None
    locations = spec.submodule_search_locations
    return [spec.origin, list(locations) if locations is not None else None]


def survey():
    modules, metadata = {}, []
    for distribution in closure().values():
        place = getattr(distribution, "_path", None)
        if place is not None and os.path.isdir(str(place)):
            metadata.append(str(place))
        for name in names(distribution):
            found = find(name)
            if found is None:
                continue
            parent = name.rpartition(".")[0]
            while parent:
                modules.setdefault(parent, [None, None])
                parent = parent.rpartition(".")[0]
            modules[name] = found
    standard = {os.path.realpath(p) for p in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))}
    path = [p for p in sys.path if os.path.realpath(p) not in standard and not p.endswith((".zip", "lib-dynload"))]
    reads = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, os.path.dirname(os.path.realpath(sys.executable))} | standard
    reads.update(metadata)
    for file, locations in modules.values():
        reads.update(locations or ([os.path.dirname(file)] if file else []))
    return {
        "modules": modules, "metadata": metadata, "installed": path,
        "reads": sorted({os.path.realpath(r) for r in reads} | reads),
        "watch": [p for p in dict.fromkeys(path + site.getsitepackages()) if os.path.isdir(p)],
    }


if __name__ == "__main__":
    try:
        compileall.compile_dir(sys.argv[1], quiet=2)
    except Exception:
        pass  # each start compiles them then
    json.dump(survey(), sys.stdout)
