import csv
import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from jobs import evaluate
from pipeline.case_results import (
    ARMS,
    WEAK_LABEL_STEPS,
    CaseResult,
    LabelResult,
    evaluate_case,
)
from pipeline.config import ImageLabelConfig, PixelLabelConfig, SegmenterConfig
from pipeline.csv_text import format_csv
from pipeline.errors import RefusedInputError
from pipeline.evaluation import format_table, summarize, write_evaluation
from pipeline.evaluation_rows import CASE_COLUMNS, LESION_COLUMNS, case_rows, lesion_rows
from pipeline.masks import read_prediction
from pipeline.metrics import LabelConfusion, MaskCounts, count_masks
from pipeline.report.page import build_report
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows, write_volume_row
from pipeline.steps import Step
from tests.evaluation_cases import LIVER_SLICES, NATIVE_SHAPE, SPACING_MM, make_config, write_run


def plain_dice(prediction, reference):
    size = int(prediction.sum()) + int(reference.sum())
    return 2 * int((prediction & reference).sum()) / size if size else 1.0


def plain_plr(probability, slices, threshold=0.5, scale=5.0):
    """Eq. 3-6, slice by slice."""
    masks = [plane / 255 >= threshold for plane in probability]
    refined = np.zeros(probability.shape, bool)
    for k, plane in enumerate(probability):
        best = 0.0
        for j in (k - 1, k + 1):
            if 0 <= j < len(slices) and abs(int(slices[j]) - int(slices[k])) == 1 and (masks[j] | masks[k]).any():
                best = max(best, plain_dice(masks[k], masks[j]))
        refined[k] = plane / 255 * scale * best >= threshold
    return np.array(masks), refined


def plain_arms(masks):
    """The four arms of one volume by their definition."""
    named = masks.refined_label.any(axis=1)
    none, plr = plain_plr(masks.probability, LIVER_SLICES)
    ilr, ilr_plr = np.zeros_like(none), np.zeros_like(none)
    ilr[named], ilr_plr[named] = plain_plr(masks.probability[named], LIVER_SLICES[named])
    return {"none": none, "ilr": ilr, "plr": plr, "ilr_plr": ilr_plr}


def read_csv(run, name):
    return list(csv.DictReader(io.StringIO(run.read_bytes("evaluation", f"{name}.csv").decode())))


@pytest.fixture(scope="module")
def evaluated(ray_cluster, tmp_path_factory):
    config, masks = write_run(tmp_path_factory.mktemp("evaluated"))
    assert evaluate.main(config) == 0
    run = RunFolder(config.run)
    return run, masks, run.read_json("evaluation", "summary.json"), config


def test_segmenter_dice_equals_the_masks_that_were_written(evaluated):
    _, masks, summary, _ = evaluated
    dice = [plain_dice(masks[name].native_prediction, masks[name].native_reference) for name in ("test_0", "test_1")]
    pooled = [np.stack([getattr(masks[name], kind) for name in ("test_0", "test_1")]) for kind in
              ("native_prediction", "native_reference")]  # fmt: skip
    assert summary["segmenter"]["test"]["dice_per_case"] == pytest.approx(np.mean(dice))
    assert summary["segmenter"]["test"]["dice_global"] == pytest.approx(plain_dice(*pooled))
    assert summary["segmenter"]["test"]["n_cases"] == 2
    assert summary["segmenter"]["test"]["n_without_reference"] == 1
    assert summary["segmenter"]["validation"]["n_cases"] == 1


def test_cases_have_a_row_each_in_order(evaluated):
    run, masks, _, _ = evaluated
    rows = read_csv(run, "cases")
    assert [row["volume_id"] for row in rows] == ["test_0", "test_1", "test_unknown", "validation_0"]
    assert float(rows[0]["reference_ml"]) == pytest.approx(masks["test_0"].native_reference.sum() * 5 / 1000)
    assert float(rows[1]["dice"]) == pytest.approx(
        plain_dice(masks["test_1"].native_prediction, masks["test_1"].native_reference), abs=1e-5
    )


