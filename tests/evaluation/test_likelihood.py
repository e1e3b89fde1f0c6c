"""Importance sampling against exact marginals: linear Gaussian models, quadrature, and itself with more samples."""

import dataclasses
import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal

from flatvae.datasets import Dataset
from flatvae.evaluation import likelihood as task
from flatvae.likelihoods import likelihood
from flatvae.model import LatentVariableModel
from flatvae.networks import MLP, GaussianNetwork
from flatvae.priors import HierarchicalPrior, StandardNormal

D64 = torch.float64
EYE = torch.eye(2, dtype=D64)
# x = W z + b + s ε; W's columns are orthogonal, so that with a diagonal p(z) the posterior has a diagonal covariance
W = torch.tensor([[0.9, 0.4], [0.9, -0.4], [0.0, 0.6], [1.2, 0.0]], dtype=D64)
B = torch.tensor([0.5, -1.0, 0.2, 2.0], dtype=D64)
S2 = 0.3
# p(z|ζ) = N(A ζ + m, t² I), hence p(z) = N(m, A Aᵀ + t² I)
M, T2 = torch.tensor([-0.7, 0.4], dtype=D64), 0.5
DIAGONAL = torch.tensor([[1.5, 0.0], [0.0, 0.6]], dtype=D64)
ROTATED = DIAGONAL @ torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=D64)
SHEARED = torch.tensor([[1.5, 0.0], [-0.9, 0.6]], dtype=D64)  # p(z) with a correlation, which no q has
SLACK = 1.6  # variance of a q that is to cover the true posterior and not to equal it, relative to the true one


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=source(seed))


def affine(matrix, offset, variance) -> GaussianNetwork:
    """N(matrix · x + offset, variance) as a network without hidden layers."""
    network = GaussianNetwork(MLP(matrix.shape[1], (), 2 * matrix.shape[0])).to(D64)
    with torch.no_grad():
        network.network[0].weight.copy_(torch.cat([matrix, torch.zeros_like(matrix)]))
        network.network[0].bias.copy_(torch.cat([offset, variance.log()]))
    return network


def posterior(matrix, offset, noise, mean, covariance, slack: float) -> GaussianNetwork:
    """q(v|y) for y = matrix · v + offset + N(0, noise I), v ~ N(mean, covariance): exact if slack is 1 and it is diagonal."""
    precision = covariance.inverse()
    true = (precision + matrix.T @ matrix / noise).inverse()
    gain = true @ matrix.T / noise
    return affine(gain, true @ precision @ mean - gain @ offset, slack * true.diagonal())


def prior_of(mixing) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of p(z); no mixing matrix stands for the normal prior."""
    if mixing is None:
        return torch.zeros(2, dtype=D64), EYE
    return M, mixing @ mixing.T + T2 * EYE


def linear_model(mixing=None, slack: float = SLACK) -> LatentVariableModel:
    """Its p(z) is exact where ``mixing`` is None, else the hierarchical prior's with that A."""
    prior = StandardNormal()
    if mixing is not None:
        prior = HierarchicalPrior(2, (), "tanh", 1)
        prior.conditional = affine(mixing, M, torch.full((2,), T2, dtype=D64))
        prior.auxiliary = posterior(mixing, M, T2, torch.zeros(2, dtype=D64), EYE, slack)
    decoder = MLP(2, (), 4).to(D64)
    with torch.no_grad():
        decoder[0].weight.copy_(W)
        decoder[0].bias.copy_(B)
    encoder = posterior(W, B, S2, *prior_of(mixing), slack)
    model = LatentVariableModel(encoder, decoder, prior, likelihood("gaussian"), 2)
    model.config = {"training": {"bound": 4 * S2}}  # κ² = D s²
    return model


def marginal(mixing=None) -> MultivariateNormal:
    mean, covariance = prior_of(mixing)
    return MultivariateNormal(W @ mean + B, W @ covariance @ W.T + S2 * torch.eye(4, dtype=D64))


def observations(rows: int, mixing=None, seed: int = 1) -> torch.Tensor:
    exact = marginal(mixing)
    return exact.mean + normal(rows, 4, seed=seed) @ exact.scale_tril.T


