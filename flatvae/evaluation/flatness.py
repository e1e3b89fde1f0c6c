"""Task ``flatness``: how close the decoder's metric is to a scaled identity.

The task computes the exact metric G = JᵀJ, in float64, at three kinds of points: the encodings (posterior means) of the test set;
their mixup points, (1 − α) z_i + α z_j with α ~ U(0, 1) (suffix ``_mixup``); and points beyond them, α ~ U(−0.2, 0) ∪ U(1, 1.2)
(suffix ``_beyond``). Pairs and α are the same for every method. Metrics at each kind:

- ``condition_number_median``, ``condition_number_q90``: quantiles of k(G) = λ_max / λ_min. Flat: 1.
- ``condition_number_active``: median of k(G_AA), A the active dimensions. A dimension that training has switched off makes k(G)
  arbitrarily large, which says nothing about the manifold. Compare this metric only at equal ``active_dimensions``; with one
  active dimension it is always 1.
- ``metric_deviation``: median of ‖G − c² I‖_F / (c² √n), c² = E[tr G] / n over the encodings. ``metric_deviation_rms``: the root
  mean square instead of the median; at the encodings it is √(n RDM − 1), RDM = E[tr G²] / (E[tr G])². Flat: 0; the root mean
  square is 0 only if flat. (k is 1 also if G is a multiple of I that changes from point to point.)
- ``mf_std``: standard deviation of MF / mean(MF), MF = √det G. ``log_mf_std``: standard deviation of log MF, divided by n.
  Flat: 0. If n is large, a few outliers dominate ``mf_std``, but not ``log_mf_std``.

At the encodings alone: ``scale`` = c², and ``active_dimensions``, the number of coordinates in which the variance of the
posterior means is at least a tenth of the posterior's mean variance. If the data set renders noise-free observations x(θ) of its
true factor θ: ``tangent_speed_cv``, the coefficient of variation of |Δf(μ(x(θ)))| / Δθ around a grid of 360 angles, 0 if
reconstructions move as evenly as the factor.

A value is ``inf``, never NaN, if G is rank-deficient (k, MF), the decoder is constant (deviation, speed), or no dimension is
active (``condition_number_active``).
"""

import numpy as np
import torch
from torch import Tensor

import flatvae.geometry.metric as geometry
from flatvae.evaluation import Result, encode, generator, in_float64, posterior
from flatvae.model import active_dimensions

_ANGLES = 360  # angles in one period of the factor
_BEYOND = 0.2  # how far beyond a pair of codes, in units of their distance
_GRID = 60  # points per side of the magnification-factor map
_MARGIN = 0.08  # margin of the map around the codes, relative to their range


