"""Task ``distances``: is Euclidean distance in latent space a proxy of distance on the decoder's manifold?

For 100 random pairs of test data, the same for every method, between their codes (posterior means): d_g the length of the
geodesic, d_s that of the straight latent line, both decoded, and d_E the Euclidean distance in latent space.

``length_ratio_mean``, ``length_ratio_std``: of d_g / d_s, 1 where straight lines are geodesics. ``distance_error_median``:
the median of |c d_E − d_g| / d_g with c = median(d_g / d_E), 0 where latent distance is distance on the manifold up to
a scale. ``graph_excess_mean``: of d_graph / d_g − 1, what the neighbour graph alone would have been wrong by, with its k
as ``graph_neighbours`` and ``graph_joined_edges``, the straight edges that hold it together. Of codes or images that
coincide the ratio is 1 and the error 0.

For figures: geodesics between a few centres, codes of real data that stand for a class or a part of the data each, and for n = 2
maps of the geodesic distance from them.
"""

import numpy as np
import torch
from torch import Tensor

from flatvae.datasets import UNLABELLED
from flatvae.evaluation import Result, encode, in_float64, random_pairs, spread
from flatvae.evaluation.flatness import magnification_map

PAIRS = 100
_DRAWN = 6  # geodesics that a figure shows
_FRAMES = 8
_CODES = 2000  # that a figure shows
_GRID = 20  # points per side of a distance map
_CLASSES = 5  # that get a centre, the first ones
_PARTS = 4  # of the data, where there are no classes


def _ratio(numerator: Tensor, denominator: Tensor, both_zero: float) -> Tensor:
    """Quotients without NaN: x / 0 is ∞, and 0 / 0 what it stands for here."""
    undefined = (numerator == 0) & (denominator == 0)
    return torch.where(undefined, both_zero, numerator / torch.where(undefined, 1.0, denominator))


def distance_metrics(euclidean: Tensor, geodesics) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Metrics of the task and what they were made of, from d_E (P,) and ``Geodesics`` of the same pairs."""
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
    """Row numbers of test data that a centre is to stand for: the first classes, quarters of the factor, or single rows."""
    labels = dataset.test_labels
    if labels is not None and (labels != UNLABELLED).any():
        return [(labels == label).nonzero()[:, 0] for label in labels[labels != UNLABELLED].unique()[:_CLASSES]]
    if dataset.factors is not None:
        return [part for part in dataset.factors.argsort().tensor_split(_PARTS) if len(part)]
    return list(spread(len(dataset.test), _PARTS)[:, None])


def _centres(dataset, codes: Tensor) -> Tensor:
    """Of every group its code nearest to its mean: (N, n) -> (K, n)."""
    own = [codes[group] for group in _groups(dataset)]
    return torch.stack([group[(group - group.mean(0)).norm(dim=1).argmin()] for group in own])


def _drawn(model, centres: Tensor, distance) -> dict[str, np.ndarray]:
    """Geodesics between the first pairs of centres, and observations along these and along the straight lines."""
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
    """For n = 2: codes, the magnification factor's map, and distances from each centre to a grid over the same box."""
    exact = magnification_map(in_float64(model), codes.double())
    axes = exact["map_x"].cpu(), exact["map_y"].cpu()
    x, y = (torch.linspace(axis[0], axis[-1], _GRID).to(codes) for axis in axes)
    grid = torch.cartesian_prod(y, x).flip(-1)  # (H · H, 2), x fastest
    apart = distance.pairwise(centres, centres)
    # level sets are drawn to half the way to the next centre; what is far beyond need not be exact
    reach = 0.5 * (apart + torch.diag(torch.full((len(apart),), torch.inf)).to(apart)).amin(1).max().item()
    maps = distance.pairwise(centres, grid, reach).view(len(centres), _GRID, _GRID)
    shown = codes[spread(len(codes), _CODES)]
    arrays = {"codes": shown, "centres": centres, "distance_x": x, "distance_y": y, "geodesic_map": maps}
    arrays |= {"centre_distances": apart, **exact}
    return {name: value.numpy(force=True).astype(np.float32) for name, value in arrays.items()}


@torch.no_grad()
def evaluate(model, dataset, *, distances) -> Result:
    """Lengths between random pairs by every distance; the figures' arrays are of the first distance."""
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
