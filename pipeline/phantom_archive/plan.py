"""What becomes of each patient of the archive, decided before anything is written and by the patient's number alone.

Nothing depends on how many patients there are, so that an archive can grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.config import PipelineConfig, SynthesizeArchiveConfig
from pipeline.errors import RefusedInputError
from pipeline.phantom_archive.faults import FAULTS, MINIMUM_SLICES
from pipeline.phantom_archive.masks import FORMS
from pipeline.phantom_archive.vendors import GOOD_VENDORS, PLAIN

KINDS = (("train", False), ("train", True), ("train", False), ("test", False))
"""Split and health of four patients in a row."""
_ALMOST = 1e-9


@dataclass(frozen=True)
class PatientPlan:
    """One patient.

    Args:
        index: Number, from 0.
        split: `train` or `test`.
        healthy: Without tumors.
        uncertain: Whether the report leaves open what is in the liver.
        vendor: Name of the vendor.
        mask_form: Form of the liver mask.
        fault: Name of what is wrong; empty if nothing is.
    """

    index: int
    split: str
    healthy: bool
    uncertain: bool
    vendor: str
    mask_form: str
    fault: str


def plan_patients(config: PipelineConfig) -> list[PatientPlan]:
    """Return the patients of the archive in order.

    Raises:
        RefusedInputError: If a fault or its rate makes no sense, or the series are too short for faults.
    """
    wanted = config.synthesize_archive
    rates = fault_rates(wanted)
    if any(rates.values()) and config.phantom.slices < MINIMUM_SLICES:
        message = f"phantom.slices: faults need at least {MINIMUM_SLICES}, got {config.phantom.slices}"
        raise RefusedInputError(message)
    faults, doubts = take_turns(rates), take_turns({"doubt": wanted.uncertain_rate})
    return [_plan(index, next(faults), bool(next(doubts))) for index in range(wanted.patients)]


def fault_rates(config: SynthesizeArchiveConfig) -> dict[str, float]:
    """Return the share of patients with each fault.

    Raises:
        RefusedInputError: If there is no such fault, a rate is no share, or they sum to more than 1.
    """
    own = dict(item.split("=", 1) for item in config.faults if "=" in item)
    shared = [item for item in config.faults if "=" not in item] or [name for name in FAULTS if not own]
    unknown = sorted({*own, *shared} - FAULTS.keys())
    if unknown:
        raise RefusedInputError(f"synthesize_archive.faults: unknown {unknown[0]!r}, known are {', '.join(FAULTS)}")
    try:
        rates = {name: config.fault_rate / len(shared) for name in shared} | {name: float(own[name]) for name in own}
    except ValueError as error:
        raise RefusedInputError(f"synthesize_archive.faults: a rate is no number: {error}") from error
    if not all(rate >= 0 for rate in rates.values()) or sum(rates.values()) > 1 + _ALMOST:
        raise RefusedInputError(f"synthesize_archive.faults: rates must not sum to more than 1, got {rates}")
    return rates


def take_turns(rates: Mapping[str, float]) -> Iterator[str]:
    """Give, without end, names at their rates, as evenly as can be, and empty texts between them.

    Example:
        >>> turns = take_turns({"a": 0.5, "b": 0.25})
        >>> [next(turns) for _ in range(8)]
        ['', 'a', 'b', 'a', '', 'a', 'b', 'a']
    """
    due = dict.fromkeys(rates, 0.0)
    while True:
        for name, rate in rates.items():
            due[name] += rate
        name = max(due, key=lambda item: due[item]) if sum(due.values()) >= 1 - _ALMOST else ""
        if name:
            due[name] -= 1
        yield name


def _plan(index: int, fault: str, uncertain: bool) -> PatientPlan:
    """Return the plan of one patient."""
    split, healthy = KINDS[index % len(KINDS)]
    count = len(GOOD_VENDORS)
    vendor = PLAIN if fault else GOOD_VENDORS[(index + index // count) % count]
    mask_form = FORMS[0] if fault else FORMS[index % len(FORMS)]
    return PatientPlan(index, split, healthy, uncertain, vendor, mask_form, fault)
