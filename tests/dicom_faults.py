"""Series with one fault each, named as in the list of fault cases, and the right answer to each.

A fault takes the slices of a good series and a folder, and writes what a scanner or an archive made of them.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from tests.dicom_archive_cases import CANARY, make_ct, make_series, save

FAULTS: dict[str, Fault] = {}


@dataclass(frozen=True)
class Fault:
    """A way of writing a series.

    Args:
        write: Takes slices and folder.
        code: Reason by which the series is set aside; empty if it is read.
        note: Note of a series that is read.
        skipped: Files that are counted under other reasons.
    """

    write: object
    code: str = ""
    note: str = ""
    skipped: tuple[str, ...] = ()


def fault(name, code="", note="", skipped=()):
    def add(write):
        FAULTS[name] = Fault(write, code, note, tuple(skipped))
        return write

    return add


def change(name, code="", note="", index=None, **values):
    """A fault that sets attributes of all slices, or of one; None deletes."""

    def write(slices, folder):
        for dataset in slices if index is None else [slices[index]]:
            for keyword, value in values.items():
                if value is None:
                    delattr(dataset, keyword)
                else:
                    setattr(dataset, keyword, value)
        save(slices, folder)

    FAULTS[name] = Fault(write, code, note)


@fault("01_MISSING_SLICE", "SLICE_INCREMENT_INCONSISTENT")
def missing_slice(slices, folder):
    save(slices[:5] + slices[6:], folder)


@fault("02_DUP_SLICE")
def copied_slice(slices, folder):
    save(slices, folder)
    (folder / "copy.dcm").write_bytes((folder / "IM0003.dcm").read_bytes())


@fault("03_DUP_POSITION", "DUPLICATE_POSITION")
def repeated_position(slices, folder):
    other = pydicom.dcmread(_write(slices[3], folder / "IM0099.dcm"))
    other.SOPInstanceUID = generate_uid()
    other.PixelData = other.PixelData[::-1]
    other.save_as(folder / "IM0099.dcm")
    save(slices, folder)


@fault("04_IRREGULAR_SPACING", "SLICE_INCREMENT_INCONSISTENT")
def irregular_spacing(slices, folder):
    for k in range(6, len(slices)):
        slices[k].ImagePositionPatient[2] += 0.4 * (k - 5)
    save(slices, folder)


@fault("05_SPACING_NOISE")
def noisy_spacing(slices, folder):
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[2] += (-1) ** k * 1e-6
    save(slices, folder)


@fault("06_GANTRY_TILT", "GANTRY_TILT")
def tilted(slices, folder):
    cosine, sine = np.cos(np.radians(15)), np.sin(np.radians(15))
    for dataset in slices:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, round(cosine, 6), round(-sine, 6)]
    save(slices, folder)


@fault("07_SHEARED", "GANTRY_TILT")
def sheared(slices, folder):
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[1] += 0.7 * k
    save(slices, folder)


@fault("08_MIXED_ORIENTATION", "IMAGE_ORIENTATION_INCONSISTENT")
def mixed_orientation(slices, folder):
    for dataset in slices[8:]:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    save(slices, folder)


@fault("08_LOCALIZER_INSIDE", skipped=["LOCALIZER"])
def localizer_inside(slices, folder):
    scout = _copy(
        slices[0], ImageOrientationPatient=[1, 0, 0, 0, 0, -1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    save([scout, *slices], folder)


@fault("08_UNNAMED_LOCALIZER")
def unnamed_localizer_inside(slices, folder):
    save([_copy(slices[0], ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), *slices], folder)


@fault("09_NON_AXIAL", "NON_AXIAL")
def coronal(slices, folder):
    for k, dataset in enumerate(slices):
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        dataset.ImagePositionPatient = [-100, -100 + 5 * k, 0]
    save(slices, folder)


@fault("11_TWO_SERIES")
def two_series(slices, folder):
    save(slices, folder)
    save(make_series(make_ct(9))[:5], folder, "other{}.dcm")


@fault("12_TWO_PHASES_BY_NUMBER")
def two_phases(slices, folder):
    _two_phases(slices, folder, AcquisitionNumber=2)


@fault("12_TWO_PHASES_BY_TIME")
def two_phases_by_time(slices, folder):
    _two_phases(slices, folder)


@fault("12_TWO_PHASES_UNTOLD", "DUPLICATE_POSITION")
def two_phases_untold(slices, folder):
    for dataset in slices:
        del dataset.AcquisitionTime
    _two_phases(slices, folder, AcquisitionTime="")


@fault("13_LOCALIZER", "TOO_FEW_SLICES")
def three_slices(slices, folder):
    save(slices[:3], folder)


@fault("15_ALL_SAME_POSITION", "NOT_A_VOLUME")
def dynamic(slices, folder):
    for dataset in slices:
        dataset.ImagePositionPatient = slices[0].ImagePositionPatient
    save(slices, folder)


change("16_SLICE_WITHOUT_POSITION", "POSITION_MISSING", index=4, ImagePositionPatient=None)
change("17_NO_POSITIONS", "POSITION_MISSING", ImagePositionPatient=None)


@fault("18_DIFFERENT_MATRIX", "MATRIX_INCONSISTENT")
def different_matrix(slices, folder):
    slices[4].Rows, slices[4].PixelData = 20, slices[4].PixelData[: 20 * 48 * 2]
    save(slices, folder)


change("19_ZERO_PIXEL_SPACING", "PIXEL_SPACING_INVALID", PixelSpacing=[0, 0])
change("19_NO_PIXEL_SPACING", "PIXEL_SPACING_INVALID", PixelSpacing=None)
change("20_ZERO_THICKNESS", SliceThickness=0)
change("21_SAME_INSTANCE_NUMBER", InstanceNumber=1)


@fault("22_REVERSED_NAMES")
def reversed_names(slices, folder):
    save(slices[::-1], folder, "image_{}")


@fault("23_JUNK_FILES", skipped=["EMPTY_FILE", "SYSTEM_FILE", "SYSTEM_FILE", "SYSTEM_FILE", "NOT_DICOM"])
def junk(slices, folder):
    save(slices, folder)
    (folder / "empty.dcm").touch()
    for name in ("Thumbs.db", "._IM0001.dcm", "DICOMDIR", f"{CANARY}.txt"):
        (folder / name).write_text("junk")


@fault("24_SHORT_PIXELDATA", "PIXELDATA_SHORT")
def short_pixels(slices, folder):
    slices[4].PixelData = slices[4].PixelData[:1000]
    save(slices, folder)


@fault("25_TRUNCATED_FILE", "PIXELDATA_UNREADABLE|PIXELDATA_SHORT")
def truncated(slices, folder):
    _cut(save(slices, folder) / "IM0004.dcm", -900)


@fault("25_TRUNCATED_HEADER", "DICOM_UNREADABLE")
def truncated_header(slices, folder):
    _cut(save(slices, folder) / "IM0011.dcm", 380)


@fault("26_RGB_PAGE", skipped=["NOT_GRAYSCALE"])
def color_page(slices, folder):
    page = _copy(slices[0], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    page.PixelData = page.PixelData * 3
    save([*slices, page], folder)


@fault("26_SECONDARY_CAPTURE", skipped=["SECONDARY_CAPTURE"])
def capture(slices, folder):
    save([*slices, _copy(slices[0], SOPClassUID=SecondaryCaptureImageStorage)], folder)


change("27_NOT_CT", "NOT_CT", Modality="MR")


@fault("30_JPEG2000_AND_OTHERS_SEE_CODECS")
def run_length(slices, folder):
    for dataset in slices:
        dataset.compress(RLELossless, generate_instance_uid=False)
    save(slices, folder)


change("30_LOSSY_IS_FLAGGED", note="LOSSY_COMPRESSION", LossyImageCompression="01")


@fault("34_DEFLATED")
def deflated(slices, folder):
    _transfer(slices, DeflatedExplicitVRLittleEndian)
    save(slices, folder)


@fault("34_BIG_ENDIAN")
def big_endian(slices, folder):
    _transfer(slices, ExplicitVRBigEndian)
    for dataset in slices:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
    save(slices, folder)


@fault("34_IMPLICIT_WITHOUT_PREAMBLE")
def bare(slices, folder):
    folder.mkdir(parents=True)
    for k, dataset in enumerate(slices):
        del dataset.file_meta
        pydicom.dcmwrite(folder / f"{k}", dataset, implicit_vr=True, little_endian=True)


@fault("35_UNKNOWN_TRANSFER_SYNTAX", "TRANSFER_SYNTAX_UNSUPPORTED|PIXELDATA_UNREADABLE")
def unknown_syntax(slices, folder):
    save(slices, folder)
    path = folder / "IM0004.dcm"
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.8.2.1\0"))


change("36_DIMENSION_LIE", "MATRIX_SIZE", index=4, Rows=65535)
change("36_FRAME_LIE", "MULTIFRAME", index=4, NumberOfFrames=100_000)


@fault("37_SLOPE_CHANGES")
def changing_slope(slices, folder):
    for k, dataset in enumerate(slices):
        stored = np.frombuffer(dataset.PixelData, np.int16)
        if k % 2:
            dataset.PixelData = (stored * 2 + 100).astype(np.int16).tobytes()
            dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-50"
    save(slices, folder)


change("38_NO_RESCALE", "RESCALE_MISSING", RescaleSlope=None, RescaleIntercept=None)


@fault("38_LOST_INTERCEPT", "HU_IMPLAUSIBLE")
def lost_intercept(slices, folder):
    for dataset in slices:
        stored = np.frombuffer(dataset.PixelData, np.int16) + 1024
        dataset.PixelData, dataset.PixelRepresentation = stored.astype(np.uint16).tobytes(), 0
    save(slices, folder)


change("39_SLOPE_ABSURD", "HU_RANGE", index=4, RescaleSlope=1e30)


@fault("39_DECIMAL_COMMA", "RESCALE_INVALID")
def decimal_comma(slices, folder):
    slices[4].RescaleSlope = "1.0"
    save(slices, folder)
    path = folder / "IM0004.dcm"
    data = path.read_bytes()
    place = data.index(b"\x28\x00\x53\x10")
    path.write_bytes(data[:place] + data[place:].replace(b"1.0 ", b"1,0 ", 1))


@fault("40_PADDING", note="PADDING_CLIPPED")
def padding(slices, folder):
    for dataset in slices:
        stored = np.frombuffer(dataset.PixelData, np.int16).copy()
        stored[:20] = -2000
        dataset.PixelData = stored.tobytes()
    save(slices, folder)


@fault("42_BAD_NUMBERS", "POSITION_MISSING")
def bad_numbers(slices, folder):
    save(slices, folder)
    path = folder / "IM0004.dcm"
    path.write_bytes(path.read_bytes().replace(b"-120.0\\-100.0", b"-120.0\\-1x0.0"))


change("43_MIXED_PATIENTS", "MIXED_PATIENTS", index=4, PatientID=f"{CANARY}-other")
change("44_FRAME_OF_REFERENCE", "FRAME_OF_REFERENCE_INCONSISTENT", index=4, FrameOfReferenceUID=generate_uid())


@fault("45_PATH_TRAVERSAL")
def traversal(slices, folder):
    for dataset in slices:
        dataset.PatientID = f"../../{CANARY}/\\..\\" + "x" * 40
        dataset.AccessionNumber = "../../CON"
    save(slices, folder)


@fault("46_CHARSETS")
def charsets(slices, folder):
    for dataset in slices:
        dataset.SpecificCharacterSet = "ISO 2022 IR 87"
        dataset.PatientName = f"{CANARY}"
    save(slices, folder)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"CANARY P", b"\x1b$B;3\xff\xfe"))


@fault("47_NO_SERIES_UID")
def unnamed_series(slices, folder):
    for dataset in slices:
        dataset.SeriesInstanceUID = dataset.StudyInstanceUID = ""
    save(slices, folder)


@fault("47_OVER_ANONYMISED")
def anonymous(slices, folder):
    for dataset in slices:
        for keyword in ("SOPClassUID", "SOPInstanceUID", "PatientName", "PatientID", "ImageType", "StudyInstanceUID"):
            delattr(dataset, keyword)
        dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = "1.2", "1.3"
    folder.mkdir(parents=True)
    for k, dataset in enumerate(slices):
        pydicom.dcmwrite(folder / f"{k}.dcm", dataset, enforce_file_format=False)


def _write(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def _copy(dataset: Dataset, **values) -> Dataset:
    other = deepcopy(dataset)
    other.SOPInstanceUID = generate_uid()
    for keyword, value in values.items():
        setattr(other, keyword, value)
    return other


def _two_phases(slices, folder, **values):
    """A second pass over the same positions, later."""
    late = make_series(make_ct(5))
    for first, second in zip(slices, late, strict=True):
        for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "AccessionNumber"):
            setattr(second, keyword, getattr(first, keyword))
        second.AcquisitionTime = "11" + second.AcquisitionTime[2:]
        for keyword, value in values.items():
            setattr(second, keyword, value)
    save([item for pair in zip(slices, late, strict=True) for item in pair], folder)


def _transfer(slices, syntax):
    for dataset in slices:
        dataset.file_meta.TransferSyntaxUID = syntax


def _cut(path: Path, keep: int):
    path.write_bytes(path.read_bytes()[:keep])
