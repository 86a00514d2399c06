"""Read report texts into a label table that `--labels` takes, and a list of the reports that a person has to read."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `labels.csv` and `review.csv`, with the ids of the report table, which is read anew each time.

    For the layout `dicom` their first column says what the ids are: `accession`, `series` or `volume_id`.
    """
    with Step.begin(config, "extract_labels") as step:
        from pathlib import Path

        from pipeline.archive.labels import read_splits
        from pipeline.archive.report_table import find_columns, name_study_column, read_report_rows
        from pipeline.archive.reports import label_volumes, write_labels
        from pipeline.errors import RefusedInputError
        from pipeline.stages.extract_labels import extract_mentions
        from pipeline.stages.session import ray_session

        source = config.source
        if not source.reports:
            raise RefusedInputError("extract_labels needs --reports, a table of report texts")
        path = Path(source.reports).expanduser().absolute()
        columns = find_columns(path, source.report_id_column, source.report_text_column)
        of_studies = source.layout == "dicom"
        column = name_study_column(columns.id) if of_studies else "volume_id"
        given = Path(source.labels).expanduser().absolute()
        splits = read_splits(given, key=column) if source.labels else None
        with ray_session(config.ray, step.run):
            read = extract_mentions(read_report_rows(path, columns))
            table = label_volumes(step.progress(read, unit="report"), splits=splits, any_id=of_studies)
        reasons = write_labels(step.run, table, column)
        healthy = sum(not label.segments for label in table.labels.values())
        labeled, taken = len(table.labels), len(table.labels) + reasons.total()
        counts = "".join(f", {count} {code}" for code, count in sorted(reasons.items()))
        print(f"{taken} volumes: {labeled - healthy} with segments, {healthy} healthy{counts}")
        return step.commit(taken=taken, given=labeled, healthy=healthy, quarantined=reasons)


if __name__ == "__main__":
    run_job(main, sections=("source", "ray"))
