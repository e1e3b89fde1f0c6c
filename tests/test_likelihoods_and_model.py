"""Likelihoods and the model's terms against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal
from torch.distributions.kl import kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from baselines import vae, vhp_vae
from flatvae import flat_vae
from flatvae.errors import InputError
from flatvae.likelihoods import likelihood
from flatvae.model import active_dimensions
from flatvae.priors import StandardNormal

D64 = torch.float64


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


def uniform(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


def test_gaussian_error_is_the_negative_log_density_at_variance_one_half():
    x, output = normal(5, 4), normal(5, 4, seed=1)
    density = Independent(Normal(output, math.sqrt(0.5)), 1).log_prob(x)
    error = likelihood("gaussian").reconstruction_error(x, output)
    torch.testing.assert_close(error, -density - 2 * math.log(math.pi))
    assert torch.equal(likelihood("gaussian").mean(output), output)
    assert torch.equal(likelihood("gaussian").observe(x, uniform(5, 4)), x)


@pytest.mark.parametrize("spread", [1.0, 40.0])
def test_bernoulli_error_is_the_cross_entropy(spread):
    logits, grey = spread * normal(8, 4), uniform(8, 4)
    binary = (grey > 0.5).to(D64)
    bernoulli = likelihood("bernoulli")
    expected = binary_cross_entropy_with_logits(logits, grey, reduction="none").sum(-1)
    torch.testing.assert_close(bernoulli.reconstruction_error(grey, logits), expected, rtol=1e-8, atol=1e-8)
    reference = Independent(Bernoulli(logits=logits), 1)
    torch.testing.assert_close(
        bernoulli.reconstruction_error(binary, logits), -reference.log_prob(binary), rtol=1e-8, atol=1e-8
    )
    torch.testing.assert_close(bernoulli.mean(logits), reference.mean)


def test_binarisation_has_the_grey_values_as_its_mean():
    grey = torch.tensor([0.0, 0.02, 0.3, 0.5, 0.9, 1.0], dtype=D64)
    draws = 20_000
    binary = likelihood("bernoulli").observe(grey.expand(draws, 6), uniform(draws, 6))
    assert set(binary.unique().tolist()) == {0.0, 1.0}
    assert (binary.mean(0) - grey).abs().le(5 * (grey * (1 - grey) / draws).sqrt()).all()  # exact at 0 and 1


def test_unknown_likelihood_is_named():
    with pytest.raises(InputError, match="'poisson'"):
        likelihood("poisson")


@pytest.mark.parametrize("method", [vae, vhp_vae, flat_vae], ids=lambda m: m.__name__)
def test_forward_gives_the_terms_of_the_lagrangian(method, tiny):
    torch.manual_seed(0)
    model = method.build(tiny, hidden=(8,)).to(D64)
    x, noise = tiny.train[:9].to(D64), normal(9, model.noise_size)
    terms = model(x, noise)
    mean, log_variance = model.encoder(x)
    posterior = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    z = posterior.mean + posterior.stddev * noise[:, :2]
    torch.testing.assert_close(terms.z, z)
    torch.testing.assert_close(terms.error, ((x - model.decode(z)) ** 2).sum(-1))
    torch.testing.assert_close(terms.kl, posterior.log_prob(z) - model.prior.log_density(z, noise[:, 2:]))
    torch.testing.assert_close(model.encode(x), mean)


def test_kl_term_averages_to_the_divergence(tiny):
    torch.manual_seed(1)
    model = vae.build(tiny, hidden=(8,)).to(D64)
    x = tiny.train[:1].to(D64)
    mean, log_variance = model.encoder(x)
    posterior = Independent(Normal(mean[0], (log_variance[0] / 2).exp()), 1)
    exact = kl_divergence(posterior, Independent(Normal(torch.zeros(2, dtype=D64), torch.ones(2, dtype=D64)), 1))
    kl = model(x.expand(20_000, -1), normal(20_000, 2)).kl
    assert abs(kl.mean() - exact) < 5 * kl.std() / math.sqrt(20_000)


def test_bernoulli_model_decodes_to_probabilities(tiny_bernoulli):
    torch.manual_seed(2)
    model = vae.build(tiny_bernoulli, hidden=(8,)).to(D64)
    z = normal(5, 2)
    torch.testing.assert_close(model.decode(z), 1 / (1 + torch.exp(-model.decoder(z))))
    grey, noise = tiny_bernoulli.test[:5].to(D64), normal(5, 2, seed=1)
    terms = model(grey, noise)
    decoded = model.decode(terms.z)
    entropy = -(grey * decoded.log() + (1 - grey) * (1 - decoded).log()).sum(-1)
    torch.testing.assert_close(terms.error, entropy)


def test_flat_vae_has_the_vhp_vae_s_model_and_the_compact_prior_as_its_ablation(tiny):
    build = {"latent_dim": 3, "hidden": (8, 5), "prior_hidden": (4,), "n_prior_samples": 2}
    models = []
    for method in (vhp_vae, flat_vae):
        torch.manual_seed(4)
        models.append(method.build(tiny, **build))
    x, noise = tiny.train[:6], torch.randn(6, models[0].noise_size, generator=torch.Generator().manual_seed(0))
    for one, other in zip(models[0](x, noise), models[1](x, noise), strict=True):
        assert torch.equal(one, other)
    z, none = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), torch.empty(4, 0)
    compact = flat_vae.build(tiny, prior="normal", **build)
    assert torch.equal(compact.prior.log_density(z, none), StandardNormal().log_density(z, none))
    with pytest.raises(InputError, match="'vamp'"):
        flat_vae.build(tiny, prior="vamp")


def test_active_dimensions_are_those_in_which_the_means_move():
    """Var μ = 1 in each; a tenth of the posterior's mean variance is below it, at it, above it; no unit enters."""
    means = torch.tensor([[1.0], [-1.0]], dtype=torch.float64).expand(2, 4)
    variances = torch.tensor([[0.1, 10.0, 5.0, 12.0], [0.1, 10.0, 15.1, 8.0]], dtype=torch.float64)
    for unit in (1e-3, 1.0, 50.0):
        found = active_dimensions(unit * means, (unit**2 * variances * (1 - 1e-12)).log())
        assert found.tolist() == [True, True, False, True]
    still = torch.zeros(2, 2, dtype=torch.float64)
    assert not active_dimensions(still, torch.full_like(still, -torch.inf)).any()
