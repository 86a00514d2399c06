"""Names for the array types that cross module borders. Axis order is z, y, x everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
Int16Array = NDArray[np.int16]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

SEGMENT_COUNT = 8
"""Couinaud segments are numbered 1..8; index i of a `bool[8]` label stands for segment i + 1."""
