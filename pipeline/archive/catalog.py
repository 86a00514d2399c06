"""The cases of an archive: which there are, and one of them read and checked, whatever its layout."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.archive import ircad, msd
from pipeline.archive.cases import CaseFiles, CaseSource, to_geometry
from pipeline.archive.checks import listing, reading, require_folder
from pipeline.archive.decode_case import VESSELS
from pipeline.archive.dicom.case import decoder_limits
from pipeline.archive.labels import NO_LABEL, LabelTable, read_labels, read_splits, unsafe_id_error
from pipeline.archive.liver_doubts import NOT_DRAWN, find_doubts, is_undrawn
from pipeline.archive.liver_network import PREDICTED, predict_liver
from pipeline.archive.quarantine import Rejection
from pipeline.archive.report_table import find_columns
from pipeline.archive.reports import read_report_labels
from pipeline.archive.sandbox import Answer, shared_sandbox
from pipeline.archive.source_tree import FileState
from pipeline.archive.steady_file import try_again
from pipeline.archive.volume_ids import ircad_id, is_safe_id, msd_id, replacement_id
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.couinaud.methods import find_inputs
from pipeline.errors import CaseError, RefusedInputError
from pipeline.volume import UNLABELED, Vessels, Volume

__all__ = ["CaseList", "CaseSource", "list_cases", "list_files", "read_case", "survey"]

DECODE_TASK = "pipeline.archive.decode_case:decode_case"
"""What reads the files of a case, in a throw-away process."""
_STEP = "list"
_FIND = {"msd": msd.find_files, "ircad": ircad.find_files}


@dataclass(frozen=True)
class CaseList:
    """What a source holds, an id in one of the lists and only once, both by id.

    Args:
        cases: Cases to be read.
        rejections: Cases that are set aside before anything is read.
        unused_labels: Ids of labels, usable or not, that name nothing in the source.
    """

    cases: list[CaseSource]
    rejections: list[Rejection]
    unused_labels: tuple[str, ...] = ()


def survey(config: PipelineConfig, *, labels_required: bool = True) -> CaseList:
    """Bring images and labels of the source together.

    Only folders and the table of labels or reports are looked at; no image is opened.

    Args:
        config: Names the source.
        labels_required: Whether a source must have a label table. If it need not and has none, its cases have no
            label, and are in the train split. `source.unlabeled` says that it need not, and that only a table which is
            named is looked at.

    Returns:
        Rejections have the codes `LABEL_MISSING`, `IMAGE_MISSING` (there are masks), `LIVER_MISSING`, `UNSAFE_ID`,
        `SEGMENT_LABEL`, `SPLIT_UNKNOWN` and `LABEL_CONFLICT`; from reports also `LABEL_UNCERTAIN`,
        `LABEL_NO_SEGMENT`, `LABEL_NO_STATEMENT` and `STATUS_UNKNOWN`.

    Raises:
        RefusedInputError: If the source or label table cannot be used, or no case is left.
    """
    if config.source.layout == "phantom":
        return CaseList(_phantom_cases(config), [])
    if config.source.layout == "dicom":
        raise RefusedInputError("source.layout dicom: only ingest reads DICOM trees")
    source = config.source
    root = require_folder(source.path, "source.path")
    files = _find_files(root, source.layout)
    table = _read_table(source, root, files, labels_required)
    cases, rejections = _join(files, table, source, root)
    unused = tuple(sorted((table.labels.keys() | table.rejections.keys()) - set(map(_id_of, files))))
    if not cases:
        codes = Counter(item.code for item in rejections) + Counter(LABELS_WITHOUT_IMAGES=len(unused))
        counts = ", ".join(f"{code} {count}" for code, count in codes.items())
        raise RefusedInputError(
            f"source.path {source.path!r} holds no usable {source.layout} case ({counts or 'empty'})"
        )
    return CaseList(cases, rejections, unused)


def list_cases(config: PipelineConfig, *, labels_required: bool = True) -> tuple[list[CaseSource], list[Rejection]]:
    """Return the cases of the source and those that are set aside before anything is read, as `survey` finds them."""
    found = survey(config, labels_required=labels_required)
    return found.cases, found.rejections


def list_files(case: CaseSource) -> list[FileState]:
    """Return the files of a case of layout `msd` or `ircad`; none of what cannot be looked at."""
    states: list[FileState] = []
    for place in filter(None, (case.image, case.masks, case.couinaud_map, case.vessels)):
        with suppress(OSError):
            states += try_again(partial(_list_states, Path(place)))
    return states


def _list_states(place: Path) -> list[FileState]:
    """Return a file, or the files below a folder."""
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return [FileState(str(path), (status := path.stat()).st_size, status.st_mtime_ns) for path in files]


def read_case(case: CaseSource, config: PipelineConfig, inputs: frozenset[str] | None = None) -> Volume:
    """Read one case, with what the constructor of its Couinaud map uses, in LPS order.

    Its files are read in a process that is thrown away when it hangs, crashes or takes more than its memory.
    `content_sha256` is the hash of the bytes of the files that were read, one after another: image, masks, Couinaud
    map, vessels. If there is no mask, a network finds the liver, and the hash is of that hash and the liver. A mask
    without tumors is a reference of a healthy volume alone.

    Args:
        case: A case of `list_cases`.
        config: The configuration that listed it.
        inputs: What to read beside CT and masks, of `pipeline.couinaud.methods.OPTIONAL_INPUTS`, if the source has
            it; what the configured method uses if None.

    Raises:
        CaseError: If the case cannot be used: the codes of the layouts' `read_study`, of `read_nifti` and of
            `Sandbox.call`; `COUINAUD_GEOMETRY` or `COUINAUD_LABEL`, `VESSEL_GEOMETRY` or `VESSEL_VALUES`; `LIVER_HU`
            of a liver that the network found.
    """
    has_map = bool(case.couinaud_map) or case.layout == "phantom"
    wanted = find_inputs(config.couinaud, has_map) if inputs is None else inputs
    if case.layout == "phantom":
        from pipeline.phantom import make_phantom

        made = make_phantom(config.phantom, config.seed, case.volume_id, vessels="vessels" in wanted)
        return replace(made, split=case.split)
    answer = shared_sandbox(decoder_limits(config.source)).call(
        DECODE_TASK,
        case=case.to_row(),
        inputs=sorted(wanted),
        liver_value=config.source.liver_value,
        repairs=list(config.source.repairs),
    )
    return _to_volume(case, answer, config)


def _to_volume(case: CaseSource, answer: Answer, config: PipelineConfig) -> Volume:
    """Return a case whose files are read; where no mask gives the liver, the network finds it."""
    arrays, geometry, content = answer.arrays, to_geometry(answer.values["geometry"]), answer.values["sha256"]
    liver, tumors, notes = arrays.get("liver_mask"), arrays.get("reference_mask"), tuple(answer.values["notes"])
    if liver is None:
        liver = predict_liver(arrays["hu"], geometry, config)
        content = hashlib.sha256(content.encode() + np.packbits(liver).tobytes()).hexdigest()
        notes += (PREDICTED,)
    if case.segments is None:
        notes += (UNLABELED,)
    if is_undrawn(case.segments, tumors):
        tumors, notes = None, (*notes, NOT_DRAWN)
    vessels = {name: arrays[name] for name in VESSELS if name in arrays}
    return Volume(
        volume_id=case.volume_id,
        hu=arrays["hu"],
        liver_mask=liver,
        geometry=geometry,
        image_label=case.image_label,
        split=case.split,
        reference_mask=tumors,
        couinaud_map=arrays.get("couinaud_map"),
        vessels=Vessels(**vessels) if vessels else None,
        content_sha256=content,
        notes=(*notes, *find_doubts(liver, tumors)),
    )


def _phantom_cases(config: PipelineConfig) -> list[CaseSource]:
    """Return the cases of the synthetic cohort."""
    from pipeline.phantom import list_phantoms

    phantoms = list_phantoms(config.phantom, config.seed)
    if not phantoms:
        raise RefusedInputError("phantom: all counts are 0, expected at least one volume")
    return [CaseSource(item.volume_id, "phantom", item.split, ()) for item in phantoms]


def _find_files(root: Path, layout: str) -> dict[str, CaseFiles]:
    """Return the files of each case by its name in the archive."""
    with listing(f"source.path {str(root)!r}"):
        return try_again(lambda: _FIND[layout](root))


def _join(
    files: Mapping[str, CaseFiles], table: LabelTable, source: SourceConfig, root: Path
) -> tuple[list[CaseSource], list[Rejection]]:
    """Bring files and labels together: each id of the files becomes a case or a rejection."""
    cases: list[CaseSource] = []
    there = set(map(_id_of, files))
    rejections = {name: item for name, item in table.rejections.items() if name in there}
    maps = _companion_folder(source.couinaud_maps, "source.couinaud_maps", root / "couinaudTr")
    vessels = _companion_folder(source.vessels, "source.vessels", root / "vesselsTr")
    for name in sorted(files):
        volume_id = _id_of(name)
        if volume_id in rejections:
            continue
        try:
            case = _case(name, files[name], table, source)
            with reading("a file beside the image"):
                couinaud_map, vessel_mask = _companion(maps, name), _companion(vessels, name)
            cases.append(replace(case, couinaud_map=couinaud_map, vessels=vessel_mask))
        except CaseError as error:
            rejections[volume_id] = Rejection.from_error(volume_id, error)
    return cases, sorted(rejections.values(), key=lambda item: item.volume_id)


def _id_of(name: str) -> str:
    """Return the id of a case: its name, if that can be one."""
    return name if is_safe_id(name) else replacement_id(name)


def _case(name: str, files: CaseFiles, table: LabelTable, source: SourceConfig) -> CaseSource:
    """Return a case that has image, mask or a network for it, and label, or raise what it lacks."""
    if not is_safe_id(name):
        raise unsafe_id_error(name)
    if name not in table.labels:
        raise CaseError("LABEL_MISSING", f"there is an image, but no row in the {table.name}", _STEP)
    if not files.image:
        raise CaseError("IMAGE_MISSING", "there are masks, but no image", _STEP)
    if not files.masks and not source.liver_network:
        raise CaseError("LIVER_MISSING", "there is an image, but no mask of the liver", _STEP)
    label = table.labels[name]
    return CaseSource(name, source.layout, label.split, label.segments, files.image, files.masks)


def _companion(folder: Path | None, name: str) -> str:
    """Return the path of a case's file in a folder; empty if there is none."""
    path = folder / f"{name}.nii.gz" if folder else None
    return str(path) if path and try_again(path.is_file) else ""


