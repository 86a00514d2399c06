"""What the segmenter trains on: the volumes that the settings take, and copies of healthy ones with made-up tumors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.slabs import VolumeRow


@dataclass(frozen=True)
class TrainingCase:
    """One case of nnU-Net's data set.

    Args:
        volume: A training volume.
        copy: 0 for the volume itself; 1, 2, ... for its copies with synthetic tumors.
    """

    volume: VolumeRow
    copy: int = 0

    @property
    def case_id(self) -> str:
        """The case's name, which no volume has: `+` is not allowed in theirs."""
        return f"{self.volume.volume_id}+{self.copy}" if self.copy else self.volume.volume_id


def list_cases(volumes: Sequence[VolumeRow], config: SegmenterConfig) -> list[TrainingCase]:
    """Return the cases that a segmenter is trained on, each volume followed by its copies.

    Args:
        volumes: The training volumes.
        config: Kind of labels, how many copies, and of which volumes; one whose label names all segments has no place
            for a synthetic tumor.

    Raises:
        RefusedInputError: If there is no such volume, or one without the reference that it needs.
    """
    taken = [volume for volume in volumes if volume.healthy or config.labels != "none"]
    if not taken:
        raise RefusedInputError(
            f"segmenter.labels: {config.labels} has nothing to train on, {len(volumes)} training volumes name a segment"
        )
    if config.labels == "reference":
        bare = [volume.volume_id for volume in taken if not (volume.healthy or volume.has_reference)]
        if bare:
            raise RefusedInputError(
                f"segmenter.labels: {len(bare)} of {len(taken)} training volumes name a segment but have no reference:"
                f" {', '.join(bare)}"
            )
    regions = config.synthetic_tissue == "regions"
    return [  # the volumes themselves stay: tissue without any tumor must be seen, too
        TrainingCase(volume, copy)
        for volume in taken
        for copy in range(1 + config.synthetic_copies * (volume.healthy or (regions and not all(volume.image_label))))
    ]
