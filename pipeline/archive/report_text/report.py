"""One report read: the segments with a tumor, and what else it says of tumors in the liver."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.archive.report_text.english import ENGLISH
from pipeline.archive.report_text.language import Language
from pipeline.archive.report_text.reading import find_mentions
from pipeline.archive.report_text.status import STATUSES, Mention, Status


@dataclass(frozen=True)
class ReportReading:
    """What one report says of tumors in the liver.

    Args:
        mentions: Every finding that it mentions, in order.
    """

    mentions: tuple[Mention, ...]

    @property
    def segments(self) -> tuple[int, ...]:
        """The segments with a present tumor, ascending."""
        return present_segments(self.mentions)

    @property
    def status(self) -> Status:
        """The strongest status of its mentions; `none` if there are none."""
        found = {mention.status for mention in self.mentions}
        return next((status for status in STATUSES if status in found), "none")


def read_report(text: str, language: Language = ENGLISH) -> ReportReading:
    """Read a report of a liver CT.

    Args:
        text: The report: findings, impression, or both.
        language: Its language.

    Example:
        >>> read_report("3 cm HCC in segments VI/VII. Cyst in segment 2. Lungs are clear.").segments
        (6, 7)
    """
    return ReportReading(tuple(find_mentions(text, language)))


def present_segments(mentions: tuple[Mention, ...]) -> tuple[int, ...]:
    """Return the segments with a present tumor: a lobe gives way to a segment in it that another sentence names."""
    present = [mention for mention in mentions if mention.status == "present"]
    exact = {segment for mention in present if mention.exact for segment in mention.segments}
    coarse = (set(mention.segments) for mention in present if not mention.exact)
    return tuple(sorted(exact.union(*(segments for segments in coarse if exact.isdisjoint(segments)))))
