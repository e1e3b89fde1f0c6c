"""Geodesic distances of a decoder's geometry: a graph gives an initial path, refinement the distance.

The length of a latent curve γ is that of its decoded image, L(γ) = ∫ √(γ̇ᵀ G(γ) γ̇) dt. The distance of two latent points is
the least length of a curve that joins them (graph: Chen et al. 2019, arXiv 1812.08284; curves: Arvanitidis et al. 2018).

The graph joins each node with its k nearest neighbours in latent space, made symmetric. An edge's weight is the decoded length
of its straight segment; Dijkstra finds shortest paths. Paths are restricted to edges, so with small k they are several percent
too long. So each pair is refined (see ``flatvae.geometry.curves``) from two starts, the straight line and the graph's path. The
shorter result counts, or the straight line if neither is shorter: **no distance is ever longer than the straight line's
length.**
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from flatvae.errors import InputError
from flatvae.geometry.curves import SEGMENTS, Refinement
from flatvae.geometry.metric import Decoder

_NEIGHBOURS = 40  # default k
_EDGE_SEGMENTS = 4  # segments of a graph edge, for its length
_BATCH = 1 << 12  # latent points refined at once; memory is a few times this times the widest layer
# most decoded numbers at once on a CPU: 4,096 pictures of 6,144 numbers took ten gigabytes in convolutions
_NUMBERS = {"cpu": 1 << 23}
_DECODED = {"cpu": 1 << 9}  # points decoded at once: on a CPU as many pictures as its cache holds; elsewhere _BATCH
_SOURCES = 64  # rows of Dijkstra's output held at once


class Geodesics(NamedTuple):
    """Shortest curves found between P pairs of latent points.

    Attributes:
        length: decoded length of the shortest curve (P,), in float64 if ``exact`` was given; never above ``straight_length``.
        straight_length: decoded length of the straight latent line (P,), in the same precision.
        graph_length: decoded length of the graph's path, unrefined (P,); may exceed ``straight_length``.
        curve: the shortest curve's points at equal parameter steps (P, T, n), including both ends.
    """

    length: Tensor
    straight_length: Tensor
    graph_length: Tensor
    curve: Tensor


class _Points(NamedTuple):
    """Latent points (N, n) and their decoded images (N, D)."""

    latent: Tensor
    decoded: Tensor


def _flattened(decoder: Callable[[Tensor], Tensor]) -> Decoder:
    """The decoder with its output as rows of numbers, (N, …) -> (N, D)."""
    return lambda z: decoder(z).flatten(1)


class GeodesicDistance:
    """Geodesic distance between latent points of one decoder.

    Args:
        decoder: f, (N, n) -> (N, D) or (N, …), each row by itself.
        nodes: latent points (M, n) for the graph: encodings, samples of the prior, a cover of their box.
        n_neighbours: k; two nodes are joined if either is among the other's k nearest. By default 40, or all others if there are
            at most 40 nodes.
        iterations: iterations of the refinement, at most; 0 keeps straight lines and smoothed graph paths.
        exact: the same decoder in float64, for the final lengths; without it these are in the nodes' precision.

    Attributes:
        graph: the weighted graph, (M', M') with M' ≤ M distinct nodes.
        joined: number of straight edges added to connect the graph's components.

    Raises:
        InputError: nodes are not finite, or at most k of them are distinct.
    """

    def __init__(
        self,
        decoder: Decoder,
        nodes: Tensor,
        n_neighbours: int | None = None,
        *,
        iterations: int = 200,
        exact: Decoder | None = None,
    ):
        _check_points(nodes, "nodes")
        decoder, exact = _flattened(decoder), exact and _flattened(exact)
        self.decoder = decoder
        self.nodes = nodes.detach().unique(dim=0)  # the nearest neighbours of duplicates would be each other
        if n_neighbours is None:
            n_neighbours = max(1, min(_NEIGHBOURS, len(self.nodes) - 1))
        if not 1 <= n_neighbours < len(self.nodes):
            raise InputError(
                f"geodesic: n_neighbours is {n_neighbours} with {len(self.nodes)} distinct nodes; it must be at least 1 and "
                "less than the number of nodes (if more were expected, the encoder gives different data the same code)"
            )
        self.n_neighbours = n_neighbours
        self.iterations = iterations
        self._position = _numpy(self.nodes)
        self._search = NearestNeighbors(n_neighbors=n_neighbours).fit(self._position)
        self._images = self._decoded(self.nodes)
        self.graph, self.joined = self._build_graph()
        self._refined = Refinement(decoder, nodes, iterations, exact)

    def between(self, a: Tensor, b: Tensor) -> Geodesics:
        """Geodesics from each row of a to the same row of b: (P, n), (P, n)."""
        _check_points(a, "a")
        _check_points(b, "b")
        if a.shape != b.shape:
            raise InputError(
                f"geodesic: a is {tuple(a.shape)} and b {tuple(b.shape)}; rows are paired, so the shapes must be equal"
            )
        graph_length, paths = self._graph_paths(a, b)
        width = self._images.decoded.shape[1]
        points = min(_BATCH, _NUMBERS.get(a.device.type, _BATCH * width) // width)
        rows = max(1, points // (2 * (SEGMENTS - 1)))
        parts = [
            self._refined(x, y, path)
            for x, y, path in zip(a.split(rows), b.split(rows), paths.split(rows), strict=True)
        ]
        length, straight_length, curve = map(torch.cat, zip(*parts, strict=True))
        graph_length = graph_length.masked_fill((a == b).all(1), 0.0)
        return Geodesics(length, straight_length, graph_length, curve)

    def pairwise(self, a: Tensor, b: Tensor, reach: float = math.inf) -> Tensor:
        """Geodesic distance of every row of a to every row of b: (A, n), (B, n) -> (A, B).

        For pairs whose straight line is at least 1.5 times ``reach`` long, it is the straight line's length.
        """
        left, right = torch.cartesian_prod(torch.arange(len(a)), torch.arange(len(b))).to(a.device).T  # (A · B,)
        length = self._edges(self._decoded(a), self._decoded(b), left, right)
        near = length < 1.5 * reach
        if near.any():
            length[near] = self.between(a[left[near]], b[right[near]]).length.to(length)
        return length.view(len(a), len(b))

    def path(self, a: Tensor, b: Tensor) -> Tensor:
        """The shortest curve found from a to b: (n,), (n,) -> (T, n)."""
        return self.between(a[None], b[None]).curve[0]

    def index(self, gallery: Tensor) -> "NeighbourIndex":
        """The index for searches among these latent points (G, n)."""
        return NeighbourIndex(self, gallery)

    def nearest(self, queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k nearest gallery points by geodesic distance: see ``NeighbourIndex``."""
        return self.index(gallery).nearest(queries, k)

    def nearest_among(self, queries: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k nearest of each query's own candidates by the straight line's length: (Q, n), (Q, C, n) -> (Q, k), (Q, k).

        Returns the candidates' numbers, nearest first, and lengths; candidates of equal length keep their order.
        """
        distinct, number = candidates.flatten(0, 1).unique(dim=0, return_inverse=True)
        return self._ranked(self._decoded(queries), self._decoded(distinct), number.view(candidates.shape[:2]), k)

    def _ranked(self, queries: _Points, gallery: _Points, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As ``nearest_among``, for candidates given by their numbers in the gallery (Q, C)."""
        query = torch.arange(len(candidates), device=candidates.device).repeat_interleave(candidates.shape[1])
        length = self._edges(queries, gallery, query, candidates.flatten()).view(candidates.shape)
        length, order = length.sort(dim=1, stable=True)
        return order[:, :k], length[:, :k]

    def nearest_nodes(self, queries: Tensor, k: int) -> np.ndarray:
        """The k nearest of the graph's nodes by the graph's distance alone, nearest first: (Q, n) -> (Q, k).

        It runs Dijkstra from every query to all nodes: the cost of a search among data that are the nodes.
        """
        near, weight = self._attach(queries)
        start = len(self.nodes) + np.repeat(np.arange(len(queries)), self.n_neighbours)
        graph = self._with_edges(np.stack([start, near.ravel()], axis=1), weight.ravel(), len(queries))
        found = []
        for rows in np.split(np.arange(len(queries)), range(_SOURCES, len(queries), _SOURCES)):
            length = dijkstra(graph, indices=len(self.nodes) + rows)[:, : len(self.nodes)]
            nearest = np.argpartition(length, k - 1, axis=1)[:, :k]
            found.append(np.take_along_axis(nearest, np.take_along_axis(length, nearest, 1).argsort(1), 1))
        return np.concatenate(found)

    @torch.no_grad()
    def _decoded(self, points: Tensor) -> _Points:
        """Points and their decoded images, decoded in batches: (N, n)."""
        batches = points.split(_DECODED.get(points.device.type, _BATCH))
        return _Points(points, torch.cat([self.decoder(rows) for rows in batches]))

    @torch.no_grad()
    def _edges(self, a: _Points, b: _Points, i: Tensor, j: Tensor) -> Tensor:
        """Decoded lengths of straight edges from row i of a to row j of b: (E,), (E,) -> (E,).

        The ends are decoded in advance, because a point has many edges.
        """
        time = torch.linspace(0, 1, _EDGE_SEGMENTS + 1, dtype=a.latent.dtype, device=i.device)[1:-1, None]
        rows = _DECODED.get(i.device.type, _BATCH) // len(time)

        def length_of(i: Tensor, j: Tensor) -> Tensor:
            inner = torch.lerp(a.latent[i][:, None], b.latent[j][:, None], time)  # (·, T, n)
            decoded = self.decoder(inner.flatten(0, 1)).unflatten(0, inner.shape[:2])  # (·, T, D)
            curve = torch.cat([a.decoded[i][:, None], decoded, b.decoded[j][:, None]], dim=1)
            return torch.linalg.vector_norm(curve.diff(dim=1), dim=-1).sum(-1)

        length = torch.cat([length_of(*ends) for ends in zip(i.split(rows), j.split(rows), strict=True)])
        if not torch.isfinite(length).all():
            raise InputError(
                "geodesic: the decoder's output is not finite on an edge between latent points; check the model"
            )
        return length

    def _build_graph(self) -> tuple[csr_array, int]:
        """The symmetric neighbour graph of the nodes, its components joined, and the number of joining edges."""
        neighbours = self._search.kneighbors(return_distance=False)  # (M, k)
        ends = np.stack([np.repeat(np.arange(len(neighbours)), self.n_neighbours), neighbours.ravel()], axis=1)
        ends = np.unique(np.sort(ends, axis=1), axis=0)  # (E, 2), each edge once
        extra = joining_edges(self._position, ends)
        ends = np.concatenate([ends, extra])
        weight = _numpy(self._edges(self._images, self._images, *torch.as_tensor(ends.T).to(self.nodes.device)))
        return _directed(np.concatenate([ends, ends[:, ::-1]]), np.tile(weight, 2), len(self.nodes)), len(extra)

    def _attach(self, points: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Edges of query points to their k nearest nodes: nodes (P, k) and decoded lengths (P, k)."""
        near = self._search.kneighbors(_numpy(points), return_distance=False)
        start = np.repeat(np.arange(len(points)), near.shape[1])
        ends = torch.as_tensor(np.stack([start, near.ravel()])).to(points.device)
        lengths = self._edges(self._decoded(points), self._images, *ends)
        return near, _numpy(lengths).reshape(near.shape)

    def _with_edges(self, ends: np.ndarray, weight: np.ndarray, points: int) -> csr_array:
        """The graph with a number of further points and their directed edges (E, 2)."""
        own = self.graph.tocoo()
        ends = np.concatenate([np.stack([own.row, own.col], axis=1), ends])
        return _directed(ends, np.concatenate([own.data, weight]), len(self.nodes) + points)

    def _graph_paths(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Shortest paths of the graph from each row of a to the same row of b: lengths (P,), points at equal steps (P, K + 1, n).

        Edges only leave a and only enter b, so no path leads through another pair's points.
        """
        starts, pair_start = a.unique(dim=0, return_inverse=True)  # one search for all pairs with the same start
        nodes, count = len(self.nodes), len(starts)
        (near_a, length_a), (near_b, length_b) = self._attach(starts), self._attach(b)
        from_a = np.stack([nodes + np.repeat(np.arange(count), self.n_neighbours), near_a.ravel()], axis=1)
        to_b = np.stack([near_b.ravel(), nodes + count + np.repeat(np.arange(len(b)), self.n_neighbours)], axis=1)
        weight = np.concatenate([length_a.ravel(), length_b.ravel()])
        graph = self._with_edges(np.concatenate([from_a, to_b]), weight, count + len(b))
        position = np.concatenate([self._position, _numpy(starts), _numpy(b)])
        time, source = np.linspace(0, 1, SEGMENTS + 1), pair_start.cpu().numpy()
        lengths, paths = np.empty(len(a)), np.empty((len(a), len(time), a.shape[1]))
        for first in range(0, count, _SOURCES):
            rows = np.arange(first, min(first + _SOURCES, count))
            distance, before = dijkstra(graph, indices=nodes + rows, return_predecessors=True)
            for pair in np.flatnonzero((source >= rows[0]) & (source <= rows[-1])):
                row = source[pair] - first
                path = _trace(before[row], nodes + source[pair], nodes + count + pair)
                lengths[pair] = distance[row, path[-1]]
                paths[pair] = _resample(position[path], distance[row, path], time)
        return torch.as_tensor(lengths).to(a), torch.as_tensor(paths).to(a)


class NeighbourIndex:
    """Search for the nearest of G latent points by geodesic distance: filter by a lower bound, rank by an upper bound.

    The chord ‖f(q) − f(g)‖ is a lower bound, so the candidates are the points with the shortest chords. The decoded length of
    the straight line is an upper bound, close to the distance between neighbours; it ranks the candidates. The result is exact
    if the k-th length found is below the last candidate's chord and straight lines between neighbours are geodesics. On six
    trained models of the pendulum and the digits it found 99.6 to 100 % of the nearest by refined distance. Cost of a query:
    G chords in R^D, and decoder passes for 3 points on each candidate's line.

    Args:
        distance: the geodesic distance.
        gallery: latent points (G, n).
        candidates: number of ranked candidates, at least.
    """

    def __init__(self, distance: GeodesicDistance, gallery: Tensor, candidates: int = 30):
        _check_points(gallery, "gallery")
        self.distance = distance
        self.gallery = gallery
        self.candidates = candidates
        self._points = distance._decoded(gallery)
        self._search = NearestNeighbors(algorithm="brute").fit(self._points.decoded.cpu().numpy())

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k nearest, nearest first: (Q, n) -> indices (Q, k) and lengths of the straight lines to them (Q, k).

        Raises:
            InputError: the queries are not finite, or the gallery has fewer than k points.
        """
        _check_points(queries, "queries")
        if k > len(self.gallery):
            raise InputError(f"geodesic: k is {k}, but the gallery has {len(self.gallery)} points; ask for fewer")
        points, count = self.distance._decoded(queries), min(max(k, self.candidates), len(self.gallery))
        images = points.decoded.cpu().numpy()
        found = torch.as_tensor(self._search.kneighbors(images, count, return_distance=False)).to(queries.device)
        order, length = self.distance._ranked(points, self._points, found, k)
        return found.gather(1, order), length


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def _check_points(points: Tensor, what: str) -> None:
    if points.ndim != 2 or not len(points):
        raise InputError(f"geodesic: {what} is of shape {tuple(points.shape)}; it must be (N, n) with N ≥ 1")
    if not torch.isfinite(points).all():
        raise InputError(f"geodesic: {what} holds NaN or infinite values; check the encoder that made them")


def _directed(ends: np.ndarray, weight: np.ndarray, nodes: int) -> csr_array:
    """A graph of directed edges (E, 2); an edge of weight 0 stays an edge."""
    return csr_array(coo_array((weight, (ends[:, 0], ends[:, 1])), shape=(nodes, nodes)))


def joining_edges(position: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Edges (·, 2) that connect a graph: each component is joined with the node nearest to it, until one is left."""
    joined = np.empty((0, 2), dtype=ends.dtype)
    while True:
        every = np.concatenate([ends, joined])
        count, part = connected_components(_directed(every, np.ones(len(every)), len(position)), directed=False)
        if count == 1:
            return joined
        # the largest component needs no search: the others join it
        for label in np.argsort(np.bincount(part))[:-1]:
            inside, outside = np.flatnonzero(part == label), np.flatnonzero(part != label)
            distance, near = NearestNeighbors(n_neighbors=1).fit(position[outside]).kneighbors(position[inside])
            closest = distance[:, 0].argmin()
            edge = sorted((inside[closest], outside[near[closest, 0]]))
            joined = np.unique(np.concatenate([joined, [edge]]), axis=0)


def _trace(previous: np.ndarray, start: int, end: int) -> list[int]:
    """Node numbers from start to end, read backwards from Dijkstra's predecessors."""
    path = [end]
    while path[-1] != start:
        path.append(int(previous[path[-1]]))
    return path[::-1]


def _resample(points: np.ndarray, travelled: np.ndarray, time: np.ndarray) -> np.ndarray:
    """A polyline (·, n) resampled at equal steps of its length (of its points' numbers, if the length is 0): (T, n)."""
    share = travelled / travelled[-1] if travelled[-1] > 0 else np.linspace(0, 1, len(travelled))
    return np.stack([np.interp(time, share, coordinate) for coordinate in points.T], axis=1)
