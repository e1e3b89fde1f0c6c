"""Encoders and decoders: multilayer perceptrons with smooth activations.

Smooth, because the flat penalty differentiates the Jacobian: the second derivative of a piecewise linear network is zero
almost everywhere, and the penalty would lose its gradient through the latent points.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from flatvae.errors import InputError

ACTIVATIONS = {"tanh": nn.Tanh, "softplus": nn.Softplus, "silu": nn.SiLU, "gelu": nn.GELU}


class MLP(nn.Sequential):
    """Fully connected network in_features → hidden… → out_features with a smooth activation between layers."""

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int, activation: str = "tanh"):
        if activation not in ACTIVATIONS:
            raise InputError(
                f"activation {activation!r} is not a smooth one of this suite; choose {', '.join(ACTIVATIONS)}"
            )
        sizes = [in_features, *hidden, out_features]
        layers: list[nn.Module] = []
        for width, next_width in pairwise(sizes):
            layers += [nn.Linear(width, next_width), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])


class GaussianNetwork(nn.Module):
    """A diagonal Gaussian whose mean and log-variance are a network of its input: N(μ(x), diag σ²(x)).

    Serves as encoder q(z|x), as conditional prior p(z|ζ) and as auxiliary encoder q(ζ|z).
    """

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int, activation: str = "tanh"):
        super().__init__()
        self.network = MLP(in_features, hidden, 2 * out_features, activation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance: (..., in) -> (..., out), (..., out); |log σ²| ≤ 15 guards against overflow."""
        mean, log_variance = self.network(x).chunk(2, dim=-1)
        return mean, log_variance.clamp(-15.0, 15.0)


def gaussian_log_density(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(x; μ, diag σ²) = −½ Σ [log 2π + log σ² + (x − μ)²/σ²]: (..., n) -> (...), in nats."""
    squared = (x - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squared + log_variance + 1.8378770664093453).sum(-1)


def gaussian_sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Reparametrised sample μ + σ ε with ε ~ N(0, I) given."""
    return mean + torch.exp(0.5 * log_variance) * noise
