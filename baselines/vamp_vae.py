"""VampPrior VAE (Tomczak & Welling, AISTATS 2018): the prior is a mixture of the encoder's own posteriors, no penalty.

    p(z) = (1/K) Σ_k q(z|u_k),   u_1 … u_K learned pseudo-inputs in observation space

Default: K = 100. The pseudo-inputs start at training data and are not kept within the data's range (Tomczak & Welling clip them
to [0, 1], which stops those at the edge for good). In the suite's initial phase they stay where they start.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flatvae.errors import InputError
from flatvae.model import LatentVariableModel, standard_model
from flatvae.networks import gaussian_log_density, gaussian_sample


class VampPrior(nn.Module):
    """p(z) = (1/K) Σ_k q(z|u_k), its density exact.

    Args:
        encoder: x -> (mean, log-variance), the model's own. It is borrowed: its parameters stay the model's alone, and
            whatever replaces them there (training does, for every seed) is seen here.
        pseudo_inputs: u at the start (K, D).
    """

    noise_size = 0

    def __init__(self, encoder: nn.Module, pseudo_inputs: Tensor):
        super().__init__()
        self._borrowed = (encoder,)  # within a tuple a module is not registered, and its parameters are not there twice
        self.pseudo_inputs = nn.Parameter(pseudo_inputs)

    def _components(self) -> tuple[Tensor, Tensor]:
        """Means and log-variances of the K components: (K, n), (K, n)."""
        (encoder,) = self._borrowed
        return encoder(self.pseudo_inputs)

    def log_density(self, z: Tensor, noise: Tensor) -> Tensor:
        """log (1/K) Σ_k q(z|u_k) in nats: (B, n) -> (B,); needs no noise, (B, 0)."""
        each = gaussian_log_density(z.unsqueeze(-2), *self._components())  # (B, K)
        return torch.logsumexp(each, dim=-1) - math.log(each.shape[-1])

    def sample(self, noise: Tensor) -> Tensor:
        """Samples of p(z) from standard normal noise (N, 2n): its first number chooses u_k, the second half z: (N, n)."""
        choice, own = noise.chunk(2, dim=-1)
        mean, log_variance = self._components()
        share = torch.special.ndtr(choice[:, 0])  # U(0, 1)
        k = (share * len(mean)).long().clamp(max=len(mean) - 1)
        return gaussian_sample(mean[k], log_variance[k], own)


def build(
    dataset,
    *,
    latent_dim: int = 2,
    hidden: Sequence[int] = (128, 128),
    activation: str = "tanh",
    channels: Sequence[int] = (),
    pseudo_inputs: int = 100,
) -> LatentVariableModel:
    """The VAE's networks with a VampPrior of K = ``pseudo_inputs``, drawn from the training data with replacement.

    Raises:
        InputError: no pseudo-input.
    """
    if pseudo_inputs < 1:
        raise InputError(f"vamp_vae: pseudo_inputs is {pseudo_inputs}; it must be ≥ 1")
    model = standard_model(dataset, nn.Identity(), latent_dim, hidden, activation, channels)
    start = torch.zeros(pseudo_inputs, dataset.dim)
    if len(dataset.train):  # a stored model is built again without data: its pseudo-inputs are stored with it
        start = dataset.train[torch.randint(len(dataset.train), (pseudo_inputs,))].clone()
    model.prior = VampPrior(model.encoder, start)
    return model
