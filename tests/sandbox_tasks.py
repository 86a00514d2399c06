"""What a decoder may do to its process."""

from __future__ import annotations

import ctypes
import json
import os
import time

import numpy as np

from pipeline.errors import CaseError


def echo(**arguments):
    return {**arguments, "pid": os.getpid()}, {}


def make_arrays(rows):
    return {}, {"hu": np.arange(rows * 6, dtype=np.int16).reshape(rows, 2, 3), "mask": np.ones((rows, 2), bool)}


def sleep(seconds):
    time.sleep(seconds)
    return {}, {}


def burn():
    while True:
        pass


def crash():
    ctypes.string_at(0)
    return {}, {}


def leave():
    os._exit(3)


def crash_once(flag):
    """Crash in a process that has run this before."""
    if os.path.exists(flag):
        return {"pid": os.getpid()}, {}
    open(flag, "w").close()
    return crash()


def allocate(size):
    return {"sum": int(np.ones(size, np.uint8).sum())}, {}


def reject():
    raise CaseError("NOT_CT", "a file has another modality, expected CT", "read")


def stumble():
    return json.loads("CANARY is no JSON"), {}
