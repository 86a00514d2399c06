"""Tables of hand-made results: each figure can be checked by head."""

import json
import subprocess
from pathlib import Path

import pytest

from pipeline.case_results import CaseResult
from pipeline.command_line import parse
from pipeline.errors import RefusedInputError
from pipeline.lesions import Lesion, LesionMatch
from pipeline.metrics import MaskCounts
from pipeline.reproduce.arms import Arm
from pipeline.reproduce.figures import (
    Spread,
    bootstrap_interval,
    lesion_f1,
    lesion_f1_by_size,
    mean_case_dice,
    measure_cases,
    measure_pseudo_masks,
)
from pipeline.reproduce.page import format_section, replace_section, require_section
from pipeline.reproduce.results import (
    describe_case,
    describe_project,
    explain_stale,
    format_result,
    read_result,
    write_result,
)
from pipeline.reproduce.tables import (
    format_cases,
    format_false_positives,
    format_labels,
    format_lesions,
    format_pseudo_masks,
    format_segmenters,
    group_results,
    split_left_out,
)

ARMS = {
    "none": Arm(name="none", title="no refinement", group="Table 1", paper=(5.9, 8.1)),
    "ilr": Arm(name="ilr", title="ILR", group="Table 1"),
    "volume_level": Arm(name="volume_level", title="volume-level", group="Table 2", same_as="none"),
}


def make_case(dice, split="test", reference=100, sizes=None, lesions=(1, 1, 0)):
    """A case whose prediction is as large as its reference."""
    return {
        "split": split,
        "voxel_ml": 0.1,
        "dice": dice,
        "intersection": round(dice * reference),
        "prediction": reference,
        "reference": reference,
        "lesions": {"iou_0": list(lesions), "iou_50": [0, 2, 1]},
        "sizes": sizes or {"references": {}, "predictions": {}},
    }


def make_result(arm="none", seed=0, cases=None, **members):
    return {
        "arm": arm,
        "seed": seed,
        "budget": "standard",
        "project": {"version": "0.1", "commit": "abc"},
        "settings": {"pixel_labels": {"scale": 5.0}, "teacher": {"grid": {"height": 320}}},
        "inputs": {"a": "hash"},
        "cases": cases or {"a": make_case(0.4), "b": make_case(0.8, reference=300), "v": make_case(0.5, "validation")},
        "pseudo_masks": {
            "p": {"before": [1, 4, 4], "after": [2, 4, 4]},
            "q": {"before": [4, 4, 4], "after": [4, 4, 4]},
        },
        "image_labels": {
            "p": {"before": [2, 5, 0, 0], "after": [2, 1, 1, 3]},
            "q": {"before": [1, 1, 0, 0], "after": [1, 0, 0, 1]},
        },
        "seconds": {"steps": {"ingest": 60.0, "train_segmenter": 120.0}, "shared": ["ingest"], "total": 180.0},
        **members,
    }


def test_dice_is_averaged_over_cases_and_pooled_over_voxels():
    per_case, overall = measure_cases([make_result()], "test")
    assert per_case.mean == pytest.approx(0.6)
    assert overall.mean == pytest.approx((40 + 240) / 400)
    per_case, _ = measure_cases([make_result()], "test", "validation")
    assert per_case.mean == pytest.approx((0.4 + 0.8 + 0.5) / 3)


def test_seeds_give_mean_and_range():
    seeds = [make_result(seed=seed, cases={"a": make_case(dice)}) for seed, dice in enumerate((0.2, 0.6, 0.4))]
    per_case, _ = measure_cases(seeds, "test")
    assert (per_case.mean, per_case.low, per_case.high, per_case.seeds) == (pytest.approx(0.4), 0.2, 0.6, 3)
    assert mean_case_dice(seeds, "test") == {"a": pytest.approx(0.4)}
    assert Spread.over([0.2, None]) is None


def test_interval_lies_between_the_worst_and_best_case_and_is_the_same_again():
    low, high = bootstrap_interval([0.1, 0.5, 0.9])
    assert 0.1 <= low < 0.5 < high <= 0.9
    assert bootstrap_interval([0.1, 0.5, 0.9]) == (low, high)
    assert bootstrap_interval([0.3, 0.3]) == pytest.approx((0.3, 0.3))
    assert bootstrap_interval([0.3]) is None