def test_case_without_reference_has_a_volume_and_no_metrics(evaluated):
    row = read_csv(evaluated[0], "cases")[2]
    filled = {key for key, value in row.items() if value}
    assert filled == {"volume_id", "split", "prediction_ml"}


def test_lesions_of_both_sides_are_listed(evaluated):
    rows = [row for row in read_csv(evaluated[0], "lesions") if row["volume_id"] == "test_0"]
    assert [(row["side"], row["lesion"]) for row in rows] == [
        ("reference", "1"), ("reference", "2"), ("prediction", "1"), ("prediction", "2"),
    ]  # fmt: skip
    assert [row["pair"] for row in rows] == ["1", "2", "1", "2"]
    assert rows[0]["size_bin"] == "10-20 mm"
    assert float(rows[0]["volume_ml"]) == pytest.approx(4 * 12 * 12 * 5 / 1000)
    assert rows[1]["center_slice"] == "9"


def test_pseudo_mask_arms_equal_plain_loops(evaluated):
    run, masks, summary, _ = evaluated
    arms = {name: plain_arms(masks[name]) for name in ("train_0", "train_1")}
    for arm in ARMS:
        dice = [plain_dice(arms[name][arm], masks[name].reference) for name in arms]
        together = np.concatenate([arms[name][arm] for name in arms])
        truth = np.concatenate([masks[name].reference for name in arms])
        assert summary["pseudo_masks"][arm]["dice_per_case"] == pytest.approx(np.mean(dice)), arm
        assert summary["pseudo_masks"][arm]["dice_global"] == pytest.approx(plain_dice(together, truth)), arm
        written = [float(row[f"dice_{arm}"]) for row in read_csv(run, "pseudo_masks")]
        assert written == pytest.approx(dice, abs=1e-5)
    assert summary["pseudo_masks"]["n_cases"] == 2
    assert len({summary["pseudo_masks"][arm]["dice_global"] for arm in ARMS}) == 4


def test_image_labels_are_counted_over_pathological_volumes(evaluated):
    _, masks, summary, _ = evaluated
    names = ("train_0", "train_1", "validation_0")
    truth = np.concatenate([masks[name].reference.any(axis=(1, 2)) for name in names])
    after = np.concatenate([masks[name].refined_label.any(axis=1) for name in names])
    labels = summary["image_labels"]
    assert labels["n_cases"] == 3
    assert labels["before"]["wrong"] == np.sum(~truth)
    assert labels["after"]["wrong"] == np.sum(truth != after)
    assert labels["after"]["false_negative"] == np.sum(truth & ~after)


def test_summary_says_with_what_it_was_made(evaluated):
    summary = evaluated[2]
    assert summary["seed"] == 7
    assert summary["config"]["pixel_labels"] == asdict(PixelLabelConfig())


def test_summary_is_strict_json(evaluated):
    def refuse(constant):
        raise AssertionError(constant)

    json.loads(evaluated[0].read_bytes("evaluation", "summary.json"), parse_constant=refuse)


def test_committed_evaluation_is_not_repeated(evaluated):
    run, _, _, config = evaluated
    report = run.read_bytes("reports", "evaluate.json")
    assert evaluate.main(config) == 0
    assert run.read_bytes("reports", "evaluate.json") == report
    assert (run.read_json("reports", "evaluate.json")["taken"], run.read_json("reports", "evaluate.json")["given"]) == (
        7,
        7,
    )


def test_console_table_is_plain_and_narrow(evaluated):
    table = format_table(evaluated[2])
    assert table.isascii()
    assert max(len(line) for line in table.splitlines()) <= 80
    assert [line.split("  ")[0] for line in table.splitlines() if line] == [
        "segmenter", "test", "validation", "pseudo masks", *ARMS.values(), "image labels", "before ILR", "after ILR",
        "Test and validation volumes without a reference mask: 1",
    ]  # fmt: skip


