"""Geodesics against what is known: flat decoders, great circles, the torus, and the solver of stochman."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from baselines import geodesic, vae, vhp_vae
from baselines.geodesic import GeodesicDistance
from flatvae import geometry
from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.geometry import curves
from flatvae.geometry import geodesic as geodesics

DOUBLE = torch.float64


def random_points(count: int, n: int, seed: int = 0, span: float = 1.0) -> torch.Tensor:
    """Uniform points in a box of half-width span."""
    unit = torch.rand(count, n, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    return (2 * unit - 1) * span


def sphere(z):  # longitude, latitude
    return torch.stack([z[:, 1].cos() * z[:, 0].cos(), z[:, 1].cos() * z[:, 0].sin(), z[:, 1].sin()], dim=1)


def torus(z, outer: float = 2.0):
    ring = outer + z[:, 1].cos()
    return torch.stack([ring * z[:, 0].cos(), ring * z[:, 0].sin(), z[:, 1].sin()], dim=1)


def tanh_decoder(n: int = 2, hidden: int = 32, dim: int = 20, gain: float = 1.5, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(n, hidden), nn.Tanh(), nn.Linear(hidden, dim)).to(DOUBLE)
    network.requires_grad_(False)
    network[0].weight *= gain * 2
    return network


@pytest.mark.parametrize("n", [1, 2, 8])
def test_flat_decoder_gives_euclidean_distance(n):
    frame = torch.linalg.qr(random_points(12, n)).Q  # (12, n), orthonormal columns

    def decoder(z):
        return 3 * z @ frame.T + 1

    a, b = random_points(40, n, seed=1), random_points(30, n, seed=2)
    distance = GeodesicDistance(decoder, random_points(200, n, seed=3), 10)
    torch.testing.assert_close(distance.pairwise(a, b), 3 * torch.cdist(a, b), rtol=1e-9, atol=1e-6)
    path = distance.path(a[0], b[0])
    assert torch.equal(path[0], a[0])
    torch.testing.assert_close(path[-1], b[0])
    straight = torch.lerp(a[0], b[0], torch.linspace(0, 1, len(path), dtype=DOUBLE)[:, None])
    torch.testing.assert_close(path, straight, atol=1e-6, rtol=0)


def test_sphere_gives_great_circles():
    a, b = random_points(100, 2, seed=1, span=1.2), random_points(100, 2, seed=2, span=1.2)
    found = GeodesicDistance(sphere, random_points(1000, 2, span=1.2)).between(a, b)
    arc = torch.acos((sphere(a) * sphere(b)).sum(1))
    torch.testing.assert_close(found.length, arc, rtol=1e-3, atol=0)
    assert (found.straight_length / arc).max() > 1.1  # the straight line would not do
    # points of a great circle lie in the plane of its ends and the centre
    normal = torch.linalg.cross(sphere(a), sphere(b))
    off_plane = torch.einsum("ptd,pd->pt", sphere(found.curve.flatten(0, 1)).unflatten(0, (100, -1)), normal)
    assert (off_plane / normal.norm(dim=1, keepdim=True)).abs().max() < 0.03


def test_torus_agrees_with_its_geodesic_equation():
    """Geodesics from the equation of motion (independent: no decoder), whose length is known, between their ends."""
    from scipy.integrate import solve_ivp

    def motion(_, state):  # θ longitude, φ about the tube; metric diag((2 + cos φ)², 1)
        _, phi, dtheta, dphi = state
        ring = 2 + math.cos(phi)
        return [dtheta, dphi, 2 * math.sin(phi) / ring * dtheta * dphi, -ring * math.sin(phi) * dtheta**2]

    generator = np.random.default_rng(0)
    starts, ends, lengths = [], [], []
    for _ in range(20):
        phi, heading, length = generator.uniform(-2, 2), generator.uniform(0, 2 * math.pi), generator.uniform(0.3, 1.2)
        velocity = [math.cos(heading) / (2 + math.cos(phi)), math.sin(heading)]  # of unit speed
        solved = solve_ivp(motion, (0, length), [0, phi, *velocity], rtol=1e-10, atol=1e-12)
        starts.append([0.0, phi])
        ends.append(solved.y[:2, -1])
        lengths.append(length)
    starts, ends, lengths = (torch.as_tensor(np.array(x)) for x in (starts, ends, lengths))
    found = GeodesicDistance(torus, random_points(1000, 2, span=2.5)).between(starts, ends)
    torch.testing.assert_close(found.length, lengths, rtol=1e-3, atol=0)


def test_never_more_than_a_thousandth_longer_than_stochman():
    pytest.importorskip("stochman")
    from stochman.curves import CubicSpline
    from stochman.geodesic import geodesic_minimizing_energy
    from stochman.manifold import EmbeddedManifold

    decoder = tanh_decoder()

    class Surface(EmbeddedManifold):
        def embed(self, points, jacobian=False):
            return decoder(points)

    a, b = random_points(20, 2, seed=1, span=1.5), random_points(20, 2, seed=2, span=1.5)
    ours = GeodesicDistance(decoder, random_points(1000, 2, span=1.5)).between(a, b)
    time = torch.linspace(0, 1, ours.curve.shape[1], dtype=DOUBLE)
    for start, end, length, straight in zip(a, b, ours.length, ours.straight_length, strict=True):
        spline = CubicSpline(start[None], end[None], num_nodes=10).to(DOUBLE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            geodesic_minimizing_energy(spline, Surface(), max_iter=150)
        theirs = geometry.curve_length(decoder, spline(time).detach())
        assert length <= 1.001 * theirs
        assert theirs <= 1.01 * straight  # theirs found something as well


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 5), gain=st.floats(0.1, 6.0))
def test_laws_of_a_distance(seed, n, gain):
    decoder = tanh_decoder(n, gain=gain, seed=seed)
    a, b = random_points(12, n, seed=seed + 1), random_points(12, n, seed=seed + 2)
    found = GeodesicDistance(decoder, random_points(60, n, seed=seed), 8).between(a, b)
    chord = (decoder(a) - decoder(b)).norm(dim=1)
    assert (found.length <= found.straight_length).all()
    assert (found.length >= chord * (1 - 1e-12)).all()
    torch.testing.assert_close(found.length, geometry.curve_length(decoder, found.curve))
    torch.testing.assert_close(found.curve[:, 0], a)
    torch.testing.assert_close(found.curve[:, -1], b)


def test_a_pair_does_not_depend_on_its_company():
    decoder = tanh_decoder(3)
    a, b = random_points(300, 3, seed=1), random_points(300, 3, seed=2)
    distance = GeodesicDistance(decoder, random_points(200, 3), 10)
    together, alone = distance.between(a, b), distance.between(a[250:260], b[250:260])
    torch.testing.assert_close(together.length[250:260], alone.length, rtol=1e-7, atol=0)
    torch.testing.assert_close(together.graph_length[250:260], alone.graph_length, rtol=1e-12, atol=0)
    torch.testing.assert_close(distance.pairwise(a[:3], b[:2])[2, 1], distance.between(a[2:3], b[1:2]).length[0])


def test_curves_of_many_numbers_are_refined_a_few_at_a_time(monkeypatch):
    decoder = tanh_decoder(3)
    a, b = random_points(20, 3, seed=1), random_points(20, 3, seed=2)
    distance = GeodesicDistance(decoder, random_points(200, 3), 10)
    together, refine, pairs = distance.between(a, b), curves.Refinement.__call__, []

    def refined(self, a, b, path):
        pairs.append(len(a))
        return refine(self, a, b, path)

    monkeypatch.setattr(curves.Refinement, "__call__", refined)
    monkeypatch.setattr(geodesics, "_NUMBERS", {"cpu": 100 * decoder(a).shape[1]})
    found = distance.between(a, b)
    assert pairs == [3] * 6 + [2]  # 30 points a pair
    torch.testing.assert_close(found.length, together.length, rtol=1e-7, atol=0)


def test_default_iterations_are_enough():
    decoder = tanh_decoder(4, gain=4.0)
    a, b = random_points(50, 4, seed=1, span=2.0), random_points(50, 4, seed=2, span=2.0)
    nodes = random_points(500, 4, span=2.0)
    short, long = (GeodesicDistance(decoder, nodes, iterations=i).between(a, b) for i in (200, 2000))
    assert (short.length / short.straight_length).mean() < 0.97  # there was something to find
    assert (short.length / long.length - 1).max() < 0.005


def test_more_neighbours_lower_the_graphs_excess():
    decoder, nodes = tanh_decoder(), random_points(1000, 2, span=1.5)
    a, b = random_points(40, 2, seed=1, span=1.5), random_points(40, 2, seed=2, span=1.5)
    excess = []
    for k in (5, 20, 80):
        found = GeodesicDistance(decoder, nodes, k).between(a, b)
        assert (found.graph_length >= found.length * (1 - 1e-3)).all()
        excess.append((found.graph_length / found.length - 1).mean().item())
    assert excess[0] > 2 * excess[1] > 4 * excess[2]


def test_graph_length_is_the_shortest_path_of_networkx():
    networkx = pytest.importorskip("networkx")
    decoder, nodes = tanh_decoder(), random_points(80, 2)
    distance = GeodesicDistance(decoder, nodes, 6)
    position = distance.nodes
    graph = networkx.Graph()
    near = torch.cdist(position, position).argsort(1)[:, 1:7]
    time = torch.linspace(0, 1, 5, dtype=DOUBLE)[:, None]
    for i in range(80):
        for j in near[i].tolist():
            edge = geometry.curve_length(decoder, torch.lerp(position[i], position[j], time))
            graph.add_edge(i, j, weight=edge.item())
    assert distance.joined == networkx.number_connected_components(graph) - 1 == 0
    expected = networkx.shortest_path_length(graph, 0, 79, weight="weight")
    # a query at a node is joined with the node itself, at no distance, and with others: never longer than from the node
    found = distance.between(position[:1], position[79:]).graph_length.item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_disconnected_graphs_are_joined_and_counted():
    decoder = tanh_decoder()
    islands = torch.cat([random_points(30, 2, seed=s, span=0.1) + 4 * s for s in range(3)])
    distance = GeodesicDistance(decoder, islands, 5)
    assert distance.joined == 2
    found = distance.between(islands[:1], islands[-1:])
    assert torch.isfinite(found.graph_length).all()


def test_identical_points_and_a_decoder_that_stands_still():
    decoder, points = tanh_decoder(), random_points(50, 2)
    found = GeodesicDistance(decoder, points, 5).between(points, points)
    assert (found.length == 0).all()
    assert torch.equal(found.curve, points[:, None].expand_as(found.curve))
    still = GeodesicDistance(lambda z: 0 * z.sum(1, keepdim=True) + torch.ones(1, 7), points, 5)
    found = still.between(points, points.flip(0))
    assert (found.length == 0).all()
    assert (found.graph_length == 0).all()
    assert torch.isfinite(found.curve).all()


def test_rank_deficient_decoder():
    """Only the first latent coordinate is decoded: the distance is that of the first coordinates."""
    a, b = random_points(30, 3, seed=1), random_points(30, 3, seed=2)
    found = GeodesicDistance(lambda z: z[:, :1] * torch.ones(1, 4), random_points(100, 3), 10).between(a, b)
    torch.testing.assert_close(found.length, 2 * (a - b)[:, 0].abs())


def test_bad_input_gets_one_sentence():
    decoder, points = tanh_decoder(), random_points(20, 2)
    broken = points.clone()
    broken[3, 1] = math.nan
    with pytest.raises(InputError, match="nodes holds NaN"):
        GeodesicDistance(decoder, broken, 5)
    with pytest.raises(InputError, match="n_neighbours is 20 with 20 distinct nodes"):
        GeodesicDistance(decoder, points, 20)
    with pytest.raises(InputError, match="n_neighbours is 5 with 5 distinct nodes"):
        GeodesicDistance(decoder, points[:5].repeat(10, 1), 5)
    distance = GeodesicDistance(decoder, points, 5)
    with pytest.raises(InputError, match="a holds NaN"):
        distance.between(broken, points)
    with pytest.raises(InputError, match="the shapes must be equal"):
        distance.between(points, points[:3])
    with pytest.raises(InputError, match="k is 25, but the gallery has 20 points"):
        distance.nearest(points, points, 25)
    with pytest.raises(InputError, match="not finite"):
        GeodesicDistance(lambda z: decoder(z) / 0, points, 5).between(points[:2], points[2:4])


def test_nearest_agrees_with_all_distances():
    decoder = tanh_decoder(2, gain=3.0)
    gallery, queries = random_points(400, 2, seed=1), random_points(30, 2, seed=2)
    distance = GeodesicDistance(decoder, gallery, 20)
    found, lengths = distance.nearest(queries, gallery, 10)
    assert (lengths.diff(dim=1) >= 0).all()
    everything = distance.pairwise(queries, gallery)
    truth = everything.argsort(1)[:, :10]
    shared = (found[:, :, None] == truth[:, None]).any(-1).double().mean()
    assert shared > 0.97
    torch.testing.assert_close(lengths, everything.gather(1, found), rtol=0.02, atol=0)
    # Euclidean neighbours are others here, or this test says nothing
    euclidean = torch.cdist(queries, gallery).argsort(1)[:, :10]
    assert (euclidean[:, :, None] == truth[:, None]).any(-1).double().mean() < 0.95


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), dim=st.integers(1, 12))
def test_minimiser_solves_many_quadratics_at_once(seed, dim):
    """Each problem has its own matrix; each ends at its own solution."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(7, dim, dim, dtype=DOUBLE, generator=generator)
    matrix = torch.eye(dim, dtype=DOUBLE) + 0.2 * factor @ factor.mT
    target = torch.randn(7, dim, dtype=DOUBLE, generator=generator)

    def energy(u, rows):
        gap = u - target[rows]
        return 1.0 + 0.5 * torch.einsum("ri,rij,rj->r", gap, matrix[rows], gap)

    start = torch.randn(7, dim, dtype=DOUBLE, generator=generator)
    found = curves.minimise(energy, start, 100)
    everything = torch.arange(7)
    assert (energy(found, everything) - 1 < 1e-3 * (1 + energy(start, everything))).all()
    assert (energy(curves.minimise(energy, start, 3), everything) <= energy(start, everything)).all()
    assert torch.equal(curves.minimise(energy, start, 0), start)


