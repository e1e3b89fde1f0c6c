"""Models whose reconstruction error and KL are known."""

import math

import pytest
import torch

from flatvae.constraint import TOLERANCE
from flatvae.datasets import Dataset
from flatvae.evaluation import reconstruction, spread
from flatvae.likelihoods import likelihood
from flatvae.model import LatentVariableModel
from flatvae.networks import MLP, GaussianNetwork
from flatvae.priors import StandardNormal

SIGMA = 0.3  # of the posterior
OFFSET = torch.tensor(
    [0.5, -0.2, 0.1]
)  # of the decoder: what the reconstruction misses by, beside the posterior's noise


def data(rows: int, name: str = "gaussian") -> Dataset:
    values = torch.rand(3 * rows, 3, generator=torch.Generator().manual_seed(1))
    return Dataset("hand", *values.split(rows), name, (3,))


def model(
    name: str = "gaussian", bound: float = 1.0, sigma: float = SIGMA, average: float = 1.0
) -> LatentVariableModel:
    """q(z|x) = N(2x, σ² I) and decoder output z / 2 + OFFSET, or for Bernoulli the logits OFFSET, whatever z."""
    encoder, decoder = GaussianNetwork(MLP(3, (), 6)), MLP(3, (), 3)
    with torch.no_grad():
        encoder.network[0].weight.copy_(torch.cat([2 * torch.eye(3), torch.zeros(3, 3)]))
        encoder.network[0].bias.copy_(torch.tensor([0.0] * 3 + [2 * math.log(sigma)] * 3))
        decoder[0].weight.copy_((0.5 if name == "gaussian" else 0.0) * torch.eye(3))
        decoder[0].bias.copy_(OFFSET)
    model = LatentVariableModel(encoder, decoder, StandardNormal(), likelihood(name), 3).requires_grad_(False)
    seeds = [{"seed": 0, "beta": 0.9, "error": 99.0}, {"seed": 6, "beta": 0.25, "error": average}]
    model.config = {"training": {"bound": bound}, "seeds": seeds, "seed": 6}
    return model


def metrics(model, dataset) -> dict[str, float]:
    result = reconstruction.evaluate(model, dataset)
    assert {distance for distance, _, _ in result.metrics} == {""}
    return {metric: value for _, metric, value in result.metrics}


def test_gaussian_error_and_kl():
    """E C = ‖OFFSET‖² + 3 (σ/2)²; the mean KL is ½ Σ (σ² + μ² − 1 − log σ²)."""
    dataset = data(5000)
    values = metrics(model(), dataset)
    expected = OFFSET.square().sum().item() + 3 * (SIGMA / 2) ** 2
    spread = math.sqrt(3 * 2 * (SIGMA / 2) ** 4 + 4 * expected * (SIGMA / 2) ** 2) / math.sqrt(5000)
    assert values["train_error"] == pytest.approx(expected, abs=5 * spread)
    assert values["test_error"] == pytest.approx(expected, abs=5 * spread)
    means = 2 * dataset.test.double()
    divergence = 0.5 * (SIGMA**2 + means**2 - 1 - 2 * math.log(SIGMA)).sum(-1).mean().item()
    assert values["kl"] == pytest.approx(divergence, abs=0.1)
    assert values["beta"] == 0.25


def test_posterior_without_spread_leaves_the_offset_alone():
    values = metrics(model(sigma=1e-3), data(100))
    assert values["train_error"] == pytest.approx(OFFSET.square().sum().item(), abs=1e-3)


def test_bernoulli_binarises_training_data_and_takes_test_data_as_they_are():
    """With constant logits o, E C = Σ log(1 + e^o) − x̄ o whether x is binary or grey; the test error is exactly that."""
    dataset = data(4000, "bernoulli")
    values = metrics(model("bernoulli"), dataset)
    constant = torch.log1p(OFFSET.exp()).sum().item()
    test = constant - (dataset.test.double().mean(0) * OFFSET).sum().item()
    assert values["test_error"] == pytest.approx(test, abs=1e-5)
    train = constant - (dataset.train.double().mean(0) * OFFSET).sum().item()
    assert values["train_error"] == pytest.approx(train, abs=5 * 0.5 * OFFSET.norm().item() / math.sqrt(4000))
    assert abs(values["train_error"] - train) > 1e-5  # binarised


@pytest.mark.parametrize(("factor", "met"), [(1 - 1e-6, 1.0), (1 + 1e-6, 0.0), (0.5, 1.0), (2.0, 0.0)])
def test_bound_is_met_within_two_per_cent(factor, met):
    """By the moving average Ĉ of the seed's training, as METHOD has it."""
    values = metrics(model(bound=3.0, average=1.02 * 3.0 * factor), data(200))
    assert TOLERANCE == 1.02
    assert values["bound"] == 3.0
    assert values["bound_met"] == met


def test_is_deterministic_and_leaves_the_random_state():
    models = model(), model()
    before = torch.get_rng_state()
    first, second = (metrics(m, data(300)) for m in models)
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


def test_shown_reconstructions_are_those_of_the_posterior_means():
    dataset = data(40)
    _, arrays, common = reconstruction.evaluate(model(), dataset)
    torch.testing.assert_close(torch.from_numpy(common["originals"]), dataset.test[spread(len(dataset.test), 10)])
    torch.testing.assert_close(
        torch.from_numpy(arrays["reconstructions"]), dataset.test[spread(len(dataset.test), 10)] + OFFSET
    )
