"""Evaluations, one file per task: ``evaluate(model, dataset) -> Result`` for one trained model (one seed)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SEED = 20_02_04_881  # of every random choice in an evaluation: the same points and pairs for every method and seed
_CHUNK = 2048


class Result(NamedTuple):
    """What a task finds: ``metrics`` holds (distance, metric, value), ``arrays`` what its figures need."""

    metrics: list[tuple[str, str, float]]
    arrays: dict[str, np.ndarray]


def generator() -> torch.Generator:
    """A fresh generator with the evaluations' common seed."""
    return torch.Generator().manual_seed(SEED)


def encode(model, x: Tensor) -> Tensor:
    """Posterior means in chunks of rows, in the model's precision: (N, D) -> (N, n)."""
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        return torch.cat([model.encode(rows.to(dtype)) for rows in x.split(_CHUNK)])
