"""What a decoder may do to its process."""

from __future__ import annotations

import ctypes
import json
import os
import time
from unittest import mock

import numpy as np

from pipeline.archive import dicom_series, nifti
from pipeline.archive.decode_case import decode_case
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


CRASH, HANG, GREED = 30_001, 30_002, 30_003
"""Values of an image's first voxel on which the decoders of `decode_crafted` crash, hang and take memory."""


def decode_crafted(**arguments):
    """Decode a case by C readers with three bugs."""
    with (
        mock.patch.object(nifti, "_decode", spoil(nifti._decode, lambda image: image[0, 0, 0])),
        mock.patch.object(dicom_series, "_decode", spoil(dicom_series._decode, lambda stored: stored[0, 0])),
    ):
        return decode_case(**arguments)


def spoil(decode, first_voxel):
    """Return a decoder that breaks on crafted images."""
    bugs = {CRASH: crash, HANG: lambda: sleep(600), GREED: lambda: allocate(2**36)}

    def decode_or_break(*arguments):
        decoded = decode(*arguments)
        bugs.get(first_voxel(decoded), dict)()
        return decoded

    return decode_or_break
