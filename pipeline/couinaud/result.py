"""What a constructor gives: a Couinaud map, how it was made, and what is doubtful about it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.arrays import UInt8Array


@dataclass(frozen=True)
class CouinaudMap:
    """The Couinaud map of one volume.

    Args:
        labels: Shape of the volume: segment 1..8 on every liver voxel, 0 elsewhere.
        method: The constructor that made it, such as `shape`.
        flags: Upper-case codes of what is doubtful, such as `LEFT_PLANE_FROM_SHAPE`, `FRACTION_SEGMENT_1` or
            `VESSELS_EMPTY`; sorted.
    """

    labels: UInt8Array
    method: str
    flags: tuple[str, ...] = ()