def test_patients_in_several_splits_are_told_beside_the_figures(tmp_path):
    config, _ = write_run(tmp_path)
    run = RunFolder(config.run)
    for row in read_volume_rows(run, "train", "test"):
        write_volume_row(run, replace(row, notes="PATIENT_IN_SPLITS"))
    write_evaluation(run, [], [], config)
    summary = run.read_json("evaluation", "summary.json")
    assert summary["notes"] == {"PATIENT_IN_SPLITS": len(read_volume_rows(run, "test"))}
    assert "Test and validation volumes of patients in several splits: 3" in format_table(summary)


@pytest.mark.parametrize(
    ("labels", "method", "arms", "slices"),
    [
        ({}, "lesions", ["no refinement", "ILR", "PLR (continuity)", "ILR + lesions"], ["before ILR", "after ILR"]),
        ({"enabled": False}, "continuity", list(ARMS.values()), ["without ILR"]),
        ({"enabled": False}, "lesions", ["no refinement", "ILR", "lesions", "ILR + lesions"], ["without ILR"]),
        (
            {"source": "reference"},
            "continuity",
            ["true slice labels", "true labels + PLR"],
            ["volume labels", "true in training"],
        ),
        (
            {"source": "reference"},
            "lesions",
            ["true slice labels", "true labels + lesions"],
            ["volume labels", "true in training"],
        ),
    ],
)
def test_weak_labels_are_called_what_they_are(evaluated, labels, method, arms, slices):
    summary = evaluated[2]
    sections = {"image_labels": asdict(ImageLabelConfig(**labels)), "pixel_labels": {"enabled": True, "method": method}}
    lines = format_table({**summary, "config": sections}).splitlines()
    assert max(map(len, lines)) <= 80
    first = [line.split("  ")[0] for line in lines]
    assert first[first.index("pseudo masks") + 1 : first.index("image labels") - 1] == arms
    below = first[first.index("image labels") + 1 :]
    assert below[: below.index("")] == slices


def test_segmenter_that_learned_no_pseudo_labels_is_evaluated(ray_cluster, tmp_path):
    config, _ = write_run(tmp_path)
    config = replace(config, segmenter=SegmenterConfig(labels="reference"))
    run = RunFolder(config.run)
    run.remove("image_labels")
    run.remove("probabilities")
    run.remove("pseudo_labels", "train_0")  # of PLR there is a part, as when it was stopped
    for step in WEAK_LABEL_STEPS.values():
        run.remove("reports", f"{step}.json")
    assert evaluate.main(config) == 0
    summary = run.read_json("evaluation", "summary.json")
    assert summary["segmenter"]["test"]["n_cases"] == 2
    assert summary["config"]["segmenter"] == {"labels": "reference", "threshold": 0.5}
    masks = summary["pseudo_masks"]
    assert [masks[arm]["dice_per_case"] for arm in ARMS] == [None] * 4
    assert masks["none"]["reason"] == masks["plr"]["reason"] == "predict_tumors has not completed"
    assert masks["ilr"]["reason"] == masks["ilr_plr"]["reason"] == "refine_pixel_labels has not completed"
    labels = summary["image_labels"]
    assert (labels["n_cases"], labels["reason"]) == (0, "refine_image_labels has not completed")
    assert "after ILR" not in format_table(summary)
    page = build_report(run, config)
    assert "No slice labels: refine_image_labels has not completed." in page
    assert "ILR + PLR: refine_pixel_labels has not completed." in page
    assert "Wrong slice labels" not in page


def test_predictions_of_another_threshold_are_refused(tmp_path):
    config, _ = write_run(tmp_path)
    with Step.begin(replace(config, segmenter=SegmenterConfig(threshold=0.3)), "made", uses=("segmenter",)):
        pass
    with pytest.raises(RefusedInputError, match=r"segmenter\.threshold = 0\.3, now it is 0\.5"):
        evaluate.main(config)


def test_missing_prediction_is_named(tmp_path):
    config, _ = write_run(tmp_path)
    RunFolder(config.run).remove("predictions", "test_1.nii.gz")
    with pytest.raises(RefusedInputError, match="1 of 4 volumes have no prediction: test_1"):
        evaluate.main(config)


