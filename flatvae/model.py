"""A latent-variable model: encoder, decoder, prior and likelihood, written for one model and one batch."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from flatvae.likelihoods import likelihood
from flatvae.networks import (
    MLP,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    GaussianNetwork,
    gaussian_log_density,
    gaussian_sample,
)

_ACTIVE = 0.1  # least variance of the means in an active dimension, relative to the posterior's mean variance


class Terms(NamedTuple):
    """The terms of the Lagrangian for a batch, before any averaging."""

    error: Tensor  # C(x, z), (B,)
    kl: Tensor  # log q(z|x) − log p(z), (B,), nats; its mean is F of METHOD section 1
    z: Tensor  # posterior samples, (B, n)


class LatentVariableModel(nn.Module):
    """p(x|z) p(z) with the approximate posterior q(z|x) = N(μ(x), diag σ²(x)).

    Args:
        encoder: x -> (mean, log-variance), a GaussianNetwork.
        decoder: z -> the likelihood's parameters (mean or logits), (..., n) -> (..., D).
        prior: has ``noise_size`` and ``log_density(z, noise)``.
        likelihood: has ``mean``, ``reconstruction_error`` and ``observe``.
        latent_dim: n.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, likelihood: nn.Module, latent_dim: int
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.latent_dim = latent_dim
        self.config: dict = {}

    @property
    def noise_size(self) -> int:
        """Standard normal numbers that ``forward`` needs per datum: n for the posterior plus the prior's ``noise_size``."""
        return self.latent_dim + self.prior.noise_size

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means μ(x): (N, D) -> (N, n)."""
        return self.encoder(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """The decoder's mean f(z) in observation space: (N, n) -> (N, D)."""
        return self.likelihood.mean(self.decoder(z))

    def forward(self, x: Tensor, noise: Tensor) -> Terms:
        """Reconstruction error and KL integrand of a batch, at one posterior sample per datum.

        Args:
            x: observations (B, D).
            noise: standard normal (B, noise_size).
        """
        mean, log_variance = self.encoder(x)
        posterior_noise, prior_noise = noise.tensor_split([self.latent_dim], dim=-1)
        z = gaussian_sample(mean, log_variance, posterior_noise)
        kl = gaussian_log_density(z, mean, log_variance) - self.prior.log_density(z, prior_noise)
        return Terms(self.likelihood.reconstruction_error(x, self.decoder(z)), kl, z)


def active_dimensions(means: Tensor, log_variances: Tensor) -> Tensor:
    """Which latent coordinates the encoder uses: Var_x[μ_t(x)] ≥ E_x[σ_t²(x)] / 10, t = 1…n.

    In a coordinate that training has switched off, the posterior equals the prior: its means hardly vary, and its variance is
    the prior's. The rule does not depend on a coordinate's units. A coordinate whose means all coincide is not active.

    Args:
        means: posterior means μ(x), (N, n).
        log_variances: log σ²(x), (N, n).

    Returns:
        (n,) bool.

    Source: after Burda et al. (ICLR 2016), whose threshold is Var[μ_t] > 0.01 for a standard normal prior.
    """
    variance = means.var(dim=0, correction=0)
    return (variance > 0) & (variance >= _ACTIVE * log_variances.exp().mean(0))


def standard_model(
    dataset,
    prior: nn.Module,
    latent_dim: int,
    hidden: Sequence[int],
    activation: str,
    channels: Sequence[int] = (),
) -> LatentVariableModel:
    """The model that most methods share: an encoder, its mirror image as decoder, the data set's likelihood, a given prior.

    Args:
        dataset: anything with ``dim`` (D), ``shape`` and ``likelihood``, such as a ``flatvae.datasets.Dataset``.
        prior: a module of ``flatvae.priors`` over R^n.
        latent_dim: n.
        hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: a name of ``flatvae.networks.ACTIVATIONS``.
        channels: widths of the convolutions before them; if empty, encoder and decoder are MLPs.

    Raises:
        InputError: the activation is unknown, or convolutions are asked for data that are not pictures.
    """
    if channels:
        encoder = ConvolutionalEncoder(dataset.shape, channels, hidden, 2 * latent_dim, activation)
        decoder = ConvolutionalDecoder(latent_dim, hidden, channels, dataset.shape, activation)
    else:
        encoder = MLP(dataset.dim, hidden, 2 * latent_dim, activation)
        decoder = MLP(latent_dim, [*reversed(hidden)], dataset.dim, activation)
    return LatentVariableModel(
        encoder=GaussianNetwork(encoder),
        decoder=decoder,
        prior=prior,
        likelihood=likelihood(dataset.likelihood),
        latent_dim=latent_dim,
    )
