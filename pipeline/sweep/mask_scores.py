"""What refined masks are worth over a cohort, the same volumes at every point of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.metrics import MaskCounts, dice_global
from pipeline.sweep.points import FIGURES


@dataclass(frozen=True)
class MaskScore:
    """The refined masks of one volume; a volume that a point cannot use has none, and scores 0.

    Args:
        has_reference: Whether the volume has a reference mask; without one its Dice does not count.
        set_aside: Whether the point cannot use the volume.
        counts: Pixels of the masks against the reference; those of a volume set aside are 0, 0 and |g|.
        stability: In [0, 1], see `pipeline.sweep.stability`.
    """

    has_reference: bool
    set_aside: bool = False
    counts: MaskCounts = field(default_factory=MaskCounts)
    stability: float = 0.0

    @property
    def dice(self) -> float:
        """Dice of the volume."""
        return 0.0 if self.set_aside else self.counts.dice()


def score_cohort(scores: Sequence[MaskScore]) -> dict[str, float | None]:
    """Return the figures of `pipeline.sweep.points.FIGURES`; a Dice is None where no volume has a reference mask.

    Args:
        scores: At least one volume.
    """
    referenced = [score for score in scores if score.has_reference]
    per_case = sum(score.dice for score in referenced) / len(referenced) if referenced else None
    stability = sum(score.stability for score in scores) / len(scores)
    values = (per_case, dice_global([score.counts for score in referenced]), stability)
    return dict(zip(FIGURES, values, strict=True))
