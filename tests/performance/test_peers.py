"""Against what others offer for the same job: make performance

Alternately in one process on one thread, on the CPU or the GPU (see ``measured``). pythae (Chadebec et al. 2022) is compared
with where it is installed: it is no requirement of this project. Its trainer trains one model, so a step of ours counts per
seed; its VAE has no bound and no penalty, so ours is compared as the plain VAE.
"""

import os
from types import SimpleNamespace

import pytest
import torch
from measured import DEVICE, SETTINGS, dataset, frozen, holds, interleaved, ratio, trainer
from torch import nn
from torch.func import jacrev

from baselines import vae
from baselines.geodesic import GeodesicDistance
from flatvae import geometry
from flatvae.datasets import Dataset

os.environ["TQDM_DISABLE"] = "1"  # pythae's bars
SEEDS = 5
BATCHES = 20  # of pythae's epoch


def pythae_epoch(data: Dataset, encoder: nn.Module, decoder: nn.Module, folder, latent_dim: int, loss: str):
    """An epoch of pythae's trainer, BATCHES steps of 128 data each; its own encoder and decoder where none are given."""
    pythae = pytest.importorskip("pythae", reason="pythae is not installed: pip install pythae")
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    assert pythae
    config = VAEConfig(input_dim=tuple(data.shape), latent_dim=latent_dim, reconstruction_loss=loss)
    model = VAE(config, encoder=encoder, decoder=decoder)
    rows = data.train[torch.randint(len(data.train), (BATCHES * 128,))].view(-1, *data.shape)
    options = BaseTrainerConfig(
        output_dir=str(folder),
        num_epochs=1,
        per_device_train_batch_size=128,
        learning_rate=1e-3,
        no_cuda=DEVICE.type == "cpu",
    )
    training = BaseTrainer(model, BaseDataset(rows, torch.zeros(len(rows))), training_config=options)
    training.prepare_training()
    return lambda: training.train_step(1)


def pythae_networks(latent_dim: int, hidden: list[int], dim: int):
    """The suite's MLPs as pythae wants them."""
    pytest.importorskip("pythae", reason="pythae is not installed: pip install pythae")
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    from flatvae.networks import MLP

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.network = MLP(dim, hidden, 2 * latent_dim)

        def forward(self, x):
            mean, log_variance = self.network(x.flatten(1)).chunk(2, dim=-1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.network = MLP(latent_dim, hidden[::-1], dim)

        def forward(self, z):
            return ModelOutput(reconstruction=self.network(z))

    return Encoder(), Decoder()


def test_a_vae_s_step_against_pythae_on_the_pendulum_s_network(tmp_path):
    setting = f"VAE, n = 2, 256-128-128, batch 128, {BATCHES} steps, {SEEDS} seeds of ours"
    print(f"\n{setting}")
    data = dataset(256)
    networks = pythae_networks(2, [128, 128], 256)
    ours = trainer(vae, data, {"latent_dim": 2, "hidden": [128, 128], **SETTINGS}, SEEDS)
    theirs = pythae_epoch(data, *networks, tmp_path, 2, "mse")
    times = interleaved({"flatvae": lambda: [ours() for _ in range(BATCHES)], "pythae": theirs}, each=1)
    assert holds(ratio(setting, times, "pythae", "flatvae", SEEDS) >= 1)


def test_a_vae_s_step_against_pythae_on_its_own_network(tmp_path):
    setting = f"VAE, n = 10, 784-512, batch 128, Bernoulli, {BATCHES} steps, {SEEDS} seeds of ours"
    print(f"\n{setting}")
    parts = torch.rand(3, 1000, 784, generator=torch.Generator().manual_seed(0))
    data = Dataset("grey", *parts, "bernoulli", (1, 28, 28))
    settings = {"latent_dim": 10, "hidden": [512], "activation": "silu", **SETTINGS}
    ours = trainer(vae, data, settings, SEEDS)
    theirs = pythae_epoch(data, None, None, tmp_path, 10, "bce")
    times = interleaved({"flatvae": lambda: [ours() for _ in range(BATCHES)], "pythae": theirs}, each=1)
    assert holds(ratio(setting, times, "pythae", "flatvae", SEEDS) >= 1)


def decode_of(dim: int, latent_dim: int, gain: float):
    return frozen(vae, dataset(dim), {"latent_dim": latent_dim, "hidden": [128, 128]}, gain).decode


def test_metric_tensors_against_a_loop_over_samples():
    """The loop that one would write: a Jacobian of each sample by reverse mode, then its product with itself."""
    setting = "metric tensors of 1,000 points, n = 2, 128-128-256"
    print(f"\n{setting}")
    decode, z = decode_of(256, 2, 1.0), torch.randn(1000, 2).to(DEVICE)

    def loop(points):
        jacobians = [jacrev(lambda row: decode(row[None])[0])(row) for row in points]
        return torch.stack([j.T @ j for j in jacobians])

    torch.testing.assert_close(geometry.pullback_metric(decode, z[:50]), loop(z[:50]), rtol=1e-4, atol=1e-6)
    times = interleaved(
        {"in one": lambda: geometry.pullback_metric(decode, z), "loop over 50": lambda: loop(z[:50])}, 1
    )
    assert holds(ratio(setting, times, "loop over 50", "in one", 20) >= 50)


def test_refined_geodesics_against_stochman():
    """The same pairs at once of both, and pair by pair of stochman; ours is not longer than theirs by a thousandth."""
    pytest.importorskip("stochman")
    from stochman.curves import CubicSpline
    from stochman.geodesic import geodesic_minimizing_energy
    from stochman.manifold import EmbeddedManifold

    pairs, alone = 100, 5
    setting = f"{pairs} geodesics, n = 2, 128-128-256"
    print(f"\n{setting}")
    decode = decode_of(256, 2, 2.0)
    source = torch.Generator().manual_seed(1)
    nodes, a, b = (3 * torch.randn(size, 2, generator=source).to(DEVICE) for size in (1000, pairs, pairs))
    distance = GeodesicDistance(decode, nodes, 40)

    class Surface(EmbeddedManifold):
        def embed(self, points, jacobian=False):
            return decode(points)

    manifold = Surface()
    found = SimpleNamespace()

    def ours():
        found.ours = distance.between(a, b).length

    def theirs(count: int):
        curve = CubicSpline(a[:count].cpu(), b[:count].cpu(), num_nodes=20).to(DEVICE)
        geodesic_minimizing_energy(curve, manifold)
        with torch.no_grad():
            return geometry.curve_length(decode, curve(torch.linspace(0, 1, 200, device=DEVICE)))

    def theirs_together():
        found.theirs = theirs(pairs)

    calls = {
        "flatvae": ours,
        "stochman": theirs_together,
        f"stochman, {alone} pairs one by one": lambda: [theirs(1) for _ in range(alone)],
    }
    times = interleaved(calls, each=1)
    longer = (found.ours / found.theirs - 1).max().item()
    shorter = (1 - found.ours / found.theirs).mean().item()
    print(f"  ours is longer by at most {100 * longer:.3f} %, and shorter by {100 * shorter:.3f} % in the mean")
    assert longer <= 1e-3
    assert holds(ratio(setting, times, f"stochman, {alone} pairs one by one", "flatvae", pairs / alone) >= 20)
    assert holds(ratio(setting, times, "stochman", "flatvae") >= 1)
