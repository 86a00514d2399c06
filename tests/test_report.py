import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jobs import report
from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.case_results import CaseResult, LabelResult
from pipeline.config import ImageLabelConfig
from pipeline.errors import RefusedInputError
from pipeline.evaluation import write_evaluation
from pipeline.evaluation_rows import read_rows
from pipeline.masks import read_volume_slices
from pipeline.metrics import count_masks
from pipeline.report.curves import draw_curve, read_history
from pipeline.report.examples import load_predicted_example, load_train_example, pick_spread
from pipeline.report.overlays import (
    PREDICTION_COLOR,
    REFERENCE_COLOR,
    Panel,
    SlicePicture,
    display_gray,
    draw_panels,
    tint_segments,
)
from pipeline.report.page import build_report
from pipeline.report.tables import format_number, make_table
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.evaluate import EvaluateLabels, EvaluateSegmentation
from tests.evaluation_cases import GRID, LIVER_SLICES, write_run

VOID = {"meta", "img"}
EVIL = '<script>alert("1")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Collects the tags of a page and checks that they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A run folder up to the evaluation, with histories and a rejected case."""
    config, masks = write_run(tmp_path_factory.mktemp("reported"))
    run = RunFolder(config.run)
    rows = {row.volume_id: row for row in read_volume_rows(run)}
    predicted, labeled = EvaluateSegmentation(run, rows), EvaluateLabels(run, config, rows)
    results = {
        name: [json_row["result"] for volume in names for json_row in stage.process({"volume_id": volume})]
        for name, stage, names in (
            ("cases", predicted, ["test_0", "test_1", "test_unknown", "validation_0"]),
            ("labels", labeled, ["train_0", "train_1", "validation_0"]),
        )
    }
    cases = [CaseResult.from_json(text) for text in results["cases"]]
    write_evaluation(run, cases, [LabelResult.from_json(text) for text in results["labels"]], config)
    write_rejection(run, Rejection("bad_case", "NIFTI_TRUNCATED", EVIL, "read"))
    lines = [{"epoch": epoch, "loss": 1 / (1 + epoch), "seconds": 2.0} for epoch in range(4)]
    run.write_bytes("\n".join(map(json.dumps, lines)).encode(), "couinaudnet", "history.jsonl")
    settings = {"seed": 7, "source": {"layout": "msd", "path": "/archive/Doe_Jane", "labels": "", "couinaud_maps": ""}}
    facts = {"settings": settings, "versions": {"ray": "2.60.0"}, "slices": 45, "note": EVIL}
    outcome = {"step": "evaluate", "taken": 7, "given": 7, "quarantined": {"NIFTI_TRUNCATED": 1}, "seconds": 1234.5}
    run.write_json(outcome | facts, "reports", "evaluate.json")
    return run, config, masks


@pytest.fixture(scope="module")
def page(evaluated):
    return build_report(evaluated[0], evaluated[1])


def test_page_is_well_formed_and_accessible(page):
    tags = Page(page).tags
    names = [tag for tag, _ in tags]
    assert ("html", {"lang": "en"}) in tags
    assert names.count("table") == names.count("caption")
    assert all(attributes["alt"] for tag, attributes in tags if tag == "img")
    assert all("aria-label" in attributes for tag, attributes in tags if tag == "svg" and "role" in attributes)
    assert names.count("h1") == 1


def test_page_has_every_section_once(page):
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", page)
    assert titles == ["Results", "Pictures", "Segmenter", "Weak labels", "Training", "Run", "Quarantine"]
    anchors = re.findall(r'href="#(\w+)"', page)
    assert anchors == re.findall(r'<section id="(\w+)"', page)


def test_page_fetches_nothing(page):
    sources = [
        value
        for _, attributes in Page(page).tags
        for key, value in attributes.items()
        if key in ("src", "href", "srcset")
    ]
    assert all(value.startswith(("data:image/png;base64,", "#")) for value in sources)
    assert not re.search(r"https?://|url\(|@import", page)
    assert "default-src 'none'" in page


def test_90_text_from_the_run_never_becomes_markup(page):
    assert "script" not in {tag for tag, _ in Page(page).tags}
    assert page.count("&lt;script&gt;") == 2
    assert not any("onerror" in attributes for _, attributes in Page(page).tags)


