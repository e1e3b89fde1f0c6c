"""Numbers that tell whether a training has settled: error and β over the last fifth of its steps, k (active) near its end."""

import copy
import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import flatvae.geometry.metric as geometry
from flatvae.model import active_dimensions
from flatvae.training.step import Trainer

_ROWS = 250  # training data on which k (active) is measured, at most


def measured_at(steps: int) -> tuple[int, int]:
    """The steps at which k (active) is measured, at the end of their blocks: 90 % and 100 % of all."""
    return -(-9 * steps // 10), steps


@torch.no_grad()
def condition_numbers(trainer: Trainer) -> Tensor:
    """The current k (active) of every seed: the median over posterior means of at most 250 training data, evenly spaced.

    In float64. The training, including its random numbers, is not changed. Grey values are binarised with fixed noise.

    Returns:
        (S,) float64, on the CPU; inf if the metric is rank-deficient or not finite, or no dimension is active; NaN for frozen
        seeds.
    """
    data, model = trainer.data, copy.deepcopy(trainer.model).double()
    x = data[
        torch.linspace(0, len(data) - 1, min(_ROWS, len(data)), dtype=torch.float64).round().long().to(data.device)
    ]
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = model.likelihood.observe(x.double(), uniform.to(data.device))
    values = torch.full((len(trainer.seeds),), torch.nan, dtype=torch.float64)
    for s, alive in enumerate(trainer.alive.tolist()):
        if alive:
            model.load_state_dict({name: parameter[s] for name, parameter in trainer.params.items()})
            values[s] = _condition_number(model, x)
    return values


def _condition_number(model, x: Tensor) -> float:
    means, log_variances = model.encoder(x)
    metric = geometry.pullback_metric(model.decode, means)
    if not metric.isfinite().all():  # a seed that diverged in its very last step
        return math.inf
    values = geometry.condition_number_active(metric, active_dimensions(means, log_variances))
    return values.quantile(0.5, interpolation="nearest").item()


def settling(history: pd.DataFrame, steps: int, bound: float, condition_numbers: list[float]) -> dict:
    """The arguments of ``flatvae.constraint.settled`` for one seed that stayed finite.

    Args:
        history: the seed's rows of the history.
        steps: steps of the training.
        bound: κ².
        condition_numbers: k (active) at 90 % and at 100 % of the steps.

    Returns:
        a dictionary that JSON can hold: ``rows``, the number of rows in the last fifth of the steps; over these ``violation``,
        the mean of δ = (C − κ²) / κ², and ``log_beta_sd``, the standard deviation of log β; ``condition_number_active``, with
        None for infinite.
    """
    last = history[5 * history["step"] > 4 * steps]
    return {
        "rows": len(last),
        "violation": float(np.mean(last["error"]) / bound - 1),
        "log_beta_sd": float(np.std(np.log(last["beta"]))),
        "condition_number_active": [value if math.isfinite(value) else None for value in condition_numbers],
    }
