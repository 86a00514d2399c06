"""Slices that do not lie where the slices of one volume lie."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.phantom_archive.faults.registry import change, copy_slice, fault, file_of, map_pixels, third
from pipeline.phantom_archive.files import save
from pipeline.phantom_archive.tags import derive_uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CORONAL = [1, 0, 0, 0, 0, -1]
_STEP = "SLICE_INCREMENT_INCONSISTENT"


@fault("01_MISSING_SLICE", _STEP)
def drop_slice(slices: list[Dataset], folder: Path) -> None:
    """A slice was lost on the way."""
    save(slices[:5] + slices[6:], folder)


@fault("02_DUP_SLICE")
def copy_file(slices: list[Dataset], folder: Path) -> None:
    """A file is there twice."""
    save(slices, folder)
    (folder / "copy.dcm").write_bytes(file_of(folder, 3).read_bytes())


@fault("03_DUP_POSITION", "DUPLICATE_POSITION")
def repeat_position(slices: list[Dataset], folder: Path) -> None:
    """Two different slices lie at one position."""
    other = copy_slice(slices[3])
    map_pixels(other, lambda stored: stored[::-1])
    save(slices, folder)
    save([other], folder, "IM9999.dcm")


@fault("04_IRREGULAR_SPACING", _STEP)
def stretch(slices: list[Dataset], folder: Path) -> None:
    """From the middle on steps are longer."""
    for k in range(6, len(slices)):
        slices[k].ImagePositionPatient[2] += 0.4 * (k - 5)
    save(slices, folder)


@fault("05_SPACING_NOISE")
def jitter(slices: list[Dataset], folder: Path) -> None:
    """Positions carry the noise of rounding."""
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[2] += (-1) ** k * 1e-6
    save(slices, folder)


@fault("06_GANTRY_TILT", "GANTRY_TILT")
def tilt(slices: list[Dataset], folder: Path) -> None:
    """The gantry was tilted by 15 degrees."""
    cosine, sine = math.cos(math.radians(15)), math.sin(math.radians(15))
    for dataset in slices:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, round(cosine, 6), round(-sine, 6)]
    save(slices, folder)


@fault("07_SHEARED", "GANTRY_TILT")
def shear(slices: list[Dataset], folder: Path) -> None:
    """The couch sank, and no tag tells of it."""
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[1] += 0.7 * k
    save(slices, folder)


@fault("08_MIXED_ORIENTATION", "IMAGE_ORIENTATION_INCONSISTENT")
def turn_some(slices: list[Dataset], folder: Path) -> None:
    """A third of the slices stands upright."""
    for dataset in slices[third(slices) :]:
        dataset.ImageOrientationPatient = _CORONAL
    save(slices, folder)


@fault("08_LOCALIZER_INSIDE", skipped=("LOCALIZER",))
def add_localizer(slices: list[Dataset], folder: Path) -> None:
    """A scout is part of the series."""
    image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save([copy_slice(slices[0], ImageOrientationPatient=_CORONAL, ImageType=image_type), *slices], folder)


@fault("08_UNNAMED_LOCALIZER")
def add_unnamed_localizer(slices: list[Dataset], folder: Path) -> None:
    """So is this one, which does not say what it is."""
    save([copy_slice(slices[0], ImageOrientationPatient=_CORONAL), *slices], folder)


@fault("09_NON_AXIAL", "NON_AXIAL")
def turn_all(slices: list[Dataset], folder: Path) -> None:
    """The planes go from front to back."""
    for k, dataset in enumerate(slices):
        dataset.ImageOrientationPatient = _CORONAL
        dataset.ImagePositionPatient = [-100, -100 + 5 * k, 0]
    save(slices, folder)


@fault("11_TWO_SERIES", others=("NOT_PREFERRED",))
def add_series(slices: list[Dataset], folder: Path) -> None:
    """The folder holds the first slices of another series."""
    save(slices, folder)
    uid = derive_uid(slices[0].SeriesInstanceUID, "other")
    save([copy_slice(dataset, SeriesInstanceUID=uid) for dataset in slices[:5]], folder, "other{}.dcm")


@fault("12_TWO_PHASES_BY_NUMBER", others=("NOT_PREFERRED",))
def add_phase(slices: list[Dataset], folder: Path) -> None:
    """Two phases share the series; acquisition numbers tell them apart."""
    _add_phase(slices, folder, AcquisitionNumber=2)


@fault("12_TWO_PHASES_BY_TIME", others=("NOT_PREFERRED",))
def add_later_phase(slices: list[Dataset], folder: Path) -> None:
    """Two phases share the series; only the clock tells them apart."""
    _add_phase(slices, folder)


@fault("12_TWO_PHASES_UNTOLD", "DUPLICATE_POSITION")
def add_untold_phase(slices: list[Dataset], folder: Path) -> None:
    """Two phases share the series, and nothing tells them apart."""
    for dataset in slices:
        del dataset.AcquisitionTime
    _add_phase(slices, folder, AcquisitionTime="")


@fault("13_LOCALIZER", "TOO_FEW_SLICES")
def keep_three(slices: list[Dataset], folder: Path) -> None:
    """Three slices are no volume."""
    save(slices[:3], folder)


@fault("15_ALL_SAME_POSITION", "NOT_A_VOLUME")
def stand_still(slices: list[Dataset], folder: Path) -> None:
    """One place was watched over time."""
    for dataset in slices:
        dataset.ImagePositionPatient = slices[0].ImagePositionPatient
    save(slices, folder)


change("16_SLICE_WITHOUT_POSITION", "POSITION_MISSING", index=4, ImagePositionPatient=None)
change("17_NO_POSITIONS", "POSITION_MISSING", ImagePositionPatient=None)


@fault("18_DIFFERENT_MATRIX", "MATRIX_INCONSISTENT")
def shorten_one(slices: list[Dataset], folder: Path) -> None:
    """One slice has half of the rows."""
    slices[4].Rows //= 2
    slices[4].PixelData = slices[4].PixelData[: 2 * slices[4].Rows * slices[4].Columns]
    save(slices, folder)


change("19_ZERO_PIXEL_SPACING", "PIXEL_SPACING_INVALID", PixelSpacing=[0, 0])
change("19_NO_PIXEL_SPACING", "PIXEL_SPACING_INVALID", PixelSpacing=None)
change("20_ZERO_THICKNESS", SliceThickness=0)
change("21_SAME_INSTANCE_NUMBER", InstanceNumber=1)


@fault("22_REVERSED_NAMES")
def reverse_names(slices: list[Dataset], folder: Path) -> None:
    """Names run against the positions and have no extension."""
    save(slices[::-1], folder, "image_{}")


def _add_phase(slices: list[Dataset], folder: Path, **values: Any) -> None:
    """Write a second pass over the same positions, an hour later and 20 HU brighter."""
    files = []
    for dataset in slices:
        time = "11" + dataset.get("AcquisitionTime", "113000")[2:]
        late = copy_slice(dataset, "late", **{"AcquisitionTime": time, **values})
        map_pixels(late, lambda stored: stored + 20)
        files += [dataset, late]
    save(files, folder)