def test_lesion_f1_adds_counts_and_divides_once():
    result = make_result(cases={"a": make_case(0.5, lesions=(1, 1, 0)), "b": make_case(0.5, lesions=(0, 0, 2))})
    assert lesion_f1(result, "iou_0", ("test",)) == pytest.approx(2 / (2 + 1 + 2))
    assert lesion_f1(result, "iou_50", ("test",)) == 0
    assert lesion_f1(result, "iou_0", ("validation",)) is None


def test_f1_of_a_size_joins_recall_and_precision():
    sizes = {"references": {"<10 mm": [4, 1, 0]}, "predictions": {"<10 mm": [2, 2, 1], ">=50 mm": [1, 0, 0]}}
    result = make_result(cases={"a": make_case(0.5, sizes=sizes)})
    assert lesion_f1_by_size(result, "<10 mm", ("test",)) == pytest.approx(2 * 0.25 * 1 / 1.25)
    assert lesion_f1_by_size(result, ">=50 mm", ("test",)) is None


def test_f1_of_a_size_is_open_where_only_predictions_of_other_sizes_find_its_lesions():
    # A lesion of 12 mm, found by a prediction of 25 mm: all were found, so an F1 of 0 would be wrong.
    sizes = {"references": {"10-20 mm": [1, 1, 0]}, "predictions": {"20-50 mm": [1, 1, 0]}}
    found = make_result(cases={"a": make_case(0.5, sizes=sizes, lesions=(1, 0, 0))})
    assert lesion_f1_by_size(found, "10-20 mm", ("test",)) is None
    missed = {"references": {"10-20 mm": [1, 0, 0]}, "predictions": {"20-50 mm": [1, 0, 0]}}
    nothing = make_result(cases={"a": make_case(0.5, sizes=missed, lesions=(0, 1, 1))})
    assert lesion_f1_by_size(nothing, "10-20 mm", ("test",)) == 0
    rows = format_lesions(ARMS, {"none": [found], "ilr": [nothing]}).splitlines()
    assert rows[2:] == ["| no refinement | 100.0 | 0.0 | - | - | - | - |", "| ILR | 0.0 | 0.0 | - | 0.0 | - | - |"]


def test_pseudo_masks_can_leave_cases_apart():
    after, overall = measure_pseudo_masks([make_result()], "after")
    assert after.mean == pytest.approx((0.5 + 1) / 2)
    assert overall.mean == pytest.approx(12 / 16)
    assert measure_pseudo_masks([make_result()], "before", ("q",))[0].mean == pytest.approx(0.25)


def test_table_of_segmenters_names_seeds_spread_and_the_paper():
    grouped = group_results(ARMS, [make_result(), make_result(seed=1), make_result("ilr")])
    assert list(grouped) == ["none", "ilr", "volume_level"]
    lines = format_segmenters(ARMS, grouped).splitlines()
    assert lines[0].startswith("| arm | seeds | test |")
    assert "| no refinement | 2 | 60.0 (60.0-60.0) / 70.0 (70.0-70.0) |" in lines[2]
    assert lines[2].endswith("| 5.9 / 8.1 |")
    assert lines[3].endswith("| - |")


def test_tables_beside_it_show_each_training_once():
    grouped = group_results(ARMS, [make_result(), make_result("ilr")])
    assert format_cases(ARMS, grouped).splitlines()[0] == "| Dice, mean over seeds | a | b | v |"
    assert len(format_cases(ARMS, grouped).splitlines()) == 4
    assert "| ILR | 62.5 / 62.5 | 75.0 / 75.0 | 100.0 / 100.0 | 100.0 / 100.0 |" in format_pseudo_masks(
        ARMS, grouped, ["p"]
    )
    assert "| ILR | 6 to 2 |" in format_labels(ARMS, grouped)


def test_arm_without_pseudo_masks_is_left_out_of_their_table():
    grouped = group_results(ARMS, [make_result("ilr", pseudo_masks={}, image_labels={})])
    assert format_pseudo_masks(ARMS, grouped, []) == ""
    assert format_labels(ARMS, grouped) == ""


def test_section_says_what_differs_before_the_first_table():
    section = format_section(ARMS, [make_result()], "ircadb")
    assert section.index("cannot be compared") < section.index("| arm |")
    assert "--arms none --seeds 0 --run RUN" in section
    assert "| no refinement | 3.0 | 1.0 |" in section
    assert format_section(ARMS, [], "ircadb") == "No results yet."
    assert "| paper |" not in format_section(ARMS, [make_result()], "phantom")


