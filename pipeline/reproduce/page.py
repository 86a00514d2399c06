"""The section of a page that holds the tables, between two comments: what stands above them, and its replacement."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import RefusedInputError
from pipeline.reproduce import tables
from pipeline.reproduce.arms import Arm
from pipeline.reproduce.benchmark import CASES_APART
from pipeline.reproduce.figures import Result

_DIFFERENCES = {
    "ircadb": """\
The paper's figures stand beside ours for orientation and **cannot be compared with them**. What differs: 16 of the 20
patients of 3D-IRCADb-01, 4 of them for testing; every second slice only, with HU clipped to -40..160, in all volumes
but one; the annotators' Couinaud maps and liver masks, to which the drawn tumors belong, also in test volumes; segments
derived from tumor mask x Couinaud map; small networks on a 2 mm grid, trained for minutes on a CPU. Four LiTS volumes
serve for validation.

All arms alike also go beyond the paper in this, so that even "no refinement" is not its baseline: synthetic tumors are
textured; both networks see intensities relative to the liver's median, in patches of 96 x 96 pixels; CouinaudNet has a
Dice term beside its cross entropy, which weighs tumor pixels 3 times instead of 5, and a rate that falls as half a
cosine from 2e-3; the segmenter sees neighbor slices as channels and is trained with AdamW, whose weights are averaged;
it predicts without mirroring, and its probabilities are smoothed by 3 mm along z.""",
    "phantom": "The synthetic cohort: these figures say nothing about patients.",
}
_READING = """\
Dice in percent, per case / global: the mean over seeds and, in brackets, the lowest and highest seed. The segmenter is
scored on the CT's own grid. The 95 % interval is of Dice per case: a bootstrap over cases, each with the mean of its
seeds; with so few cases it is wide, and still too narrow."""
_LESIONS = """\
On test and validation volumes together. The columns by size (equivalent diameter) join the recall of reference lesions
with the precision of predicted lesions of that size, IoU > 0."""
_PSEUDO_MASKS = """\
What the segmenter learns, on the pathological training volumes and the run's grid, per case / global."""
_COST = """\
Each training has one thread. Steps that were interrupted count from where they were taken up."""


def format_section(arms: Mapping[str, Arm], results: Sequence[Result], benchmark: str) -> str:
    """Return the section's Markdown.

    Args:
        arms: All arms, in the order of the tables.
        results: Results of any arms and seeds.
        benchmark: The benchmark that they were made on.
    """
    grouped, left_out = tables.split_left_out(arms, tables.group_results(arms, results))
    if not grouped:
        return "No results yet."
    apart, real = CASES_APART[benchmark], benchmark == "ircadb"
    shown = arms if real else {name: replace(arm, paper=None) for name, arm in arms.items()}
    labels = tables.format_labels(arms, grouped)
    parts = [
        "\n".join(f"    {line}" for line in _commands(benchmark, results)),
        f"Budget {_join(results, 'budget')}; versions {_commits(results)}.",
        _DIFFERENCES[benchmark],
        _READING,
        tables.format_groups(shown, grouped),
        "### Volumes",
        tables.format_cases(arms, grouped),
        "### Lesions",
        _LESIONS,
        tables.format_lesions(arms, grouped),
        "### Pseudo masks and slice labels",
        _PSEUDO_MASKS,
        tables.format_pseudo_masks(arms, grouped, apart),
        f"The paper: {tables.PAPER_LABEL_ERRORS} on its ten volumes." if real and labels else "",
        labels,
        *(
            ["### Healthy volumes left out of the training", tables.format_false_positives(arms, left_out)]
            * bool(left_out)
        ),
        "### Cost",
        _COST,
        tables.format_cost(arms, grouped),
    ]
    return "\n\n".join(part for part in parts if part)


def _commands(benchmark: str, results: Sequence[Result]) -> list[str]:
    """Return the commands that make the results and no others, one for the arms that have the same seeds."""
    arms: dict[tuple[int, ...], list[str]] = {}
    for arm in dict.fromkeys(result["arm"] for result in results):
        seeds = sorted(result["seed"] for result in results if result["arm"] == arm)
        arms.setdefault(tuple(seeds), []).append(arm)
    return [
        f"python -m jobs.reproduce --benchmark {benchmark} --arms {' '.join(names)}"
        f" --seeds {' '.join(map(str, seeds))} --run RUN"
        for seeds, names in arms.items()
    ]


def _join(results: Sequence[Result], member: str) -> str:
    """Return the values of a member, each once."""
    return ", ".join(sorted({str(result[member]) for result in results}))


def _commits(results: Sequence[Result]) -> str:
    """Return the commits, or versions where there was no clone, that results were made with."""
    projects = (result["project"] for result in results)
    return ", ".join(sorted({project.get("commit", project["version"]) for project in projects}))


def require_section(page: Path, name: str) -> None:
    """Check that a page has the section.

    Raises:
        RefusedInputError: If one of its two comments is missing, or they are in the wrong order.
    """
    _cut(page.read_text(encoding="utf-8"), name, page)


def replace_section(page: Path, name: str, content: str) -> None:
    """Replace what stands between `<!-- reproduce:NAME -->` and `<!-- /reproduce:NAME -->`, by rename.

    Raises:
        RefusedInputError: As `require_section`.
    """
    before, after = _cut(page.read_text(encoding="utf-8"), name, page)
    temporary = page.with_name(f".{page.name}.tmp-{os.getpid()}")
    temporary.write_text(f"{before}\n\n{content}\n\n{after}", encoding="utf-8")
    os.replace(temporary, page)


def _cut(text: str, name: str, page: Path) -> tuple[str, str]:
    """Return what stands before and after the section's content, the comments included."""
    start, end = f"<!-- reproduce:{name} -->", f"<!-- /reproduce:{name} -->"
    begin, finish = text.find(start), text.find(end)
    if begin < 0 or finish < begin:
        raise RefusedInputError(f"reproduce.page: {str(page)!r} has no section {start} ... {end}")
    return text[: begin + len(start)], text[finish:]
