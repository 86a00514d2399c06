"""What a run folder remembers of an archive, so that a later run does only what is new and says what changed.

A case's input is told by sizes and modification times (in a zip: CRCs) of its files and mask, and by its label. Ids and
hashes are all that is kept.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipeline.archive.cases import CaseSource
from pipeline.archive.dicom_case import unpack_slices
from pipeline.archive.dicom_inventory import Inventory
from pipeline.archive.dicom_kinds import IDENTIFIERS
from pipeline.archive.site_key import SiteKey
from pipeline.archive.source_tree import FileState
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

_STATE = "archive.json"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t")


def require_same_key(run: RunFolder, key: SiteKey) -> None:
    """Check that a run folder's ids were made with this key.

    Raises:
        RefusedInputError: If they were made with another: every volume would be taken for a new one.
    """
    if run.exists(_STATE) and run.read_json(_STATE)["key"] != key.fingerprint:
        raise RefusedInputError("source.id_key: the run folder's volume ids were made with another key")


def hash_inputs(cases: list[CaseSource], inventory: Inventory) -> dict[str, str]:
    """Return a hash of each case's input, by volume id."""
    states = {state.name: state for state in _all_states(inventory)}
    return {case.volume_id: _hash_input(case, states) for case in cases}


def note_changes(
    run: RunFolder, key: SiteKey, inputs: Mapping[str, str], known: set[str]
) -> tuple[Counter[str], set[str]]:
    """Compare an archive with what the run folder remembers of it, and remember it as it is.

    Args:
        run: Run folder.
        key: The site's key.
        inputs: Hash of each case's input.
        known: Ids of all volumes of the archive, whether they are cases or not.

    Returns:
        Numbers of `new`, `changed`, `unchanged`, `replaced` (another series is taken now) and `gone` cases, and the
        ids of those whose results no longer hold: changed and replaced ones. What is gone from the archive stays in
        the run folder.
    """
    before: dict[str, str] = run.read_json(_STATE)["inputs"] if run.exists(_STATE) else {}
    stale = {name for name in inputs.keys() & before.keys() if inputs[name] != before[name]}
    dropped = before.keys() - inputs.keys()
    replaced = dropped & known
    gone = {name: before[name] for name in dropped - known}
    run.write_json({"key": key.fingerprint, "inputs": {**gone, **inputs}}, _STATE)
    counts = Counter(
        new=len(inputs.keys() - before.keys()),
        changed=len(stale),
        unchanged=len(inputs.keys() & before.keys()) - len(stale),
        replaced=len(replaced),
        gone=len(gone),
    )
    return counts, stale | replaced


def write_identifiers(path: str, run: RunFolder, identifiers: Mapping[str, Mapping[str, str]]) -> None:
    """Write the table that leads from volume ids back to patients, readable by its owner only.

    Raises:
        RefusedInputError: If it would lie in the run folder, which is meant to be passed on.
    """
    target = Path(path).expanduser().absolute()
    if target.resolve().is_relative_to(Path(run.root).resolve()):
        raise RefusedInputError("source.reidentification: the table must lie outside of the run folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["volume_id", *IDENTIFIERS])
        for volume_id, values in sorted(identifiers.items()):
            writer.writerow([volume_id, *(_harmless(values.get(name, "")) for name in IDENTIFIERS)])


def _all_states(inventory: Inventory) -> list[FileState]:
    """Return the slices and masks of an archive."""
    return [state for found in inventory.series.values() for state in found.states] + list(inventory.masks.values())


def _hash_input(case: CaseSource, states: Mapping[str, FileState]) -> str:
    """Return the hash of one case's input."""
    names = sorted({name for name, _ in unpack_slices(case.image)})
    files = sorted((states[name].size, states[name].stamp) for name in names)
    place, _, name = case.masks.partition(":")
    if place == "tree":
        mask = (states[name].size, states[name].stamp)
    else:
        status = Path(name).stat()
        mask = (status.st_size, status.st_mtime_ns)
    return hashlib.sha256(f"{files} {mask} {case.segments} {case.split}".encode()).hexdigest()[:32]


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
