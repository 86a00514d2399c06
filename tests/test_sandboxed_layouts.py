"""A reader that crashes, hangs or eats memory on a crafted file costs one case, in every layout."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.archive import catalog
from pipeline.archive.catalog import list_cases, read_case
from pipeline.errors import CaseError
from tests.archive_cases import (
    configure,
    edit_header,
    make_hu,
    make_slices,
    save_slices,
    write_image,
    write_ircad,
    write_msd,
)
from tests.crafted_tasks import CRASH, GREED, HANG

SECONDS = {HANG: 3.0}
"""The others get the time that a busy machine takes."""


@pytest.mark.parametrize("layout", ["msd", "ircad"])
@pytest.mark.parametrize(
    ("case", "bug", "code"),
    [
        ("77_CRASH", CRASH, "DECODER_CRASHED"),
        ("78_HANG", HANG, "DECODER_TIMEOUT"),
        ("51_MEMORY", GREED, "DECODER_MEMORY"),
    ],
)
def test_a_bug_of_a_reader_costs_one_case(tmp_path, monkeypatch, layout, case, bug, code):
    monkeypatch.setattr(catalog, "DECODE_TASK", "tests.crafted_tasks:decode_crafted")
    crafted = make_hu()
    crafted[0, 0, 0] = bug
    if layout == "msd":
        write_image(write_msd(tmp_path) / "imagesTr" / "case_01.nii.gz", crafted)
    else:
        save_slices(make_slices(crafted), write_ircad(tmp_path) / "PATIENT_DICOM")
    config = configure(tmp_path, layout, decoder_seconds=SECONDS.get(bug, 300.0))
    (listed,), _ = list_cases(config)
    with pytest.raises(CaseError) as caught:
        read_case(listed, config)
    assert (caught.value.code, caught.value.step) == (code, "decode")


def test_the_next_case_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "DECODE_TASK", "tests.crafted_tasks:decode_crafted")
    crafted = make_hu()
    crafted[0, 0, 0] = CRASH
    write_image(write_msd(tmp_path, "a,1\nb,1\n", ("a", "b")) / "imagesTr" / "a.nii.gz", crafted)
    config = configure(tmp_path)
    bad, good = list_cases(config)[0]
    with pytest.raises(CaseError, match="DECODER_CRASHED: the decoder ended with SIGSEGV"):
        read_case(bad, config)
    np.testing.assert_array_equal(read_case(good, config).hu, make_hu())


def test_51_a_header_may_ask_for_half_of_the_memory(tmp_path):
    """While an image is decoded it is there twice."""
    root = write_msd(tmp_path)
    edit_header(root / "imagesTr" / "case_01.nii.gz", 40, "4h", 3, 1000, 1000, 300)
    config = configure(root, decoder_memory_mb=1024)
    (listed,), _ = list_cases(config)
    with pytest.raises(CaseError, match=f"NIFTI_TOO_LARGE: the image asks for .* allowed are {2**29}"):
        read_case(listed, config)
