"""Which volumes the slices of one series make, by their headers alone: phases that share a series are told apart."""

from __future__ import annotations

import pytest

from pipeline.archive.dicom.headers import SliceHeader
from pipeline.archive.dicom.split import split_series
from pipeline.archive.members import Member
from pipeline.errors import CaseError

UNEVEN = "SLICE_INCREMENT_INCONSISTENT"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def header(z, acquisition="1", orientation=AXIAL, patient=b"", **values):
    """One slice at a height in mm."""
    name = f"{z} {acquisition}"
    return SliceHeader(
        member=Member(name, bytes),
        digest=name.encode(),
        series="1.2.3",
        patient=patient,
        frame="",
        matrix=(512, 512),
        pixel_spacing_mm=(0.7, 0.7),
        orientation=orientation,
        position_mm=(0.0, 0.0, z),
        rescale=(1.0, -1024.0),
        acquisition=acquisition,
        **values,
    )


def stack(start, count=30, step=5.0, **values):
    return [header(start + step * k, **values) for k in range(count)]


def split(headers, *repairs):
    """Name, number of slices, step and repairs of each volume."""
    parts, _ = split_series(headers, "the image", repairs)
    return [(part.name, len(part.series.slices), part.series.step_mm, part.series.repairs) for part in parts]


TWO = [("acquisition 1", 30, 5.0, ()), ("acquisition 2", 30, 5.0, ())]


@pytest.mark.parametrize("repairs", [(), (UNEVEN,)])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1.5, 2.0, 2.5])
def test_two_phases_are_never_laid_between_each_other(offset, repairs):
    """Half a step apart they would make an even volume of 60 slices, otherwise one that could be mended."""
    assert split(stack(0.0) + stack(offset, acquisition="2"), *repairs) == TWO


def test_a_phase_that_lacks_a_slice_is_mended_by_itself():
    late = [item for item in stack(1.5, acquisition="2") if item.position_mm[2] != 51.5]
    assert split(stack(0.0) + late, UNEVEN) == [TWO[0], ("acquisition 2", 29, 5.0, (UNEVEN,))]
    with pytest.raises(CaseError, match=UNEVEN):
        split(stack(0.0) + late)


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"patient": b"another"}, "MIXED_PATIENTS"),
        ({"orientation": (1.0, 0.0, 0.0, 0.0, 0.8, 0.6)}, "IMAGE_ORIENTATION_INCONSISTENT"),
    ],
)
def test_acquisitions_of_two_patients_or_orientations_are_no_phases(other, code):
    with pytest.raises(CaseError, match=code):
        split(stack(0.0) + stack(2.5, acquisition="2", **other), UNEVEN, "GANTRY_TILT")


@pytest.mark.parametrize("length", [1, 4, 15])
def test_acquisitions_that_follow_each_other_are_one_volume(length):
    slices = [header(5.0 * k, acquisition=str(k // length)) for k in range(30)]
    assert split(slices) == [("", 30, 5.0, ())]
    assert split(slices[:10] + slices[11:], UNEVEN) == [("", 29, 5.0, (UNEVEN,))]


@pytest.mark.parametrize(("noise", "dropped"), [(2e-5, 0), (0.1, 3)])
def test_slices_of_another_orientation_are_dropped_and_noise_is_not(noise, dropped):
    """Three of 40 slices differ, on either side of a cosine of 0.0005, where rounding to three digits changes."""
    turned = [(1.0, cosine, 0.0, -cosine, 1.0, 0.0) for cosine in (0.00049, 0.00049 + noise)]
    slices = stack(0.0, 37, orientation=turned[0]) + stack(185.0, 3, orientation=turned[1])
    parts, count = split_series(slices, "the image")
    assert ([len(part.series.slices) for part in parts], count) == ([40 - dropped], dropped)


def test_a_small_difference_of_orientation_sets_the_series_aside():
    slices = stack(0.0, 37) + stack(185.0, 3, orientation=(1.0, 5e-4, 0.0, -5e-4, 1.0, 0.0))
    with pytest.raises(CaseError, match="IMAGE_ORIENTATION_INCONSISTENT"):
        split(slices)


def test_tilted_phases_are_told_apart_where_tilt_is_accepted():
    tilted = (1.0, 0.0, 0.0, 0.0, 0.8, 0.6)
    slices = stack(0.0, orientation=tilted) + stack(0.0, acquisition="2", orientation=tilted)
    assert [item[0] for item in split(slices, "GANTRY_TILT")] == ["acquisition 1", "acquisition 2"]
