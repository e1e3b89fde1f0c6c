"""VampPrior VAE (Tomczak & Welling, AISTATS 2018): the prior is a mixture of the encoder's own posteriors, no penalty.

    p(z) = (1/K) Σ_k q(z|u_k),   u_1 … u_K learned pseudo-inputs in observation space

Default: K = 100. The pseudo-inputs start at training data and may leave the data's range (Tomczak & Welling clip them to [0, 1];
then those at the edge never move again). In the suite's initial phase they do not move.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flatvae.errors import InputError
from flatvae.model import LatentVariableModel, standard_model
from flatvae.networks import gaussian_log_density, gaussian_sample


class VampPrior(nn.Module):
    """p(z) = (1/K) Σ_k q(z|u_k), with exact density.

    Args:
        encoder: x -> (mean, log-variance), the model's own. It is shared: its parameters belong to the model alone, and if the
            model's are replaced (training does so for every seed), the prior uses the replacements.
        pseudo_inputs: initial u (K, D).
    """

    noise_size = 0

    def __init__(self, encoder: nn.Module, pseudo_inputs: Tensor):
        super().__init__()
        self._borrowed = (encoder,)  # in a tuple the module is not registered, so its parameters are not counted twice
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
        InputError: ``pseudo_inputs`` is below 1.
    """
    if pseudo_inputs < 1:
        raise InputError(f"vamp_vae: pseudo_inputs is {pseudo_inputs}; it must be ≥ 1")
    model = standard_model(dataset, nn.Identity(), latent_dim, hidden, activation, channels)
    start = torch.zeros(pseudo_inputs, dataset.dim)
    if len(dataset.train):  # a stored model is rebuilt without data; its pseudo-inputs are loaded
        start = dataset.train[torch.randint(len(dataset.train), (pseudo_inputs,))].clone()
    model.prior = VampPrior(model.encoder, start)
    return model