def dataset(test: torch.Tensor, name: str = "gaussian") -> Dataset:
    return Dataset("hand", test, test, test, name, (test.shape[1],))


def metrics(model, test: torch.Tensor) -> dict[str, float]:
    result = task.evaluate(model, dataset(test))
    assert {distance for distance, _, _ in result.metrics} == {""}
    return {metric: value for _, metric, value in result.metrics}


def nll(estimate: task.Estimate) -> tuple[float, float]:
    """Mean of −log p̂(x) and its standard error, written out once more."""
    v = estimate.variance
    return -estimate.log_density.mean().item(), math.sqrt(v.mean().item() / len(v))


@pytest.mark.parametrize("variance", [0.01, 1.7])
def test_gaussian_density(variance):
    x, output = normal(5, 7), normal(5, 7, seed=1)
    expected = Independent(Normal(output, math.sqrt(variance)), 1).log_prob(x)
    torch.testing.assert_close(likelihood("gaussian").log_density(x, output, variance), expected)


def test_bernoulli_density():
    x, logits = (normal(5, 7) > 0).to(D64), 4 * normal(5, 7, seed=1)
    expected = Independent(Bernoulli(logits=logits), 1).log_prob(x)
    torch.testing.assert_close(likelihood("bernoulli").log_density(x, logits, 0.3), expected)


@pytest.mark.parametrize("mixing", [None, DIAGONAL], ids=["normal", "hierarchical"])
def test_with_the_exact_posterior_every_weight_is_the_marginal(mixing):
    x = observations(6, mixing)
    estimate = task.log_marginal(linear_model(mixing, slack=1.0), x, S2, 50, 3, source())
    torch.testing.assert_close(estimate.log_density, marginal(mixing).log_prob(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(estimate.effective_samples, torch.full((6,), 50.0, dtype=D64))
    assert nll(estimate)[1] < 1e-6


@pytest.mark.parametrize("n_prior_samples", [1, 3, 16])
@pytest.mark.parametrize("mixing", [None, DIAGONAL, ROTATED, SHEARED], ids=["normal", "diagonal", "rotated", "sheared"])
def test_linear_gaussian_model_has_its_exact_marginal(mixing, n_prior_samples):
    """Whatever K: the nested estimate of p(z), not of log p(z), is unbiased."""
    x = observations(40, mixing)
    value, error = nll(task.log_marginal(linear_model(mixing), x, S2, 4000, n_prior_samples, source()))
    assert 0 < error < 5e-3
    assert value == pytest.approx(-marginal(mixing).log_prob(x).mean().item(), abs=4 * error)


@pytest.mark.parametrize("mixing", [None, SHEARED], ids=["normal", "hierarchical"])
def test_evaluate_takes_the_variance_from_the_bound(mixing):
    """In float32, as trained models are."""
    x = observations(task._DATA, mixing).float()
    values = metrics(linear_model(mixing).float(), x)
    error = values["nll_standard_error"]
    assert 0 < error < 5e-3
    exact = -marginal(mixing).log_prob(x.double()).mean().item()
    bias = len(x) * error**2 / 2  # to first order; not small beside the error, which is that of a mean over all data
    assert values["nll"] == pytest.approx(exact + bias, abs=4 * error)


@pytest.mark.parametrize("mixing", [None, SHEARED], ids=["normal", "hierarchical"])
def test_standard_error_is_the_scatter_of_repeated_estimates(mixing, monkeypatch):
    monkeypatch.setattr(task, "_SAMPLES", 150)
    monkeypatch.setattr(task, "_PRIOR_SAMPLES", 2)
    model, x = linear_model(mixing), observations(5, mixing)
    values, errors = [], []
    for repeat in range(300):
        monkeypatch.setattr(task, "generator", lambda seed=repeat: source(seed))
        found = metrics(model, x)
        values.append(found["nll"])
        errors.append(found["nll_standard_error"])
    assert 0.85 < torch.tensor(values).std().item() / torch.tensor(errors).mean().item() < 1.15


def test_the_mean_over_repeats_has_half_the_variance_as_its_bias():
    """E[−log p̂] ≈ −log p + v/2, as the module says."""
    model, x = linear_model(SHEARED), observations(1, SHEARED, seed=5)
    estimate = task.log_marginal(model, x.expand(4000, 4), S2, 10, 2, source())
    excess = marginal(SHEARED).log_prob(x) - estimate.log_density
    error = excess.std().item() / math.sqrt(4000)
    bias = estimate.variance.mean().item() / 2
    assert bias > 5 * error
    assert excess.mean().item() == pytest.approx(bias, abs=4 * error)


def random_network(network: torch.nn.Module, scale: float) -> torch.nn.Module:
    """Weights N(0, scale²): curved, unlike those of a fresh network."""
    noise = source(8)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, dtype=D64, generator=noise))
    return network.to(D64)


