"""What the segmenter trains on under each kind of labels, with and without copies."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from jobs import train_segmenter
from pipeline.config import SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase, list_cases
from pipeline.segmenter.dataset import export_case
from pipeline.segmenter.folders import SegmenterFolders
from tests.segmenter_cases import tiny_config, volume_row, write_case


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


def test_without_labels_only_volumes_without_a_tumor_are_taken():
    assert names(COHORT, labels="none", synthetic_copies=1) == ["b", "b+1"]


def test_without_labels_and_healthy_volumes_there_is_nothing():
    with pytest.raises(RefusedInputError, match=r"labels: none has nothing to train on, 2 training volumes name"):
        names([row("a"), row("c")], labels="none", synthetic_copies=1)


def test_without_labels_there_must_be_synthetic_tumors():
    with pytest.raises(ValueError, match=r"labels: none needs synthetic tumors .*, got 0"):
        SegmenterConfig(labels="none")


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
