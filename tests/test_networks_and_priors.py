"""Networks against their formulas; priors against torch.distributions and against exact marginals."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from flatvae import geometry
from flatvae.errors import InputError
from flatvae.networks import (
    ACTIVATIONS,
    MLP,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    GaussianNetwork,
    gaussian_log_density,
    gaussian_sample,
)
from flatvae.priors import HierarchicalPrior, StandardNormal

D64 = torch.float64


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_alternates_affine_maps_and_activations(activation):
    network = MLP(3, (5, 4), 2, activation).to(D64)
    x = normal(6, 3)
    smooth = ACTIVATIONS[activation]()
    (w1, b1), (w2, b2), (w3, b3) = ((layer.weight, layer.bias) for layer in network if hasattr(layer, "weight"))
    expected = smooth(smooth(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_curvature(activation):
    """The flat penalty differentiates the Jacobian: a second derivative that vanishes would leave it no gradient."""
    x = torch.linspace(-2, 2, 41, dtype=D64, requires_grad=True)
    (slope,) = torch.autograd.grad(ACTIVATIONS[activation]()(x).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert (curvature.abs() > 1e-3).sum() >= 38


def test_unknown_activation_is_named():
    with pytest.raises(InputError, match="'relu'"):
        MLP(2, (3,), 2, "relu")


def matrix_of(function, size: int) -> torch.Tensor:
    """The matrix of an affine map, from its values at the unit vectors."""
    return (function(torch.eye(size, dtype=D64)) - function(torch.zeros(1, size, dtype=D64))).T


def linear(network: torch.nn.Module) -> torch.nn.Module:
    """The network without its activations."""
    for layers in (network.convolutions, network.features):
        for at, layer in enumerate(layers):
            if not hasattr(layer, "weight"):
                layers[at] = torch.nn.Identity()
    return network.to(D64)


def test_a_convolution_sees_its_four_by_four_pixels_alone():
    """Without activations the encoder is a matrix: feature (c, i, j) is of rows 2i − 1 … 2i + 2, columns likewise."""
    encoder = linear(ConvolutionalEncoder((3, 8, 6), (2,), (), 5, "tanh"))
    encoder.features[0] = torch.nn.Identity()  # the features are the convolution's own: 2 × 4 × 3
    matrix = matrix_of(encoder, 3 * 8 * 6).view(2, 4, 3, 3, 8, 6)
    row, column = torch.arange(8), torch.arange(6)
    for i, j in [(0, 0), (1, 2), (3, 1)]:
        inside = ((row >= 2 * i - 1) & (row <= 2 * i + 2))[:, None] & ((column >= 2 * j - 1) & (column <= 2 * j + 2))
        assert torch.equal((matrix[:, i, j] != 0).all(0).all(0), inside)
        assert not matrix[:, i, j][..., ~inside].any()


def test_the_decoder_with_the_encoder_s_weights_is_its_transpose():
    encoder = linear(ConvolutionalEncoder((2, 8, 12), (3, 4), (5,), 6, "silu"))
    decoder = linear(ConvolutionalDecoder(6, (5,), (3, 4), (2, 8, 12), "silu"))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
        for there, back in ((0, 2), (2, 0)):
            decoder.features[back].weight.copy_(encoder.features[there].weight.T)
        for there, back in ((0, 3), (2, 1)):
            decoder.convolutions[back].weight.copy_(encoder.convolutions[there].weight)
    torch.testing.assert_close(matrix_of(decoder, 6), matrix_of(encoder, 2 * 8 * 12).T)


def test_convolutional_networks_take_any_leading_dimensions_and_grey_pictures():
    encoder = ConvolutionalEncoder((8, 4), (3,), (5,), 2, "tanh").to(D64)
    decoder = ConvolutionalDecoder(2, (5,), (3,), (8, 4), "tanh").to(D64)
    x, z = normal(6, 32), normal(6, 2)
    torch.testing.assert_close(encoder(x.view(2, 3, 32)), encoder(x).view(2, 3, 2))
    torch.testing.assert_close(decoder(z.view(2, 3, 2)), decoder(z).view(2, 3, 32))
    torch.testing.assert_close(decoder(z[0]), decoder(z)[0])


def test_the_jacobian_of_a_convolutional_decoder_is_that_of_central_differences():
    decoder = ConvolutionalDecoder(2, (5,), (3, 4), (3, 8, 4), "silu").to(D64)
    z, step = normal(4, 2), 1e-5
    columns = [(decoder(z + step * e) - decoder(z - step * e)) / (2 * step) for e in torch.eye(2, dtype=D64)]
    torch.testing.assert_close(geometry.jacobian(decoder, z), torch.stack(columns, -1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("shape", "channels", "why"),
    [((50,), (4,), "not pictures"), ((3, 8, 6), (4, 4), "8 × 6"), ((3, 64, 32), (2,) * 6, "6 convolutions")],
)
def test_what_cannot_be_convolved_is_refused(shape, channels, why):
    with pytest.raises(InputError, match=why):
        ConvolutionalEncoder(shape, channels, (5,), 2, "tanh")


def test_gaussian_network_splits_and_clamps():
    network = GaussianNetwork(MLP(2, (), 4)).to(D64)
    with torch.no_grad():
        network.network[0].weight.copy_(torch.tensor([[1.0, 0], [0, 2], [100, 0], [0, 1]]))
        network.network[0].bias.zero_()
    mean, log_variance = network(torch.tensor([[1.0, -3.0], [-1.0, 7.0]], dtype=D64))
    assert mean.tolist() == [[1, -6], [-1, 14]]
    assert log_variance.tolist() == [[15, -3], [-15, 7]]


def test_gaussian_density_and_sample_agree_with_torch():
    mean, log_variance, noise = normal(5, 3), normal(5, 3, seed=1), normal(5, 3, seed=2)
    reference = Independent(Normal(mean, torch.exp(0.5 * log_variance)), 1)
    x = gaussian_sample(mean, log_variance, noise)
    torch.testing.assert_close((x - reference.mean) / reference.stddev, noise)
    torch.testing.assert_close(gaussian_log_density(x, mean, log_variance), reference.log_prob(x))


def test_standard_normal():
    z = normal(7, 3)
    expected = MultivariateNormal(torch.zeros(3, dtype=D64), torch.eye(3, dtype=D64)).log_prob(z)
    assert StandardNormal().noise_size == 0
    torch.testing.assert_close(StandardNormal().log_density(z, torch.empty(7, 0, dtype=D64)), expected)


@pytest.mark.parametrize("n_samples", [1, 5])
def test_hierarchical_density_equals_a_plain_loop(n_samples):
    torch.manual_seed(3)
    n, rows = 2, 4
    prior = HierarchicalPrior(n, (6,), "tanh", n_samples).to(D64)
    z, noise = normal(rows, n), normal(rows, prior.noise_size, seed=1)
    for row in range(rows):
        mean, log_variance = prior.auxiliary(z[row])
        q = Independent(Normal(mean, (log_variance / 2).exp()), 1)
        total = 0.0
        for k in range(n_samples):
            zeta = mean + (log_variance / 2).exp() * noise[row, k * n : (k + 1) * n]
            mean_z, log_variance_z = prior.conditional(zeta)
            p_z = Independent(Normal(mean_z, (log_variance_z / 2).exp()), 1)
            p_zeta = Independent(Normal(torch.zeros(n, dtype=D64), torch.ones(n, dtype=D64)), 1)
            weight = p_z.log_prob(z[row]) + p_zeta.log_prob(zeta) - q.log_prob(zeta)
            total += weight.exp().item() / n_samples
        assert prior.log_density(z, noise)[row].item() == pytest.approx(math.log(total), abs=1e-10)


# p(z|ζ) = N(Aζ + b, s² I) with AᵀA = diag(a²): marginal N(b, AAᵀ + s² I), and a posterior q(ζ|z) with diagonal variance
A = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=D64) * torch.tensor([2.0, 0.5], dtype=D64)
B = torch.tensor([0.3, -1.0], dtype=D64)
S2 = 0.4
POSTERIOR_VARIANCE = 1 / (1 + torch.tensor([4.0, 0.25], dtype=D64) / S2)
MARGINAL = MultivariateNormal(B, A @ A.T + S2 * torch.eye(2, dtype=D64))


def affine(network: GaussianNetwork, matrix, offset, variance) -> None:
    """Sets a network without hidden layers to N(matrix · x + offset, variance)."""
    layer = network.network[0]
    with torch.no_grad():
        layer.weight.copy_(torch.cat([matrix, torch.zeros(2, 2)]))
        layer.bias.copy_(torch.cat([offset, torch.as_tensor(variance, dtype=D64).expand(2).log()]))


def linear_prior(n_samples: int, *, posterior_is_exact: bool) -> HierarchicalPrior:
    prior = HierarchicalPrior(2, (), "tanh", n_samples).to(D64)
    affine(prior.conditional, A, B, S2)
    gain = POSTERIOR_VARIANCE[:, None] * A.T / S2
    if posterior_is_exact:
        affine(prior.auxiliary, gain, -gain @ B, POSTERIOR_VARIANCE)
    else:
        affine(prior.auxiliary, torch.zeros(2, 2), torch.zeros(2), 1.3)
    return prior


@pytest.mark.parametrize("n_samples", [1, 3, 20])
def test_with_the_exact_posterior_the_bound_is_the_marginal(n_samples):
    prior, z = linear_prior(n_samples, posterior_is_exact=True), 2 * normal(6, 2)
    noise = normal(6, prior.noise_size, seed=1)
    torch.testing.assert_close(prior.log_density(z, noise), MARGINAL.log_prob(z), rtol=1e-10, atol=1e-10)


def test_with_another_posterior_the_bound_lies_below_and_grows_with_k():
    z = torch.tensor([1.0, -0.5], dtype=D64)
    means, errors = [], []
    for n_samples in (1, 4, 16, 256):
        prior = linear_prior(n_samples, posterior_is_exact=False)
        values = prior.log_density(z.expand(4000, 2), normal(4000, prior.noise_size, seed=n_samples))
        means.append(values.mean().item())
        errors.append(values.std().item() / math.sqrt(4000))
    exact = MARGINAL.log_prob(z).item()
    for lower, higher, error in zip(means, means[1:], errors, strict=False):
        assert lower + 5 * error < higher
    assert means[-1] < exact + 5 * errors[-1]
    assert means[-1] == pytest.approx(exact, abs=0.02)
    assert means[0] < exact - 0.3
