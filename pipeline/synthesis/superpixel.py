"""Tumors in the style of the authors' published code: a super-pixel turned into a deformed ellipse.

After SR-TTT (Lyu et al., IEEE TMI 41(9), 2022), with the liver replaced by the chosen Couinaud segments. Its numbers
are kept and converted: gray values of its window [-200, 250] to HU, pixels of its 512 x 512 slices to millimeters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Int64Array

HU_PER_GRAY = 450 / 255
"""HU of one gray value in the authors' window."""
AUTHORS_PIXEL_MM = 0.75
"""Typical pixel of the authors' slices."""
BLUR_SIGMA_PX = 2.0
"""Their final denoising acts as a Gaussian of this width, in their pixels."""
BLUR_NOISE_FACTOR = 0.14
"""What that blur leaves of the standard deviation of white noise."""
UNIFORM_NOISE_FACTOR = 0.163
"""Standard deviation of uniform noise on [-1, 1] after a Gaussian of 1 px; it falls with the Gaussian's width."""
MINIMUM_REGION_PX = 30
"""Smaller regions are not cut into super-pixels."""


@dataclass(frozen=True)
class SuperpixelTumor:
    """One tumor of this style.

    Args:
        superpixels: Number of super-pixels into which the segments are cut.
        choice: Which of them, as a fraction in [0, 1).
        displacement_px: Standard deviation of the elastic deformation.
        displacement_sigma_px: Its smoothness.
        contrast_hu: Tumor minus surrounding liver.
        noise_std_hu: Standard deviation of the tumor's texture.
        blur_sigma_px: Width of the soft edge and grain of the texture.
        seed: Of the deformation and the texture.
    """

    superpixels: int
    choice: float
    displacement_px: float
    displacement_sigma_px: float
    contrast_hu: float
    noise_std_hu: float
    blur_sigma_px: float
    seed: int

    def paint(self, hu: Float32Array, region: BoolArray) -> tuple[Float32Array, BoolArray]:
        """Return the slice with this tumor, and the tumor's mask.

        Args:
            hu: Slice in HU, shape (1, H, W).
            region: Pixels of the chosen segments, at least one, shape (1, H, W).
        """
        from scipy.ndimage import gaussian_filter

        window = (0, *_bounding_box(region[0]))
        inside, before = region[window], hu[window]
        rng = np.random.default_rng(self.seed)
        mask = self._deform(rng, fit_ellipse(self._choose_superpixel(before, inside)) & inside, inside)
        soft = gaussian_filter(mask.astype(np.float32), self.blur_sigma_px) * inside
        texture = gaussian_filter(rng.standard_normal(mask.shape), self.blur_sigma_px)
        texture *= self.noise_std_hu / texture.std() if texture.size > 1 else 0.0
        tumor = before[mask].mean() + self.contrast_hu + texture
        painted, painted_mask = hu.copy(), np.zeros_like(region)
        painted[window] += (soft * (tumor - before)).astype(np.float32)
        painted_mask[window] = mask
        return painted, painted_mask

    def _choose_superpixel(self, hu: Float32Array, region: BoolArray) -> BoolArray:
        """Cut the region into super-pixels (SLIC) and return one of them; a region too small to cut is one itself."""
        from skimage.segmentation import slic

        if self.superpixels == 1 or np.count_nonzero(region) < MINIMUM_REGION_PX:
            return region
        labels: Int64Array = slic(
            hu, n_segments=self.superpixels, compactness=10, mask=region, channel_axis=None, start_label=1
        )
        present = np.unique(labels[region & (labels > 0)])
        return labels == present[int(self.choice * len(present))] if len(present) else region

    def _deform(self, rng: np.random.Generator, mask: BoolArray, region: BoolArray) -> BoolArray:
        """Deform a mask elastically inside a region; a mask that would vanish is returned as it is."""
        from scipy.ndimage import gaussian_filter, map_coordinates

        fields = [gaussian_filter(rng.standard_normal(mask.shape), self.displacement_sigma_px) for _ in range(2)]
        moved = [
            axis + field * (self.displacement_px / max(float(field.std()), 1e-6))
            for axis, field in zip(np.indices(mask.shape), fields, strict=True)
        ]
        deformed: BoolArray = (map_coordinates(mask.astype(np.float32), moved, order=1) > 0.5) & region
        return deformed if deformed.any() else mask


def draw_superpixel_tumor(rng: np.random.Generator, liver_share: float, spacing_mm: float) -> SuperpixelTumor:
    """Draw a tumor with the authors' distributions; its place follows from the segments when it is painted.

    Args:
        rng: Generator.
        liver_share: Area of the chosen segments over that of the slice's liver. The authors cut the whole liver into
            2..44 super-pixels; the segments get their share of them, so that tumors keep their sizes.
        spacing_mm: In-plane pixel spacing.
    """
    to_px = AUTHORS_PIXEL_MM / spacing_mm
    alpha, sigma = float(rng.integers(20, 200)), rng.uniform(4, 9)
    return SuperpixelTumor(
        superpixels=max(1, round(int(rng.integers(2, 45)) * liver_share)),
        choice=rng.random(),
        displacement_px=alpha * UNIFORM_NOISE_FACTOR / sigma * to_px,
        displacement_sigma_px=sigma * to_px,
        contrast_hu=(-100 + 150 * rng.beta(6, 4)) * HU_PER_GRAY,
        noise_std_hu=(5 + 60 * rng.beta(4, 6)) * HU_PER_GRAY * BLUR_NOISE_FACTOR,
        blur_sigma_px=BLUR_SIGMA_PX * to_px,
        seed=int(rng.integers(2**32)),
    )


def fit_ellipse(mask: BoolArray) -> BoolArray:
    """Return the filled ellipse with the center and second moments of a mask.

    Args:
        mask: Shape (H, W), at least one pixel. Five pixels or fewer, or pixels on a line, are returned as they are.
    """
    points = np.argwhere(mask).astype(np.float64)
    if len(points) <= 5:
        return mask
    covariance = np.cov(points.T)
    if np.linalg.det(covariance) < 1e-6:
        return mask
    offsets = np.indices(mask.shape).reshape(2, -1).T - points.mean(axis=0)
    distance = np.einsum("ij,jk,ik->i", offsets, np.linalg.inv(covariance), offsets)
    ellipse: BoolArray = (distance <= 4.0).reshape(mask.shape)
    return ellipse


def _bounding_box(region: BoolArray) -> tuple[slice, slice]:
    """Return the smallest window that holds all true pixels."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
