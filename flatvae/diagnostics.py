"""The geometry of any trained decoder: is its latent space flat, smooth, and faithful to the data?

::

    import flatvae

    found = flatvae.report(decode, codes, data)  # decode: a torch function (N, n) -> (N, …)
    print(found)
    found.plot().savefig("latent_space.png")
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import flatvae.geometry.metric as geometry
from flatvae.errors import InputError
from flatvae.evaluation import generator, random_pairs
from flatvae.evaluation._faithfulness import faithful, own
from flatvae.evaluation.distances import distance_metrics
from flatvae.evaluation.flatness import magnification_map, mixup_points
from flatvae.evaluation.interpolation import PAIRS, POINTS, long_enough, smoothness
from flatvae.geometry.geodesic import GeodesicDistance
from flatvae.model import active_dimensions

ROWS = 2_000  # codes that are measured, at most
_NODES, _NEIGHBOURS = 1_000, 20  # in the graph for geodesics
_CHUNK = 512
_KINKED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.Hardtanh, nn.MaxPool1d, nn.MaxPool2d)

# attribute, ideal value, meaning
_MEANINGS = (
    ("condition_number", 1, "λ_max / λ_min of the metric, median: 1 where all directions are stretched alike"),
    ("condition_number_q90", 1, "the same, 90 % quantile"),
    ("condition_number_mixup", 1, "the same, median at points between two codes"),
    ("metric_deviation", 0, "relative distance of the metric from one scaled identity, median: 0 where it is flat"),
    ("log_mf_std", 0, "spread of the log magnification factor per dimension: 0 where areas are kept"),
    ("active_dimensions", "n", "number of latent dimensions that the encoder uses"),
    ("length_ratio", 1, "geodesic over straight line, mean: 1 where straight lines are shortest"),
    ("second_difference", 0, "bending of decoded straight lines: 0 where they stay straight"),
    ("velocity_cv", 0, "coefficient of variation of step lengths along decoded straight lines"),
    ("unexplained", 0, "share of the data's variance that the decoded codes do not explain"),
    ("trustworthiness", 1, "1 where neighbours among codes are neighbours among the data (k = 10)"),
    ("graph_rank_correlation", 1, "1 where distances between codes rank pairs as shortest paths along the data do"),
)


@dataclass(frozen=True, repr=False)
class Report:
    """The result of ``report``, measured on ``rows`` codes. A quantity is None if its inputs were not given.

    Attributes are the quantities of ``table()`` and, for figures, ``codes`` (N, n), ``condition_numbers`` (N,) and
    ``log_magnification_factors`` (N,). For n = 2 ``map`` is a map of the log magnification factor (see
    ``flatvae.evaluation.flatness.magnification_map``).
    """

    rows: int
    codes: np.ndarray
    condition_numbers: np.ndarray
    log_magnification_factors: np.ndarray
    map: dict[str, np.ndarray] | None
    condition_number: float
    condition_number_q90: float
    condition_number_mixup: float
    metric_deviation: float
    log_mf_std: float
    second_difference: float
    velocity_cv: float
    active_dimensions: int | None = None
    length_ratio: float | None = None
    unexplained: float | None = None
    trustworthiness: float | None = None
    graph_rank_correlation: float | None = None

    def table(self) -> pd.DataFrame:
        """Columns ``quantity``, ``value``, ``ideal``, ``meaning``; leaves out quantities that are None."""
        rows = [(name, getattr(self, name), ideal, meaning) for name, ideal, meaning in _MEANINGS]
        rows = [row for row in rows if row[1] is not None]
        return pd.DataFrame(rows, columns=["quantity", "value", "ideal", "meaning"])

    def __repr__(self) -> str:
        lines = [f"{name:<24}{value:>10.4g}   {meaning}" for name, value, _, meaning in self.table().to_numpy()]
        return "\n".join([f"Latent space of {self.rows} codes in {self.codes.shape[1]} dimensions", *lines])

    def plot(self):
        """Left the log magnification factor (n = 2: a map with the codes; else a histogram), right the condition numbers.

        Returns:
            a matplotlib ``Figure``.
        """
        from matplotlib.figure import Figure  # not pyplot: thread-safe, and needs no close

        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        if self.map is None:
            left.hist(_finite(self.log_magnification_factors), bins=40)
            left.set(xlabel="log magnification factor, equal everywhere where flat", ylabel="codes")
        else:
            shading = left.pcolormesh(self.map["map_x"], self.map["map_y"], self.map["map_log_mf"], shading="nearest")
            figure.colorbar(shading, ax=left, label="log magnification factor")
            left.scatter(*self.codes.T, s=4, color="white", edgecolor="black", linewidth=0.2)
            left.set(xlabel="code 1", ylabel="code 2", aspect="equal")
        right.hist(_finite(self.condition_numbers), bins=40)
        right.axvline(self.condition_number, color="black", linewidth=1, label=f"median {self.condition_number:.3g}")
        right.set(xlabel="condition number, 1 where flat", ylabel="codes")
        right.legend()
        return figure


@torch.no_grad()
def report(
    decode: Callable[[Tensor], Tensor],
    codes: Tensor | np.ndarray,
    data: Tensor | np.ndarray | None = None,
    *,
    log_variances: Tensor | None = None,
    geodesics: bool = True,
) -> Report:
    """Measures a trained decoder on at most 2,000 codes; repeated calls choose the same ones.

    The decoder may come from any library and be on any device. If it returns an object, pass a function that takes the tensor
    out of it, for example ``lambda z: model.decoder(z).reconstruction`` for pythae.

    Cost for 2,000 codes in two dimensions and 50 columns: about a second without geodesics, a few seconds more with them.

    Args:
        decode: z -> x, (N, n) -> (N, …), each row by itself, differentiable in forward mode.
        codes: where the metric is measured, (M, n); preferably codes of held-out data.
        data: the data behind the codes, (M, …), in the same order.
        log_variances: log σ²(x) of the posterior, (M, n), for ``active_dimensions``.
        geodesics: whether to find geodesics between 100 pairs of codes.

    Raises:
        InputError: codes or data have another shape or are not finite; the decoder fails, is not finite or not differentiable,
            or its rows are random or depend on one another (dropout or batch normalisation in training mode).
    """
    codes, flat = _checked(decode, codes)
    data = _data(data, codes)
    chosen = torch.randperm(len(codes), generator=generator())[:ROWS].to(codes.device)
    codes = codes[chosen]
    data = None if data is None else data[chosen.to(data.device)]
    metric = _metric(flat, codes)
    condition, log_mf = geometry.condition_number(metric), geometry.log_magnification_factor(metric)
    between = geometry.condition_number(_metric(flat, mixup_points(codes)))
    values = {
        "condition_number": _quantile(condition, 0.5),
        "condition_number_q90": _quantile(condition, 0.9),
        "condition_number_mixup": _quantile(between, 0.5),
        "metric_deviation": _quantile(geometry.metric_deviation(metric, geometry.scale(metric)), 0.5),
        "log_mf_std": (log_mf.std(correction=0) / codes.shape[1]).item() if log_mf.isfinite().all() else float("inf"),
        **_smoothness(flat, codes),
    }
    if log_variances is not None:
        values["active_dimensions"] = int(active_dimensions(codes, log_variances[chosen].to(codes)).sum())
    if geodesics:
        values["length_ratio"] = _length_ratio(flat, codes)
    if data is not None:
        values |= _of_data(flat, codes, data)
    map_ = magnification_map(SimpleNamespace(decode=flat), codes) if codes.shape[1] == 2 else None
    return Report(
        rows=len(codes),
        codes=codes.numpy(force=True),
        condition_numbers=condition.numpy(force=True),
        log_magnification_factors=log_mf.numpy(force=True),
        map=map_ and {name: value.numpy(force=True) for name, value in map_.items()},
        **values,
    )


def trustworthiness(data, codes) -> float:
    """Share of neighbours among codes that are neighbours among data, weighted by rank (k = 10): (N, D), (N, n), 0 to 1."""
    return _faithful(data, codes)["trustworthiness_at_10"]


def graph_rank_correlation(data, codes) -> float:
    """Spearman's correlation of distances between codes and shortest paths in the data's graph: (N, D), (N, n), −1 to 1."""
    return _faithful(data, codes)["graph_rank_correlation"]


def _faithful(data, codes) -> dict[str, float]:
    known = own(torch.as_tensor(data).flatten(1))
    return faithful(known, torch.as_tensor(codes)[known.rows])


def _checked(decode: Callable, codes) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Codes as a tensor, and a decoder that returns (N, D)."""
    codes = torch.as_tensor(codes).detach()
    if codes.dim() != 2 or len(codes) < 2 or not codes.is_floating_point():
        raise InputError(
            f"report: codes have the shape {tuple(codes.shape)} and type {codes.dtype}; give floats (N, n), N ≥ 2"
        )
    if not codes.isfinite().all():
        raise InputError("report: codes hold NaN or infinite values; leave these rows out")
    if isinstance(decode, nn.Module):
        like = next(decode.parameters(), codes)
        codes = codes.to(like)
        if any(isinstance(part, _KINKED) for part in decode.modules()):
            warnings.warn(
                "report: the decoder is piecewise linear (ReLU or similar), so its metric jumps between pieces; prefer "
                "smooth activations",
                stacklevel=3,
            )

    def flat(z: Tensor) -> Tensor:
        return decode(z).flatten(1)

    tried = codes[:3]
    try:
        decoded, again, alone = flat(tried), flat(tried), flat(tried[:1])
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"report: decode failed for codes of shape {tuple(tried.shape)}, {codes.dtype}, on {codes.device}, with "
            f"{type(error).__name__}: {text}; it must take these and return a tensor (N, …)"
        ) from error
    if len(decoded) != len(tried) or not decoded.isfinite().all():
        raise InputError("report: decode returned NaN, infinite values or another number of rows; check the decoder")
    spread = decoded.abs().max() * 1e-3
    if (decoded - again).abs().max() > spread or (decoded[:1] - alone).abs().max() > spread:
        raise InputError(
            "report: a code decodes to another value the second time or alone; call .eval() on the model, to switch off "
            "dropout and batch statistics"
        )
    return codes, flat


