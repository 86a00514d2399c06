"""The registry of faults, and what writing them takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.phantom_archive.files import save
from pipeline.phantom_archive.tags import derive_uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Write = Callable[[list["Dataset"], Path], object]
"""Writes the slices of a series into a folder; may change them."""


def leave(path: Path) -> None:
    """Leave a mask as it is."""


@dataclass(frozen=True)
class Fault:
    """A way of writing a series, and the right answer to it.

    Args:
        write: Writes the series.
        code: Reason by which the series is set aside, or, if `unlisted`, skipped; empty if it is read.
        note: Note of a series that is read.
        skipped: Files that are counted under other reasons.
        others: Reasons by which further series, or parts of this one, are skipped beside it.
        unlisted: Whether the series is no candidate, so that its examination's label finds none.
        spoil_mask: Changes the liver mask, a `.nii.gz`.
    """

    write: Write = save
    code: str = ""
    note: str = ""
    skipped: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unlisted: bool = False
    spoil_mask: Callable[[Path], object] = leave


REGISTERED: dict[str, Fault] = {}
"""By name, in the order in which modules are imported."""


def fault(name: str, code: str = "", **answer: Any) -> Callable[[Write], Write]:
    """Register a writer; arguments as those of `Fault`."""

    def add(write: Write) -> Write:
        REGISTERED[name] = Fault(write, code, **answer)
        return write

    return add


def mask_fault(name: str, code: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """Register a spoiler of masks."""

    def add(spoil: Callable[[Path], object]) -> Callable[[Path], object]:
        REGISTERED[name] = Fault(code=code, spoil_mask=spoil)
        return spoil

    return add


def change(
    name: str, code: str = "", *, index: int | None = None, note: str = "", unlisted: bool = False, **values: Any
) -> None:
    """Register a fault that sets attributes of all slices, or of one; None deletes."""

    @fault(name, code, note=note, unlisted=unlisted)
    def write(slices: list[Dataset], folder: Path) -> None:
        """Set or delete the attributes and write."""
        for dataset in slices if index is None else [slices[index]]:
            assign(dataset, **values)
        save(slices, folder)


def assign(dataset: Dataset, **values: Any) -> None:
    """Set attributes of a dataset; None deletes."""
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


def copy_slice(dataset: Dataset, word: str = "copy", **values: Any) -> Dataset:
    """Return a slice like another, under an instance UID of its own."""
    other = deepcopy(dataset)
    other.SOPInstanceUID = derive_uid(dataset.SOPInstanceUID, word)
    assign(other, **values)
    return other


def file_of(folder: Path, index: int) -> Path:
    """Return the file of a slice as `save` names it."""
    return folder / f"IM{index:04d}.dcm"


def map_pixels(dataset: Dataset, function: Callable[[Any], Any]) -> None:
    """Replace a slice's stored values by what a function makes of them, a flat int16 array."""
    import numpy as np

    dataset.PixelData = np.ascontiguousarray(function(np.frombuffer(dataset.PixelData, "<i2"))).tobytes()


def third(slices: Sequence[Dataset]) -> int:
    """Return where the last third of the slices begins."""
    return 2 * len(slices) // 3
