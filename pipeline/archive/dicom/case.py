"""One case of a hospital archive, from the driver's plan to arrays."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.archive.cases import CaseSource, Study, to_geometry
from pipeline.archive.dicom.volume import read_volume
from pipeline.archive.sandbox import Limits
from pipeline.config import SourceConfig

REPAIR_CODES = {"tilt": "GANTRY_TILT", "spacing": "SLICE_INCREMENT_INCONSISTENT"}
"""The reason codes that an accepted repair takes away."""
_TUMOR = 2


def decoder_limits(source: SourceConfig) -> Limits:
    """Return what one call of the sandbox may use."""
    return Limits(source.decoder_memory_mb * 2**20, source.decoder_seconds)


def repair_codes(repairs: Sequence[str]) -> list[str]:
    """Return the reason codes that the site wants mended."""
    return [REPAIR_CODES[name] for name in repairs]


def pack_json(value: Any) -> str:
    """Return names of files as text of a few characters each."""
    return base64.b85encode(zlib.compress(json.dumps(value).encode())).decode()


def unpack_json(packed: str) -> Any:
    """Return what `pack_json` packed."""
    return json.loads(zlib.decompress(base64.b85decode(packed)))


def read_study(case: CaseSource, record: Callable[[bytes], object], liver_value: int, repairs: Sequence[str]) -> Study:
    """Read CT and liver of a case of layout `dicom`.

    Args:
        case: A case whose `image` holds the archive's root and the slices, and `masks` where its mask lies, packed;
            `masks` may be empty.
        record: Receives a hash of the files of the CT and of the mask.
        liver_value: As in `pipeline.config.SourceConfig`.
        repairs: As in `pipeline.config.SourceConfig`.

    Raises:
        CaseError: As `pipeline.archive.dicom.volume.read_volume`.
    """
    root, slices = unpack_json(case.image)
    mask = unpack_json(case.masks) if case.masks else ()
    values, arrays = read_volume(root, slices, mask, repair_codes(repairs), liver_value)
    record(values["sha256"].encode())
    labels = arrays.get("labels")
    liver = None if labels is None else labels.view(np.bool_)
    tumors = None
    if labels is not None and labels.max() == _TUMOR:
        liver, tumors = labels > 0, labels == _TUMOR
    return Study(
        hu=arrays["hu"],
        geometry=to_geometry(values["geometry"]),
        liver_mask=liver,
        reference_mask=tumors,
        notes=tuple(values["notes"]),
    )
