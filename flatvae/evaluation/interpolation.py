"""Task ``interpolation``: how smoothly do decoded observations change along a straight latent line?

The task takes 100 random pairs of test data, the same for every method, and decodes the straight line between their codes at
T = 32 points f_1 … f_T. L = Σ ‖f_{k+1} − f_k‖ is the decoded line's length.

``second_difference`` = mean_k ‖f_{k+1} − 2 f_k + f_{k−1}‖ / L, times (T − 1)² so that it does not depend on T: the mean norm of
the acceleration relative to the length, 0 if the decoded line is straight and has constant speed. ``velocity_cv`` is the
coefficient of variation of the steps ‖f_{k+1} − f_k‖, 0 at constant speed. Both are means over the pairs.

Model and lines are float64: second differences suffer from cancellation, and in float32 single pairs of close codes had arbitrary
values. Pairs whose decoded line is shorter than a thousandth of the median are left out, and their number is printed. If the
decoder ignores its input, both measures are 0.
"""

import numpy as np
import torch
from torch import Tensor

from flatvae.errors import InputError
from flatvae.evaluation import Result, encode, in_float64, random_pairs

PAIRS = 100
POINTS = 32
SHORT = 1e-3  # lines shorter than this share of the median length are left out


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


def long_enough(decoded: Tensor) -> Tensor:
    """Which decoded lines are at least ``SHORT`` times as long as their median: (P, T, D) -> (P,), bool."""
    length = decoded.diff(dim=1).norm(dim=-1).sum(1)
    return length >= SHORT * length.median()


@torch.no_grad()
def evaluate(model, dataset) -> Result:
    """Smoothness of straight latent interpolations; arrays: both measures of each pair, and which pairs are ``kept``."""
    model = in_float64(model)
    codes = encode(model, dataset.test)
    first, second = random_pairs(len(codes), PAIRS)
    time = torch.linspace(0, 1, POINTS, dtype=codes.dtype, device=codes.device)[:, None]
    lines = torch.lerp(codes[first][:, None], codes[second][:, None], time)  # (P, T, n)
    decoded = model.decode(lines.flatten(0, 1)).unflatten(0, lines.shape[:2])
    if not decoded.isfinite().all():
        raise InputError("interpolation: a line between test codes decodes to NaN or infinity; train the model again.")
    kept = long_enough(decoded)
    if not kept.all():
        print(
            f"interpolation: {(~kept).sum().item()} of {len(kept)} lines left out, shorter than {SHORT} of the median"
        )
    values = dict(zip(("second_difference", "velocity_cv"), smoothness(decoded), strict=True))
    metrics = [("", name, value[kept].mean().item()) for name, value in values.items()]
    arrays = {name: value.numpy(force=True).astype(np.float32) for name, value in values.items()}
    return Result(metrics, arrays | {"kept": kept.numpy(force=True)}, {})
