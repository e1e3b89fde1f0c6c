"""Task ``interpolation``: how smoothly do decoded observations change along a straight latent line?

For 100 random pairs of test data, the same for every method, the straight line between their codes is decoded at T = 32
points f_1 … f_T; with the curve's length L = Σ ‖f_{k+1} − f_k‖:

``second_difference`` = mean_k ‖f_{k+1} − 2 f_k + f_{k−1}‖ / L, times (T − 1)² so that it does not depend on T: the mean norm of
the acceleration over the length, 0 where the image of the line is straight and run through at even speed. ``velocity_cv``:
coefficient of variation of the steps ‖f_{k+1} − f_k‖, 0 at even speed. Both are means over the pairs; of a line whose image
is a point both are 0.
"""

import numpy as np
import torch
from torch import Tensor

from flatvae.evaluation import Result, encode, random_pairs

PAIRS = 100
POINTS = 32


def smoothness(decoded: Tensor) -> tuple[Tensor, Tensor]:
    """Second difference and velocity's coefficient of variation of decoded lines: (P, T, D) -> (P,), (P,)."""
    steps = decoded.diff(dim=1)  # (P, T − 1, D)
    speed = steps.norm(dim=-1)  # (P, T − 1)
    length = speed.sum(1)
    still = length == 0
    safe = torch.where(still, 1.0, length)
    intervals = decoded.shape[1] - 1
    second = steps.diff(dim=1).norm(dim=-1).mean(1) / safe * intervals**2
    variation = speed.std(dim=1, correction=0) / (safe / intervals)
    return second.masked_fill(still, 0.0), variation.masked_fill(still, 0.0)


@torch.no_grad()
def evaluate(model, dataset) -> Result:
    """Smoothness of straight latent interpolations; arrays: both measures per pair."""
    codes = encode(model, dataset.test)
    first, second = random_pairs(len(codes), PAIRS)
    time = torch.linspace(0, 1, POINTS)[:, None].to(codes)
    lines = torch.lerp(codes[first][:, None], codes[second][:, None], time)  # (P, T, n)
    decoded = model.decode(lines.flatten(0, 1)).unflatten(0, lines.shape[:2])
    values = dict(zip(("second_difference", "velocity_cv"), smoothness(decoded.double()), strict=True))
    metrics = [("", name, value.mean().item()) for name, value in values.items()]
    return Result(metrics, {name: value.numpy(force=True).astype(np.float32) for name, value in values.items()}, {})
