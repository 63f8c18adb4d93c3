"""Says what an error of importing comes from on this machine, for a person. It must not cost anything unless there is an error, and never raise."""

import os
import sys

surroundings = {}  # what survey.py has found; see surroundings.py

# The distributions that AWS's runtime brings along and that functions import by these names.
BUNDLED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six", "simplejson")


def explain(error):
    """Advice, or None."""
    try:
        seen = []
        while error is not None and error not in seen and len(seen) < 20:
            seen.append(error)
            if isinstance(error, (ImportError, OSError)):
                advice = native(error) or (missing(error) if isinstance(error, ModuleNotFoundError) else None)
                if advice:
                    return advice
            error = error.__cause__ or error.__context__
    except Exception:
        pass
    return None


def missing(error):
    """A module that is not in the package: AWS would have it, or it is installed here, or neither."""
    name = (error.name or "").split(".")[0]
    if not name or name in sys.modules:
        return None
    runtime = os.environ.get("AWS_EXECUTION_ENV", "").rpartition("_")[2]
    if name in BUNDLED:
        distribution = {"dateutil": "python-dateutil"}.get(name, name)
        return (
            "%s, which AWS bundles with %s, is not installed for %s. Install it with: %s -m pip install %s"
            " (or into a virtual environment: python3 -m venv .venv && .venv/bin/pip install boto3, and start shardmill in this directory)."
            % (name, runtime, sys.executable, sys.executable, distribution)
        )
    place = find_on_host(name)
    if place is None:
        return None
    return (
        "%s is not in the code package. It is installed on this machine (%s), where a function does not look, as it would not on AWS."
        " Add what provides it to the package, as with pip install --target. With --host-packages functions use what is installed here."
        % (name, place)
    )


def find_on_host(name):
    """Where the interpreter would find a module if it were not for a function."""
    import importlib.machinery

    spec = importlib.machinery.PathFinder.find_spec(name, surroundings.get("installed", []))
    if spec is not None and (spec.origin or list(spec.submodule_search_locations or [])):
        return spec.origin or list(spec.submodule_search_locations)[0]
    import subprocess  # what is installed in place is known to finders that .pth files install

    ask = "import importlib.util, sys; s = importlib.util.find_spec(sys.argv[1]); print(s and (s.origin or list(s.submodule_search_locations)[0]) or '')"
    asked = subprocess.run([sys.executable, "-I", "-c", ask, name], capture_output=True, text=True, timeout=5, env={})
    return asked.stdout.strip() or None


def native(error):
    """A module of machine code that this interpreter or this machine cannot load."""
    import importlib.machinery

    file = getattr(error, "path", None) or ""
    if isinstance(error, OSError):
        file = str(error).partition(": ")[0]  # ctypes has no other place for it
    if is_native(file):
        return os.path.isfile(file) and inspect(file)
    if isinstance(error, OSError):
        return None
    for directory, stem in places(error, file):
        for entry in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            base, dot, suffix = entry.partition(".")
            if not is_native(entry) or stem is not None and base != stem or dot + suffix in importlib.machinery.EXTENSION_SUFFIXES:
                continue
            if any(os.path.exists(os.path.join(directory, base + s)) for s in importlib.machinery.EXTENSION_SUFFIXES):
                continue  # it lies beside one that fits
            return foreign_suffix(os.path.join(directory, entry), suffix)
    return None


def is_native(file):
    return file.endswith((".so", ".pyd", ".dylib")) or ".so." in os.path.basename(file)


def places(error, file):
    """Where the module that is missing would lie, as pairs of a directory and the name of its file; None stands for any name."""
    name = error.name or ""
    if isinstance(error, ModuleNotFoundError):
        parent, _, stem = name.rpartition(".")
        package = sys.modules.get(parent)
        for directory in list(getattr(package, "__path__", [])) if parent else sys.path:
            yield directory, stem
        if parent and package is None:  # its package has been given up because of this very error
            for directory in sys.path:
                yield os.path.join(directory, *parent.split(".")), stem
    elif file:  # cannot import a name from a package: one of its modules of machine code is not there
        yield os.path.dirname(file), getattr(error, "name_from", None)


def foreign_suffix(file, suffix):
    made_for = "another Python or another system (%s)" % suffix
    for part in suffix.replace("-", ".").split("."):
        digits = part[2:] if part.startswith("cp") else part
        if digits.isdigit() and digits.startswith("3") and len(digits) > 1:
            made_for = "CPython 3.%s" % digits[1:]
    if suffix.startswith("cpython-"):
        system = "-".join(suffix.rsplit(".", 1)[0].split("-")[2:])
        made_for += " on " + system if system else ""
    elif suffix.endswith("pyd"):
        made_for += " on Windows"
    return not_for_here(file, made_for)


MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64", 22: "s390x"}


def inspect(file):
    """Looks into a library that did not load."""
    import platform
    import re

    with open(file, "rb") as f:
        content = f.read(64 << 20)
    if content[:4] != b"\x7fELF":
        made_for = "macOS" if content[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe") else "Windows" if content[:2] == b"MZ" else None
        if made_for:
            return not_for_here(file, made_for)
        return "%s is no library: it begins with %r." % (file, bytes(content[:4]))
    machine = int.from_bytes(content[18:20], "little" if content[5] == 1 else "big")
    if MACHINES.get(machine, "") != platform.machine():
        return not_for_here(file, "Linux on " + MACHINES.get(machine, "machine type %d" % machine))
    try:
        here = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
    except (AttributeError, ValueError, OSError, IndexError):
        return not_for_here(file, "the GNU C library")
    needed = max((tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_(2\.\d+(?:\.\d+)?)\x00", content)), default=())
    if needed > tuple(int(n) for n in here.split(".")):
        return not_for_here(file, "glibc %s or later, and this machine has %s" % (".".join(map(str, needed)), here))
    return None


def not_for_here(file, made_for):
    import platform

    return (
        "%s is built for %s. This function runs on %s %s on %s %s."
        " Install the package's dependencies for what it runs on: with that interpreter, or pip install --platform and --python-version."
        % (file, made_for, platform.python_implementation(), platform.python_version(), platform.system(), platform.machine())
    )
