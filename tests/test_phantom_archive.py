"""The parts of the synthetic archive: what each vendor writes is the phantom, and each report says the truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from pydicom import dcmread

from pipeline.archive.report_text.report import read_report
from pipeline.archive.reports import decide_segments
from pipeline.errors import CaseError, RefusedInputError
from pipeline.phantom_archive.files import save, save_series
from pipeline.phantom_archive.masks import make_segmentation
from pipeline.phantom_archive.plan import PatientPlan, fault_rates, plan_patients, take_turns
from pipeline.phantom_archive.report_texts import write_report
from pipeline.phantom_archive.slices import make_slices, outside_circle, to_native
from pipeline.phantom_archive.tags import PatientTags, SeriesTags
from pipeline.phantom_archive.vendors import VENDORS
from pipeline.volume import Geometry
from tests.dicom_archive_cases import ORIGIN_MM, SHAPE, SPACING_MM, make_ct, make_liver, write_mask
from tests.phantom_archive_cases import synthesis
from tests.test_dicom_faults import read

PATIENT = PatientTags(seed=0, index=7)
TAGS = SeriesTags(PATIENT, 1)


@pytest.mark.parametrize("name", VENDORS)
def test_what_a_vendor_writes_is_the_phantom(tmp_path, name):
    """Voxel for voxel, whatever the files look like; mask in physical space, as NIfTI and as frames."""
    vendor, geometry = VENDORS[name], Geometry(SHAPE, SPACING_MM, ORIGIN_MM)
    slices = make_slices(make_ct(), geometry, TAGS, vendor)
    save([make_segmentation(slices, [to_native(make_liver(), vendor)])], tmp_path, "liver.dcm")
    save_series(slices, tmp_path / "archive", vendor)
    for mask in (tmp_path / "liver.dcm", write_mask(tmp_path / "masks", "liver")):
        (((values, arrays),), _) = read(tmp_path / "archive", TAGS.uid, mask)
        np.testing.assert_array_equal(arrays["labels"], make_liver())
    scanned = ~outside_circle(*SHAPE[1:]) if vendor.padding_hu else np.full(SHAPE[1:], True)
    np.testing.assert_array_equal(arrays["hu"][:, scanned], np.maximum(make_ct(), -1024)[:, scanned])
    assert values["notes"] == (["PADDING_CLIPPED"] if vendor.padding_hu else [])


def test_vendors_differ_where_real_ones_do(tmp_path):
    headers = {}
    for name, vendor in VENDORS.items():
        save_series(make_slices(make_ct(), Geometry(SHAPE, SPACING_MM), TAGS, vendor), tmp_path / name, vendor)
        headers[name] = dcmread(sorted((tmp_path / name).iterdir())[0], force=True)
    assert len({item.file_meta.get("TransferSyntaxUID") for item in headers.values()}) == 7
    assert {item.get("InstanceNumber") for item in headers.values()} == {0, 1}
    assert {item.get("NumberOfFrames") for item in headers.values()} == {None, SHAPE[0]}
    assert {tuple(item.get("ImageOrientationPatient", ())[::4]) for item in headers.values()} == {
        (1, 1), (-1, -1), (-1, 1), (),
    }  # fmt: skip


def test_reports_say_the_truth():
    """What the reader of reports takes from hundreds of them."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        segments = tuple(sorted((rng.permutation(8)[: rng.integers(5)] + 1).tolist()))
        assert decide_segments(read_report(write_report(rng, PATIENT, segments)).mentions) == segments
        with pytest.raises(CaseError, match="LABEL_UNCERTAIN"):
            decide_segments(read_report(write_report(rng, PATIENT, segments, uncertain=True)).mentions)


def test_turns_are_as_even_as_can_be():
    turns = list(islice(take_turns({"a": 0.2, "b": 0.05}), 400))
    assert (turns.count("a"), turns.count("b")) == (80, 20)
    assert [k % 4 for k, name in enumerate(turns) if name] == [3] * 100
    assert set(islice(take_turns({"a": 0.0}), 9)) == {""}


def test_patients_do_not_depend_on_how_many_there_are(tmp_path):
    few, many = (plan_patients(synthesis(tmp_path, patients=count, fault_rate=0.5)) for count in (5, 50))
    assert many[:5] == few
    assert few[1] == PatientPlan(1, "train", True, False, "plain", "nifti", "01_MISSING_SLICE")


@pytest.mark.parametrize(
    ("faults", "words"),
    [(("06_TILT",), "unknown '06_TILT'"), (("06_GANTRY_TILT=x",), "no number"), (("06_GANTRY_TILT=1.5",), "sum to")],
)
def test_faults_that_make_no_sense_are_refused(tmp_path, faults, words):
    with pytest.raises(RefusedInputError, match=words):
        plan_patients(synthesis(tmp_path, faults=faults))


def test_short_series_cannot_have_faults(tmp_path):
    config = synthesis(tmp_path, fault_rate=0.1)
    with pytest.raises(RefusedInputError, match=r"phantom\.slices: faults need at least 12, got 8"):
        plan_patients(replace(config, phantom=replace(config.phantom, slices=8)))


def test_a_fault_may_have_a_rate_of_its_own(tmp_path):
    config = synthesis(tmp_path, fault_rate=0.1, faults=("03_DUP_POSITION=0.3", "13_LOCALIZER", "32_RLE"))
    rates = fault_rates(config.synthesize_archive)
    assert rates == {"03_DUP_POSITION": 0.3, "13_LOCALIZER": 0.05, "32_RLE": 0.05}
