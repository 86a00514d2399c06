"""The way back: masks of the run folder as files for the archive that their CTs came from. A work item is one volume.

The driver finds the series of each volume again, by the ids that `ingest` gave them; workers read headers and write.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pipeline
from pipeline.archive.dicom.case import decoder_limits, pack_json, repair_codes, unpack_json
from pipeline.archive.dicom.changes import require_same_key
from pipeline.archive.dicom.matching import match_labels
from pipeline.archive.dicom.seg_segments import CONTENTS
from pipeline.archive.dicom.selection import Candidate
from pipeline.archive.labels import StudyLabel
from pipeline.archive.quarantine import Rejection
from pipeline.archive.sandbox import shared_sandbox
from pipeline.archive.site_key import load_site_key
from pipeline.archive.source_tree import SourceTree
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.config_export import ExportConfig
from pipeline.errors import CaseError, RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.base import Row, Stage, check_flow
from pipeline.stages.discover_series import examine, take_inventory
from pipeline.stages.session import work_items
from pipeline.steps import stored_settings

STEP = "export_masks"
_EXPORTED = "exported"
_FOLDERS = {"tumors": "predictions", "couinaud": "couinaud"}
_SUFFIXES = {"dicom-seg": ".dcm", "nifti": ".nii.gz"}


@dataclass(frozen=True)
class MaskedVolume:
    """A volume of the run with its masks.

    Args:
        volume_id: Our id.
        masks: Names of `CONTENTS`.
        method: Method by which the Couinaud map was made.
    """

    volume_id: str
    masks: tuple[str, ...]
    method: str


@dataclass(frozen=True)
class Exported:
    """What became of one volume: files, masks without a voxel, or a reason.

    Args:
        written: Names of the masks that were written.
        empty: Names of the masks that hold nothing.
        rejection: Reason why nothing was written; its code is empty if there is none.
        kept: Whether an earlier run wrote the same.
    """

    written: tuple[str, ...]
    empty: tuple[str, ...]
    rejection: Rejection
    kept: bool = False


class ExportMasks(Stage):
    """Write `VOLUME_MASK.dcm` for each mask of a volume that is not empty, then `exported/VOLUME.json`, which says so.

    Args:
        run: Run folder.
        destination: Folder of the files.
        source: Settings of the source.
    """

    reads = ("volume_id", "image", "masks", "stamp")
    emits = ("volume_id", "answer")

    def __init__(self, run: RunFolder, destination: RunFolder, source: SourceConfig) -> None:
        self.run = run
        self.destination = destination
        self.source = source

    def process(self, row: Row) -> Iterator[Row]:
        """Emit one row; `answer` holds the fields of `Exported`, packed."""
        volume_id, masks = row["volume_id"], unpack_json(row["masks"])
        try:
            written, empty = self._export(volume_id, row["image"], masks)
            answer = {"written": written, "empty": empty, "rejection": ["", "", ""]}
            self.run.write_json({"stamp": row["stamp"], **answer}, _EXPORTED, f"{volume_id}.json")
        except CaseError as error:
            answer = {"written": [], "empty": [], "rejection": [error.code, error.message, error.step]}
        yield {"volume_id": volume_id, "answer": pack_json(answer)}

    def _export(self, volume_id: str, image: str, masks: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Write the files of one volume; return the names of its masks, written and empty."""
        root, slices = unpack_json(image)
        with tempfile.TemporaryDirectory() as folder:
            for name, about in masks.items():
                about["path"] = str(Path(folder, f"{name}.nii.gz"))
                Path(about["path"]).write_bytes(self.run.read_bytes(*mask_path(name, volume_id)))
            answer = shared_sandbox(decoder_limits(self.source)).call(
                "pipeline.archive.dicom.export:export_masks",
                source=root,
                slices=slices,
                repairs=repair_codes(self.source.repairs),
                volume_id=volume_id,
                masks=masks,
            )
        for name, data in answer.arrays.items():
            self.destination.write_bytes(data.tobytes(), file_name(volume_id, name, "dicom-seg"))
        for name in answer.values["empty"]:
            self.destination.remove(file_name(volume_id, name, "dicom-seg"))
        return list(answer.arrays), answer.values["empty"]


def mask_path(name: str, volume_id: str) -> tuple[str, str]:
    """Return where a mask lies in the run folder."""
    return _FOLDERS[name], f"{volume_id}.nii.gz"


def file_name(volume_id: str, name: str, output: str) -> str:
    """Return the name of a mask's file in the destination."""
    return f"{volume_id}_{name}{_SUFFIXES[output]}"


def choose_output(config: ExportConfig, run: RunFolder) -> str:
    """Return what is written: `dicom-seg` or `nifti`."""
    if config.output != "auto":
        return config.output
    return "dicom-seg" if stored_settings(run, ["source"])["source"]["layout"] == "dicom" else "nifti"


def open_destination(config: PipelineConfig, run: RunFolder) -> RunFolder:
    """Return the folder of the files; one that is new is its owner's alone.

    Raises:
        RefusedInputError: If none is named, or it is not a local folder outside of the run folder and the source.
    """
    setting = config.export.destination
    if not setting or "://" in setting:
        raise RefusedInputError(
            f"export.destination: expected a local or mounted folder (--destination), got {setting!r}"
        )
    path = Path(setting).expanduser().absolute()
    source = SourceTree(config.source.path).uri if config.source.path else ""
    for name, other in {"the run folder": run.root, "the source": source}.items():
        if other and path.resolve().is_relative_to(Path(other).resolve()):
            raise RefusedInputError(f"export.destination: {setting!r} lies in {name}, expected a folder outside of it")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return RunFolder(str(path))


