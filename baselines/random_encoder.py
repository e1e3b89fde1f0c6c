"""Random encoder: the suite's encoder with its initial weights, never trained.

A control: what the network's form alone finds (Saxe et al., ICML 2011). A method that does not beat it has learnt nothing of use.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flatvae.evaluation import encode
from flatvae.model import standard_model
from flatvae.priors import StandardNormal


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = standard_model(dataset, StandardNormal(), latent_dim, hidden, activation, channels)
    return lambda x: encode(model, x)
