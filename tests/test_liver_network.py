"""Livers of cases without a mask come from the user's network, are said to, and are judged like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jobs import ingest
from pipeline.archive.catalog import list_cases, read_case
from pipeline.archive.liver_network import find_liver
from pipeline.archive.quarantine import read_rejections
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import CaseError, RefusedInputError
from pipeline.report.page import build_report
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from tests import archive_cases
from tests.dicom_archive_cases import (
    ORIGIN_MM,
    SPACING_MM,
    configure,
    make_ct,
    make_liver,
    make_series,
    save,
    series_uid,
    write_map,
    write_mask,
)
from tests.liver_network_cases import write_liver_network


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A model folder that finds exactly the liver of `make_ct`."""
    return write_liver_network(tmp_path_factory.mktemp("model") / "liver")


def write_cases(root, drawn=()):
    """An archive of layout `msd`: two cases, those named with a mask of half the liver and a tumor in it."""
    for name in ("a", "b"):
        archive_cases.write_image(root / "imagesTr" / f"{name}.nii.gz", make_ct(), SPACING_MM, ORIGIN_MM)
    for name in drawn:
        labels = make_liver()
        labels[:5] *= 2
        labels[:3] = 0
        archive_cases.write_image(root / "labelsTr" / f"{name}.nii.gz", labels, SPACING_MM, ORIGIN_MM)
    (root / "volume_labels.csv").write_text("volume_id,segments\na,4\nb,4\n")
    return root


def read(root, name="a", **source):
    config = archive_cases.configure(root, **source)
    (case,) = (case for case in list_cases(config)[0] if case.volume_id == name)
    return read_case(case, config)


def test_liver_of_a_case_without_a_mask_is_the_networks(tmp_path, network):
    root = write_cases(tmp_path, drawn=["b"])
    found, drawn = (read(root, name, liver_network=str(network)) for name in "ab")
    np.testing.assert_array_equal(found.liver_mask, make_liver() > 0)
    assert (found.notes, found.reference_mask) == (("LIVER_PREDICTED",), None)
    assert drawn.liver_mask.sum() < found.liver_mask.sum()
    assert drawn.notes == ()
    assert drawn.reference_mask.any()


@pytest.mark.parametrize(("orientation", "shift"), [("LPS", -1), ("RAS", 1)])
def test_image_is_turned_to_the_orientation_of_the_training_images(tmp_path, orientation, shift):
    """The network's answers are one index off along its own x: to the patient's right or left."""
    folder = write_liver_network(tmp_path / "model", shift=1)
    settings = {"liver_network": str(folder), "liver_network_orientation": orientation}
    volume = read(write_cases(tmp_path / "archive"), **settings)
    np.testing.assert_array_equal(volume.liver_mask, np.roll(make_liver() > 0, shift, axis=2))


def test_another_liver_is_another_input(tmp_path, network):
    root = write_cases(tmp_path / "archive")
    other = write_liver_network(tmp_path / "model", high=105)
    first, again, third = (read(root, liver_network=str(folder)) for folder in (network, network, other))
    assert first.content_sha256 == again.content_sha256 != third.content_sha256


def test_liver_of_implausible_hu_is_set_aside(tmp_path):
    air = write_liver_network(tmp_path / "model", low=-1020, high=-980)
    with pytest.raises(CaseError, match=r"LIVER_HU: the liver's median is -1000 HU, expected -100\.\.350"):
        read(write_cases(tmp_path / "archive"), liver_network=str(air))


@pytest.mark.parametrize(
    ("labels", "liver_value", "values"),
    [
        ({"background": 0, "liver": 1}, 0, {1}),
        ({"background": 0, "spleen": 1, "Liver": 5, "ignore": 6}, 7, {5}),
        ({"background": 0, "liver": [1, 2], "tumor": 2}, 0, {1, 2}),
        ({"background": 0, "liver": 1, "cancer": 2}, 0, {1, 2}),
        ({"background": 0, "liver": 1, "kidney": 2, "kidney_tumor": 3, "liver_lesion": 4}, 0, {1, 4}),
        ({"background": 0, "1": 1, "Leber": 2}, 2, {2}),
    ],
)
def test_liver_by_name_or_value_with_its_tumors(labels, liver_value, values):
    assert find_liver(labels, liver_value) == dict.fromkeys(values, 1)


def test_network_of_other_organs_is_refused():
    with pytest.raises(RefusedInputError, match=r"none has source\.liver_value 5, got \['spleen'\]"):
        find_liver({"background": 0, "spleen": 1}, 5)


def test_folder_that_cannot_be_used_is_refused_before_any_case(network, tmp_path):
    config = configure(tmp_path, tmp_path / "run", liver_network=str(tmp_path / "nowhere"))
    with pytest.raises(RefusedInputError, match=r"source\.liver_network: expected an nnU-Net model folder"):
        ingest.main(config)
    labels = {"background": 0, "spleen": 1}
    spleens = write_liver_network(tmp_path / "spleens", labels=labels)
    with pytest.raises(RefusedInputError, match=r"source\.liver_network: no label is named 'liver'"):
        ingest.main(replace(config, source=replace(config.source, liver_network=str(spleens))))
    assert not (tmp_path / "run" / "settings" / "source.json").exists()


@pytest.mark.parametrize("layout", ["ircad", "phantom"])
def test_other_layouts_bring_their_livers(layout):
    with pytest.raises(ValueError, match=f"for the layouts msd and dicom, got {layout}"):
        PipelineConfig(run="x", source=SourceConfig(layout=layout, liver_network="folder"))


def test_hospital_archive_with_and_without_masks(ray_cluster, network, tmp_path):
    """Drawn, found by the network, without any liver in it, and with a mask that the label table names in vain."""
    bodies = make_ct()
    bodies[make_liver() > 0] = 40
    series = {"drawn": make_series(), "found": make_series(), "empty": make_series(bodies), "lost": make_series()}
    cells = {"lost": "no_such_mask.nii.gz"}
    rows = []
    for name, slices in series.items():
        save(slices, tmp_path / "archive" / name)
        write_map(tmp_path / "maps", series_uid(slices))
        rows.append(f"{series_uid(slices)},4,{cells.get(name, '')}\n")
    write_mask(tmp_path / "masks", series_uid(series["drawn"]))
    (tmp_path / "labels.csv").write_text("series,segments,liver_mask\n" + "".join(rows))
    config = configure(tmp_path, tmp_path / "run", liver_network=str(network))
    assert ingest.main(config) == 3
    run = RunFolder(config.run)
    volumes = read_volume_rows(run)
    assert sorted((row.notes, round(row.liver_ml)) for row in volumes) == [("", 432), ("LIVER_PREDICTED", 432)]
    assert sorted(item.code for item in read_rejections(run)) == ["EMPTY_LIVER", "LIVER_MISSING"]
    assert run.read_json("reports", "ingest.json")["notes"] == {"LIVER_PREDICTED": 1}
    assert "LIVER_PREDICTED" in build_report(run, config)