def find_masked(run: RunFolder) -> list[MaskedVolume]:
    """Return the volumes that have a mask, in the order of their ids.

    Raises:
        RefusedInputError: If there is none.
    """
    there = {name: set(run.names(folder)) for name, folder in _FOLDERS.items()}
    found = []
    for row in read_volume_rows(run):
        masks = tuple(name for name in CONTENTS if f"{row.volume_id}.nii.gz" in there[name])
        if masks:
            found.append(MaskedVolume(row.volume_id, masks, row.couinaud_method))
    if not found:
        raise RefusedInputError(f"{STEP}: {run.uri} holds no volume with a prediction or a Couinaud map")
    return found


def export_segmentations(
    run: RunFolder, destination: RunFolder, source: SourceConfig, volumes: Sequence[MaskedVolume]
) -> Iterator[Exported]:
    """Write DICOM segmentations that are missing or stale and give one outcome per volume, in any order.

    Raises:
        RefusedInputError: If the run folder was not made from a DICOM archive, or with another key for its ids.
    """
    source = _settings_of(run, source)
    root, candidates = _find_series(run, source, [item.volume_id for item in volumes])
    rows = []
    for item in volumes:
        found = candidates.get(item.volume_id)
        if found is None or found.error:
            error = (found and found.error) or CaseError("IMAGE_MISSING", "the source no longer holds the series", STEP)
            yield Exported((), (), Rejection.from_error(item.volume_id, error))
            continue
        masks = {name: _describe(run, name, item) for name in item.masks}
        stamp = _stamp(run, destination, item, found.input_hash)
        if kept := _find_kept(run, destination, item.volume_id, stamp):
            yield kept
            continue
        image = pack_json([root, found.slices])
        rows.append({"volume_id": item.volume_id, "image": image, "masks": pack_json(masks), "stamp": stamp})
    if rows:
        check_flow(list(rows[0]), [ExportMasks])
        stage = ExportMasks(run, destination, source)
        work = work_items("export_masks", rows, blocks_per_cpu=len(rows))
        for row in work.map_batches(stage, batch_size=1, batch_format="pyarrow").iter_rows():
            answer = unpack_json(row["answer"])
            rejection = Rejection(row["volume_id"], *answer["rejection"])
            yield Exported(tuple(answer["written"]), tuple(answer["empty"]), rejection)


def copy_masks(run: RunFolder, destination: RunFolder, volumes: Sequence[MaskedVolume]) -> Iterator[Exported]:
    """Copy masks as they are, unless they are there, and give one outcome per volume."""
    for item in volumes:
        copied = 0
        for name in item.masks:
            source, target = mask_path(name, item.volume_id), file_name(item.volume_id, name, "nifti")
            data = run.read_bytes(*source)
            if not (destination.exists(target) and destination.read_bytes(target) == data):
                destination.write_bytes(data, target)
                copied += 1
        yield Exported(item.masks, (), Rejection(item.volume_id, "", "", ""), kept=not copied)


def _stamp(run: RunFolder, destination: RunFolder, volume: MaskedVolume, input_hash: str) -> str:
    """Return what changes when an export would: masks, the CT's files, the place, our version."""
    infos = run.filesystem.get_file_info([run.path(*mask_path(name, volume.volume_id)) for name in volume.masks])
    states = [(info.base_name, info.size, info.mtime_ns) for info in infos]
    text = f"{states} {volume} {input_hash} {destination.uri} {pipeline.__version__}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _find_kept(run: RunFolder, destination: RunFolder, volume_id: str, stamp: str) -> Exported | None:
    """Return the outcome of an earlier run that would be the same now, if all of its files are there."""
    path = (_EXPORTED, f"{volume_id}.json")
    before: dict[str, Any] = run.read_json(*path) if run.exists(*path) else {}
    if before.get("stamp") != stamp:
        return None
    if not all(destination.exists(file_name(volume_id, name, "dicom-seg")) for name in before["written"]):
        return None
    return Exported(tuple(before["written"]), tuple(before["empty"]), Rejection(volume_id, "", "", ""), kept=True)


def _settings_of(run: RunFolder, source: SourceConfig) -> SourceConfig:
    """Return the source's settings with the repairs that the run's volumes were read with."""
    before: Mapping[str, Any] = stored_settings(run, ["source"])["source"]
    if before["layout"] != "dicom":
        sides = f"dicom-seg needs a run of layout dicom, this is one of {before['layout']}"
        raise RefusedInputError(f"export.output: {sides}")
    repairs = tuple(before.get("repairs", ()))
    return replace(source, masks="", couinaud_maps="", vessels="", reidentification="", repairs=repairs)


def _find_series(run: RunFolder, source: SourceConfig, volume_ids: Sequence[str]) -> tuple[str, dict[str, Candidate]]:
    """Return the root of the archive and, by volume id, the examined series of a run's volumes."""
    key = load_site_key(source.id_key)
    require_same_key(run, key)
    inventory = take_inventory(source)
    matches = match_labels([StudyLabel("volume_id", name, None) for name in volume_ids], inventory, key)
    candidates, _ = examine(matches, inventory, source, key)
    return inventory.root, {item.volume_id: item for items in candidates.values() for item in items}


def _describe(run: RunFolder, name: str, volume: MaskedVolume) -> dict[str, str]:
    """Return when and how a mask was made; the time is the site's."""
    (status,) = run.filesystem.get_file_info([run.path(*mask_path(name, volume.volume_id))])
    created = status.mtime.astimezone().strftime("%Y%m%d%H%M%S")
    return {"created": created, "method": volume.method if name == "couinaud" else ""}
