"""What the layouts hand to the catalog: where a case lies, and what its files hold once they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.arrays import BoolArray, Int16Array
from pipeline.image_labels import encode_segments
from pipeline.volume import Geometry

_NO_LABEL = "none"


@dataclass(frozen=True)
class CaseSource:
    """One case that is listed but not yet read: a work item that travels to workers as a row of strings.

    Args:
        volume_id: Our id, safe as a file name.
        layout: `msd`, `ircad`, `dicom` or `phantom`.
        split: `train`, `validation` or `test`.
        segments: Segments 1..8 that the volume's label names, ascending; empty means healthy, None that there is no
            label. The phantom layout leaves it empty: a phantom's label follows from its tumors.
        image: Path of the CT, for DICOM the packed names of its slices; empty for a phantom.
        masks: Path of the liver and tumor masks, for DICOM packed; empty for a phantom, or if a network has to find the
            liver.
        couinaud_map: Path of the Couinaud map; empty if there is none.
        vessels: Path of the vessel mask; empty if there is none, or the masks hold the vessels too.
    """

    volume_id: str
    layout: str
    split: str
    segments: tuple[int, ...] | None
    image: str = ""
    masks: str = ""
    couinaud_map: str = ""
    vessels: str = ""

    @property
    def image_label(self) -> BoolArray:
        """The volume's label as `bool[8]`; all false without one."""
        return encode_segments(self.segments or ())

    def to_row(self) -> dict[str, Any]:
        """Return the case as a row of strings: an empty list has no type in Arrow, the text `""` has."""
        segments = _NO_LABEL if self.segments is None else ";".join(map(str, self.segments))
        return {**vars(self), "segments": segments}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> CaseSource:
        """Return the case of a row that `to_row` made; further columns are ignored."""
        values = {name: row[name] for name in cls.__dataclass_fields__}
        text = values.pop("segments")
        segments = None if text == _NO_LABEL else tuple(int(token) for token in text.split(";") if token)
        return cls(segments=segments, **values)


@dataclass(frozen=True)
class CaseFiles:
    """Where the files of one case lie; an empty path means that there is none."""

    image: str
    masks: str


@dataclass(frozen=True)
class Study:
    """CT and masks of one case in LPS order, all arrays of `geometry.shape`.

    Args:
        hu: Hounsfield units.
        geometry: Where the voxels lie.
        liver_mask: The liver including its tumors; None if there is no mask.
        reference_mask: Tumors drawn by a person, perhaps all false; None if nobody looked.
        notes: Codes of what was mended or is doubtful, such as `REPAIRED_GANTRY_TILT`.
    """

    hu: Int16Array
    geometry: Geometry
    liver_mask: BoolArray | None
    reference_mask: BoolArray | None
    notes: tuple[str, ...] = ()


def to_geometry(values: dict[str, Any]) -> Geometry:
    """Return the geometry whose fields went through JSON."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return Geometry(**fields)
