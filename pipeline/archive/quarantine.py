"""Cases that were set aside: one row each in the run folder, with a reason that a program can count.

A row names our id, a code and numbers; never a patient, a path or a reader's own error text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields

import pyarrow as pa

from pipeline.archive.volume_ids import is_safe_id
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder
from pipeline.schema import Column, encode

_FOLDER = "quarantine"


@dataclass(frozen=True)
class Rejection:
    """One case that is not used.

    Args:
        volume_id: Our id, safe as a file name.
        code: Upper-case reason, such as `MASK_SHAPE_MISMATCH`.
        message: One sentence that quotes both sides of the disagreement.
        step: Step that rejected the case, such as `list` or `read`.
    """

    volume_id: str
    code: str
    message: str
    step: str

    @classmethod
    def from_error(cls, volume_id: str, error: CaseError) -> Rejection:
        """Return the rejection of a case whose step raised `CaseError`."""
        return cls(volume_id, error.code, error.message, error.step)


def quarantine_schema() -> pa.Schema:
    """Return the schema of `quarantine/`: four strings, as in `Rejection`."""
    return pa.schema([Column(field.name, "string").to_field() for field in fields(Rejection)])


def write_rejection(run: RunFolder, rejection: Rejection) -> None:
    """Write `quarantine/VOLUME.parquet` by rename; a later rejection of the same case replaces the earlier.

    Raises:
        ValueError: If the id is not safe as a file name.
    """
    if not is_safe_id(rejection.volume_id):
        raise ValueError(f"volume id of {len(rejection.volume_id)} characters is not safe as a file name")
    columns = {name: [value] for name, value in asdict(rejection).items()}
    run.write_table(encode(columns, quarantine_schema()), _FOLDER, f"{rejection.volume_id}.parquet")


def read_rejections(run: RunFolder) -> list[Rejection]:
    """Return the rejections of a run in the order of their ids; empty if there are none."""
    return [Rejection(**row) for name in run.names(_FOLDER) for row in run.read_table(_FOLDER, name).to_pylist()]


def count_rejections(run: RunFolder, step: str) -> Counter[str]:
    """Return how many cases a step has set aside, by reason code."""
    return Counter(rejection.code for rejection in read_rejections(run) if rejection.step == step)


def remove_rejection(run: RunFolder, volume_id: str) -> None:
    """Forget a rejection, as when a repaired case is accepted; nothing happens if there is none."""
    run.remove(_FOLDER, f"{volume_id}.parquet")


def retry_rejected(run: RunFolder, step: str) -> None:
    """Forget which volumes an unfinished run of a step set aside: they are tried again."""
    for rejection in read_rejections(run):
        if rejection.step == step:
            remove_rejection(run, rejection.volume_id)
