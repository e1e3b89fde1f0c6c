"""Encoders and decoders: multilayer perceptrons, for pictures after (before) convolutions, with smooth activations.

Smooth, because the flat penalty differentiates the Jacobian: the second derivative of a piecewise linear network is zero
almost everywhere, and the penalty would lose its gradient through the latent points.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from flatvae.errors import InputError

ACTIVATIONS = {"tanh": nn.Tanh, "softplus": nn.Softplus, "silu": nn.SiLU, "gelu": nn.GELU}


KERNEL, STRIDE, PADDING = (
    4,
    2,
    1,
)  # of a convolution: it halves a side; strides that divide kernels leave no checkerboard


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise InputError(f"activation {name!r} is not a smooth one of this suite; choose {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


class MLP(nn.Sequential):
    """Fully connected network in_features → hidden… → out_features with a smooth activation between layers."""

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int, activation: str = "tanh"):
        sizes = [in_features, *hidden, out_features]
        layers: list[nn.Module] = []
        for width, next_width in pairwise(sizes):
            layers += [nn.Linear(width, next_width), _activation(activation)]
        super().__init__(*layers[:-1])


def _pictures(shape: Sequence[int]) -> tuple[int, int, int]:
    """(channels, rows, columns) of an observation's shape, of which (rows, columns) has one channel.

    Raises:
        InputError: it is no picture's.
    """
    if len(shape) not in (2, 3):
        raise InputError(f"channels: observations of shape {tuple(shape)} are no pictures; leave channels out")
    return (1, *shape)[-3:]


def _halved(shape: Sequence[int], times: int) -> tuple[int, int]:
    """Rows and columns after so many convolutions.

    Raises:
        InputError: a side cannot be halved so often.
    """
    factor = STRIDE**times
    if any(side % factor for side in shape[-2:]):
        raise InputError(
            f"channels: {times} convolutions halve a side {times} times, and pictures of {shape[-2]} × {shape[-1]} cannot be; "
            f"give fewer, or pictures whose sides {factor} divides"
        )
    return shape[-2] // factor, shape[-1] // factor


class ConvolutionalEncoder(nn.Module):
    """A picture's features: convolutions of kernel 4 and stride 2, one for each width of ``channels``, then an MLP.

    Args:
        shape: of a picture, (rows, columns) or (channels, rows, columns); inputs are flattened, (..., D).
        channels: widths of the convolutions; each halves rows and columns.
        hidden: widths of the MLP's hidden layers.
        out_features: of its output.
        activation: a name of ``ACTIVATIONS``.

    Raises:
        InputError: ``shape`` is no picture's or cannot be halved so often, or no such activation.
    """

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], hidden: Sequence[int], out_features: int, activation: str
    ):
        super().__init__()
        self.shape = _pictures(shape)
        rows, columns = _halved(self.shape, len(channels))
        layers: list[nn.Module] = []
        for width, next_width in pairwise([self.shape[0], *channels]):
            layers += [nn.Conv2d(width, next_width, KERNEL, STRIDE, PADDING), _activation(activation)]
        self.convolutions = nn.Sequential(*layers)
        self.features = MLP(channels[-1] * rows * columns, hidden, out_features, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., out_features)."""
        pictures = self.convolutions(x.reshape(-1, *self.shape))
        return self.features(pictures.flatten(1)).view(*x.shape[:-1], -1)


class ConvolutionalDecoder(nn.Module):
    """The mirror image of ``ConvolutionalEncoder``: an MLP, then transposed convolutions up to a picture.

    Args and errors are those of the encoder; ``hidden`` and ``channels`` are given in the encoder's order.
    """

    def __init__(
        self, in_features: int, hidden: Sequence[int], channels: Sequence[int], shape: Sequence[int], activation: str
    ):
        super().__init__()
        shape = _pictures(shape)
        self.small = (channels[-1], *_halved(shape, len(channels)))
        self.features = MLP(in_features, [*reversed(hidden)], math.prod(self.small), activation)
        layers: list[nn.Module] = []
        for width, next_width in pairwise([*reversed(channels), shape[0]]):
            layers += [_activation(activation), nn.ConvTranspose2d(width, next_width, KERNEL, STRIDE, PADDING)]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(..., n) -> (..., D)."""
        small = self.features(z.reshape(-1, z.shape[-1])).unflatten(1, self.small)
        return self.convolutions(small).flatten(1).view(*z.shape[:-1], -1)


class GaussianNetwork(nn.Module):
    """A diagonal Gaussian whose mean and log-variance are a network of its input: N(μ(x), diag σ²(x)).

    Serves as encoder q(z|x), as conditional prior p(z|ζ) and as auxiliary encoder q(ζ|z).

    Args:
        network: (..., in) -> (..., 2 · out), means before log-variances.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

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
