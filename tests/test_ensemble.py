"""The segmenter and CouinaudNet together: shares of the mean, lesions that stay, and CouinaudNet in the whole liver."""

import numpy as np
import pytest

from pipeline.config import GridConfig, SegmenterConfig
from pipeline.geometry import to_native
from pipeline.labeled_slices import stack_neighbors
from pipeline.models import checkpoint
from pipeline.prediction import TumorSpotter
from pipeline.run_folder import RunFolder
from pipeline.segmenter.dataset import NetworkInput, read_liver_slices
from pipeline.segmenter.ensemble import combine_probabilities, spot_whole_liver, subtract_fat
from pipeline.sweep.config_file import replace_settings
from pipeline.training import make_optimizer

from .couinaudnet_cases import HEIGHT, WIDTH, draw_couinaud_map, tiny_config, write_case


def four_pixels(*values):
    return np.float32(values).reshape(1, 1, 4)


def black_slice(median):
    return {"image": np.zeros((1, 1, 4), np.uint8), "liver_median_hu": np.float32([median])}


def slices_of(shape):
    return NetworkInput(
        np.ones(shape, np.float32), np.ones(shape, bool), np.arange(shape[0], dtype=np.int32), (5, 2, 2)
    )


@pytest.mark.parametrize(("share", "expected"), [(0.0, [0.2, 0.8, 0.9, 0]), (0.25, [0.4, 0.6, 0.9, 0.25])])
def test_mean_of_both_networks(share, expected):
    segmented, spotted = four_pixels(0.2, 0.8, 0.9, 0.0), four_pixels(1.0, 0.0, 0.9, 1.0)
    config = SegmenterConfig(couinaudnet_share=share)
    mean = combine_probabilities(segmented, spotted, four_pixels(0, 0, 0, 0), slices_of((1, 1, 4)), config)
    np.testing.assert_allclose(mean.ravel(), expected, atol=1e-6)
    alone = combine_probabilities(segmented, None, four_pixels(0, 0, 0, 0), slices_of((1, 1, 4)), config)
    np.testing.assert_allclose(alone.ravel(), segmented.ravel(), atol=1e-6)


def test_a_lesion_stays_that_reaches_the_peak_and_is_above_fat_on_the_mean():
    config = SegmenterConfig(lesion_peak=0.6, threshold=0.4)
    probability = np.float32([[[0.5, 0.7, 0.2, 0.5, 0.5, 0, 0.9, 0.9]], [[0.1, 0, 0.5, 0, 0, 0, 0, 0]]])
    above_fat_hu = np.float32([[[-10, 20, 80, 80, 80, 0, -10, -10]], [[0, 0, 10, 0, 0, 0, 0, 0]]])
    slices = slices_of(probability.shape)
    expected = np.float32([[[0.5, 0.7, 0.2, 0.5, 0.5, 0, 0, 0]], [[0.1, 0, 0.5, 0, 0, 0, 0, 0]]])
    np.testing.assert_array_equal(combine_probabilities(probability, None, above_fat_hu, slices, config), expected)
    slices.slice_index[1] = 3  # now the slices do not touch: of the first lesion only its own half is left
    expected[0, 0, 3:5] = expected[1, 0, 2] = 0
    np.testing.assert_array_equal(combine_probabilities(probability, None, above_fat_hu, slices, config), expected)


def test_a_lesion_stays_that_both_networks_see_at_one_place():
    config = SegmenterConfig(lesion_agreement=0.6, couinaudnet_share=0.5, threshold=0.4)
    segmented = np.float32([[[1.0, 0.7, 0, 1.0, 0.5, 0, 0.9, 0.1, 0]], [[0, 0, 0, 0, 0, 0, 0, 0, 0]]])
    spotted = np.float32([[[0.1, 0.7, 0, 0.5, 0.9, 0, 0.1, 0.9, 0]], [[0, 0, 0, 0, 0, 0, 0, 0.9, 0]]])
    expected = np.float32([[[0.55, 0.7, 0, 0, 0, 0, 0, 0, 0]], np.zeros((1, 9))])
    slices, flat = slices_of(segmented.shape), np.zeros_like(segmented)
    np.testing.assert_allclose(combine_probabilities(segmented, spotted, flat, slices, config), expected, atol=1e-6)
    np.testing.assert_array_equal(combine_probabilities(segmented, None, flat, slices, config), segmented)


def test_without_limits_every_lesion_stays_and_none_is_no_error():
    nothing = np.zeros((2, 3, 4), np.float32)
    np.testing.assert_array_equal(
        combine_probabilities(nothing, None, nothing, slices_of(nothing.shape), SegmenterConfig()), nothing
    )
    weak, rows = np.full((1, 1, 4), 0.5, np.float32), black_slice(median=80.0)
    above_fat_hu = subtract_fat(rows, GridConfig(), SegmenterConfig())
    kept = combine_probabilities(weak, None, above_fat_hu, slices_of((1, 1, 4)), SegmenterConfig())
    np.testing.assert_array_equal(kept, weak)


