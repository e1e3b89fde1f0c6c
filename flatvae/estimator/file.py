"""A fitted ``FlatVAE`` as a file: safetensors, a format that holds numbers and text but no code."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from flatvae.errors import InputError
from flatvae.estimator.quantiles import Quantiles

_VERSION = "1"

_NUMBERS = (
    *("scale_", "bound_", "eta_", "unexplained_", "bound_met_", "n_features_in_"),
    *("metric_deviation_", "trustworthiness_", "graph_rank_correlation_", "active_dimensions_"),
)


def save(space, path: str | Path) -> None:
    """Writes a fitted estimator; a ``random_state`` that is not a whole number is left out."""
    parameters = space.get_params(deep=False)
    state = parameters["random_state"]
    parameters |= {"hidden": list(parameters["hidden"]), "random_state": int(state) if _whole(state) else None}
    content = {
        "version": _VERSION,
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        "numbers": {name: _plain(getattr(space, name)) for name in _NUMBERS if hasattr(space, name)},
        "names": [str(name) for name in getattr(space, "feature_names_in_", [])],
        "condition_number": list(getattr(space, "condition_number_", [])),
    }
    tensors = {f"model/{name}": value.contiguous() for name, value in space.model_.state_dict().items()}
    tensors["mean"] = torch.from_numpy(np.asarray(space.mean_, dtype=np.float64))
    if hasattr(space, "nodes_"):
        tensors["nodes"] = torch.from_numpy(np.ascontiguousarray(space.nodes_))
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise InputError(f"FlatVAE: the folder {path.parent} does not exist; create it, or save elsewhere")
    save_file(tensors, path, metadata={"flatvae.FlatVAE": json.dumps(content)})


def load(cls, path: str | Path):
    """The estimator that ``save`` wrote.

    Raises:
        InputError: the file does not exist, is damaged, or was not written by ``save``.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"FlatVAE: {path} does not exist; write it by save()")
    try:
        with safe_open(path, framework="pt") as opened:
            content = json.loads((opened.metadata() or {})["flatvae.FlatVAE"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return _restored(cls, content, tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"FlatVAE: {path} is damaged, or was not written by FlatVAE.save (read a run's models with from_results)"
        ) from error


def _restored(cls, content: dict, tensors: dict[str, torch.Tensor]):
    if content["version"] != _VERSION:
        raise InputError(
            f"FlatVAE: the file has format version {content['version']}, but this flatvae reads {_VERSION}; fit again"
        )
    space = cls(**content["parameters"])
    for name, value in content["numbers"].items():
        setattr(space, name, value)
    space.mean_ = tensors["mean"].numpy()
    if "nodes" in tensors:
        space.nodes_ = tensors["nodes"].numpy()
    if content["names"]:
        space.feature_names_in_ = np.array(content["names"], dtype=object)
    if content["condition_number"]:
        space.condition_number_ = Quantiles(*content["condition_number"])
    own = {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
    space._keep(torch.from_numpy(space.mean_)[None].float(), own)
    return space


def _whole(value) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _plain(value):
    """A NumPy number as a Python number, for JSON."""
    return value.item() if isinstance(value, np.generic) else value
