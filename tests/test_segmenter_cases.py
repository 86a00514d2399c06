"""What the segmenter trains on under each kind of labels, with and without copies."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from jobs import train_segmenter
from pipeline.config import GridConfig, PipelineConfig, SegmenterConfig, SynthesisConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase, list_cases
from pipeline.segmenter.dataset import export_case
from pipeline.segmenter.folders import SegmenterFolders
from pipeline.segmenter.synthetic_copies import copy_generator, paint_tumors
from tests.segmenter_cases import HEIGHT, WIDTH, disc, tiny_config, volume_row, write_case


def row(volume_id, healthy=False, reference=True):
    base = volume_row(volume_id, "train", healthy, np.arange(4, dtype=np.int32), "LPS")
    return replace(base, has_reference=reference)


COHORT = [row("a"), row("b", healthy=True), row("c")]


def names(volumes, **settings):
    return [case.case_id for case in list_cases(volumes, SegmenterConfig(**settings))]


def test_every_volume_is_a_case():
    assert names(COHORT) == names(COHORT, labels="reference") == ["a", "b", "c"]


def test_only_volumes_without_a_tumor_are_copied():
    assert names(COHORT, synthetic_copies=2) == ["a", "b", "b+1", "b+2", "c"]


def test_copies_of_other_volumes_need_a_segment_that_their_label_spares():
    everywhere = replace(row("d"), image_label=(True,) * 8)
    settings = {"synthetic_copies": 1, "synthetic_tissue": "regions"}
    assert names([*COHORT, everywhere], **settings) == ["a", "a+1", "b", "b+1", "c", "c+1", "d"]


def test_without_labels_only_volumes_without_a_tumor_are_taken():
    assert names(COHORT, labels="none", synthetic_copies=1) == ["b", "b+1"]


def test_without_labels_and_healthy_volumes_there_is_nothing():
    with pytest.raises(RefusedInputError, match=r"labels: none has nothing to train on, 2 training volumes name"):
        names([row("a"), row("c")], labels="none", synthetic_copies=1)


def test_without_labels_there_must_be_synthetic_tumors():
    with pytest.raises(ValueError, match=r"labels: none needs synthetic tumors .*, got 0"):
        SegmenterConfig(labels="none")


def test_copies_need_tumors_that_go_on_along_z():
    with pytest.raises(ValueError, match=r"synthetic_copies: 1 needs .* textured\), got superpixel"):
        PipelineConfig(run="", segmenter=SegmenterConfig(synthetic_copies=1))


def test_missing_reference_is_refused_by_name():
    volumes = [row("a", reference=False), row("b", healthy=True, reference=False), row("c")]
    with pytest.raises(RefusedInputError, match=r"1 of 3 training volumes name a segment but have no reference: a"):
        names(volumes, labels="reference")


def test_reference_is_the_label_without_any_pseudo_label(tmp_path):
    run = RunFolder(str(tmp_path))
    volume, _, tumor = write_case(run, "sick", reference=True)
    run.remove("pseudo_labels")
    export_case(run, TrainingCase(volume), tiny_config(tmp_path, labels="reference"))
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(SegmenterFolders.of(run).label("sick"))))
    np.testing.assert_array_equal(label, ~tumor)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, "refine_pixel_labels"),
        ({"labels": "reference"}, "ingest"),
        ({"synthetic_copies": 1}, "refine_pixel_labels"),
    ],
)
def test_job_needs_only_what_it_reads(tmp_path, settings, needed):
    with pytest.raises(RefusedInputError, match=f"train_segmenter needs {needed}, which has not"):
        train_segmenter.main(tiny_config(tmp_path, **settings))


GRID = GridConfig(height=HEIGHT, width=WIDTH, spacing_mm=1.0)
SMALL = SynthesisConfig(style="textured", minimum_radius_mm=4.0, maximum_radius_mm=6.0)
INDEX = np.array([2, 3, 4, 5, 8, 9], np.int32)


def paint(copy=1, seed=0):
    """Gray values, liver, what was painted and where, on slices with a gap."""
    liver = np.stack([disc(16, 24, 13)] * len(INDEX))
    gray = np.where(liver, 160, 40).astype(np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None]
    case = TrainingCase(row("b", healthy=True), copy)
    return gray, liver, *paint_tumors(gray, liver, liver, INDEX, case, copy_generator(seed, case), GRID, SMALL)


@pytest.mark.parametrize("seed", range(4))
def test_tumors_are_in_the_liver_and_change_it_there(seed):
    gray, liver, painted, tumor = paint(seed=seed)
    assert tumor.any()
    assert not (tumor & ~liver).any()
    np.testing.assert_array_equal(painted[~liver], gray[~liver])
    assert (painted != gray)[tumor].mean() > 0.9
    assert painted.dtype == np.uint8


def test_tumor_goes_on_along_z_as_far_as_its_distance_in_mm():
    reach = []
    for seed in range(12):
        *_, tumor = paint(seed=seed)
        reach.append(tumor.any(axis=(1, 2)).sum())
    assert 1 < np.mean(reach) <= len(INDEX)  # 5 mm between slices, 8 to 16 mm across


def test_copy_is_the_same_whenever_it_is_made_and_no_other():
    first, again, other_copy, other_seed = paint(1), paint(1), paint(2), paint(1, seed=1)
    np.testing.assert_array_equal(first[2], again[2])
    np.testing.assert_array_equal(first[3], again[3])
    assert not np.array_equal(first[3], other_copy[3])
    assert not np.array_equal(first[3], other_seed[3])


def test_tumors_begin_at_centers_and_spare_what_is_not_healthy():
    _, liver, _, anywhere = paint()
    centers, healthy = liver.copy(), liver.copy()
    centers[:, :, 20:] = False  # columns from 20 on hold no center, columns from 14 to 16 are ill
    healthy[:, :, 14:17] = False
    case, gray = TrainingCase(row("b")), np.full(liver.shape, 160, np.uint8)
    rng = copy_generator(0, case)
    painted, tumor = paint_tumors(gray, healthy, centers, INDEX, case, rng, GRID, SMALL)
    assert tumor.any()
    assert anywhere[:, :, 32:].any()  # 12 columns away: more than the largest radius of these tumors
    assert not tumor[:, :, 32:].any()
    assert not (tumor | (painted != gray))[:, :, 14:17].any()
    _, nothing = paint_tumors(gray, healthy, np.zeros_like(liver), INDEX, case, rng, GRID, SMALL)
    assert not nothing.any()


def test_copy_of_a_labeled_volume_keeps_its_label_and_has_tumors_elsewhere(tmp_path):
    run, config = RunFolder(str(tmp_path)), tiny_config(tmp_path, synthetic_copies=1, synthetic_tissue="regions")
    volume, _, _ = write_case(run, "sick")
    other_segment = replace(volume, image_label=(False, True) + (False,) * 6)  # the map is of segment 1
    for copy in (0, 1):
        export_case(run, TrainingCase(other_segment, copy), config)
    folders = SegmenterFolders.of(run)
    own, both = (sitk.GetArrayFromImage(sitk.ReadImage(str(folders.label(name)))) > 0 for name in ("sick", "sick+1"))
    image, copied = (sitk.GetArrayFromImage(sitk.ReadImage(str(folders.image(name)))) for name in ("sick", "sick+1"))
    assert own.any()
    assert (both & ~own).any()
    assert both[own].all()
    np.testing.assert_array_equal(image[own], copied[own])


def test_exported_copy_differs_from_its_volume_where_its_label_says(tmp_path):
    run, config = RunFolder(str(tmp_path)), tiny_config(tmp_path, synthetic_copies=1)
    volume, _, _ = write_case(run, "healthy", healthy=True)
    for copy in (0, 1):
        export_case(run, TrainingCase(volume, copy), config)
    folders = SegmenterFolders.of(run)
    read = {name: sitk.GetArrayFromImage(sitk.ReadImage(str(folders.image(name)))) for name in ("healthy", "healthy+1")}
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(folders.label("healthy+1")))).astype(bool)
    assert label.any()
    assert (read["healthy"] != read["healthy+1"])[label].mean() > 0.9
    assert not sitk.GetArrayFromImage(sitk.ReadImage(str(folders.label("healthy")))).any()