def _pairs(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Partners z_j of codes, (N, n), and uniform numbers in [0, 1), (N, 1), with the evaluations' common seed."""
    source = generator()
    partner = codes[torch.randperm(len(codes), generator=source)]
    return partner, torch.rand(len(codes), 1, generator=source).to(codes)


def mixup_points(codes: Tensor) -> Tensor:
    """(1 − α) z_i + α z_j, α ~ U(0, 1), with the evaluations' common seed: (N, n) -> (N, n)."""
    return torch.lerp(codes, *_pairs(codes))


def beyond_points(codes: Tensor) -> Tensor:
    """(1 − α) z_i + α z_j, α ~ U(−0.2, 0) ∪ U(1, 1.2), for the pairs of ``mixup_points``: (N, n) -> (N, n)."""
    partner, uniform = _pairs(codes)
    step = _BEYOND * (2 * uniform - 1)  # from −0.2 to 0.2
    return torch.lerp(codes, partner, torch.where(step < 0, step, 1 + step))


def normalised_magnification_factor(log_mf: Tensor) -> Tensor:
    """MF / mean(MF) from log MF, without overflow: (N,) -> (N,)."""
    scaled = torch.exp(log_mf - log_mf.max())
    return scaled / scaled.mean()


def _mf_std(log_mf: Tensor) -> float:
    """Standard deviation of the normalised MF; inf if MF vanishes everywhere, because such a decoder is not flat."""
    if not torch.isfinite(log_mf).any():
        return float("inf")
    return normalised_magnification_factor(log_mf).std(correction=0).item()


def _log_mf_std(log_mf: Tensor, n: int) -> float:
    """Standard deviation of log MF, divided by n; inf where MF vanishes anywhere."""
    return (log_mf.std(correction=0) / n).item() if torch.isfinite(log_mf).all() else float("inf")


def _quantile(values: Tensor, at: float) -> float:
    """A quantile without interpolation, which would give NaN between two infinite values."""
    return values.quantile(at, interpolation="nearest").item()


def _measured(metric: Tensor, active: Tensor, scale: Tensor, suffix: str) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Metrics and arrays of the metric tensors (N, n, n) at one kind of points."""
    condition, log_mf = geometry.condition_number(metric), geometry.log_magnification_factor(metric)
    deviation = geometry.metric_deviation(metric, scale)
    values = {
        "condition_number_median": _quantile(condition, 0.5),
        "condition_number_q90": _quantile(condition, 0.9),
        "condition_number_active": _quantile(geometry.condition_number_active(metric, active), 0.5),
        "metric_deviation": _quantile(deviation, 0.5),
        "metric_deviation_rms": deviation.square().mean().sqrt().item(),
        "mf_std": _mf_std(log_mf),
        "log_mf_std": _log_mf_std(log_mf, metric.shape[-1]),
    }
    arrays = {"condition_number": condition, "log_magnification_factor": log_mf, "metric_deviation": deviation}
    return {k + suffix: v for k, v in values.items()}, {k + suffix: v for k, v in arrays.items()}


def tangent_speed_cv(model, dataset) -> float:
    """Coefficient of variation of |f(μ(x(θ_{k+1}))) − f(μ(x(θ_k)))| / Δθ, θ_k = k Δθ, k = 0…359, once round the period.

    It is 0 if the reconstruction moves at constant speed, and inf if it does not move at all.
    """
    angles = torch.arange(_ANGLES, dtype=torch.float64) * (dataset.factor_period / _ANGLES)
    decoded = model.decode(encode(model, dataset.render(angles)))  # (360, D)
    speed = (decoded.roll(-1, dims=0) - decoded).norm(dim=-1) * (_ANGLES / dataset.factor_period)
    return (speed.std(correction=0) / speed.mean()).item() if speed.any() else float("inf")


def magnification_map(model, codes: Tensor) -> dict[str, Tensor]:
    """log MF on a grid over the codes' box, for n = 2: map_x (G,), map_y (G,), map_log_mf (G, G) indexed [y, x]."""
    low, high = codes.amin(0).cpu(), codes.amax(0).cpu()
    margin = _MARGIN * (high - low)
    x, y = (torch.linspace(a, b, _GRID).to(codes) for a, b in zip(low - margin, high + margin, strict=True))
    grid = torch.cartesian_prod(y, x).flip(-1)  # (G · G, 2), x fastest
    log_mf = geometry.log_magnification_factor(geometry.pullback_metric(model.decode, grid))
    return {"map_x": x, "map_y": y, "map_log_mf": log_mf.view(_GRID, _GRID)}


def _colour(dataset) -> dict[str, np.ndarray]:
    """Values that colour the points of a latent map: the true factor, else the label, else zeros."""
    name, values = "none", np.zeros(len(dataset.test))
    if dataset.factors is not None:
        name, values = "true factor", dataset.factors.numpy()
    elif dataset.test_labels is not None:
        name, values = "label", dataset.test_labels.numpy()
    return {"colour": values, "colour_name": np.array(name), "colour_period": np.array(dataset.factor_period or 0.0)}


@torch.no_grad()
def evaluate(model, dataset) -> Result:
    """Flatness of a trained model, by the metrics above.

    Arrays, one value per point of each kind: ``condition_number``, ``log_magnification_factor`` and ``metric_deviation``. For
    n = 2 also the ``codes`` and a map of log MF.
    """
    model = in_float64(model)
    codes, log_variances = posterior(model, dataset.test)
    active = active_dimensions(codes, log_variances)
    points = {"": codes, "_mixup": mixup_points(codes), "_beyond": beyond_points(codes)}
    metrics = {suffix: geometry.pullback_metric(model.decode, of_kind) for suffix, of_kind in points.items()}
    scale = geometry.scale(metrics[""])
    values, arrays = {"scale": scale.item(), "active_dimensions": float(active.sum())}, {}
    for suffix, metric in metrics.items():
        of_kind = _measured(metric, active, scale, suffix)
        values |= of_kind[0]
        arrays |= of_kind[1]
    if dataset.render is not None:
        values["tangent_speed_cv"] = tangent_speed_cv(model, dataset)
    if codes.shape[-1] == 2:
        arrays |= {"codes": codes} | magnification_map(model, codes)
    arrays = {k: v.numpy(force=True).astype(np.float32) for k, v in arrays.items()}
    return Result([("", k, v) for k, v in values.items()], arrays, _colour(dataset))
