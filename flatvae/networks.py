"""Encoders and decoders: multilayer perceptrons, for pictures with convolutions, and smooth activations.

Activations are smooth because the flat penalty differentiates the Jacobian: a piecewise linear network has a second derivative
of zero almost everywhere, so the penalty would lose its gradient through the latent points.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from flatvae.errors import InputError

ACTIVATIONS = {"tanh": nn.Tanh, "softplus": nn.Softplus, "silu": nn.SiLU, "gelu": nn.GELU}


KERNEL, STRIDE, PADDING = (
    4,
    2,
    1,
)  # a convolution halves each side; a stride that divides the kernel leaves no checkerboard


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise InputError(f"activation {name!r} is not among this suite's smooth ones; choose {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


class _Linear(nn.Linear):
    """W x + b, written out: torch differentiates its own linear layer in forward mode in Python, with more operations."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.mT + self.bias


class MLP(nn.Sequential):
    """Fully connected network in_features → hidden… → out_features with a smooth activation between layers."""

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int, activation: str = "tanh"):
        sizes = [in_features, *hidden, out_features]
        layers: list[nn.Module] = []
        for width, next_width in pairwise(sizes):
            layers += [_Linear(width, next_width), _activation(activation)]
        super().__init__(*layers[:-1])


def _pictures(shape: Sequence[int]) -> tuple[int, int, int]:
    """An observation's shape as (channels, rows, columns); (rows, columns) means one channel.

    Raises:
        InputError: it is not the shape of a picture.
    """
    if len(shape) not in (2, 3):
        raise InputError(f"channels: observations of shape {tuple(shape)} are not pictures; leave channels out")
    return (1, *shape)[-3:]


def _halved(shape: Sequence[int], times: int) -> tuple[int, int]:
    """Rows and columns after a number of convolutions.

    Raises:
        InputError: a side cannot be halved that often.
    """
    factor = STRIDE**times
    if any(side % factor for side in shape[-2:]):
        raise InputError(
            f"channels: {times} convolutions need sides that {factor} divides, but pictures are {shape[-2]} × {shape[-1]}; "
            f"give fewer channels or other pictures"
        )
    return shape[-2] // factor, shape[-1] // factor


def _blocks(x: Tensor, margin: int) -> Tensor:
    """All 2 × 2 blocks of positions (stride 1, zero-padded by ``margin``), each block's features concatenated.

    (C, H, W, N) -> (4 C, (H − 1 + 2 margin) (W − 1 + 2 margin) N).
    """
    sides = [(margin - later, margin - 1 + later) for later in (0, 1)]  # a negative width crops
    return torch.cat([pad(x, (0, 0, *across, *down)) for down in sides for across in sides]).flatten(1)


class _Convolution(nn.Conv2d):
    """A convolution of kernel 4, stride 2 and padding 1 as one matrix product, pictures last: (I, 2H, 2W, N) -> (O, H, W, N).

    On blocks of 2 × 2 pixels it has kernel 2 and stride 1. With few channels torch's own convolution takes a few times as long
    on a CPU, and many times as long in double precision. As a matrix product it also batches over seeds.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, KERNEL, STRIDE, PADDING)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[1] // 2, x.shape[2] // 2
        pixels = pad(x, (0, 0, 1, 1, 1, 1)).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (I, H + 1, 2, W + 1, 2, N)
        kernel = self.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2))  # (O, I, block, pixel, block, pixel)
        kernel = kernel.permute(0, 2, 4, 3, 5, 1).flatten(1)  # (O, 16 I)
        product = kernel @ _blocks(pixels.permute(2, 4, 0, 1, 3, 5).flatten(0, 2), margin=0)
        return (product + self.bias[:, None]).unflatten(1, (rows, columns, -1))


class _TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution of kernel 4, stride 2 and padding 1 as one matrix product: (I, H, W, N) -> (O, 2H, 2W, N).

    Each block of 2 × 2 output pixels is a linear map of a block of 2 × 2 input positions; the first blocks begin in the padding.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, KERNEL, STRIDE, PADDING)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[1] + 1, x.shape[2] + 1  # numbers of blocks
        product = self._kernel() @ _blocks(x, margin=1) + self.bias.repeat_interleave(4)[:, None]
        blocks = product.unflatten(1, (rows, columns, -1)).unflatten(0, (-1, 2, 2))  # (O, 2, 2, H + 1, W + 1, N)
        pixels = blocks.permute(0, 3, 1, 4, 2, 5).flatten(3, 4).flatten(1, 2)  # (O, 2H + 2, 2W + 2, N)
        return pad(pixels, (0, 0, -1, -1, -1, -1))

    def _kernel(self) -> Tensor:
        """Weights (I, O, 4, 4) as the linear map from a block's 4 I inputs to its 4 O outputs."""
        split = self.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2)).flip(2, 4)  # (I, O, block, pixel, block, pixel)
        return split.permute(1, 3, 5, 2, 4, 0).flatten(3).flatten(0, 2)  # (4 O, 4 I)


class ConvolutionalEncoder(nn.Module):
    """A picture's features: convolutions of kernel 4 and stride 2, one for each width of ``channels``, then an MLP.

    Args:
        shape: a picture's shape, (rows, columns) or (channels, rows, columns); inputs are flattened, (..., D).
        channels: widths of the convolutions; each halves rows and columns.
        hidden: widths of the MLP's hidden layers.
        out_features: width of the MLP's output.
        activation: a name of ``ACTIVATIONS``.

    Raises:
        InputError: ``shape`` is not a picture's or cannot be halved that often, or the activation is unknown.
    """

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], hidden: Sequence[int], out_features: int, activation: str
    ):
        super().__init__()
        self.shape = _pictures(shape)
        rows, columns = _halved(self.shape, len(channels))
        layers: list[nn.Module] = []
        for width, next_width in pairwise([self.shape[0], *channels]):
            layers += [_Convolution(width, next_width), _activation(activation)]
        self.convolutions = nn.Sequential(*layers)
        self.features = MLP(channels[-1] * rows * columns, hidden, out_features, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., out_features)."""
        features = self.convolutions(x.reshape(-1, *self.shape).movedim(0, -1))  # (C, H, W, N)
        return self.features(features.flatten(0, 2).mT).view(*x.shape[:-1], -1)


class ConvolutionalDecoder(nn.Module):
    """The mirror image of ``ConvolutionalEncoder``: an MLP, then transposed convolutions up to a picture.

    Arguments and errors are the encoder's; ``hidden`` and ``channels`` are in the encoder's order.
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
            layers += [_activation(activation), _TransposedConvolution(width, next_width)]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(..., n) -> (..., D)."""
        small = self.features(z.reshape(-1, z.shape[-1])).mT.contiguous().unflatten(0, self.small)  # (C, H, W, N)
        return self.convolutions(small).flatten(0, 2).mT.reshape(*z.shape[:-1], -1)


class GaussianNetwork(nn.Module):
    """A diagonal Gaussian whose mean and log-variance are a network's outputs: N(μ(x), diag σ²(x)).

    It is the encoder q(z|x), the conditional prior p(z|ζ) and the auxiliary encoder q(ζ|z).

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
