"""Every fault of a DICOM series gets its right answer: read, mended, or set aside by its own name."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.dicom.tree import examine_series, look_at_files
from pipeline.archive.dicom.volume import read_volume
from pipeline.archive.source_tree import SourceTree
from pipeline.errors import CaseError
from pipeline.phantom_archive.faults import FAULTS
from tests.dicom_archive_cases import make_ct, make_liver, make_series, save, series_uid, write_mask

LATER = ("DECODER_MEMORY", "EMPTY_LIVER")
"""What the sandbox and the slicing find."""


def look(archive):
    """Return the parts of an archive and the files that are none, by reason."""
    skipped, parts = Counter(), []
    for states in SourceTree(str(archive)).chunks(skipped):
        values, _ = look_at_files(str(archive), [[item.name, item.size, item.stamp] for item in states])
        parts += values["parts"]
        skipped += values["skipped"]
    return parts, skipped


def read(archive, uid, mask, repairs=()):
    """Take one series through discovery, examination and reading; return its volumes and the skipped files."""
    parts, skipped = look(archive)
    mine = [part for part in parts if part["series"] == hash_text(uid)]
    skipped += Counter({part["reason"]: part["count"] for part in mine if part["reason"]})
    files = [item for part in mine if not part["reason"] for item in part["files"]]
    if not files:
        raise CaseError(mine[0]["reason"], "no slices")
    found, _ = examine_series(str(archive), files, repairs)
    volumes = [read_volume(str(archive), item["slices"], ["file", str(mask)], repairs) for item in found["volumes"]]
    return volumes, skipped


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.code not in LATER])
def test_fault(tmp_path, name):
    fault, slices = FAULTS[name], make_series()
    uid, mask = series_uid(slices), write_mask(tmp_path / "masks", "liver")
    fault.write(slices, tmp_path / "archive")
    fault.spoil_mask(mask)
    uid = uid if series_uid(slices) else "."  # a series that lost its UID goes by its folder
    if fault.code:
        with pytest.raises(CaseError) as caught:
            read(tmp_path / "archive", uid, mask)
        assert caught.value.code == fault.code, caught.value
        assert "canary" not in str(caught.value).lower()
        return
    volumes, skipped = read(tmp_path / "archive", uid, mask)
    assert len(volumes) == (2 if "TWO_PHASES" in name else 1)
    expected = [make_ct(), make_ct() + 20] if len(volumes) == 2 else [np.maximum(make_ct(), -1024)]
    for (values, arrays), hu in zip(volumes, expected, strict=True):
        if not fault.note:
            np.testing.assert_array_equal(arrays["hu"], hu)
        np.testing.assert_array_equal(arrays["labels"], make_liver())
        assert values["notes"] == ([fault.note] if fault.note else [])
    assert sorted(skipped.elements()) == sorted(fault.skipped)


def test_10_PRONE_and_feet_first_are_turned(tmp_path):  # noqa: N802
    slices = make_series(make_ct()[:, ::-1, ::-1].copy())
    for dataset in slices:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x + 47 * 5, y + 39 * 5, z]
        dataset.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    save(slices, tmp_path / "archive")
    ((values, arrays),) = read(tmp_path / "archive", series_uid(slices), write_mask(tmp_path / "masks", "liver"))[0]
    np.testing.assert_array_equal(arrays["hu"], make_ct())
    assert values["geometry"]["native_orientation"] == "RAS"
