"""The cases of an archive: which there are, and one of them read and checked, whatever its layout."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.archive import ircad, msd
from pipeline.archive.cases import CaseFiles, CaseSource, Study
from pipeline.archive.checks import paste_on_grid, require_same_grid, to_labels
from pipeline.archive.labels import LabelTable, read_labels, unsafe_id_error
from pipeline.archive.nifti import read_nifti
from pipeline.archive.quarantine import Rejection
from pipeline.archive.volume_ids import ircad_id, is_safe_id, replacement_id
from pipeline.arrays import SEGMENT_COUNT, UInt8Array
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import CaseError, RefusedInputError
from pipeline.volume import Geometry, Volume

__all__ = ["CaseSource", "list_cases", "read_case"]

_STEP = "list"
_FIND = {"msd": msd.find_files, "ircad": ircad.find_files}
_READ = {"msd": msd.read_study, "ircad": ircad.read_study}


def list_cases(config: PipelineConfig) -> tuple[list[CaseSource], list[Rejection]]:
    """Return the cases of the source and those that are set aside before anything is read, both by id.

    Only folders and the label table are looked at; no image is opened.

    Returns:
        Cases, and rejections with the codes `LABEL_MISSING`, `IMAGE_MISSING`, `LIVER_MISSING`, `UNSAFE_ID`,
        `SEGMENT_LABEL`, `SPLIT_UNKNOWN` and `LABEL_CONFLICT`. An id is in one of the lists and only once.

    Raises:
        RefusedInputError: If the source or label table cannot be used, or no case is left.
    """
    if config.source.layout == "phantom":
        return _phantom_cases(config), []
    if config.source.layout == "dicom":
        raise ValueError("the cases of a DICOM tree are found by pipeline.stages.discover_series")
    source = config.source
    root = _folder(source.path, "source.path")
    labels = Path(source.labels).expanduser().absolute() if source.labels else root / "volume_labels.csv"
    table = read_labels(labels, _canonical(source))
    cases, rejections = _join(_FIND[source.layout](root), table, source.layout, _couinaud_folder(source, root))
    if not cases:
        counts = ", ".join(f"{code} {count}" for code, count in Counter(item.code for item in rejections).items())
        raise RefusedInputError(
            f"source.path {source.path!r} holds no usable {source.layout} case ({counts or 'empty'})"
        )
    return cases, rejections


def read_case(case: CaseSource, config: PipelineConfig) -> Volume:
    """Read one case, with everything that the source has of it, in LPS order.

    `content_sha256` is the hash of the bytes of its input files one after another: image, masks, Couinaud map.

    Args:
        case: A case of `list_cases`.
        config: The configuration that listed it.

    Raises:
        CaseError: If the case cannot be used: the codes of `msd.read_study`, `ircad.read_study` and `read_nifti`,
            and `COUINAUD_GEOMETRY` or `COUINAUD_LABEL`.
    """
    if case.layout == "phantom":
        from pipeline.phantom import make_phantom

        return make_phantom(config.phantom, config.seed, case.volume_id)
    content = hashlib.sha256()
    study = _read_study(case, content.update, config)
    couinaud_map = _read_couinaud_map(case, study.geometry, content.update)
    return Volume(
        volume_id=case.volume_id,
        hu=study.hu,
        liver_mask=study.liver_mask,
        geometry=study.geometry,
        image_label=case.image_label,
        split=case.split,
        reference_mask=study.reference_mask,
        couinaud_map=couinaud_map,
        content_sha256=content.hexdigest(),
        notes=study.notes,
    )


def _read_study(case: CaseSource, record: Callable[[bytes], object], config: PipelineConfig) -> Study:
    """Read CT and masks of a case as its layout has them."""
    if case.layout == "dicom":
        from pipeline.archive.dicom_case import read_study

        return read_study(case, record, config.source)
    return _READ[case.layout](case, record)


def _phantom_cases(config: PipelineConfig) -> list[CaseSource]:
    """Return the cases of the synthetic cohort."""
    from pipeline.phantom import list_phantoms

    phantoms = list_phantoms(config.phantom, config.seed)
    if not phantoms:
        raise RefusedInputError("phantom: all counts are 0, expected at least one volume")
    return [CaseSource(item.volume_id, "phantom", item.split, ()) for item in phantoms]


def _join(
    files: Mapping[str, CaseFiles], table: LabelTable, layout: str, maps: Path | None
) -> tuple[list[CaseSource], list[Rejection]]:
    """Bring files and labels together: each id becomes a case or a rejection."""
    cases: list[CaseSource] = []
    rejections = dict(table.rejections)
    for name in sorted(files.keys() | table.labels.keys()):
        volume_id = name if is_safe_id(name) else replacement_id(name)
        if volume_id in rejections:
            continue
        try:
            cases.append(_case(name, files.get(name), table, layout, maps))
        except CaseError as error:
            rejections[volume_id] = Rejection.from_error(volume_id, error)
    return cases, sorted(rejections.values(), key=lambda item: item.volume_id)


def _case(name: str, files: CaseFiles | None, table: LabelTable, layout: str, maps: Path | None) -> CaseSource:
    """Return a case that has image, mask and label, or raise what it lacks."""
    if not is_safe_id(name):
        raise unsafe_id_error(name)
    if name not in table.labels:
        raise CaseError("LABEL_MISSING", "there is an image, but no row in the label table", _STEP)
    if files is None or not files.image:
        raise CaseError("IMAGE_MISSING", "there is a row in the label table, but no image", _STEP)
    if not files.masks:
        raise CaseError("LIVER_MISSING", "there is an image, but no mask of the liver", _STEP)
    label = table.labels[name]
    couinaud_map = maps / f"{name}.nii.gz" if maps else None
    found = str(couinaud_map) if couinaud_map and couinaud_map.is_file() else ""
    return CaseSource(name, layout, label.split, label.segments, files.image, files.masks, found)


def _read_couinaud_map(case: CaseSource, image: Geometry, record: Callable[[bytes], object]) -> UInt8Array | None:
    """Read the Couinaud map of a case on the grid of its CT, or None if it has none; a crop of the grid will do."""
    if not case.couinaud_map:
        return None
    what, code = "the Couinaud map", "COUINAUD_GEOMETRY"
    values, geometry = read_nifti(Path(case.couinaud_map), what, record)
    labels = to_labels(values, SEGMENT_COUNT, "COUINAUD_LABEL", what)
    if geometry.shape != image.shape and (pasted := paste_on_grid(labels, geometry, image)) is not None:
        return pasted
    require_same_grid(geometry, image, what, shape_code=code, grid_code=code)
    return labels


def _couinaud_folder(source: SourceConfig, root: Path) -> Path | None:
    """Return the folder of Couinaud maps; None if none was named and there is none beside the images."""
    if source.couinaud_maps:
        return _folder(source.couinaud_maps, "source.couinaud_maps")
    beside = root / "couinaudTr"
    return beside if beside.is_dir() else None


def _folder(path: str, name: str) -> Path:
    """Return a configured folder as an absolute path: workers have other working directories.

    Raises:
        RefusedInputError: If it is not there.
    """
    folder = Path(path).expanduser().absolute()
    if not path or not folder.is_dir():
        raise RefusedInputError(f"{name}: expected a folder, got {path!r}")
    return folder


def _canonical(source: SourceConfig) -> Callable[[str], str]:
    """Return what turns an id of the label table into an id of the archive."""
    return ircad_id if source.layout == "ircad" else str