def _read_table(source: SourceConfig, root: Path, files: Mapping[str, CaseFiles], required: bool) -> LabelTable:
    """Return the labels from the report table if there is one, else from the label table, which may not be required."""
    labels = Path(source.labels).expanduser().absolute() if source.labels else root / "volume_labels.csv"
    if not source.reports:
        if source.takes_all or not (required or source.labels or try_again(labels.exists)):
            return LabelTable(dict.fromkeys(filter(is_safe_id, files), NO_LABEL), {})
        return read_labels(labels, _canonical(source))
    reports = Path(source.reports).expanduser().absolute()
    columns = find_columns(reports, source.report_id_column, source.report_text_column)
    splits = read_splits(labels, _canonical(source)) if source.labels else None
    return read_report_labels(reports, columns, _canonical(source), splits)


def _companion_folder(path: str, name: str, beside: Path) -> Path | None:
    """Return the folder that was named, else the one beside the images; None if there is neither."""
    if path:
        return require_folder(path, name)
    with listing(f"{name} {str(beside)!r}"):
        return beside if try_again(beside.is_dir) else None


def _canonical(source: SourceConfig) -> Callable[[str], str]:
    """Return what turns an id of the label table into an id of the archive."""
    return ircad_id if source.layout == "ircad" else msd_id