def test_folders_of_the_archive_are_not_shown(page):
    assert "Doe_Jane" not in page
    assert "source.layout" in page


def test_figures_are_those_of_the_evaluation(evaluated, page):
    run = evaluated[0]
    summary = run.read_json("evaluation", "summary.json")
    assert f"<strong>{summary['segmenter']['test']['dice_global']:.3f}</strong>" in page
    wrong = [summary["image_labels"][when]["wrong"] for when in ("before", "after")]
    assert f"<strong>{wrong[0]} → {wrong[1]}</strong>" in page
    assert "no refinement → ILR + PLR, cases: 2" in page
    assert "seconds in all" in page
    assert "1,234.5" in page
    assert [row["volume_id"] for row in read_rows(run, "cases")] == ["test_0", "test_1", "test_unknown", "validation_0"]


def test_figures_without_ilr_are_those_of_the_masks_that_were_learned(tmp_path):
    config, _ = write_run(tmp_path)
    config = replace(config, image_labels=ImageLabelConfig(enabled=False))
    run = RunFolder(config.run)
    run.remove("predictions")
    (volume,) = (row for row in read_volume_rows(run, "train") if row.volume_id == "train_0")
    (row,) = EvaluateLabels(run, config, {"train_0": volume}).process({"volume_id": "train_0"})
    write_evaluation(run, [], [LabelResult.from_json(row["result"])], config)
    masks = read_volume_slices(run, "pseudo_labels", volume, ["pseudo_mask", "refined_mask"])
    truth = read_volume_slices(run, "references/grid", volume, ["reference_mask"])["reference_mask"]
    before, after = (f"{count_masks(mask, truth).dice():.3f}" for mask in (masks["pseudo_mask"], masks["refined_mask"]))
    page = build_report(run, config)
    assert f"<strong>{before} → {after}</strong><span>no refinement → PLR, cases: 1</span>" in page
    assert f"Dice of the volume before refinement {before}; after {after}" in page
    assert "after ILR" not in page


def test_pictures_are_there_and_small(page):
    captions = re.findall(r"<figcaption>(\w+) ", page)
    assert sorted(captions) == ["test_0", "test_1", "test_unknown", "train_0", "train_1", "validation_0"]
    assert len(page) < 3_000_000


def test_report_of_a_folder_with_nothing_but_volumes(tmp_path):
    config, _ = write_run(tmp_path)
    run = RunFolder(config.run)
    for name in ("predictions", "pseudo_labels", "reports"):
        run.remove(name)
    page = build_report(run, config)
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", page) == ["Results", "Quarantine"]
    assert "No case was set aside." in page


def test_report_of_an_empty_folder(tmp_path, evaluated):
    assert "0 liver slices" in build_report(RunFolder(str(tmp_path)), evaluated[1])


def test_job_writes_the_page_and_leaves_it_when_committed(tmp_path):
    config, _ = write_run(tmp_path)
    run = RunFolder(config.run)
    run.remove("predictions")
    run.remove("pseudo_labels")
    with pytest.raises(RefusedInputError, match="needs evaluate"):
        report.main(config)
    run.write_json(run.read_json("reports", "ingest.json") | {"step": "evaluate"}, "reports", "evaluate.json")
    assert report.main(config) == 0
    assert run.read_bytes("report.html").startswith(b"<!DOCTYPE html>")
    run.write_bytes(b"kept", "report.html")
    assert report.main(config) == 0
    assert run.read_bytes("report.html") == b"kept"


def test_predicted_example_shows_the_slice_with_most_tumor(evaluated):
    run, config, masks = evaluated
    volume = next(row for row in read_volume_rows(run) if row.volume_id == "test_0")
    example = load_predicted_example(run, volume, config.grid)
    row = masks["test_0"].reference.sum(axis=(1, 2)).argmax()
    assert example.slice_index == LIVER_SLICES[row]
    np.testing.assert_array_equal(example.masks["reference"], masks["test_0"].reference[row])
    share = masks["test_0"].native_prediction[example.slice_index].reshape(16, 2, 20, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(example.masks["prediction"], share >= 0.5)


def test_train_example_has_both_masks_and_the_continuity_index(evaluated):
    run, _, _ = evaluated
    volume = next(row for row in read_volume_rows(run) if row.volume_id == "train_1")
    example = load_train_example(run, volume)
    assert set(example.masks) == {"reference", "pseudo_mask", "refined_mask"}
    assert example.continuity_index == pytest.approx(5.0)
    assert example.picture.named.nonzero()[0].tolist() == [1, 4]


def test_spread_goes_from_the_best_to_the_worst():
    scores = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.6, "e": None}
    assert pick_spread(scores, 3) == ["b", "d", "a"]
    assert pick_spread(scores, 9) == ["b", "d", "c", "a", "e"]
    assert pick_spread({}, 3) == []


