"""Faults for any process whose PYTHONPATH names this folder: in effect where the file `FAULT_PLAN` lists one.

Python imports `sitecustomize` at its start. This one waits until `pipeline.run_folder` is imported and puts itself
below the methods of `RunFolder`, so that the product's own second tries see what a file system would say.
"""

import errno
import functools
import hashlib
import importlib.abc
import importlib.util
import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

PLAN = Path(os.environ.get("FAULT_PLAN", "/nowhere"))
MODULE = "pipeline.run_folder"
OPERATIONS = {"write_bytes": "write", "write_table": "write", "read_bytes": "read", "read_table": "read"}
SLOW_S = 0.2


def strike(operation, run, path):
    """Do what the plan says about an operation on a member of a run folder."""
    try:
        plan = json.loads(PLAN.read_text())
    except OSError:
        return
    worker = sys.argv[0].endswith("default_worker.py")
    if operation not in plan["operations"] or not re.search(plan["path"], path) or not (worker or plan["everywhere"]):
        return
    if plan["once_per_path"] and not mark(hashlib.sha256(f"{operation} {path}".encode()).hexdigest()):
        return
    number = next(number for number in range(100_000) if mark(f"strike-{number}"))
    if plan["first"] <= number < plan["first"] + plan["times"]:
        ACTIONS[plan["action"]](run)


def mark(name):
    """Make an empty file beside the plan; tell whether it was not there."""
    with suppress(FileExistsError):
        os.close(os.open(PLAN.with_name(name), os.O_CREAT | os.O_EXCL))
        return True
    return False


def kill(run):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(run):
    import ray

    note = PLAN.with_name("hanging.tmp")
    note.write_text(ray.get_runtime_context().get_node_id())
    note.rename(PLAN.with_name("hanging"))
    time.sleep(600)


def fail(run):
    raise OSError(errno.EIO, "injected")


def wait(run):
    time.sleep(SLOW_S)


def fill(run):
    """Take all that is left of the run folder's disk, in ever smaller pieces."""
    with suppress(OSError), Path(run.root).parent.joinpath("ballast").open("ab", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


ACTIONS = {"kill": kill, "hang": hang, "fail": fail, "wait": wait, "fill": fill}


def below(method, operation):
    """Return a method of `RunFolder` that is struck before it acts; names are its last arguments."""

    @functools.wraps(method)
    def struck(run, *args, **kwargs):
        strike(operation, run, "/".join(part for part in args if isinstance(part, str)))
        return method(run, *args, **kwargs)

    return struck


class Finder(importlib.abc.MetaPathFinder):
    """Finds `pipeline.run_folder` once, and has it patched when it has run."""

    def find_spec(self, name, path, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run_module = spec.loader.exec_module

        def exec_module(module):
            run_module(module)
            for name, operation in OPERATIONS.items():
                inner = getattr(module.RunFolder, name).__wrapped__
                setattr(module.RunFolder, name, module.steadily(below(inner, operation)))

        spec.loader.exec_module = exec_module
        return spec


if "FAULT_PLAN" in os.environ:
    sys.meta_path.insert(0, Finder())
