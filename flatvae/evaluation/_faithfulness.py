"""Whether codes keep the data's neighbourhoods and long distances: a latent space can be flat and yet be folded.

Both metrics take at most 2,000 evenly spaced test rows and compare codes with observations, each by Euclidean distance:

``trustworthiness_at_10``: 1 − 2 / (N k (2N − 3k − 1)) Σ_i Σ_{j ∈ U_i} (r(i, j) − k), k = 10. r(i, j) is the rank of j among the
observations by their distance from i, and U_i holds those of the k nearest codes of i that are not among its k nearest
observations. It is 1 if all neighbours among codes are neighbours among observations, and about a half by chance.

``graph_rank_correlation``: Spearman's rank correlation between the distance of codes and the length of the shortest path in the
data's graph, over 10,000 random pairs of these rows, the same for every method. The graph joins each row to its 10 nearest; an
edge is as long as the rows' distance. It is 1 if latent distance ranks pairs as shortest paths along the data do, and 0 if all
codes coincide. Pairs in different components of the graph are left out; ``graph_rank_pairs_left_out`` of the control ``data``
counts them.

Rows are shuffled, in the same way each time, so that codes at equal distance are neighbours in a random order.

Source: trustworthiness, Venna & Kaski (ICANN 2001), as in scikit-learn; paths along a graph, Tenenbaum et al. (Science 2000).
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.csgraph import dijkstra
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from flatvae.evaluation import generator, random_pairs, spread

ROWS = 2000
_NEAREST = 10
_PAIRS = 10_000


class Own(NamedTuple):
    """Quantities of the observations alone."""

    rows: Tensor  # the compared rows, shuffled, (N,)
    ranks: np.ndarray  # r(i, j), (N, N), from 1; 0 for j = i
    pairs: np.ndarray  # pairs of positions among these rows within one component, (2, P)
    paths: np.ndarray  # length of the shortest path between each pair, (P,)
    left_out: int  # pairs in different components


def own(observations: Tensor) -> Own:
    """Ranks and shortest paths among at most 2,000 evenly spaced observations of (M, D)."""
    rows = spread(len(observations), ROWS)
    rows = rows[torch.randperm(len(rows), generator=generator())]
    x = observations[rows].double().numpy(force=True)
    pairs = torch.stack(random_pairs(len(rows), _PAIRS)).numpy()
    paths = _path_lengths(x)[tuple(pairs)]
    joined = np.isfinite(paths)
    return Own(rows, _ranks(x), pairs[:, joined], paths[joined], int((~joined).sum()))


@functools.lru_cache(maxsize=1)  # the seeds of a method are evaluated one after another
def _own(dataset) -> Own:
    return own(dataset.test)


def _ranks(observations: np.ndarray) -> np.ndarray:
    """r(i, j): the rank of j among all others by its distance from i, from 1; 0 for i itself: (N, D) -> (N, N)."""
    x = torch.from_numpy(observations)
    order = torch.cdist(x, x).fill_diagonal_(-1).argsort(dim=1, stable=True)
    places = torch.arange(len(x), dtype=torch.int32).expand(len(x), -1)
    return torch.empty(order.shape, dtype=torch.int32).scatter_(1, order, places).numpy()


def _path_lengths(observations: np.ndarray) -> np.ndarray:
    """Lengths of shortest paths in the graph of nearest neighbours, inf between components: (N, D) -> (N, N)."""
    neighbours = min(_NEAREST, len(observations) - 1)
    graph = NearestNeighbors(n_neighbors=neighbours).fit(observations).kneighbors_graph(mode="distance")
    return dijkstra(graph, directed=False)


def _trustworthiness(ranks: np.ndarray, codes: np.ndarray) -> float:
    n, k = len(codes), _NEAREST
    nearest = NearestNeighbors(n_neighbors=k).fit(codes).kneighbors(return_distance=False)
    beyond = (np.take_along_axis(ranks, nearest, axis=1) - k).clip(min=0)
    return 1 - float(beyond.sum(dtype=np.int64)) * 2 / (n * k * (2 * n - 3 * k - 1))


def _rank_correlation(codes: np.ndarray, own: Own) -> float:
    distances = np.linalg.norm(codes[own.pairs[0]] - codes[own.pairs[1]], axis=1)
    told_apart = len(distances) > 1 and np.ptp(distances) > 0 and np.ptp(own.paths) > 0
    return float(spearmanr(distances, own.paths).statistic) if told_apart else 0.0


def asked(dataset) -> Tensor:
    """Numbers of the test rows whose codes ``faithfulness`` needs, in its order: (N,)."""
    return _own(dataset).rows


def faithfulness(dataset, codes: Tensor) -> dict[str, float]:
    """Both metrics for the codes (N, n) of the rows ``asked``; no trustworthiness if there are at most 20 rows."""
    return faithful(_own(dataset), codes)


def faithful(own: Own, codes: Tensor) -> dict[str, float]:
    """Both metrics for the codes (N, n) of the rows ``own.rows``."""
    codes = codes.double().numpy(force=True)
    values = {"graph_rank_correlation": _rank_correlation(codes, own)}
    if len(codes) > 2 * _NEAREST:  # else it is not within [0, 1]
        values["trustworthiness_at_10"] = _trustworthiness(own.ranks, codes)
    return values


def own_faithfulness(dataset) -> dict[str, float]:
    """The control on raw observations: rank correlation of their Euclidean distance, and the number of pairs left out."""
    known = _own(dataset)
    correlation = _rank_correlation(dataset.test[known.rows].double().numpy(), known)
    return {"graph_rank_correlation": correlation, "graph_rank_pairs_left_out": float(known.left_out)}
