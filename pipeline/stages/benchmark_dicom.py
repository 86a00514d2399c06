"""The Ray part of the DICOM benchmark: ingest of an archive in turns with bare decoders, and its workers' memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.benchmarks.family import cpu_seconds, restart_worker_peaks, worker_peak_mb
from pipeline.benchmarks.hospital import FEW, SERIES, SYNTAXES, BareDecoders, HospitalArchive, open_hospital
from pipeline.benchmarks.refinement import Figures
from pipeline.benchmarks.timing import Timings, take_turns
from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.stages.benchmark_refinement import count_cpus, find_niceness

ROUNDS = 3
TARGETS = {
    **{f"{name}, speed over bare decoders": (f"{name}.speed_over_bare", ">=", 0.7) for name in SYNTAXES},
    "peak memory of a worker, 8x over 1x": ("memory.8x_over_1x", "<=", 1.1),
}
"""What to reach: figure, relation and bound."""

Ingest = Callable[[PipelineConfig], int]


def measure_ingest(
    run: RunFolder, config: PipelineConfig, ingest: Ingest
) -> tuple[dict[str, Figures], dict[str, Mapping[str, list[float]]]]:
    """Return all figures, and the seconds of each round by transfer syntax.

    Args:
        run: A local run folder for the archives and for what is ingested.
        config: Settings of the run.
        ingest: The job.
    """
    figures: dict[str, Figures] = {}
    seconds: dict[str, Mapping[str, list[float]]] = {}
    with BareDecoders(count_cpus(), find_niceness()) as decoders:
        for syntax in SYNTAXES:
            archive = open_hospital(run, syntax, config.seed)
            timings, cpu = _take_time(run, config, ingest, archive, decoders)
            figures[syntax], seconds[syntax] = _summarize(archive, timings, cpu), timings.seconds
    figures["memory"] = _measure_memory(run, config, ingest)
    return figures, seconds


def _take_time(
    run: RunFolder, config: PipelineConfig, ingest: Ingest, archive: HospitalArchive, decoders: BareDecoders
) -> tuple[Timings, dict[str, list[float]]]:
    """Time ingest and bare decoders in turns; also return the CPU seconds of both, round by round."""
    cpu: dict[str, list[float]] = {}

    def measured(name: str, action: Callable[[], object]) -> Callable[[], None]:
        """Return an action that notes its CPU time."""

        def act() -> None:
            """Act."""
            before = cpu_seconds()
            action()
            cpu.setdefault(name, []).append(cpu_seconds() - before)

        return act

    actions: dict[str, Callable[[], object]] = {
        "ingest": lambda: _ingest(run, config, ingest, archive),
        "bare": lambda: decoders.decode(archive),
        "bare_with_masks": lambda: decoders.decode_all(archive),
    }
    operations = {name: measured(name, action) for name, action in actions.items()}
    return take_turns(operations, ROUNDS), {name: values[1:] for name, values in cpu.items()}


def _ingest(run: RunFolder, config: PipelineConfig, ingest: Ingest, archive: HospitalArchive, few: bool = False) -> int:
    """Ingest an archive into an empty run folder.

    Raises:
        RuntimeError: If not every series became a volume: the time would mean nothing.
    """
    folder = ("benchmark_dicom", "run")
    run.remove(*folder)
    target = RunFolder(str(run.local(*folder)))
    ingest(archive.settings(target.uri, config, few=few))
    given, expected = len(target.names("volumes")), FEW if few else SERIES
    if given != expected:
        raise RuntimeError(f"ingest gave {given} of {expected} volumes")
    return given


def _measure_memory(run: RunFolder, config: PipelineConfig, ingest: Ingest) -> Figures:
    """Return the largest peak of a worker in MB for a few series, and for eight times as many."""
    archive = open_hospital(run, next(iter(SYNTAXES)), config.seed)
    peaks = []
    for few in (True, False):
        restart_worker_peaks()
        _ingest(run, config, ingest, archive, few)
        peaks.append(worker_peak_mb())
    return {"1x_mb": peaks[0], "8x_mb": peaks[1], "8x_over_1x": peaks[1] / peaks[0] if peaks[0] else None}


def _summarize(archive: HospitalArchive, timings: Timings, cpu: dict[str, list[float]]) -> Figures:
    """Return the figures of one transfer syntax."""
    wall, work = timings.median("ingest"), Timings(cpu)
    return {
        "series_per_minute": 60 * SERIES / wall,
        "slices_per_second": SERIES * archive.slices / wall,
        "bare_slices_per_second": SERIES * archive.slices / timings.median("bare"),
        "speed_over_bare": timings.ratio("bare", "ingest"),
        "speed_over_bare_with_masks": timings.ratio("bare_with_masks", "ingest"),
        "cpu_seconds_per_series": work.median("ingest") / SERIES,
        "bare_cpu_seconds_per_series": work.median("bare") / SERIES,
        "bare_with_masks_cpu_seconds_per_series": work.median("bare_with_masks") / SERIES,
        "cpu_of_bare_over_ingest": work.ratio("bare", "ingest"),
        "cpu_of_bare_with_masks_over_ingest": work.ratio("bare_with_masks", "ingest"),
    }
