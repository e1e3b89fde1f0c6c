"""Evaluations, one file per task: ``evaluate(model, dataset) -> Result`` for one trained model (one seed).

A task that compares latent points by non-Euclidean distances takes the argument ``distances``: a dictionary of objects by name,
made for the model, with the methods ``between``, ``nearest`` and ``nearest_among`` of ``baselines.geodesic.GeodesicDistance``.
"""

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatvae.checkpoint import finite_seeds, load, metadata
from flatvae.errors import InputError
from flatvae.products import exact_float32

SEED = 20_02_04_881  # for every random choice in an evaluation: all methods and seeds get the same points and pairs
# Seconds for ten seeds of the pendulum, on an H200 and on one CPU core: likelihood 13 and 29, distances 9 and 20 to 35. The
# other tasks take about equally long on both.
FASTER_ON_A_GPU = ("likelihood", "distances")
_CHUNK = 2048


class Result(NamedTuple):
    """A task's result: ``metrics`` holds (distance, metric, value); figures use each seed's ``arrays`` and ``shared``."""

    metrics: list[tuple[str, str, float]]
    arrays: dict[str, np.ndarray]
    shared: dict[str, np.ndarray]  # arrays that are the same for every seed


def generator() -> torch.Generator:
    """A new generator with the evaluations' common seed."""
    return torch.Generator().manual_seed(SEED)


def encode(model, x: Tensor) -> Tensor:
    """Posterior means in chunks of rows, in the model's precision and on its device: (N, D) -> (N, n)."""
    like = next(model.parameters())
    with torch.no_grad():
        return torch.cat([model.encode(rows.to(like)) for rows in x.split(_CHUNK)])


def posterior(model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Means μ(x) and log-variances log σ²(x) of q(z|x), computed as in ``encode``: (N, D) -> (N, n), (N, n)."""
    like = next(model.parameters())
    with torch.no_grad():
        means, log_variances = zip(*(model.encoder(rows.to(like)) for rows in x.split(_CHUNK)), strict=True)
    return torch.cat(means), torch.cat(log_variances)


def in_float64(model):
    """A copy of a model in double precision."""
    return copy.deepcopy(model).double()


def spread(rows: int, count: int) -> Tensor:
    """Numbers of at most ``count`` rows, evenly spaced, because the first rows of a part may all be of one class."""
    return torch.linspace(0, rows - 1, min(count, rows), dtype=torch.float64).round().long()


def random_pairs(rows: int, count: int) -> tuple[Tensor, Tensor]:
    """Row numbers of ``count`` random pairs of different rows, the same in every call: (count,), (count,)."""
    source = generator()
    first = torch.randint(rows, (count,), generator=source)
    return first, (first + torch.randint(1, max(2, rows), (count,), generator=source)) % rows


def by_name(metric: str, values: Tensor, labels: Tensor | None, dataset) -> dict[str, float]:
    """Means of ``values`` (N,) over each class, as ``<metric>_<name>``; empty if the classes have no names."""
    if labels is None or dataset.label_names is None:
        return {}
    of_class = {name: values[labels == label] for label, name in enumerate(dataset.label_names)}
    return {f"{metric}_{name}": found.mean().item() for name, found in of_class.items() if len(found)}


def frame(task: str, seed: int, result: Result) -> pd.DataFrame:
    """A result's metrics as rows with the columns distance, task, metric, seed, value."""
    rows = [(distance, task, metric, seed, value) for distance, metric, value in result.metrics]
    return pd.DataFrame(rows, columns=["distance", "task", "metric", "seed", "value"])


def _check(path: str | Path, dataset, builder: str | None) -> None:
    """Raises InputError for a checkpoint of another method or of other data."""
    content = metadata(path)
    if builder is not None and content["builder"] != f"{builder}:build":
        raise InputError(
            f"checkpoint {path} is from {content['builder']}, not from {builder}; delete it and train again"
        )
    for key, value in dataset.description().items():
        if key != "sizes" and content["dataset"][key] != value:
            raise InputError(
                f"checkpoint {path} was trained on data with {key} {content['dataset'][key]}, but these have {value}; "
                "delete it and train again"
            )


def evaluate_seeds(
    task: str,
    path: str | Path,
    dataset,
    builder: str | None = None,
    distances: Mapping[str, Callable] | None = None,
    device: str | torch.device = "cpu",
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Runs one task for every seed of a checkpoint that stayed finite.

    Args:
        task: name of a module of this package.
        path: the checkpoint.
        dataset: the ``Dataset`` it was trained on.
        builder: module of the checkpoint's method; None skips this check.
        distances: by name, functions (model, dataset) -> distance object, called for each seed's model if the task takes
            distances.
        device: where the models compute; the data are not moved.

    Returns:
        rows as ``frame`` makes them, and arrays: ``seeds`` (S,), the seeds' arrays stacked (S, …), and the shared arrays. If no
        seed stayed finite there are no rows, and an empty ``seeds`` is the only array.

    Raises:
        InputError: the checkpoint is of another method or of other data.
    """
    _check(path, dataset, builder)
    evaluate = importlib.import_module(f"flatvae.evaluation.{task}").evaluate
    takes_distances = "distances" in inspect.signature(evaluate).parameters
    seeds, results = finite_seeds(path), []
    for seed in seeds:
        model = load(path, seed).to(device)
        with exact_float32():
            made = {name: make(model, dataset) for name, make in (distances or {}).items()} if takes_distances else {}
            results.append(evaluate(model, dataset, distances=made) if takes_distances else evaluate(model, dataset))
    if not results:
        return frame(task, 0, Result([], {}, {})), {"seeds": np.array([], dtype=int)}
    rows = pd.concat([frame(task, seed, r) for seed, r in zip(seeds, results, strict=True)], ignore_index=True)
    stacked = {name: np.stack([r.arrays[name] for r in results]) for name in results[0].arrays}
    return rows, {"seeds": np.array(seeds), **stacked, **results[0].shared}