@pytest.mark.parametrize("name", ["gaussian", "bernoulli"])
def test_ten_times_the_samples_give_the_same(name):
    """Networks of which no marginal is known; encoders are wide, so that each q covers its posterior."""
    prior = random_network(HierarchicalPrior(2, (8,), "tanh", 1), 0.4)
    prior.auxiliary = affine(0.3 * EYE, torch.zeros(2, dtype=D64), torch.ones(2, dtype=D64))
    encoder = affine(normal(2, 5) / 9, torch.zeros(2, dtype=D64), torch.full((2,), 2.5, dtype=D64))
    model = LatentVariableModel(encoder, random_network(MLP(2, (8,), 5), 0.7), prior, likelihood(name), 2)
    x = (normal(20, 5) > 0).to(D64)
    few, more = (nll(task.log_marginal(model, x, 1.5, 600 * f, 3 * f, source(f))) for f in (1, 10))
    assert more[1] < 0.5 * few[1] < 0.02
    assert few[0] == pytest.approx(more[0], abs=4 * math.hypot(few[1], more[1]))


def test_bernoulli_model_agrees_with_quadrature():
    decoder = random_network(MLP(1, (6,), 5), 1.5)
    encoder = affine(torch.zeros(1, 5, dtype=D64), torch.tensor([0.2], dtype=D64), torch.tensor([1.2], dtype=D64))
    model = LatentVariableModel(encoder, decoder, StandardNormal(), likelihood("bernoulli"), 1)
    x = (normal(12, 5, seed=3) > 0).to(D64)
    z = torch.linspace(-9, 9, 6001, dtype=D64)[:, None]
    density = Independent(Bernoulli(logits=decoder(z)[:, None]), 1).log_prob(x).exp()  # (6001, 12)
    exact = torch.trapezoid(density * Normal(0.0, 1.0).log_prob(z).exp(), z, dim=0).log()
    estimate = task.log_marginal(model, x, 0.3, 20_000, 1, source())
    value, error = nll(estimate)
    assert error < 0.01
    assert value == pytest.approx(-exact.mean().item(), abs=4 * error)
    assert ((estimate.log_density - exact).abs() < 4.5 * estimate.variance.sqrt()).all()


