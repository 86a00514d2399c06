"""Livers found by a trained nnU-Net of the user's, for cases that bring no mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache, partial

from pipeline.archive.checks import require_liver_hu
from pipeline.arrays import BoolArray, Int16Array
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.nnunet.model_folder import NOT_CLASSES, Labels, check_model_folder, read_model_folder
from pipeline.nnunet.predictor import NetworkPredictor
from pipeline.volume import Geometry

PREDICTED = "LIVER_PREDICTED"
"""Note of a volume whose liver the network found."""
_SETTING = "source.liver_network"
_LIVER = "liver"
_TUMOR_WORDS = ("tumor", "tumour", "cancer", "lesion", "metasta")


def prepare_liver_network(source: SourceConfig) -> SourceConfig:
    """Check before the first case that the network can be used, if there is one, and return settings for any worker.

    Raises:
        RefusedInputError: If the model folder cannot be used.
    """
    if not source.liver_network:
        return source
    find = partial(find_liver, liver_value=source.liver_value)
    return replace(source, liver_network=check_model_folder(source.liver_network, _SETTING, find))


def load_liver_network(config: PipelineConfig) -> NetworkPredictor:
    """Return the configured network; a process loads it once. It runs where the Couinaud map's network does."""
    source, couinaud = config.source, config.couinaud
    where = (source.liver_network_orientation, couinaud.use_gpu, couinaud.cpus_per_worker)
    return _load(source.liver_network, source.liver_value, *where)


def predict_liver(hu: Int16Array, geometry: Geometry, config: PipelineConfig) -> BoolArray:
    """Return where a CT is liver, its tumors included.

    Args:
        hu: Hounsfield units in LPS order, at least two values.
        geometry: Where the voxels lie.
        config: Names the network.

    Raises:
        CaseError: LIVER_HU. Its size is left to `pipeline.slicing.check_liver`.
    """
    mask: BoolArray = load_liver_network(config).predict(hu, geometry.spacing_mm) > 0
    require_liver_hu(hu, mask)
    return mask


def find_liver(labels: Labels, liver_value: int = 0) -> dict[int, int]:
    """Return the values of the liver, each with 1.

    Tumors of the liver belong to it: labels that name a tumor, if the liver is the only organ, else those that name
    the liver, too.

    Args:
        labels: Names to values, or to the list of values of a region.
        liver_value: Value of the liver, if no label is named `liver`; 0 if it has to be.

    Raises:
        RefusedInputError: If no label is the liver.

    Example:
        >>> find_liver({"background": 0, "liver": 1, "tumor": 2})
        {1: 1, 2: 1}
        >>> find_liver({"background": 0, "spleen": 1, "liver": 5, "kidney_tumor": 6})
        {5: 1}
    """
    named = {str(name).lower(): _values(value) for name, value in labels.items() if name not in NOT_CLASSES}
    liver = _LIVER if _LIVER in named else next((name for name in named if named[name] == [liver_value]), "")
    if not liver:
        raise RefusedInputError(
            f"no label is named 'liver' and none has source.liver_value {liver_value}, got {sorted(named)}"
        )
    tumors = {name for name in named if any(word in name for word in _TUMOR_WORDS)}
    only_organ = set(named) == {liver, *tumors}
    own = [liver, *(name for name in sorted(tumors) if only_organ or _LIVER in name)]
    return {value: 1 for name in own for value in named[name]}


def _values(value: int | Iterable[int]) -> list[int]:
    """Return the values of a label or region."""
    return [int(value)] if isinstance(value, int) else [int(item) for item in value]


@lru_cache(maxsize=1)
def _load(folder: str, liver_value: int, orientation: str, use_gpu: bool, cpus: float) -> NetworkPredictor:
    """Read a model folder and make it ready."""
    model = read_model_folder(folder, _SETTING, partial(find_liver, liver_value=liver_value))
    return NetworkPredictor(model, orientation, use_gpu, cpus)
