"""Every transfer syntax that CT comes in gives the same voxels, also frame by frame."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    EnhancedCTImageStorage,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.archive.dicom.attributes import parse
from pipeline.archive.dicom.headers import HEADER_KEYWORDS, read_headers
from pipeline.archive.dicom.series import decode_hu, rescale_to_hu
from pipeline.archive.dicom.split import split_series
from pipeline.archive.members import open_members
from pipeline.errors import CaseError
from tests.archive_cases import ORIGIN_MM, SPACING_MM, make_hu, make_slices, save_slices

RAMP = ((np.arange(12 * 16) * 37) % 4096).astype(np.uint16).reshape(12, 16)
"""What the codestreams hold. pydicom does not write these three; imagecodecs 2026.3.6 did."""
CODESTREAMS = {
    JPEGLSLossless: (
        "/9j/6AAgU1BJRkYAAgAAAQAAAAwAAAAQChAGAQAAASwAAAEs/+gACAAAAAH/2P/3AAsQAAwAEAEBEQD/+AANAf//ABIAQwEUAED/2gAIAQEAAA"
        "AAokxJiTEeRZDoM/iTEeRZDoM/nqUESokSNIlCoE+nk6nFtaWVhEpKCurKqopqSioJ6enLVqxEhJ6xYrVqlSpUpUqVKhQkZJyhQoTp06dOnTJk"
        "yZMkRJqZMmTKqqqqqqqqKKEkxRRRRRRRNNNNNNMAAAAA34HaYAQBAEAgEAgEBAQEBAQEAEn0oJpppppppppJJJJIhZMUpSlKUpSlKSlEBJaUpS"
        "lKUpSlKUofJKSlKUpSqqqqqHj/2Q=="
    ),
    JPEGLosslessSV1: (
        "/9j/xAAYAAEBAQEBAAAAAAAAAAAAAAAJBgsKDP/DAAsMAAwAEAEAEQD/2gAIAQAABgAA8/8A0tLS0tLS0tLS0tLS0tLS9KCUJQlCUJQlCUJQlC"
        "UJQlCUJQlHSglCUJQlCUJQlCUJQlCUJQlCUJR0oJQlCUJQlCUJQlCUJQlCUJQlCUdKCUJQlCUJQlCUJQlCUJQlCUJQlHSglCUJQlCUJQlCUJQl"
        "CUJQlCUJR0oJQlCUJQlCUJQlCUJQlCUJQlHhJ/En4k+JPiT4k+JPiT4k+JPiT4k+JPiT4k+JP6SjpQShKEoShKEoShKEoShKEoShKEo6UEoShK"
        "EoShKEoShKEoShKEoShKOlBKEoShKEoShKEoShKEoShKEoSjpQShKEoShKEoShKEoShKEoShKEoP/Z"
    ),
    HTJ2KLossless: (
        "/0//UQApQAAAAAAQAAAADAAAAAAAAAAAAAAAEAAAAAwAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJ"
        "CQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAMcAAf+TwAAmq/EFB3QAAMAAE0AAE0AAEoCW/gIHdAAS+AMHdAD7AEd0"
        "AMAAE0AAFRAABGA4CAGCdADy0T3+AOI0ABEzAMAAFTAABasAAFSAZJ79oAiMIVYA/u1f/36AD83czGY28QB+5kIAz1gAf/z7oBCMolYAwAAtCA"
        "AF00AAJwiCRLWHREjw54AohHCCeAD/f/9//3//f/9/77//dUlPetKTnvSkJz356EssrpjAS/ZjAey9AP7v+YDCNQD/2Q=="
    ),
}


def read(folder):
    with open_members(folder, "the image") as members:
        headers = []
        for member in members:
            headers += read_headers(member, parse(member.read(), "x", HEADER_KEYWORDS), member.name.encode(), "x")
        return [decode_hu(part.series, "the image") for part in split_series(headers, "the image")[0]], headers


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEG2000], ids=lambda item: item.name)
def test_30_32_compressed_slices(tmp_path, syntax):
    expected = np.random.default_rng(0).integers(-1024, 2000, (6, 64, 64)).astype(np.int16)
    slices = make_slices((expected + 1024).astype(np.uint16), rescale=(1, -1024))
    for dataset in slices:
        options = {"j2k_psnr": [200]} if syntax == JPEG2000 else {}
        dataset.compress(syntax, generate_instance_uid=False, **options)
        dataset.LossyImageCompression = "01" if syntax == JPEG2000 else "00"
    save_slices(slices, tmp_path)
    ((hu, _),), headers = read(tmp_path)
    np.testing.assert_allclose(hu, expected, atol=1 if syntax == JPEG2000 else 0)
    assert headers[0].lossy == (syntax == JPEG2000)


@pytest.mark.parametrize("syntax", CODESTREAMS, ids=lambda item: item.name)
def test_29_31_33_compressed_slices(tmp_path, syntax):
    slices = make_slices(np.stack([RAMP] * 6), rescale=(1, -1024))
    for dataset in slices:
        dataset.PixelData = encapsulate([base64.b64decode(CODESTREAMS[syntax])])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    save_slices(slices, tmp_path)
    ((hu, _),), _ = read(tmp_path)
    np.testing.assert_array_equal(hu, np.stack([RAMP] * 6).astype(np.int16) - 1024)


def make_enhanced(phases=1, frames_said=None) -> Dataset:
    """One file of all slices, the last first; a later phase 100 HU higher."""
    slices = make_slices(make_hu())
    dataset = slices[0]
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedCTImageStorage, frames_said or 6 * phases
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = list(SPACING_MM[1:]), [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for phase in range(phases):
        for item in slices[::-1]:
            plane, values, content, frame = Dataset(), Dataset(), Dataset(), Dataset()
            plane.ImagePositionPatient = item.ImagePositionPatient
            values.RescaleSlope, values.RescaleIntercept = 1, 100 * phase
            content.FrameAcquisitionNumber = phase + 1
            frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Sequence([plane]), Sequence([values])
            frame.FrameContentSequence = Sequence([content])
            frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.PixelData = make_hu()[::-1].tobytes() * phases
    for keyword in (
        "PixelSpacing",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(dataset, keyword)
    return dataset


@pytest.mark.parametrize("compressed", [False, True])
def test_28_enhanced_object_is_a_volume(tmp_path, compressed):
    dataset = make_enhanced()
    if compressed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    save_slices([dataset], tmp_path)
    ((hu, geometry),), _ = read(tmp_path)
    np.testing.assert_array_equal(hu, make_hu())
    np.testing.assert_allclose(geometry.origin_mm, ORIGIN_MM)


def test_28_phases_of_an_enhanced_object_are_volumes(tmp_path):
    save_slices([make_enhanced(phases=2)], tmp_path)
    (first, second), _ = read(tmp_path)
    np.testing.assert_array_equal(first[0], make_hu())
    np.testing.assert_array_equal(second[0], make_hu() + 100)


def test_36_enhanced_object_that_lies_about_its_frames(tmp_path):
    save_slices([make_enhanced(frames_said=100_000)], tmp_path)
    with pytest.raises(CaseError, match="MULTIFRAME: x: a file has 100000 frames and describes 6"):
        read(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (2.0, 7.0), (0.5, -3.0), (-1.0, 0.0)])
def test_rescaling_is_that_of_real_numbers(dtype, slope, intercept):
    stored = np.array([[0, 1, 2, 100], [200, 127, 3, 255]]).astype(dtype)
    expected = np.rint(stored.astype(np.float64) * slope + intercept)
    np.testing.assert_array_equal(rescale_to_hu(stored, slope, intercept), expected)


def test_values_beyond_int16_are_refused_on_both_paths():
    stored = np.array([0, 60_000], np.uint16)
    for slope in (1.0, 1.5):
        with pytest.raises(CaseError, match="HU_RANGE"):
            rescale_to_hu(stored, slope, 0.0)
    np.testing.assert_array_equal(rescale_to_hu(stored, 1.0, -30_000.0), [-30_000, 30_000])
