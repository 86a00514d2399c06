"""Vessel masks of all layouts: divided or not, on the grid of the CT, and read only where they are of use."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive.cases import CaseSource
from pipeline.archive.catalog import list_cases, read_case
from pipeline.archive.dicom.case import pack_json
from pipeline.archive.dicom.inventory import Inventory
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.dicom.masks import MaskIndex
from pipeline.config import CouinaudConfig
from pipeline.couinaud.methods import OPTIONAL_INPUTS, find_inputs
from pipeline.errors import CaseError, RefusedInputError
from tests import dicom_archive_cases as hospital
from tests.archive_cases import (
    ORIGIN_MM,
    SHAPE,
    SPACING_MM,
    configure,
    make_labels,
    make_slices,
    save_slices,
    write_flipped,
    write_image,
    write_ircad,
    write_msd,
    zip_folder,
)
from tests.couinaud_cases import configure as configure_phantoms
from tests.couinaud_cases import phantom

DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))
PLANES = CouinaudConfig(method="planes")


def make_vessels(portal=2):
    """A hepatic and a portal box inside the liver."""
    vessels = np.zeros(SHAPE, np.uint8)
    vessels[1:4, 4:6, 5:12] = 1
    vessels[2:5, 8:9, 4:9] = portal
    return vessels


def read_one(root, layout="msd", couinaud=PLANES, **source):
    config = replace(configure(root, layout, **source), couinaud=couinaud)
    (case,), _ = list_cases(config)
    return read_case(case, config)


def write_vessels(root, vessels, **options):
    write_image(root / "vesselsTr" / "case_01.nii.gz", vessels, **options)
    return root


def test_vessels_of_a_hospital_archive(tmp_path):
    """Found by the accession number, and read on the grid of the slices."""
    slices, shape = hospital.make_series(), hospital.SHAPE
    hospital.save(slices, tmp_path / "archive")
    vessels = np.zeros(shape, np.uint8)
    vessels[3:8, 10:12, 10:30], vessels[3:8, 14:16, 10:30] = 1, 2
    hospital.write_mask(tmp_path / "vessels", f"{hospital.CANARY}A1", vessels)
    config = hospital.configure(tmp_path, tmp_path / "run", vessels=str(tmp_path / "vessels"))
    index = MaskIndex("", config.source.path, Inventory(), vessels=config.source.vessels)
    found = index.find_vessels("ct-1", "", [hash_text(f"{hospital.CANARY}A1")])
    assert not index.find_vessels("ct-1", "", [hash_text("A2")]).place
    image = [config.source.path, [[path.name, 0] for path in sorted((tmp_path / "archive").iterdir())]]
    mask = ["file", str(hospital.write_mask(tmp_path / "masks", "liver"))]
    case = CaseSource("ct-1", "dicom", "train", (1,), pack_json(image), pack_json(mask), vessels=found.place)
    volume = read_case(case, replace(config, couinaud=PLANES))
    np.testing.assert_array_equal(volume.vessels.hepatic, vessels == 1)
    np.testing.assert_array_equal(volume.vessels.portal, vessels == 2)


def test_a_folder_of_vessels_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"source\.vessels: expected a folder, got 'nowhere'"):
        MaskIndex("", str(tmp_path), Inventory(), vessels="nowhere")


def test_divided_vessels(tmp_path):
    found = read_one(write_vessels(write_msd(tmp_path), make_vessels())).vessels
    np.testing.assert_array_equal(found.hepatic, make_vessels() == 1)
    np.testing.assert_array_equal(found.portal, make_vessels() == 2)
    assert found.undivided is None


def test_undivided_vessels(tmp_path):
    found = read_one(write_vessels(write_msd(tmp_path), make_vessels(portal=1))).vessels
    np.testing.assert_array_equal(found.undivided, make_vessels() > 0)
    assert found.hepatic is found.portal is None


def test_vessels_of_another_orientation_and_folder(tmp_path):
    root = write_msd(tmp_path / "archive")
    write_flipped(tmp_path / "elsewhere" / "case_01.nii.gz", make_vessels(), (0, 2))
    found = read_one(root, vessels=str(tmp_path / "elsewhere")).vessels
    np.testing.assert_array_equal(found.portal, make_vessels() == 2)


def test_crop_of_the_grid_is_laid_onto_it(tmp_path):
    origin = (ORIGIN_MM[0] + 4 * SPACING_MM[2], ORIGIN_MM[1] + 3 * SPACING_MM[1], ORIGIN_MM[2] + SPACING_MM[0])
    root = write_vessels(write_msd(tmp_path), make_vessels()[1:, 3:, 4:], origin=origin)
    np.testing.assert_array_equal(read_one(root).vessels.hepatic, make_vessels() == 1)


@pytest.mark.parametrize(
    ("vessels", "options", "code"),
    [
        (make_vessels(portal=3), {}, "VESSEL_VALUES"),
        ((make_vessels() == 2).astype(np.uint8) * 2, {}, "VESSEL_VALUES"),
        (make_vessels()[:, :, :-1], {"spacing": (2.5, 0.75, 0.6)}, "VESSEL_GEOMETRY"),
        (make_vessels(), {"origin": (0.0, 0.0, 0.0)}, "VESSEL_GEOMETRY"),
    ],
)
def test_bad_vessels_reject_the_case_that_needs_them(tmp_path, vessels, options, code):
    root = write_vessels(write_msd(tmp_path), vessels, **options)
    with pytest.raises(CaseError) as rejected:
        read_one(root)
    assert rejected.value.code == code
    for harmless in ("auto", "precomputed", "shape"):
        assert read_one(root, couinaud=CouinaudConfig(method=harmless)).vessels is None


def test_empty_mask_is_no_vessels(tmp_path):
    assert read_one(write_vessels(write_msd(tmp_path), np.zeros(SHAPE, np.uint8))).vessels is None


def test_hash_grows_only_by_what_is_read(tmp_path):
    root = write_vessels(write_msd(tmp_path), make_vessels())
    parts = [(root / part / "case_01.nii.gz").read_bytes() for part in ("imagesTr", "labelsTr", "couinaudTr")]
    vessels = (root / "vesselsTr" / "case_01.nii.gz").read_bytes()
    assert read_one(root, couinaud=CouinaudConfig()).content_sha256 == hashlib.sha256(b"".join(parts)).hexdigest()
    content = b"".join([*parts[:2], vessels])
    assert read_one(root).content_sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("method", "network", "has_map", "inputs"),
    [
        ("auto", "", True, {"couinaud_map"}),
        ("auto", "", False, {"vessels"}),
        ("auto", "folder", False, set()),
        ("auto", "folder", True, {"couinaud_map"}),
        ("precomputed", "", False, {"couinaud_map"}),
        ("planes", "", True, {"vessels"}),
        ("territories", "", False, {"vessels"}),
        ("shape", "", True, set()),
        ("network", "folder", True, set()),
    ],
)
def test_inputs_of_a_method(method, network, has_map, inputs):
    assert find_inputs(CouinaudConfig(method=method, network=network), has_map) == inputs
    assert inputs <= OPTIONAL_INPUTS


def test_named_folder_must_be_there(tmp_path):
    with pytest.raises(RefusedInputError, match=r"source\.vessels: expected a folder"):
        read_one(write_msd(tmp_path), vessels=str(tmp_path / "absent"))


def write_organs(patient, **organs):
    for name, mask in organs.items():
        save_slices(make_slices(mask.astype(np.uint8) * 255), patient / "MASKS_DICOM" / name)


@pytest.mark.parametrize("zipped", [False, True])
def test_organs_of_ircad(tmp_path, zipped):
    patient, vessels = write_ircad(tmp_path), make_vessels()
    cava = make_labels() == 2
    write_organs(patient, venoussystem=vessels == 1, venacava2=cava, portalvein=vessels == 2, portalvein1=cava)
    if zipped:
        zip_folder(patient / "MASKS_DICOM")
    found = read_one(tmp_path, "ircad").vessels
    np.testing.assert_array_equal(found.hepatic, (vessels == 1) | cava)
    np.testing.assert_array_equal(found.portal, (vessels == 2) | cava)


def test_vena_cava_alone_is_no_hepatic_vein(tmp_path):
    write_organs(write_ircad(tmp_path), venacava=make_vessels() == 1)
    assert read_one(tmp_path, "ircad").vessels is None


def test_ircad_takes_a_folder_of_vessel_masks_instead(tmp_path):
    write_ircad(tmp_path / "archive")
    write_image(tmp_path / "vessels" / "ircad_17.nii.gz", make_vessels())
    found = read_one(tmp_path / "archive", "ircad", vessels=str(tmp_path / "vessels")).vessels
    np.testing.assert_array_equal(found.hepatic, make_vessels() == 1)


def test_vessel_organ_of_another_grid_is_rejected(tmp_path):
    patient = write_ircad(tmp_path)
    moved = make_slices((make_vessels() == 1).astype(np.uint8), origin=(0.0, 0.0, 0.0))
    save_slices(moved, patient / "MASKS_DICOM" / "venoussystem")
    with pytest.raises(CaseError, match="VESSEL_GEOMETRY"):
        read_one(tmp_path, "ircad")


def test_phantom_has_vessels_for_the_methods_that_use_them(tmp_path):
    for method, wanted in (("planes", True), ("auto", False), ("shape", False)):
        config = configure_phantoms(tmp_path, couinaud=CouinaudConfig(method=method))
        case = list_cases(config)[0][0]
        assert (read_case(case, config).vessels is not None) == wanted


def test_phantom_vessels_shine_in_the_liver():
    volume = phantom("phantom_002")
    tissue = volume.liver_mask & ~volume.vessels.hepatic & ~volume.vessels.portal
    for mask in (volume.vessels.hepatic & volume.liver_mask, volume.vessels.portal & volume.liver_mask):
        assert mask.sum() > 20
        assert volume.hu[mask].mean() > volume.hu[tissue].mean() + 10


@pytest.mark.skipif(not (DATA / "ircad_dicom").is_dir(), reason="LIVER_DATA has no ircad_dicom")
def test_vessels_of_a_patient_of_ircad_lie_in_the_liver_and_shine():
    config = replace(configure(DATA / "ircad_dicom", "ircad"), couinaud=PLANES)
    (case,), _ = list_cases(config, labels_required=False)
    volume = read_case(case, config)
    median = np.median(volume.hu[volume.liver_mask])
    for mask in (volume.vessels.hepatic, volume.vessels.portal):
        inside = mask & volume.liver_mask
        assert inside.sum() > 10_000
        assert volume.hu[inside].mean() > median
    assert volume.vessels.undivided is None
