"""Starts AWS's runtime interface client the way AWS's managed Python runtimes do: same sys.path, same name in __main__."""

import os
import site
import sys

import awslambdaric.__main__ as awslambdaricmain


def main():
    own = "PYTHONPATH" in os.environ
    layers = ["/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2], "/opt/python"]
    task = os.environ["LAMBDA_TASK_ROOT"]
    sys.path[:0] = [task] if own else [task] + layers
    for directory in [task] if own else [task] + layers:
        site.addsitedir(directory)
    if not own:
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]
    awslambdaricmain.main([task, os.environ["_HANDLER"]])


if __name__ == "__main__":
    main()