def test_prediction_comes_back_in_lps_order(tmp_path):
    config, masks = write_run(tmp_path)
    run = RunFolder(config.run)
    (volume,) = (row for row in read_volume_rows(run, "test") if row.volume_id == "test_0")
    np.testing.assert_array_equal(read_prediction(run, volume), masks["test_0"].native_prediction)
    other = replace(volume, native_shape=(12, 40, 32))
    with pytest.raises(ValueError, match=r"test_0: the prediction has \(12, 32, 40\).*\(12, 40, 32\)"):
        read_prediction(run, other)
    with pytest.raises(ValueError, match=r"5\.0, 1\.0, 1\.0.*5\.0, 1\.0, 1\.1"):
        read_prediction(run, replace(volume, spacing_mm=(5.0, 1.0, 1.1)))


def test_nothing_to_evaluate_is_none_everywhere(tmp_path):
    summary = summarize([], [], make_config(tmp_path))
    test = summary["segmenter"]["test"]
    assert (test["dice_per_case"], test["dice_global"], test["lesions"]["iou_0"]["f1"]) == (None, None, None)
    assert "no pathological train volume" in summary["pseudo_masks"]["ilr"]["reason"]
    assert "no refinement" in format_table(summary)


def test_tumor_free_case_counts_one_when_nothing_is_predicted(tmp_path):
    empty = np.zeros((2, 3, 3), bool)
    case = evaluate_case("healthy", "test", 0.001, empty, empty)
    summary = summarize([case], [], make_config(tmp_path))["segmenter"]["test"]
    assert (summary["dice_per_case"], summary["dice_global"], summary["n_tumor_free"]) == (1.0, 1.0, 1)
    (row,) = case_rows([case])
    assert (row["dice"], row["precision_iou_0"], row["recall_iou_50"]) == (1.0, None, None)


def test_lesion_size_counts_anisotropic_voxels_in_full(tmp_path):
    reference = np.zeros(NATIVE_SHAPE, bool)
    reference[3:7, 4:14, 4:14] = True
    case = evaluate_case("a", "test", float(np.prod(SPACING_MM)) / 1000, reference, reference)
    assert lesion_rows([case])[0]["volume_ml"] == pytest.approx(2.0)
    sizes = summarize([case], [], make_config(tmp_path))["segmenter"]["test"]["lesions_by_size"]
    assert sizes["10-20 mm"] == {"lesions": 1, "iou_0": 1, "iou_50": 1}
    assert sizes["<10 mm"] == {"lesions": 0, "iou_0": 0, "iou_50": 0}


def test_results_survive_the_journey_as_text():
    prediction, reference = np.random.default_rng(1).random((2, 3, 5, 5)) < 0.3
    case = evaluate_case("a", "test", 0.1, prediction, reference)
    assert CaseResult.from_json(case.to_json()) == case
    assert case.masks == count_masks(prediction, reference)
    unknown = evaluate_case("b", "test", 0.1, prediction, None)
    assert CaseResult.from_json(unknown.to_json()) == unknown
    label = LabelResult("c", "train", LabelConfusion(1, 2, 3, 4), LabelConfusion(), {"ilr": MaskCounts(1, 2, 3)})
    assert LabelResult.from_json(label.to_json()) == label
    bare = LabelResult("d", "train", None, None, {})
    assert LabelResult.from_json(bare.to_json()) == bare


def test_csv_round_trip():
    rows = [{"id": 'a,"b"\nc', "x": 0.123456789, "n": -3, "none": None, "yes": True}]
    (back,) = csv.DictReader(io.StringIO(format_csv(list(rows[0]), rows)))
    assert back == {"id": 'a,"b"\nc', "x": "0.123457", "n": "-3", "none": "", "yes": "1"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_71_csv_text_never_starts_a_formula(text):
    (back,) = csv.DictReader(io.StringIO(format_csv(["cell"], [{"cell": text}])))
    assert back["cell"] == "'" + text.replace("\r", " ")


def test_columns_are_those_of_the_rows():
    masks = np.ones((1, 2, 2), bool)
    case = evaluate_case("a", "test", 1.0, masks, masks)
    assert tuple(case_rows([case])[0]) == CASE_COLUMNS
    assert {tuple(row) for row in lesion_rows([case])} == {LESION_COLUMNS}