def test_the_commands_train_what_the_tables_hold_and_nothing_else():
    made = [("none", 1), ("none", 0), ("ilr", 0), ("plr", 0), ("plr", 1)]
    section = format_section(ARMS, [make_result(arm, seed=seed) for arm, seed in made], "phantom")
    lines = [line.strip().split() for line in section.splitlines() if "jobs.reproduce" in line]
    asked = [parse(line[3:]).reproduce for line in lines]
    assert len(asked) == 2
    assert sorted((arm, seed) for item in asked for arm in item.arms for seed in item.seeds) == sorted(made)


def test_only_the_section_of_a_page_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- reproduce:ircadb -->\nold\n<!-- /reproduce:ircadb -->\nEnd\n")
    replace_section(page, "ircadb", "new")
    replace_section(page, "ircadb", "newer")
    assert page.read_text() == "# Title\n<!-- reproduce:ircadb -->\n\nnewer\n\n<!-- /reproduce:ircadb -->\nEnd\n"
    with pytest.raises(RefusedInputError, match="has no section <!-- reproduce:phantom -->"):
        require_section(page, "phantom")


def test_shipped_page_has_the_section():
    require_section(Path(__file__).parent.parent / "docs" / "results.md", "ircadb")


def test_result_is_read_as_it_was_written(tmp_path):
    result = make_result()
    write_result(tmp_path / "new" / "none_0.json", result)
    assert read_result(tmp_path / "new" / "none_0.json") == json.loads(format_result(result)) == result
    assert read_result(tmp_path / "ilr_0.json") is None


def test_result_is_stale_with_other_settings_or_volumes():
    result, settings = make_result(), {"pixel_labels": {"scale": 5.0}, "teacher": {"grid": {"height": 320}}}
    assert explain_stale(None, settings, {"a": "hash"}) == "no result yet"
    assert explain_stale(result, settings, {"a": "hash"}) == ""
    assert explain_stale(result, settings, {"a": "other"}) == "made from other volumes"
    assert explain_stale(result, settings, None) == ""
    assert explain_stale(result, {**settings, "pixel_labels": {"scale": 2.0}}, None) == (
        "made with pixel_labels.scale = 5.0, now it is 2.0"
    )


def test_setting_that_the_result_does_not_know_was_at_its_default():
    result = make_result()
    settings = {"pixel_labels": {"scale": 5.0, "radius": 1}, "teacher": {"grid": {"height": 320, "width": 320}}}
    assert explain_stale(result, settings, None) == ""
    settings["teacher"]["grid"]["width"] = 8
    assert explain_stale(result, settings, None) == "made with teacher.grid.width = 320, now it is 8"


def test_a_result_names_the_commit_of_the_code(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    assert list(describe_project(package)) == ["version"]
    identity = ("-c", "user.name=n", "-c", "user.email=e")
    (package / "code.py").write_text("1")
    (tmp_path / "results.md").write_text("1")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "m")):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    clean = describe_project(package)["commit"]
    assert len(clean) == 12
    (tmp_path / "results.md").write_text("2")
    assert describe_project(package)["commit"] == clean
    (package / "code.py").write_text("2")
    assert describe_project(package)["commit"] == f"{clean}-dirty"


def test_case_is_described_by_counts():
    lesions = LesionMatch((Lesion(4, 0, 1, 0.6), Lesion(90, 0, 0, 0.0)), (Lesion(5, 0, 1, 0.6),))
    described = describe_case(CaseResult("v", "test", 0.1, MaskCounts(3, 94, 5), lesions))
    assert described["lesions"] == {"iou_0": [1, 1, 0], "iou_50": [1, 1, 0]}
    assert described["sizes"] == {
        "references": {"<10 mm": [1, 1, 1]},
        "predictions": {"<10 mm": [1, 1, 1], "20-50 mm": [1, 0, 0]},
    }
    assert described["dice"] == pytest.approx(6 / 99, abs=1e-4)


def test_left_out_volumes_have_a_table_of_their_own():
    arms = ARMS | {
        name: Arm(name=name, title="ours", group="Table 1", left_out=volume)
        for name, volume in (("without_a", "a"), ("without_b", "b"))
    }
    results = [make_result("ilr"), *(make_result(f"without_{v}", cases={v: make_case(0.0)}) for v in "ab")]
    results[2]["cases"]["b"]["prediction"] = 30
    kept, left = split_left_out(arms, group_results(arms, results))
    assert list(kept) == ["ilr"]
    assert format_false_positives(arms, left).splitlines()[-1] == "| ours | 10.0 | 3.0 | 6.5 |"
    assert "Healthy volumes left out" in format_section(arms, results, "phantom")