def test_of_two_starts_that_end_alike_one_goes_on_alone():
    """In a bowl both end in the same place; where the energy has two minima, each start finds its own."""
    evaluated = 0

    def energies(minima: int):
        centre = torch.tensor([[1.0], [1.0 if minima == 1 else -1.0]], dtype=DOUBLE)

        def energy(u, rows):
            nonlocal evaluated
            evaluated += len(u)
            return 5 + (torch.cosh(u.flatten(1) - centre[rows]) - 1).sum(1)

        return energy

    start, twin = torch.tensor([[0.0], [4.0]], dtype=DOUBLE), torch.tensor([1, 0])
    counts = {}
    for name, minima, partner in (("alone", 1, None), ("twins", 1, twin), ("apart", 2, twin)):
        evaluated = 0
        found = curves.minimise(energies(minima), start, 100, partner)
        counts[name] = evaluated
        best = energies(minima)(found, torch.arange(2))
        assert best.min() == pytest.approx(5, abs=1e-4)
        if name == "apart":
            assert found.flatten().tolist() == pytest.approx([1, -1], abs=0.02)
    assert counts["twins"] < counts["alone"]


@pytest.mark.parametrize("method", [vae, vhp_vae])
def test_nodes_from_codes_prior_and_cover(method):
    data = Dataset("random", *torch.rand(3, 100, 9), "gaussian", (3, 3))
    model = method.build(data, latent_dim=3, hidden=[16])
    distance = geodesic.distance(model, data, code_nodes=60, prior_nodes=30, cover_nodes=20, n_neighbours=5)
    assert len(distance.nodes) == 110
    codes = model.encode(data.train)
    cover = geodesic.box_cover(codes, 64)
    assert (cover >= codes.amin(0)).all()
    assert (cover <= codes.amax(0)).all()
    samples = geodesic.prior_samples(model, 4000)
    assert torch.equal(samples[:10], geodesic.prior_samples(model, 4000)[:10])
    if method is vae:
        torch.testing.assert_close(samples.mT.cov(), torch.eye(3), atol=0.1, rtol=0)
