"""Dark edges: along the border only, in parts, and alike on neighboring slices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.synthesis.dark_edges import DARKENING_HU, FAT_HU, darken_edges

from .couinaudnet_cases import SPACING_MM, draw_couinaud_map

LIVER = np.stack([draw_couinaud_map() > 0] * 3)


def darken(seed, level=100.0):
    hu = np.full(LIVER.shape, level, np.float32)
    return darken_edges(np.random.default_rng(seed), hu, LIVER, SPACING_MM) - hu


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_only_the_liver_gets_darker_and_most_at_its_border(seed):
    change = darken(seed)
    assert (change <= 0).all()
    assert change.min() >= -DARKENING_HU[1]
    assert not change[~LIVER].any()
    assert np.array_equal(change[0], change[2])
    middle = np.s_[:, 18:22, 22:26]
    assert change[middle].min() > -0.02 * DARKENING_HU[1]


def test_about_half_of_the_border_stays_as_it_is():
    border = LIVER & ~np.roll(LIVER, 1, axis=1)
    unchanged = np.mean([(darken(seed)[border] > -1).mean() for seed in range(40)])
    assert unchanged == pytest.approx(0.5, abs=0.15)


def test_nothing_gets_darker_than_fat():
    assert (darken(0, level=FAT_HU + 5) >= -5).all()
    assert not darken(0, level=FAT_HU - 20).any()


def test_a_patch_within_the_liver_has_no_border():
    hu = np.full((3, 16, 16), 100, np.float32)
    liver = np.ones(hu.shape, bool)
    assert np.array_equal(darken_edges(np.random.default_rng(0), hu, liver, SPACING_MM), hu)
    liver[1, :, 0] = False
    changed = [
        (darken_edges(np.random.default_rng(seed), hu, liver, SPACING_MM) != hu).any(axis=(1, 2)) for seed in range(9)
    ]
    assert np.any(changed, axis=0).tolist() == [False, True, False]
