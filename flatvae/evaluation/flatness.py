"""Task ``flatness``: how close the decoder's metric is to a scaled identity.

The exact metric G = JᵀJ, in float64, at the encodings (posterior means) of the test set and at mixup points of them,
(1 − α) z_i + α z_j with α ~ U(0, 1), the same pairs and α for every method. Metrics, the latter also as ``…_mixup``:
``condition_number_median``, ``condition_number_q90``, ``mf_std`` = standard deviation of MF / mean(MF); and ``scale`` = c² =
E[tr G] / n at the encodings. Both k and MF / mean(MF) are 1 everywhere on a flat manifold.
"""

import numpy as np
import torch
from torch import Tensor

import flatvae.geometry.metric as geometry
from flatvae.evaluation import Result, encode, generator, in_float64

_GRID = 60  # points per side of the magnification-factor map
_MARGIN = 0.08  # of the map beyond the codes


def mixup_points(codes: Tensor) -> Tensor:
    """(1 − α) z_i + α z_j, α ~ U(0, 1), with the evaluations' common seed: (N, n) -> (N, n)."""
    source = generator()
    partner = codes[torch.randperm(len(codes), generator=source)]
    alpha = torch.rand(len(codes), 1, generator=source).to(codes)
    return torch.lerp(codes, partner, alpha)


def normalised_magnification_factor(log_mf: Tensor) -> Tensor:
    """MF / mean(MF) from log MF, without overflow: (N,) -> (N,)."""
    scaled = torch.exp(log_mf - log_mf.max())
    return scaled / scaled.mean()


def _mf_std(log_mf: Tensor) -> float:
    """Standard deviation of the normalised MF; inf where MF vanishes everywhere, for such a decoder is not flat."""
    if not torch.isfinite(log_mf).any():
        return float("inf")
    return normalised_magnification_factor(log_mf).std(correction=0).item()


def _at(model, points: Tensor, suffix: str) -> tuple[dict[str, float], dict[str, Tensor], Tensor]:
    metric = geometry.pullback_metric(model.decode, points)
    condition, log_mf = geometry.condition_number(metric), geometry.log_magnification_factor(metric)
    values = {
        # without interpolation: between two infinite values that would be NaN
        "condition_number_median": condition.quantile(0.5, interpolation="nearest").item(),
        "condition_number_q90": condition.quantile(0.9, interpolation="nearest").item(),
        "mf_std": _mf_std(log_mf),
    }
    arrays = {"condition_number": condition, "log_magnification_factor": log_mf}
    return {k + suffix: v for k, v in values.items()}, {k + suffix: v for k, v in arrays.items()}, metric


def magnification_map(model, codes: Tensor) -> dict[str, Tensor]:
    """log MF on a grid over the codes' box, for n = 2: map_x (G,), map_y (G,), map_log_mf (G, G) indexed [y, x]."""
    low, high = codes.amin(0).cpu(), codes.amax(0).cpu()
    margin = _MARGIN * (high - low)
    x, y = (torch.linspace(a, b, _GRID).to(codes) for a, b in zip(low - margin, high + margin, strict=True))
    grid = torch.cartesian_prod(y, x).flip(-1)  # (G · G, 2), x fastest
    log_mf = geometry.log_magnification_factor(geometry.pullback_metric(model.decode, grid))
    return {"map_x": x, "map_y": y, "map_log_mf": log_mf.view(_GRID, _GRID)}


def _colour(dataset) -> dict[str, np.ndarray]:
    """What colours the points of a latent map: the true factor, else the label, else nothing but zeros."""
    name, values = "none", np.zeros(len(dataset.test))
    if dataset.factors is not None:
        name, values = "true factor", dataset.factors.numpy()
    elif dataset.test_labels is not None:
        name, values = "label", dataset.test_labels.numpy()
    return {"colour": values, "colour_name": np.array(name), "colour_period": np.array(dataset.factor_period or 0.0)}


@torch.no_grad()
def evaluate(model, dataset) -> Result:
    """Condition numbers and magnification factors of a trained model; arrays: both per point, and a map where n = 2."""
    model = in_float64(model)
    codes = encode(model, dataset.test)
    values, arrays, metric = _at(model, codes, "")
    mixed_values, mixed_arrays, _ = _at(model, mixup_points(codes), "_mixup")
    values |= mixed_values | {"scale": geometry.scale(metric).item()}
    arrays |= mixed_arrays
    if codes.shape[-1] == 2:
        arrays |= {"codes": codes} | magnification_map(model, codes)
    arrays = {k: v.numpy(force=True).astype(np.float32) for k, v in arrays.items()}
    return Result([("", k, v) for k, v in values.items()], arrays, _colour(dataset))
