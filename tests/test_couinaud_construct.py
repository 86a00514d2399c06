"""What `construct` promises whatever the method, and which method `auto` takes."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.couinaud as couinaud
from pipeline.config import CouinaudConfig
from pipeline.couinaud import CONSTRUCTORS, CouinaudMap, construct
from pipeline.couinaud.checks import (
    FRACTION_DEVIATIONS,
    MEAN_FRACTIONS,
    check_map,
    flag_fractions,
    require_named_segments,
)
from pipeline.couinaud.methods import choose_method, list_methods
from pipeline.errors import CaseError
from pipeline.image_labels import encode_segments
from pipeline.volume import Geometry, Vessels, Volume
from tests.couinaud_cases import phantom


def make_volume(liver, spacing_mm=(20.0, 20.0, 20.0), **parts) -> Volume:
    liver = np.asarray(liver, bool)
    hu = np.zeros(liver.shape, np.int16)
    return Volume("a", hu, liver, Geometry(liver.shape, spacing_mm), np.zeros(8, bool), **parts)


def stub(monkeypatch, labels, flags=()):
    """Let every constructor give these labels."""
    monkeypatch.setattr(couinaud, "find_constructor", lambda name: lambda *_: CouinaudMap(labels, name, flags))


@settings(max_examples=50)
@given(st.data())
def test_precomputed_map_divides_the_liver_or_the_case_is_rejected(data):
    shape = data.draw(st.tuples(*[st.integers(2, 5)] * 3))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    liver = random.random(shape) < data.draw(st.floats(0, 1))
    labels = random.integers(0, 9, shape).astype(np.uint8) * (random.random(shape) < data.draw(st.floats(0, 1)))
    volume = make_volume(liver, couinaud_map=labels)
    try:
        made = construct(volume, CouinaudConfig(maximum_unlabeled_fraction=0.5))
    except CaseError as rejected:
        assert rejected.code in {"EMPTY_LIVER", "LIVER_VOLUME", "LIVER_WHOLE_IMAGE", "COUINAUD_INCOMPLETE"}  # noqa: PT017
        return
    np.testing.assert_array_equal(made.labels > 0, liver)
    assert made.labels.max() <= 8
    np.testing.assert_array_equal(made.labels[(labels > 0) & liver], labels[(labels > 0) & liver])
    counts = [np.mean(made.labels[liver] == segment) for segment in range(1, 9)]
    for segment, share, mean, deviation in zip(range(1, 9), counts, MEAN_FRACTIONS, FRACTION_DEVIATIONS, strict=True):
        unusual = share == 0 or abs(share - mean) > 3 * deviation
        assert (f"FRACTION_SEGMENT_{segment}" in made.flags) == unusual


def test_usual_shares_are_not_flagged_and_flags_are_sorted(monkeypatch):
    assert flag_fractions(np.array(MEAN_FRACTIONS)) == []
    volume = phantom()
    stub(monkeypatch, np.where(volume.liver_mask, 5, 0).astype(np.uint8), ("ZEBRA", "LIVER_CUT"))
    flags = construct(volume, CouinaudConfig(method="shape")).flags
    assert flags == tuple(sorted([*(f"FRACTION_SEGMENT_{n}" for n in range(1, 9)), "LIVER_CUT", "ZEBRA"]))


@pytest.mark.parametrize("spoil", ["outside", "missing", "nine", "shape", "dtype"])
def test_map_that_does_not_divide_the_liver_is_a_program_error(spoil):
    liver = np.zeros((3, 4, 5), bool)
    liver[1:, 1:, 1:] = True
    labels = np.where(liver, 3, 0).astype(np.uint8)
    labels[0, 0, 0] = spoil == "outside"
    labels[1, 1, 1] = {"missing": 0, "nine": 9}.get(spoil, 3)
    labels = labels[:-1] if spoil == "shape" else labels.astype(np.int16) if spoil == "dtype" else labels
    with pytest.raises(ValueError, match="constructor planes gave"):
        check_map(CouinaudMap(labels, "planes"), liver)


@pytest.mark.parametrize("method", [*CONSTRUCTORS, "auto"])
@pytest.mark.parametrize(
    ("liver", "code"),
    [
        (np.zeros((4, 5, 6)), "EMPTY_LIVER"),
        (np.arange(120).reshape(4, 5, 6) == 60, "LIVER_VOLUME"),
        (np.ones((4, 5, 6)), "LIVER_WHOLE_IMAGE"),
    ],
)
def test_what_is_no_liver_is_refused_by_every_method(method, liver, code):
    with pytest.raises(CaseError, match=code):
        construct(make_volume(liver), CouinaudConfig(method=method))


MAP, MASK = np.ones((2, 2, 2), np.uint8), np.ones((2, 2, 2), bool)


@pytest.mark.parametrize(
    ("parts", "network", "method"),
    [
        ({"couinaud_map": MAP, "vessels": Vessels(MASK, MASK)}, "folder", "precomputed"),
        ({"vessels": Vessels(MASK, MASK)}, "folder", "network"),
        ({"vessels": Vessels(MASK, MASK)}, "", "planes"),
        ({"vessels": Vessels(hepatic=MASK)}, "", "shape"),
        ({"vessels": Vessels(undivided=MASK)}, "", "planes"),
        ({}, "", "shape"),
    ],
)
def test_auto_takes_the_first_method_with_input(parts, network, method):
    volume = make_volume(MASK, **parts)
    assert choose_method(volume, CouinaudConfig(network=network)) == method
    assert choose_method(volume, CouinaudConfig(method="territories")) == "territories"


def test_methods_to_compare():
    volume = make_volume(MASK, couinaud_map=MAP)
    assert list_methods(volume, CouinaudConfig()) == ["shape"]
    assert list_methods(volume, CouinaudConfig(network="folder")) == ["network", "shape"]
    full = replace(volume, vessels=Vessels(undivided=MASK))
    assert list_methods(full, CouinaudConfig()) == ["planes", "territories", "shape"]


def test_precomputed_needs_no_torch():
    code = (
        "import sys; from tests.couinaud_cases import phantom; from pipeline.couinaud import construct;"
        "from pipeline.config import CouinaudConfig; construct(phantom(), CouinaudConfig());"
        "assert not {'torch', 'nnunetv2', 'ray'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_73_a_named_segment_must_be_in_the_map():
    made = CouinaudMap(np.array([[[0, 1, 2, 4]]], np.uint8), "planes")
    require_named_segments(made, encode_segments([1, 4]))
    require_named_segments(made, encode_segments([]))
    with pytest.raises(CaseError, match=r"names segments 2, 3, 8, the Couinaud map \(planes\) has no segment 3, 8"):
        require_named_segments(made, encode_segments([2, 3, 8]))
