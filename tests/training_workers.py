"""Finds the processes of Ray Train's workers, to kill one."""


def training_workers():
    """Ray Train's worker processes that descend from this process; none of another cluster on the machine.

    A process that ends while this looks, or that nobody has waited for yet (a zombie), is no worker and no error.
    """
    import ray  # noqa: F401 - brings its own psutil
    import psutil  # isort: skip

    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    found = (process for process in psutil.process_iter(["cmdline"]) if process.pid in ours)
    return [process for process in found if "RayTrainWorker" in " ".join(process.info["cmdline"] or ())]
