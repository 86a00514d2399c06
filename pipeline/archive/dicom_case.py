"""One case of a hospital archive, from the driver's plan to arrays: the reading itself runs in the sandbox."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

from pipeline.archive.cases import CaseSource, Study
from pipeline.archive.sandbox import Limits, shared_sandbox
from pipeline.config import SourceConfig
from pipeline.volume import Geometry

REPAIR_CODES = {"tilt": "GANTRY_TILT", "spacing": "SLICE_INCREMENT_INCONSISTENT"}
"""The reason codes that an accepted repair takes away."""
_TUMOR = 2


def decoder_limits(source: SourceConfig) -> Limits:
    """Return what one call of the sandbox may use."""
    return Limits(source.decoder_memory_mb * 2**20, source.decoder_seconds)


def repair_codes(source: SourceConfig) -> list[str]:
    """Return the reason codes that the site wants mended."""
    return [REPAIR_CODES[name] for name in source.repairs]


def pack_json(value: Any) -> str:
    """Return names of files as text of a few characters each."""
    return base64.b85encode(zlib.compress(json.dumps(value).encode())).decode()


def unpack_json(packed: str) -> Any:
    """Return what `pack_json` packed."""
    return json.loads(zlib.decompress(base64.b85decode(packed)))


def read_study(case: CaseSource, record: Callable[[bytes], object], source: SourceConfig) -> Study:
    """Read CT and liver of a case of layout `dicom`.

    Args:
        case: A case whose `image` holds the archive's root and the slices, and `masks` where its mask lies, packed.
        record: Receives a hash of the files of the CT and of the mask.
        source: Settings of the source.

    Raises:
        CaseError: As `pipeline.archive.dicom_volume.read_volume` and `Sandbox.call`.
    """
    root, slices = unpack_json(case.image)
    answer = shared_sandbox(decoder_limits(source)).call(
        "pipeline.archive.dicom_volume:read_volume",
        source=root,
        slices=slices,
        mask=unpack_json(case.masks),
        liver_value=source.liver_value,
        repairs=repair_codes(source),
    )
    record(answer.values["sha256"].encode())
    labels = answer.arrays["labels"]
    tumors = labels == _TUMOR
    return Study(
        hu=answer.arrays["hu"],
        geometry=_geometry(answer.values["geometry"]),
        liver_mask=labels > 0,
        reference_mask=tumors if tumors.any() else None,
        notes=tuple(answer.values["notes"]),
    )


def _geometry(values: dict[str, Any]) -> Geometry:
    """Return the geometry that an answer describes."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return Geometry(**fields)