def test_what_a_tumor_encloses_reaches_the_threshold_inside_the_liver():
    segmented = np.full((1, 5, 5), 0.1, np.float32)
    segmented[0, 1:4, 1:4] = 0.9
    segmented[0, 2, 2] = 0.2
    flat, config = np.zeros_like(segmented), SegmenterConfig(fill_holes=True, threshold=0.4)
    slices = slices_of(segmented.shape)
    expected = segmented.copy()
    expected[0, 2, 2] = 0.4
    filled = combine_probabilities(segmented, None, flat, slices, config)
    np.testing.assert_allclose(filled, expected, rtol=2e-5)
    assert filled[0, 2, 2] > np.float32(0.4)
    slices.liver_mask[0, 2, 2] = False
    np.testing.assert_array_equal(combine_probabilities(segmented, None, flat, slices, config), segmented)


@pytest.mark.parametrize("spacing", [0.671, 0.703, 0.736, 0.782, 0.8])
@pytest.mark.parametrize("threshold", [0.35, 0.4, 0.9])
def test_a_filled_core_is_whole_on_the_native_grid(threshold, spacing):
    grid = GridConfig(height=64, width=64, spacing_mm=2.0)
    radius = np.hypot(*(np.mgrid[:64, :64] - 31.5))
    ring = np.where((radius >= 12) & (radius < 20), np.float32(0.95), np.float32(0))[None]
    config = SegmenterConfig(fill_holes=True, threshold=threshold)
    probability = combine_probabilities(ring, None, np.zeros_like(ring), slices_of(ring.shape), config)
    native = (1, int(128 / spacing), int(128 / spacing))
    mask = to_native(probability, np.arange(1), native, (5.0, spacing, spacing), (0, 0, 0), grid, threshold)
    middle_mm = (np.mgrid[: native[1], : native[2]] + 0.5) * spacing - 64
    assert mask[0][np.hypot(*middle_mm) < 36].all()


def test_share_needs_a_couinaudnet():
    with pytest.raises(ValueError, match=r"couinaudnet_share: 0.5 needs a CouinaudNet .* got reference"):
        SegmenterConfig(couinaudnet_share=0.5, labels="reference")


@pytest.fixture
def run(tmp_path):
    """A volume of nine slices in three slabs, and an untrained network that sees neighbors."""
    run = RunFolder(str(tmp_path))
    config = tiny_config(tmp_path, context_slices=1).couinaudnet
    model = checkpoint.build_couinaudnet(config, 0)
    for parameter in model.parameters():
        parameter.data *= 3  # so that it reacts to what it sees
    checkpoint.write_checkpoint(run, model, make_optimizer(model, config), checkpoint.TrainingState().after({}))
    checkpoint.publish(run, config, "epoch-00001", {})
    return run


def test_spotter_sees_the_whole_liver_and_every_slice_with_its_neighbors(run):
    volume = write_case(run, "case", slices=9)
    config = tiny_config(run.uri)
    spotter = TumorSpotter(run, config, "cpu")
    probability = spot_whole_liver(spotter, read_liver_slices(run, volume, config))
    assert probability.shape == (9, HEIGHT, WIDTH)
    assert (probability.any(axis=0) == (draw_couinaud_map() > 0)).all()
    shorter = write_case(run, "case", slices=5)
    again = spot_whole_liver(spotter, read_liver_slices(run, shorter, config))
    np.testing.assert_allclose(again[1:4], probability[1:4], atol=1 / 255)
    assert np.abs(again[4] - probability[4]).max() > 1 / 255


@pytest.mark.parametrize(("slab_length", "batch_size", "most"), [(4, 2, 4), (3, 2, 2), (2, 5, 5)])
def test_spotter_takes_a_long_volume_in_chunks_with_the_same_bits(run, monkeypatch, slab_length, batch_size, most):
    volume, config = write_case(run, "case", slices=9), tiny_config(run.uri, prediction_batch_size=batch_size)
    rows = read_liver_slices(run, volume, config)
    spotter = TumorSpotter(run, replace_settings(config, {"grid.slab_length": slab_length}), "cpu")
    index = rows["slice_index"]
    image, couinaud_map = (stack_neighbors(rows[name], index, index, 1) for name in ("image", "couinaud_map"))
    whole = spotter.predict(image, couinaud_map > 0, rows["liver_median_hu"], rows["couinaud_map"] > 0)
    predict, sizes = spotter.predict, []
    monkeypatch.setattr(spotter, "predict", lambda *parts: sizes.append(len(parts[0])) or predict(*parts))
    np.testing.assert_array_equal(spot_whole_liver(spotter, rows), (whole / 255).astype(np.float32))
    assert (max(sizes), sum(sizes)) == (most, 9)


@pytest.mark.parametrize(("median", "limit"), [(140.0, 10.0), (95.0, 10.0), (80.0, 0.0), (30.0, -50.0)])
def test_fat_is_below_10_hu_and_80_below_the_median_of_the_liver(median, limit):
    config = SegmenterConfig(lesion_hu=10.0, lesion_relative_hu=-80.0)
    above = subtract_fat(black_slice(median), GridConfig(), config)
    assert above.dtype == np.float32
    np.testing.assert_array_equal(above, np.full((1, 1, 4), GridConfig().window_low_hu - limit, np.float32))
