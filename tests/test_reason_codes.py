"""Every reason code, note and flag that the source can give has its place in `docs/dicom.md`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ELSEWHERE = {"phantom_archive", "cluster", "benchmarks", "reproduce"}
"""Rooms that set no case aside."""
OTHER_TEXTS = {
    "DOSE_INFO", "EXAM_SUMMARY",  # words of ImageType
    "LIVER_TUMORS",  # how a segment may be called
    "SERIES_MISSING",  # becomes DICOM_UNREADABLE
    "METHOD_SECTIONS", "PATH_SETTINGS", "RESOURCE_SETTINGS",
    "PIPELINE_SANDBOX_BYTES", "LIVER_ID_KEY", "XDG_CONFIG_HOME",
}  # fmt: skip
"""Texts that look like codes and are none."""
_ENVIRONMENT = re.compile(r"(RAY|TUNE|ITK|OMP|MKL|OPENBLAS)_.*")
_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_PART = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*_|(_[A-Z0-9]+)+_?")


def texts(tree: ast.Module) -> Iterator[str]:
    """Give the texts that look like codes, parts of composed ones, and whatever a case is rejected with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            yield from (part for part in parts if len(node.values) < 4 and _PART.fullmatch(part))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = {"CaseError": 0, "Rejection": 1}.get(node.func.id)
            arguments = [] if place is None else node.args[place : place + 1]
            yield from (item.value for item in arguments if isinstance(item, ast.Constant) and item.value)


def test_docs_name_every_reason_code():
    package = ROOT / "pipeline"
    sources = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in ELSEWHERE]
    found = {text for path in sources for text in texts(ast.parse(path.read_text()))}
    codes = {text for text in found - OTHER_TEXTS if not _ENVIRONMENT.fullmatch(text)}
    assert {"WORKER_DIED", "UNEXPECTED", "REPAIRED_", "_FROM_SHAPE", "LIVER_CUT"} <= codes
    page = (ROOT / "docs" / "dicom.md").read_text()
    written = set(re.findall(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*_?", page))
    whole = {code for code in codes if not code.startswith("_") and not code.endswith("_")}
    assert sorted(whole - written) == []
    assert [part for part in sorted(codes - whole) if part not in page] == []
    assert found >= OTHER_TEXTS
