"""Ray Tune over a space of settings: the translation of ranges, the searches, and taking up a sweep that was killed.

The state of a sweep lies in `tune/SPACE/NAME/` of the run folder. The name follows from everything that shapes the
result, so that the same command takes up its own sweep, finished points not being evaluated again, and no other. Ray
Tune's state is pickled: take up sweeps only in run folders that you trust.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.tune.logger import JsonLoggerCallback
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.basic_variant import BasicVariantGenerator

from pipeline.config import PipelineConfig, TuneConfig
from pipeline.errors import RefusedInputError
from pipeline.progress import Progress
from pipeline.run_folder import RunFolder
from pipeline.sweep.points import (
    EPOCHS,
    FIGURES,
    SET_ASIDE,
    Choice,
    Evaluated,
    LogUniform,
    Range,
    Settings,
    Space,
    grid_points,
)

WAITING = {"cpu": 0, "memory": 1e6}
"""What a trial reserves whose work is done in tasks: they need the CPUs. Ray wants a trial to reserve something."""
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints tables at any verbosity
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV and TensorBoard files per trial cost more than a trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # its handler ends the sweep as if it were complete
}


def check_search(config: TuneConfig) -> None:
    """Refuse a search whose library is not installed.

    Raises:
        RefusedInputError: Saying how to install it.
    """
    if config.search == "optuna" and importlib.util.find_spec("optuna") is None:
        raise RefusedInputError("tune.search optuna needs Optuna: pip install 'liver-label-refinement[tune]'")


def name_sweep(config: PipelineConfig, space: Space, data: Any) -> str:
    """Return a sweep's folder name, equal for equal settings, space and data.

    Args:
        config: Settings of the job.
        space: The space.
        data: Whatever else shapes the figures, with a `repr` that tells.
    """
    tuned = config.tune
    samples = () if tuned.search == "grid" else (tuned.samples, config.seed)
    identity = repr((tuned.objective, tuned.split, samples, sorted(space.items()), data))
    return f"{tuned.search}_{tuned.objective}_{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def count_points(config: TuneConfig, space: Space) -> int:
    """Return how many points a sweep evaluates."""
    return len(grid_points(space)) if config.search == "grid" else config.samples


def to_param_space(space: Space, search: str) -> dict[str, Any]:
    """Return a space as Ray Tune takes it."""
    if search == "grid":
        return {name: tune.grid_search(list(values.grid)) for name, values in space.items() if values.grid}
    return {name: _to_domain(values) for name, values in space.items()}


def _to_domain(values: Range) -> Any:
    """Return a range as Ray Tune's domain."""
    if isinstance(values, Choice):
        return tune.choice(list(values.values))
    draw = tune.loguniform if isinstance(values, LogUniform) else tune.uniform
    return draw(values.low, values.high)


def make_search(search: str, seed: int, origin: Settings, concurrent: int | None) -> Any:
    """Return Ray Tune's search, seeded; a search that draws begins with the origin, if there is one.

    Optuna looks at one point after the other, unless told otherwise: only so its choice follows from the seed.
    """
    first = [dict(origin)] if origin else None
    if search == "optuna":
        from ray.tune.search.optuna import OptunaSearch

        return ConcurrencyLimiter(OptunaSearch(seed=seed, points_to_evaluate=first), max_concurrent=concurrent or 1)
    first = first if search == "random" else None
    return BasicVariantGenerator(random_state=seed, points_to_evaluate=first, max_concurrent=concurrent or 0)


def run_sweep(
    run: RunFolder,
    name: str,
    config: PipelineConfig,
    space: Space,
    trainable: Callable[..., Any],
    *,
    resources: Mapping[str, float],
    origin: Settings | None = None,
    concurrent: int | None = None,
    scheduler: TrialScheduler | None = None,
    reuse_actors: bool = True,
) -> list[Evaluated]:
    """Evaluate the points of a space, those left over where the sweep was begun before.

    Args:
        run: Run folder.
        name: Name of the sweep, from `name_sweep`.
        config: Search, samples, objective and seed.
        space: The space.
        trainable: Takes dotted settings and reports figures. Large data goes in by `ray.tune.with_parameters`.
        resources: What a trial reserves, such as `{"cpu": 0.5}`.
        origin: A point that random and Optuna searches evaluate first.
        concurrent: Trials at a time; if None as many as there are CPUs for, but one with Optuna.
        scheduler: Stops trials early.
        reuse_actors: Evaluate one point after the other in the same process.

    Returns:
        One entry per trial with its last figures, in ascending order of settings: trials end in any order.

    Raises:
        RuntimeError: If trials failed or the sweep was interrupted. The same command evaluates only what is left.
    """
    os.environ.update(_ENVIRONMENT)
    tuned = config.tune
    sized = tune.with_resources(trainable, dict(resources))
    params = to_param_space(space, tuned.search)
    begun = run.path("tune", tuned.space, name)
    if tune.Tuner.can_restore(begun, storage_filesystem=run.filesystem):
        tuner = tune.Tuner.restore(
            begun, sized, restart_errored=True, param_space=params, storage_filesystem=run.filesystem
        )
    else:
        chosen = tune.TuneConfig(
            metric=tuned.objective,
            mode="max",
            search_alg=make_search(tuned.search, config.seed, origin or {}, concurrent),
            num_samples=1 if tuned.search == "grid" else tuned.samples,
            reuse_actors=reuse_actors,
            scheduler=scheduler,
        )
        kept = tune.RunConfig(
            name=name,
            storage_path=run.path("tune", tuned.space),
            storage_filesystem=run.filesystem,
            callbacks=[JsonLoggerCallback(), ShowProgress()],
            verbose=0,
        )
        tuner = tune.Tuner(sized, param_space=params, tune_config=chosen, run_config=kept)
    return _collect(tuner.fit(), space, count_points(tuned, space))


class ShowProgress(tune.Callback):  # type: ignore[misc]
    """Shows how many trials are done."""

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        """Begin to show."""
        self.progress = Progress("tune", total_num_samples, "trial")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count one more."""
        self.progress.update()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Show no more."""
        self.progress.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the progress behind where the sweep's settings are stored."""
        return {}


def _collect(results: tune.ResultGrid, space: Space, expected: int) -> list[Evaluated]:
    """Return what the trials of a complete sweep reported.

    Raises:
        RuntimeError: If trials failed or are missing; the first failure is the cause.
    """
    if results.num_errors:
        raise RuntimeError(
            f"{results.num_errors} of {len(results)} trials failed; the same command repeats only those"
        ) from results.errors[0]
    if results.num_terminated != expected:
        raise RuntimeError(f"{results.num_terminated} of {expected} trials ended; the same command goes on")
    points = [_to_evaluated(result.metrics or {}, space) for result in results]
    return sorted(points, key=lambda point: tuple(point.settings.values()))


def _to_evaluated(metrics: Mapping[str, Any], space: Space) -> Evaluated:
    """Return a trial's settings and the figures that it reported, without Ray Tune's own."""
    settings = {name: metrics["config"][name] for name in space if name in metrics["config"]}
    return Evaluated(settings, {name: metrics[name] for name in metrics if name in (*FIGURES, EPOCHS, SET_ASIDE)})
