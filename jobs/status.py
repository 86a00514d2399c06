"""Tell how far a run is, from its folder alone: what is done, begun, quarantined and left. Nothing is written."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import EXIT_DONE


def main(config: PipelineConfig) -> int:
    """Print one line per step of the method, and the quarantined cases by reason and, the first of them, one by one."""
    from datetime import UTC, datetime

    from pipeline.run_status import format_status, read_status

    print(format_status(read_status(config.run), datetime.now(UTC)))
    return EXIT_DONE


if __name__ == "__main__":
    run_job(main, writes=False)
