"""Task ``distances``: is Euclidean distance in latent space a proxy for distance on the decoder's manifold?

The task takes 100 random pairs of test data, the same for every method, and their codes (posterior means). d_g is the decoded
length of the geodesic between two codes, d_s that of the straight latent line, and d_E their Euclidean distance in latent space.

``length_ratio_mean``, ``length_ratio_std``: mean and standard deviation of d_g / d_s, 1 if straight lines are geodesics.
``distance_error_median``: the median of |c d_E − d_g| / d_g with c = median(d_g / d_E), 0 if latent distance is distance on the
manifold up to a factor. ``graph_excess_mean``: the mean of d_graph / d_g − 1, the error of the neighbour graph alone.
``graph_neighbours`` is its k, and ``graph_joined_edges`` the number of straight edges that join its components. If codes or
decoded codes coincide, the ratio is 1 and the error 0.

For figures: geodesics between a few centres, and for n = 2 maps of the geodesic distance from them. A centre is the code of a
real datum that represents a class or a part of the data.
"""

import numpy as np
import torch
from torch import Tensor

from flatvae.datasets import UNLABELLED
from flatvae.evaluation import Result, encode, in_float64, random_pairs, spread
from flatvae.evaluation.flatness import magnification_map

PAIRS = 100
_DRAWN = 6  # geodesics in a figure
_FRAMES = 8
_CODES = 2000  # codes in a figure
_GRID = 20  # points per side of a distance map
_CLASSES = 5  # the first classes, which get a centre
_PARTS = 4  # parts of data without classes


def _ratio(numerator: Tensor, denominator: Tensor, both_zero: float) -> Tensor:
    """Quotients without NaN: x / 0 is ∞, and 0 / 0 is ``both_zero``."""
    undefined = (numerator == 0) & (denominator == 0)
    return torch.where(undefined, both_zero, numerator / torch.where(undefined, 1.0, denominator))


def distance_metrics(euclidean: Tensor, geodesics) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The task's metrics, and the arrays behind them, from d_E (P,) and ``Geodesics`` of the same pairs."""
    euclidean = euclidean.double()
    length, straight = geodesics.length.double(), geodesics.straight_length.double()
    graph = geodesics.graph_length.double()
    ratio = _ratio(length, straight, 1.0)
    apart = euclidean > 0
    scale = (length[apart] / euclidean[apart]).median() if apart.any() else length.new_tensor(1.0)
    error = _ratio((scale * euclidean - length).abs(), length, 0.0)
    values = {
        "length_ratio_mean": ratio.mean().item(),
        "length_ratio_std": ratio.std(correction=0).item(),
        "distance_error_median": error.quantile(0.5, interpolation="nearest").item(),
        "graph_excess_mean": (_ratio(graph, length, 1.0) - 1).mean().item(),
    }
    arrays = {
        "length_ratio": ratio,
        "euclidean": euclidean,
        "geodesic_length": length,
        "straight_length": straight,
        "graph_length": graph,
        "euclidean_scale": scale,
    }
    return values, {name: value.numpy(force=True) for name, value in arrays.items()}


def _frames(model, curves: Tensor) -> np.ndarray:
    """Decoded observations at equal steps of curves: (C, T, n) -> (C, F, D)."""
    steps = torch.linspace(0, curves.shape[1] - 1, _FRAMES).round().long()
    chosen = curves[:, steps]
    return model.decode(chosen.flatten(0, 1)).unflatten(0, chosen.shape[:2]).numpy(force=True)


def _groups(dataset) -> list[Tensor]:
    """Row numbers of the test data that each centre represents: the first classes, quarters of the factor, or single rows."""
    labels = dataset.test_labels
    if labels is not None and (labels != UNLABELLED).any():
        return [(labels == label).nonzero()[:, 0] for label in labels[labels != UNLABELLED].unique()[:_CLASSES]]
    if dataset.factors is not None:
        return [part for part in dataset.factors.argsort().tensor_split(_PARTS) if len(part)]
    return list(spread(len(dataset.test), _PARTS)[:, None])


def _centres(dataset, codes: Tensor) -> Tensor:
    """The code of every group that is nearest to the group's mean: (N, n) -> (K, n)."""
    own = [codes[group] for group in _groups(dataset)]
    return torch.stack([group[(group - group.mean(0)).norm(dim=1).argmin()] for group in own])


def _drawn(model, centres: Tensor, distance) -> dict[str, np.ndarray]:
    """Geodesics between the first pairs of centres, and decoded observations along them and along straight lines."""
    pairs = torch.combinations(torch.arange(len(centres)))[:_DRAWN] if len(centres) > 1 else torch.zeros(1, 2).long()
    first, second = pairs.T
    a, b = centres[first], centres[second]
    curves = distance.between(a, b).curve
    time = torch.linspace(0, 1, curves.shape[1]).to(curves)[:, None]
    straight = torch.lerp(a[:, None], b[:, None], time)
    return {
        "curves": curves.numpy(force=True),
        "frames_geodesic": _frames(model, curves),
        "frames_straight": _frames(model, straight),
    }


def _maps(model, codes: Tensor, centres: Tensor, distance) -> dict[str, np.ndarray]:
    """For n = 2: codes, a map of the magnification factor, and distances from each centre to a grid over the same box."""
    exact = magnification_map(in_float64(model), codes.double())
    axes = exact["map_x"].cpu(), exact["map_y"].cpu()
    x, y = (torch.linspace(axis[0], axis[-1], _GRID).to(codes) for axis in axes)
    grid = torch.cartesian_prod(y, x).flip(-1)  # (H · H, 2), x fastest
    apart = distance.pairwise(centres, centres)
    # level sets are drawn halfway to the next centre; distances far beyond need not be exact
    reach = 0.5 * (apart + torch.diag(torch.full((len(apart),), torch.inf)).to(apart)).amin(1).max().item()
    maps = distance.pairwise(centres, grid, reach).view(len(centres), _GRID, _GRID)
    shown = codes[spread(len(codes), _CODES)]
    arrays = {"codes": shown, "centres": centres, "distance_x": x, "distance_y": y, "geodesic_map": maps}
    arrays |= {"centre_distances": apart, **exact}
    return {name: value.numpy(force=True).astype(np.float32) for name, value in arrays.items()}


@torch.no_grad()
def evaluate(model, dataset, *, distances) -> Result:
    """Lengths between random pairs by every distance; the figures' arrays are for the first distance."""
    first, second = random_pairs(len(dataset.test), PAIRS)
    codes = encode(model, dataset.test)
    a, b = codes[first], codes[second]
    metrics, arrays = [], {}
    for name, distance in distances.items():
        found = distance.between(a, b)
        values, lengths = distance_metrics((a - b).norm(dim=1), found)
        values |= {"graph_neighbours": distance.n_neighbours, "graph_joined_edges": distance.joined}
        metrics += [(name, metric, value) for metric, value in values.items()]
        if not arrays:
            centres = _centres(dataset, codes)
            arrays = lengths | _drawn(model, centres, distance)
            if codes.shape[1] == 2:
                arrays |= _maps(model, codes, centres, distance)
    return Result(metrics, arrays, {})