def _data(data, codes: Tensor) -> Tensor | None:
    if data is None:
        return None
    data = torch.as_tensor(data).detach()
    if len(data) != len(codes):
        raise InputError(f"report: there are {len(codes)} codes and {len(data)} rows of data; give one for each")
    data = data.flatten(1)
    if not data.isfinite().all():
        raise InputError("report: data hold NaN or infinite values; leave these rows out")
    return data


def _metric(flat: Callable, codes: Tensor) -> Tensor:
    try:
        metric = geometry.pullback_metric(flat, codes)
    except (RuntimeError, NotImplementedError) as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"report: the decoder cannot be differentiated in forward mode ({text}); use torch's own layers"
        ) from error
    if not metric.isfinite().all():
        raise InputError("report: the decoder's metric is not finite at some codes; check the decoder")
    return metric


def _smoothness(flat: Callable, codes: Tensor) -> dict[str, float]:
    first, second = random_pairs(len(codes), PAIRS)
    time = torch.linspace(0, 1, POINTS, dtype=codes.dtype, device=codes.device)[:, None]
    lines = torch.lerp(codes[first][:, None], codes[second][:, None], time)  # (P, T, n)
    decoded = torch.cat([flat(points) for points in lines.flatten(0, 1).split(_CHUNK)]).unflatten(0, lines.shape[:2])
    kept = long_enough(decoded)
    measures = zip(("second_difference", "velocity_cv"), smoothness(decoded), strict=True)
    return {name: value[kept].mean().item() for name, value in measures}


