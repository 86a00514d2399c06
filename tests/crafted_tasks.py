"""A case decoded by C readers with three bugs, which crafted images set off."""

from __future__ import annotations

from unittest import mock

from pipeline.archive import nifti
from pipeline.archive.decode_case import decode_case
from pipeline.archive.dicom import series
from tests.sandbox_tasks import allocate, crash, sleep

CRASH, HANG, GREED = 30_001, 30_002, 30_003
"""Values of an image's first voxel on which the readers crash, hang and take memory."""


def decode_crafted(**arguments):
    with (
        mock.patch.object(nifti, "_decode", spoil(nifti._decode, lambda decoded: decoded[0][0, 0, 0])),
        mock.patch.object(series, "_decode", spoil(series._decode, lambda stored: stored[0, 0])),
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