def picture():
    couinaud_map = np.zeros((16, 20), np.uint8)
    couinaud_map[3:13, 3:10], couinaud_map[3:13, 10:17] = 4, 8
    image = np.where(couinaud_map > 0, 170, 0).astype(np.uint8)
    return SlicePicture(image, couinaud_map, np.arange(8) == 3, liver_median_hu=100.0)


def test_display_window_is_centered_on_the_liver():
    gray = display_gray(picture(), GRID)
    assert gray[5, 5] == pytest.approx(0.5)
    assert gray[0, 0] == 0


def test_segments_are_tinted_inside_the_liver_only():
    tinted = tint_segments(display_gray(picture(), GRID), picture().couinaud_map)
    assert np.all(tinted[0, 0] == 0)
    assert len(np.unique(tinted.reshape(-1, 3), axis=0)) == 3


def colors_of(png):
    return np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def has_color(pixels, color):
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels - wanted).max(axis=-1) < 12).any())


def test_masks_are_drawn_in_their_colors():
    mask = np.zeros((16, 20), bool)
    mask[5:10, 5:10] = True
    pixels = colors_of(draw_panels(picture(), [Panel("CT"), Panel("masks", dashed=mask, solid=~mask)], GRID))
    left, right = np.array_split(pixels, 2, axis=1)
    assert has_color(right, PREDICTION_COLOR)
    assert has_color(right, REFERENCE_COLOR)
    assert not has_color(left, PREDICTION_COLOR)
    assert not has_color(left, REFERENCE_COLOR)


def test_empty_masks_and_single_pixels_can_be_drawn():
    empty, dot = np.zeros((16, 20), bool), np.zeros((16, 20), bool)
    dot[0, 0] = True
    panels = [Panel("a", filled=empty, dashed=empty, solid=empty), Panel("b", segments=True, filled=dot, solid=dot)]
    assert draw_panels(picture(), panels, GRID).startswith(b"\x89PNG")


def test_history_keeps_the_last_line_of_an_epoch():
    lines = [{"epoch": 0, "loss": 3.0}, {"epoch": 1, "loss": 2.0}, {"epoch": 1, "loss": 1.0, "name": "x", "ok": True}]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"epoch": 2, "loss": NaN}\n\n'
    assert read_history(text) == {"loss": [(0.0, 3.0), (1.0, 1.0)]}


def test_curve_says_in_words_where_it_goes():
    svg = draw_curve("loss", [(0.0, 2.0), (1.0, 1.0), (2.0, 0.5)])
    assert 'aria-label="loss over 3 epochs, from 2 to 0.5"' in svg
    heights = [float(point.split(",")[1]) for point in re.search(r'points="([^"]*)"', svg)[1].split()]
    assert heights[0] < heights[1] < heights[2]
    assert "circle" in draw_curve("loss", [(0.0, 2.0)])
    assert "circle" in draw_curve("loss", [(3.0, 0.0)])


def test_numbers_for_people():
    values = [None, "", 0.12345, 12.345, 1234, 1234.5, "text"]
    assert [format_number(value) for value in values] == ["-", "-", "0.123", "12.3", "1,234", "1,234.5", "text"]


def test_table_aligns_numbers_and_escapes_cells():
    table = make_table("a & b", {"name": "Name", "n": "N"}, [{"name": "<b>", "n": 1}, {"name": "c", "n": None}])
    assert '<th scope="row">&lt;b&gt;</th><td class="number">1</td>' in table
    assert '<td class="number">-</td>' in table
    assert "<caption>a &amp; b</caption>" in table