def _length_ratio(flat: Callable, codes: Tensor) -> float | None:
    nodes = codes[:_NODES].unique(dim=0)
    if len(nodes) < 3:
        return None
    distance = GeodesicDistance(flat, nodes, min(_NEIGHBOURS, len(nodes) - 1))
    first, second = random_pairs(len(codes), PAIRS)
    a, b = codes[first], codes[second]
    return distance_metrics((a - b).norm(dim=1), distance.between(a, b))[0]["length_ratio_mean"]


def _of_data(flat: Callable, codes: Tensor, data: Tensor) -> dict[str, float | None]:
    decoded = torch.cat([flat(part) for part in codes.split(_CHUNK)]).to(data)
    if decoded.shape != data.shape:
        raise InputError(
            f"report: a row of data has {data.shape[1]} numbers, a decoded code {decoded.shape[1]}; they must agree"
        )
    total = (data - data.mean(0)).square().sum()
    known = own(data)
    found = faithful(known, codes[known.rows.to(codes.device)])
    return {
        "unexplained": ((data - decoded).square().sum() / total).item() if total > 0 else 0.0,
        "trustworthiness": found.get("trustworthiness_at_10"),
        "graph_rank_correlation": found["graph_rank_correlation"],
    }


def _quantile(values: Tensor, at: float) -> float:
    """A quantile without interpolation, which would give NaN between two infinite values."""
    return values.quantile(at, interpolation="nearest").item()


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
