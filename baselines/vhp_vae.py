"""VHP-VAE (Klushyn et al., NeurIPS 2019): a VAE with the two-level, learned prior p(z) = ∫ p(z|ζ) p(ζ) dζ, no penalty.

F = E_x E_q(z|x) [log q(z|x) − E_{ζ_1..K ~ q(ζ|z)} log (1/K) Σ_k p(z|ζ_k) p(ζ_k) / q(ζ_k|z)].
"""

from collections.abc import Sequence

from flatvae.model import LatentVariableModel, standard_model
from flatvae.priors import HierarchicalPrior


def build(
    dataset,
    *,
    latent_dim: int = 2,
    hidden: Sequence[int] = (128, 128),
    activation: str = "tanh",
    channels: Sequence[int] = (),
    prior_hidden: Sequence[int] = (64, 64),
    n_prior_samples: int = 8,
) -> LatentVariableModel:
    """The VAE's networks with the hierarchical prior; K = ``n_prior_samples`` importance samples in training."""
    prior = HierarchicalPrior(latent_dim, prior_hidden, activation, n_prior_samples)
    return standard_model(dataset, prior, latent_dim, hidden, activation, channels)
