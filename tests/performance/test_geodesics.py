"""What geodesics cost, and how much faster a batch is than one pair at a time: make performance

On decoders of the sizes of the default config, their weights enlarged so that geodesics bend as on trained ones or more.
"""

import resource

import torch
from measured import DEVICE, clock, frozen, holds

from baselines import vae
from baselines.geodesic import GeodesicDistance
from flatvae import geometry
from flatvae.datasets import Dataset

ONE_AT_A_TIME = 10  # pairs that the plain loop is timed on


def decoder(dim: int, latent_dim: int, hidden: list[int], activation: str, likelihood: str, gain: float):
    data = Dataset("random", *torch.rand(3, 2, dim), likelihood, (dim,))
    build = {"latent_dim": latent_dim, "hidden": hidden, "activation": activation}
    return frozen(vae, data, build, gain).decode


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_500_refined_geodesics_of_the_mnist_decoder():
    decode = decoder(784, 10, [256, 256], "silu", "bernoulli", 3.0)
    nodes, a, b = torch.randn(3, 1000, 10).to(DEVICE)
    distance = GeodesicDistance(decode, nodes)
    started = clock()
    found = distance.between(a[:500], b[:500])
    together = clock() - started
    started = clock()
    alone = [
        distance.between(x[None], y[None]).length for x, y in zip(a[:ONE_AT_A_TIME], b[:ONE_AT_A_TIME], strict=True)
    ]
    each = (clock() - started) / ONE_AT_A_TIME
    ratio = found.length / found.straight_length
    print(f"\n500 geodesics, n = 10, D = 784: {together:.1f} s, peak {memory_mb():.0f} MB; one at a time {1e3 * each:.0f} ms "
          f"each, {500 * each / together:.1f} times as long; length / straight line {ratio.mean():.3f}")  # fmt: skip
    torch.testing.assert_close(torch.cat(alone), found.length[:ONE_AT_A_TIME], rtol=2e-3, atol=0)
    assert ratio.mean() < 0.99  # they bend
    assert holds(together <= 60)
    assert holds(500 * each / together > 1.5)


def test_graph_of_14400_nodes_on_the_pendulums_decoder():
    decode = decoder(256, 2, [128, 128], "tanh", "gaussian", 2.0)
    nodes = 3 * torch.randn(14_400, 2).to(DEVICE)
    started = clock()
    distance = GeodesicDistance(decode, nodes, 40)
    together = clock() - started
    ends = distance.graph.tocoo()
    time_steps = torch.linspace(0, 1, 5, device=DEVICE)[:, None]
    started = clock()
    for i, j in list(zip(ends.row, ends.col, strict=True))[:1000]:
        geometry.curve_length(decode, torch.lerp(distance.nodes[i], distance.nodes[j], time_steps))
    loop = (clock() - started) / 1000 * distance.graph.nnz / 2
    print(f"\ngraph of 14,400 nodes, k = 40, {distance.graph.nnz // 2} edges: {together:.1f} s, peak {memory_mb():.0f} MB; edge by "
          f"edge {loop:.0f} s, {loop / together:.0f} times as long")  # fmt: skip
    assert holds(together <= 60)
    assert holds(loop / together > 5)