@pytest.mark.parametrize("mixing", [None, SHEARED], ids=["normal", "hierarchical"])
def test_chunks_change_nothing(mixing, monkeypatch):
    model, x = linear_model(mixing), observations(7, mixing)
    reference = task.log_marginal(model, x, S2, 100, 3, source())
    for chunk, of_prior in ((1, 4096), (7, 1), (100, 30), (1000, 40)):
        monkeypatch.setitem(task._CHUNK, "cpu", chunk)
        monkeypatch.setitem(task._PRIOR_CHUNK, "cpu", of_prior)
        for one, other in zip(task.log_marginal(model, x, S2, 100, 3, source()), reference, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    for one, other in zip(task.log_marginal(model, x[:3], S2, 100, 3, source()), reference, strict=True):
        torch.testing.assert_close(one, other[:3], rtol=1e-10, atol=1e-10)


def test_the_data_used_are_spread_over_the_part(monkeypatch):
    model, x = linear_model(), observations(13)
    monkeypatch.setattr(task, "_DATA", 5)
    found = task.evaluate(model, dataset(x)).arrays
    chosen = task.evaluate(model, dataset(x[[0, 3, 6, 9, 12]])).arrays
    for name, values in found.items():
        assert values.tolist() == pytest.approx(chosen[name].tolist())
    assert found["nll"].shape == (5,)


def test_metrics_summarise_the_arrays():
    model, x = linear_model(SHEARED), observations(31, SHEARED)
    result, values = task.evaluate(model, dataset(x)), metrics(model, x)
    assert values["nll"] == pytest.approx(result.arrays["nll"].mean())
    assert values["nll_median"] == sorted(result.arrays["nll"])[15]
    effective = sorted(result.arrays["effective_samples"].tolist())
    assert values["nll_effective_samples"] == effective[15]
    assert effective[0] > 1
    assert effective[-1] < task._SAMPLES


def test_values_are_told_class_by_class_where_classes_have_names(monkeypatch):
    monkeypatch.setattr(task, "_DATA", 9)
    model, x = linear_model(), observations(17)
    labels = torch.arange(17) % 4
    known = dataclasses.replace(dataset(x), test_labels=labels, label_names=("a", "b", "c"))
    found = task.evaluate(model, dataclasses.replace(known, test_labels=torch.where(labels == 3, -1, labels)))
    values = {metric: value for _, metric, value in found.metrics}
    asked = labels[[0, 2, 4, 6, 8, 10, 12, 14, 16]].numpy()  # every other row: classes 0 and 2
    for label, name in ((0, "a"), (2, "c")):
        assert values[f"nll_{name}"] == pytest.approx(found.arrays["nll"][asked == label].mean())
    assert "nll_b" not in values


def test_is_deterministic_and_leaves_the_random_state():
    x = observations(4, SHEARED)
    models = linear_model(SHEARED), linear_model(SHEARED)
    before = torch.get_rng_state()
    first, second = (metrics(model, x) for model in models)
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


def test_effective_samples_count_equal_weights():
    """Four equal weights and many of none: four effective samples, and the binomial error of a hit rate."""
    weights = torch.full((1, 100), -torch.inf, dtype=D64)
    weights[0, :4] = -700.0
    estimate = task._summary(weights)
    assert estimate.effective_samples.item() == pytest.approx(4)
    assert estimate.log_density.item() == pytest.approx(-700 + math.log(0.04))
    assert estimate.variance.item() == pytest.approx(0.04 * 0.96 / 99 / 0.04**2)


def test_an_impossible_datum_has_infinite_nll_and_spares_the_others():
    x = observations(5).float()
    x[2] = 1e25  # its squared distance overflows
    result = task.evaluate(linear_model().float(), dataset(x))
    assert [math.isinf(v) for v in result.arrays["nll"]] == [False, False, True, False, False]
    assert result.arrays["effective_samples"][2] == 0
    values = {metric: value for _, metric, value in result.metrics}
    assert values["nll"] == values["nll_standard_error"] == math.inf
    assert values["nll_median"] == pytest.approx(sorted(result.arrays["nll"])[2])
    assert 1 < values["nll_effective_samples"] < task._SAMPLES


def test_overflow_to_nan_is_no_weight():
    """Infinite logits: 0 · ∞ in the cross-entropy."""
    model = linear_model()
    model.likelihood = likelihood("bernoulli")
    torch.nn.init.constant_(model.decoder[0].bias, math.inf)
    x = (observations(6) > 0).to(D64)
    assert model.likelihood.reconstruction_error(x, model.decoder(normal(6, 2))).isnan().all()
    values = metrics(model, x)
    infinite = dict.fromkeys(("nll", "nll_median", "nll_standard_error"), math.inf)
    assert values == infinite | {"nll_effective_samples": 0.0}


def test_many_rows_at_once_with_the_noise_of_one():
    """With one row it is ``log_marginal``; with several each is what it is alone, to rounding."""
    model, x = linear_model(), observations(30).double()
    together = task.log_marginal_of_rows(model, x, 0.3, 64, 4, torch.Generator().manual_seed(0))
    for i in (0, 17):
        alone = task.log_marginal(model, x[i : i + 1], 0.3, 64, 4, torch.Generator().manual_seed(0))
        for found, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(found[i : i + 1], expected, rtol=1e-9, atol=1e-9)
