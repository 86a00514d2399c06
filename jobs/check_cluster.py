"""Check a cluster before an archive is entrusted to it: versions, storage, disks, GPUs, clocks, and who runs code."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import EXIT_DONE, EXIT_FAILED


def main(config: PipelineConfig) -> int:
    """Ask every node and print what it says; write `check_cluster.json` into the run folder.

    While nodes are asked, they and this job exchange words in a folder `probe-*` there.
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from pipeline.cluster.check import describe_versions, find_open_doors, find_problems, format_nodes
    from pipeline.run_folder import RunFolder
    from pipeline.stages.check_cluster import examine_cluster
    from pipeline.stages.session import ray_session

    run, versions = RunFolder(config.run), describe_versions()
    with ray_session(config.ray):
        nodes, access = examine_cluster(run, config.source.path)
    doors = find_open_doors(access)
    problems = find_problems(nodes, versions) + ([] if config.ray.allow_open else doors)
    print(f"{', '.join(f'{name} {version}' for name, version in versions.items())}\n\n{format_nodes(nodes)}\n")
    for line in doors if config.ray.allow_open else ():
        print(f"accepted: {line}")
    for line in problems:
        print(f"problem: {line}")
    print(f"{len(nodes)} nodes, {len(problems)} problems")
    facts = {"checked": datetime.now(UTC).isoformat(" ", "seconds"), "versions": versions, "problems": problems}
    run.write_json({**facts, "access": asdict(access), "nodes": [asdict(node) for node in nodes]}, "check_cluster.json")
    return EXIT_FAILED if problems else EXIT_DONE


if __name__ == "__main__":
    run_job(main, writes=False, sections=("source", "ray"))
