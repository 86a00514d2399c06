"""Where nnU-Net's folders lie in a run folder, and the surroundings that its functions expect."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from pipeline.run_folder import RunFolder

DATASET_NAME = "Dataset001_LiverTumor"
"""nnU-Net's name of the data set; a run folder has only this one."""
IMAGE_ENDING = ".nii.gz"
"""File format of the raw data set."""


@dataclass(frozen=True)
class SegmenterFolders:
    """nnU-Net's three folders under `RUN/segmenter`, which must be local or mounted: nnU-Net knows plain paths only.

    Args:
        root: The local path of `RUN/segmenter`.
    """

    root: Path

    @classmethod
    def of(cls, run: RunFolder) -> SegmenterFolders:
        """Return the folders of a run.

        Raises:
            RefusedInputError: If the run folder is neither local nor mounted.
        """
        return cls(run.local("segmenter"))

    @property
    def raw(self) -> Path:
        """The raw data set: `imagesTr/`, `labelsTr/`, `dataset.json`."""
        return self.root / "nnUNet_raw" / DATASET_NAME

    @property
    def preprocessed(self) -> Path:
        """Fingerprint, plans and preprocessed cases."""
        return self.root / "nnUNet_preprocessed" / DATASET_NAME

    def image(self, case_id: str, channel: int = 0) -> Path:
        """Return the path of one channel of a training image; nnU-Net ends names with a channel number."""
        return self.raw / "imagesTr" / f"{case_id}_{channel:04d}{IMAGE_ENDING}"

    def label(self, case_id: str) -> Path:
        """Return the path of a training label map."""
        return self.raw / "labelsTr" / f"{case_id}{IMAGE_ENDING}"


@contextmanager
def nnunet_session(folders: SegmenterFolders, augmentation_processes: int = 1) -> Iterator[None]:
    """Run nnU-Net's functions: its environment variables set, its prints appended to `nnunet.log`.

    Both are undone at the end, so that one process can serve several run folders, one after the other.

    Args:
        folders: Folders of the run.
        augmentation_processes: Processes that augment training batches; 0 augments in the training process. The
            planner takes it as its number of threads, where 0 is an error.
    """
    values = {
        "nnUNet_raw": str(folders.raw.parent),
        "nnUNet_preprocessed": str(folders.preprocessed.parent),
        "nnUNet_results": str(folders.root / "nnUNet_results"),
        "nnUNet_n_proc_DA": str(augmentation_processes),
        "nnUNet_compile": "false",
    }
    before = {name: os.environ.get(name) for name in values}
    folders.root.mkdir(parents=True, exist_ok=True)
    os.environ.update(values)
    try:
        with (folders.root / "nnunet.log").open("a") as log, redirect_stdout(log):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
