"""What a run folder remembers of an archive, so that a later run does only what is new and says what changed.

A case's input is told by sizes and modification times (in a zip: CRCs) of its files, masks and Couinaud map, and by its
label. Ids and hashes are all that is kept.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.dicom.kinds import IDENTIFIERS
from pipeline.archive.site_key import SiteKey
from pipeline.csv_text import format_csv
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

_STATE = "archive.json"
"""What `ingest` remembers; other jobs have a file of their own."""


def require_same_key(run: RunFolder, key: SiteKey) -> None:
    """Check that a run folder's ids were made with this key.

    Raises:
        RefusedInputError: If they were made with another: every volume would be taken for a new one.
    """
    if run.exists(_STATE) and run.read_json(_STATE)["key"] != key.fingerprint:
        raise RefusedInputError("source.id_key: the run folder's volume ids were made with another key")


@dataclass(frozen=True)
class Changes:
    """How an archive differs from what the run folder remembers of it.

    Args:
        counts: Numbers of `new`, `changed`, `unchanged`, `replaced` (the archive still holds the volume, but another
            one is taken now, or none) and `gone` cases.
        stale: Ids of those whose results no longer hold: changed and replaced ones. What is gone from the archive
            stays in the run folder.
        new: Ids of those that the run folder does not remember.
        inputs: What is to be remembered now.
    """

    counts: dict[str, int]
    stale: frozenset[str]
    new: frozenset[str]
    inputs: dict[str, str]


def find_changes(
    run: RunFolder, inputs: Mapping[str, str], is_known: Callable[[str], bool], state: str = _STATE
) -> Changes:
    """Compare an archive with what the run folder remembers of it.

    Args:
        run: Run folder.
        inputs: Hash and label of each case's input, by volume id.
        is_known: Tells whether an id is that of a volume which the archive holds, be it a case or not.
        state: File of the run folder that remembers.
    """
    before: dict[str, str] = run.read_json(state)["inputs"] if run.exists(state) else {}
    new = frozenset(inputs.keys() - before.keys())
    changed = {name for name in inputs.keys() & before.keys() if inputs[name] != before[name]}
    replaced = {name for name in before.keys() - inputs.keys() if is_known(name)}
    gone = {name: before[name] for name in before.keys() - inputs.keys() - replaced}
    counts = {
        "new": len(new),
        "changed": len(changed),
        "unchanged": len(inputs.keys() & before.keys()) - len(changed),
        "replaced": len(replaced),
        "gone": len(gone),
    }
    return Changes(counts, frozenset(changed | replaced), new, {**gone, **inputs})


def remember(run: RunFolder, changes: Changes, key: SiteKey | None = None, state: str = _STATE) -> None:
    """Write what the archive is now. Stale results must have been removed: nothing tells them later.

    Args:
        run: Run folder.
        changes: How the archive differs from what was remembered.
        key: Made the ids; None if they are the archive's own.
        state: File of the run folder that remembers.
    """
    run.write_json({"key": key.fingerprint if key else "", "inputs": changes.inputs}, state)


def write_identifiers(path: str, run: RunFolder, identifiers: Mapping[str, Mapping[str, str]]) -> None:
    """Write the table that leads from volume ids back to patients, readable by its owner only, whatever it replaces.

    Raises:
        RefusedInputError: If it would lie in the run folder, which is meant to be passed on.
    """
    target = Path(path).expanduser().absolute()
    if target.resolve().is_relative_to(Path(run.root).resolve()):
        raise RefusedInputError("source.reidentification: the table must lie outside of the run folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    columns = ("volume_id", *IDENTIFIERS)
    rows = [
        dict.fromkeys(columns, "") | {"volume_id": volume_id, **values}
        for volume_id, values in sorted(identifiers.items())
    ]
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(format_csv(columns, rows))
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
