"""Priors p(z) over the latent space.

A prior is a module with ``log_density(z, noise)``, ``sample(noise)`` and ``noise_size``, the count of standard normal numbers
that the density of one latent point needs. Noise is an argument, never drawn inside, so that seeds can be trained together.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flatvae.networks import MLP, GaussianNetwork, gaussian_log_density, gaussian_sample


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    noise_size = 0

    def log_density(self, z: Tensor, noise: Tensor) -> Tensor:
        """log N(z; 0, I) in nats: (B, n) -> (B,); needs no noise, (B, 0)."""
        zero = torch.zeros_like(z)
        return gaussian_log_density(z, zero, zero)

    def sample(self, noise: Tensor) -> Tensor:
        """Samples of p(z), (N, n), from standard normal noise (N, 2n), whose second half is unused."""
        return noise.chunk(2, dim=-1)[0]


class HierarchicalPrior(nn.Module):
    """The two-level prior of the VHP-VAE (Klushyn et al., NeurIPS 2019): p(z) = ∫ p(z|ζ) p(ζ) dζ, p(ζ) = N(0, I).

    p(z|ζ) and the auxiliary encoder q(ζ|z) are Gaussians whose means and variances are networks; dim ζ = dim z.
    """

    def __init__(self, latent_dim: int, hidden: Sequence[int], activation: str, n_samples: int):
        super().__init__()
        self.conditional = GaussianNetwork(MLP(latent_dim, hidden, 2 * latent_dim, activation))  # p(z|ζ)
        self.auxiliary = GaussianNetwork(MLP(latent_dim, hidden, 2 * latent_dim, activation))  # q(ζ|z)
        self.noise_size = n_samples * latent_dim

    def log_density(self, z: Tensor, noise: Tensor) -> Tensor:
        """Importance-weighted lower bound of log p(z), tight as K grows (Klushyn et al. 2019, eq. 8; Burda et al. 2016).

        log (1/K) Σ_k p(z|ζ_k) p(ζ_k) / q(ζ_k|z),  ζ_k = μ_q(z) + σ_q(z) ε_k.

        Args:
            z: latent points (B, n).
            noise: ε ~ N(0, I), (B, K · n); its width gives K.

        Returns:
            (B,), in nats.
        """
        noise = noise.unflatten(-1, (-1, z.shape[-1])).movedim(-2, 0)  # (K, B, n)
        mean, log_variance = self.auxiliary(z)
        zeta = gaussian_sample(mean, log_variance, noise)  # (K, B, n)
        # with ζ = μ + σ ε, log q(ζ|z) needs ε and σ alone
        log_q = gaussian_log_density(noise, torch.zeros_like(mean), torch.zeros_like(mean)) - 0.5 * log_variance.sum(-1)
        log_joint = gaussian_log_density(z, *self.conditional(zeta)) + gaussian_log_density(
            zeta, torch.zeros_like(mean), torch.zeros_like(mean)
        )
        return torch.logsumexp(log_joint - log_q, dim=0) - math.log(noise.shape[0])

    def sample(self, noise: Tensor) -> Tensor:
        """Samples of p(z) from standard normal noise, one half for ζ and one for z given ζ: (N, 2n) -> (N, n)."""
        zeta, own = noise.chunk(2, dim=-1)
        return gaussian_sample(*self.conditional(zeta), own)
