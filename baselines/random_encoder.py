"""Random encoder: the suite's networks with their initial weights, never trained.

A control, as a descriptor and as a method: it shows what the architecture alone achieves (Saxe et al., ICML 2011). A method that
does not beat it has learnt nothing useful. As a method it is the VAE before its first step, decoder included: it does not
reconstruct.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from baselines.vae import build
from flatvae.evaluation import encode
from flatvae.model import LatentVariableModel

__all__ = ["build", "descriptor", "fit"]  # build is the VAE's


def descriptor(
    dataset,
    *,
    seed: int,
    latent_dim: int = 2,
    hidden: Sequence[int] = (128, 128),
    activation: str = "tanh",
    channels: Sequence[int] = (),
) -> Callable[[Tensor], Tensor]:
    """The descriptor of observations (N, D) -> (N, n): means of an encoder with the initial weights of ``seed``."""
    model = fit(dataset, seed=seed, latent_dim=latent_dim, hidden=hidden, activation=activation, channels=channels)
    return lambda x: encode(model, x)


def fit(dataset, *, seed: int, **hyperparameters) -> LatentVariableModel:
    """The model with the initial weights of ``seed``; takes the hyperparameters of ``build``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(dataset, **hyperparameters)
