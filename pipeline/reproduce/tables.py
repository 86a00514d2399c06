"""The tables of the comparison as Markdown, from results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from pipeline.lesions import IOU_LIMITS, SIZE_BINS_MM
from pipeline.reproduce.arms import Arm
from pipeline.reproduce.figures import (
    Result,
    Spread,
    bootstrap_interval,
    count_wrong_labels,
    lesion_f1,
    lesion_f1_by_size,
    mean_case_dice,
    measure_cases,
    measure_pseudo_masks,
)

TEST, BOTH = ("test",), ("test", "validation")
PAPER_LABEL_ERRORS = "854 to 465"
"""Wrong slice labels of the paper's ten volumes before and after ILR (its Fig. 5a)."""

ResultsByArm = Mapping[str, Sequence[Result]]


def group_results(arms: Mapping[str, Arm], results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results of each arm that has any, in the order of the arms; an alias has those of its arm."""
    found = {
        name: [result for result in results if result["arm"] == (arm.same_as or name)] for name, arm in arms.items()
    }
    return {name: values for name, values in found.items() if values}


def split_left_out(arms: Mapping[str, Arm], results: ResultsByArm) -> tuple[ResultsByArm, ResultsByArm]:
    """Return the results of the arms that train on all training volumes, and of those that leave a healthy one out."""
    left = {name: values for name, values in results.items() if arms[name].left_out}
    return {name: values for name, values in results.items() if name not in left}, left


def format_false_positives(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return the table of what is found in healthy volumes that were left out of the training, in ml, mean over seeds.

    Arms of one title are a row, the volumes that they leave out its columns.
    """
    volumes = sorted({arms[name].left_out for name in results})
    rows = []
    for title in dict.fromkeys(arms[name].title for name in results):
        found = {
            arms[name].left_out: _mean_found_ml(values, arms[name].left_out)
            for name, values in results.items()
            if arms[name].title == title
        }
        cells = [f"{found[volume]:.1f}" if volume in found else "-" for volume in volumes]
        rows.append([title, *cells, f"{median(found.values()):.1f}"])
    return format_table(["found, ml", *volumes, "median"], rows)


def _mean_found_ml(results: Sequence[Result], volume_id: str) -> float:
    """Return the volume that is called tumor in one case, mean over seeds."""
    cases = [result["cases"][volume_id] for result in results]
    return sum(case["prediction"] * case["voxel_ml"] for case in cases) / len(cases)


def format_groups(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return one table of the segmenter's Dice per group of arms."""
    groups = dict.fromkeys(arms[name].group for name in results)
    parts = []
    for group in groups:
        members = {name: values for name, values in results.items() if arms[name].group == group}
        parts.append(f"### {group}\n\n{format_segmenters(arms, members)}")
    return "\n\n".join(parts)


def format_segmenters(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return the table of the segmenter's Dice on test, validation and both: per case / global, in percent."""
    header = ["arm", "seeds", "test", "95 % over cases", "validation", "test + validation", "95 % over cases"]
    with_paper, rows = any(arms[name].paper for name in results), []
    for name, values in results.items():
        test, validation, both = (measure_cases(values, *splits) for splits in (TEST, ("validation",), BOTH))
        intervals = [format_interval(list(mean_case_dice(values, *splits).values())) for splits in (TEST, BOTH)]
        figures = [format_pair(*test), intervals[0], format_pair(*validation), format_pair(*both), intervals[1]]
        rows.append([arms[name].title, str(len(values)), *figures, *[_format_paper(arms[name])][:with_paper]])
    return format_table([*header, *["paper"][:with_paper]], rows)


def _format_paper(arm: Arm) -> str:
    """Return the paper's Dice per case and Dice global in percent."""
    return f"{arm.paper[0]:.1f} / {arm.paper[1]:.1f}" if arm.paper else "-"


def format_cases(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return the table of each volume's Dice, mean over seeds."""
    means = {name: mean_case_dice(values, *BOTH) for name, values in results.items()}
    splits = {name: case["split"] for values in results.values() for name, case in values[0]["cases"].items()}
    names = sorted(splits, key=lambda name: (splits[name], name))
    rows = [
        [arms[arm].title, *(format_number(values.get(name)) for name in names)]
        for arm, values in means.items()
        if not arms[arm].same_as
    ]
    return format_table(["Dice, mean over seeds", *names], rows)


def format_lesions(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return the table of the lesion F1 on test and validation volumes together, by size."""
    header = ["lesion F1", "all", "all, IoU > 0.5", *(size.replace("<", "under ") for size in SIZE_BINS_MM)]
    rows = []
    for name, values in results.items():
        figures = [Spread.over(lesion_f1(result, limit, BOTH) for result in values) for limit in IOU_LIMITS]
        figures += [Spread.over(lesion_f1_by_size(result, size, BOTH) for result in values) for size in SIZE_BINS_MM]
        if not arms[name].same_as:
            rows.append([arms[name].title, *map(format_spread, figures)])
    return format_table([text.replace(">=", "from ") for text in header], rows)


def format_pseudo_masks(arms: Mapping[str, Arm], results: ResultsByArm, apart: Sequence[str]) -> str:
    """Return the table of the pseudo masks before and after refinement: per case / global, also without cases apart."""
    without = [f"{stage}, without {', '.join(apart)}" for stage in ("before", "after")] if apart else []
    rows = []
    for name, values in results.items():
        if arms[name].same_as or not all(result["pseudo_masks"] for result in values):
            continue
        figures = [
            format_pair(*measure_pseudo_masks(values, stage, left_out))
            for left_out in ((), tuple(apart))[: 1 + bool(apart)]
            for stage in ("before", "after")
        ]
        rows.append([arms[name].title, *figures])
    return format_table(["pseudo masks", "before refinement", "after", *without], rows)


def format_labels(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return the table of wrong slice labels of the pathological training volumes before and after ILR."""
    rows = []
    for name, values in results.items():
        wrong = [count_wrong_labels(values[0], stage) for stage in ("before", "after")]
        if not arms[name].same_as and None not in wrong:
            rows.append([arms[name].title, f"{wrong[0]} to {wrong[1]}"])
    return format_table(["wrong slice labels before and after refinement", "slices"], rows)


def format_cost(arms: Mapping[str, Arm], results: ResultsByArm) -> str:
    """Return the table of minutes per seed, and of those the part that arms share."""
    rows = []
    for name, values in results.items():
        if arms[name].same_as:
            continue
        total = [result["seconds"]["total"] / 60 for result in values]
        shared = [
            sum(result["seconds"]["steps"][step] for step in result["seconds"]["shared"]) / 60 for result in values
        ]
        rows.append([arms[name].title, *(f"{sum(minutes) / len(minutes):.1f}" for minutes in (total, shared))])
    return format_table(["minutes per seed", "all steps", "of these shared with other arms"], rows)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; nothing without rows."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(header)}", *lines[1:]])


def format_pair(per_case: Spread | None, overall: Spread | None) -> str:
    """Return Dice per case and Dice global in percent, each with its range over seeds."""
    return f"{format_spread(per_case)} / {format_spread(overall)}" if per_case and overall else "-"


def format_spread(spread: Spread | None) -> str:
    """Return a figure in percent: the mean and, with several seeds, the range.

    Example:
        >>> format_spread(Spread(0.5, 0.45, 0.55, 3)), format_spread(Spread(0.5, 0.5, 0.5, 1))
        ('50.0 (45.0-55.0)', '50.0')
    """
    if spread is None:
        return "-"
    several = f" ({100 * spread.low:.1f}-{100 * spread.high:.1f})" if spread.seeds > 1 else ""
    return f"{100 * spread.mean:.1f}{several}"


def format_interval(values: Sequence[float]) -> str:
    """Return the bootstrap interval of Dice per case in percent."""
    interval = bootstrap_interval(values)
    return f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}" if interval else "-"


def format_number(value: float | None) -> str:
    """Return a Dice in percent."""
    return "-" if value is None else f"{100 * value:.1f}"
