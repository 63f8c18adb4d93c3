"""Python runtime of shardmill: makes the surroundings of AWS's managed runtimes, then works for the Lambda Runtime API.

Standard library only. It is /var/runtime/bootstrap.py of AWS's Python runtimes: the file keeps that name, because frames of files called bootstrap.py are cut from
the top of stack traces, and __main__ has awslambdaricmain, by which tools find the runtime that they patch.
"""

import os
import site
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def load_runtime():
    """Imports the runtime, of which nothing but the name awslambdaric is left in the function's name space."""
    cache, sys.pycache_prefix = sys.pycache_prefix, None  # its compiled files lie beside it, for all functions
    sys.path.insert(0, HERE)
    try:
        import awslambdaric.__main__ as awslambdaricmain
    finally:
        sys.path.remove(HERE)
        sys.pycache_prefix = cache
    return awslambdaricmain


def set_up_path():
    """Makes sys.path as AWS does: the package, layers, PYTHONPATH, the standard library; .pth files of packages count."""
    own = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:] = own + [p for p in sys.path if os.path.abspath(p) != HERE]
    if any(os.path.isfile(os.path.join(p, "sitecustomize.py")) for p in own):
        site.execsitecustomize()  # as at the start of an interpreter that is not isolated
    first = [os.environ["LAMBDA_TASK_ROOT"], "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2], "/opt/python"]
    sys.path[:0] = first
    for directory in first:
        site.addsitedir(directory)


def main():
    packages = sys._xoptions.pop("shardmill")  # where survey.py has left what it found
    if sys.flags.no_site:  # what the site module does beside finding packages
        site.setquit()
        site.setcopyright()
        site.sethelper()
    surroundings = awslambdaricmain.surroundings
    surroundings.set_up_connection()
    surroundings.set_up_clock()
    surroundings.set_up_packages(packages)
    surroundings.set_up_endpoint()
    set_up_path()
    awslambdaricmain.main([os.environ["LAMBDA_TASK_ROOT"], os.environ["_HANDLER"]])


awslambdaricmain = load_runtime()

if __name__ == "__main__":
    main()
