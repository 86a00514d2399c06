"""Names of volumes: which are safe as file names, what stands in for the others, and other spellings of them."""

from __future__ import annotations

import hashlib
import re

NIFTI_SUFFIX = ".nii.gz"
_SAFE = re.compile(r"(?!.*\.tmp-)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IRCAD = re.compile(r"(?:3dircadb1\.|ircadb?_)0*([1-9]\d*)", re.IGNORECASE)


def is_safe_id(text: str) -> bool:
    """Tell whether a text can be a volume id: 1 to 64 of `A-Z a-z 0-9 . _ -`, the first a letter or digit.

    `.tmp-` is refused too: the run folder marks its unfinished files with it.
    """
    return _SAFE.fullmatch(text) is not None


def replacement_id(text: str) -> str:
    """Return the id under which an unsafe name is set aside: the same for the same name, and silent about it.

    Example:
        >>> replacement_id("../etc")
        'unsafe-f7f9121fdb53'
    """
    return "unsafe-" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def msd_id(text: str) -> str:
    """Return the name of a case of layout `msd` for itself, or for the name of its files.

    Example:
        >>> msd_id("case7.nii.gz"), msd_id("case7")
        ('case7', 'case7')
    """
    return text.removesuffix(NIFTI_SUFFIX)


def ircad_id(text: str) -> str:
    """Return `ircad_NN` for any spelling of a patient of 3D-IRCADb-01, else the text as it is.

    Example:
        >>> [ircad_id(text) for text in ("3Dircadb1.7", "ircad_7", "ircadb_07", "lits_007")]
        ['ircad_07', 'ircad_07', 'ircad_07', 'lits_007']
    """
    match = _IRCAD.fullmatch(text)
    return f"ircad_{int(match[1]):02d}" if match else text
