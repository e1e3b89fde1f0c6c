"""Pendulum: small images of a rod at a random angle. The true manifold is known: a circle."""

import math
from pathlib import Path

import torch

from flatvae.datasets import MAX_SEED, Dataset, check_range

SIZE = 16  # pixels a side
_LENGTH = 7 / 16  # of the rod, relative to the image's side: its end stays inside the image at every angle
_WIDTH = 1 / 16  # w of its profile, relative to the image's side: one pixel at the usual size


def render(angle: torch.Tensor | float, size: int = SIZE) -> torch.Tensor:
    """Noise-free images of a rod that starts at the image's centre, at the given angle.

    The intensity of a pixel at distance d from the rod, a line segment, is::

        exp(−d² / 2w²)

    Args:
        angle: radians, any shape (...); 0 points right, π/2 up (counter-clockwise; row 0 is the top).
        size: pixels a side. The rod's length is 7/16 of it and w is 1/16 of it.

    Returns:
        (..., size, size), intensities in [0, 1], of the angle's floating-point type.
    """
    angle = torch.as_tensor(angle)
    angle = angle if angle.is_floating_point() else angle.to(torch.get_default_dtype())
    offset = torch.arange(size, dtype=angle.dtype, device=angle.device) - (size - 1) / 2  # pixels from the centre
    x, y = offset.expand(size, size), -offset[:, None].expand(size, size)
    cos, sin = torch.cos(angle)[..., None, None], torch.sin(angle)[..., None, None]
    along = x * cos + y * sin  # (..., size, size), along the rod's direction
    across = y * cos - x * sin
    beyond = along - along.clamp(0, _LENGTH * size)  # distance along the rod before its start or beyond its end
    return torch.exp(-(across**2 + beyond**2) / (2 * (_WIDTH * size) ** 2))


def load(
    root: Path | None = None,
    *,
    train: int = 15_000,
    validation: int = 1_000,
    test: int = 15_000,
    noise: float = 0.05,
    seed: int = 0,
) -> Dataset:
    """Draw the pendulum images x = render(θ) + noise · ε, θ ~ U[0, 2π), ε ~ N(0, I).

    The three parts are independent draws from one generator, in the order of the arguments. ``factors`` are the
    angles θ of the test part in radians, ``factor_period`` is 2π, and ``render`` gives the images without noise.

    Args:
        root: not used; the images are computed.
        train, validation, test: numbers of images.
        noise: standard deviation of the pixel noise, in units of the rod's full intensity.
        seed: of all draws.

    Raises InputError for an empty part, a negative noise or a seed out of range.

    Source: this suite's own pendulum; image size, rod, profile and noise are its choice.
    """
    for option, rows in {"train": train, "validation": validation, "test": test}.items():
        check_range("pendulum", option, rows, 1)
    check_range("pendulum", "noise", noise, 0)
    check_range("pendulum", "seed", seed, 0, MAX_SEED)
    generator = torch.Generator().manual_seed(seed)
    parts = [_draw(rows, noise, generator) for rows in (train, validation, test)]
    return Dataset(
        name="pendulum",
        train=parts[0][0],
        validation=parts[1][0],
        test=parts[2][0],
        likelihood="gaussian",
        shape=(SIZE, SIZE),
        factors=parts[2][1],
        factor_period=2 * math.pi,
        render=_noise_free,
    )


def _noise_free(angle: torch.Tensor) -> torch.Tensor:
    """Images without noise at angles (M,): (M, SIZE²)."""
    return render(angle).flatten(1)


def _draw(rows: int, noise: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy images (rows, SIZE²) and their angles (rows,)."""
    angle = 2 * math.pi * torch.rand(rows, generator=generator)
    image = _noise_free(angle)
    return image + noise * torch.randn(image.shape, generator=generator), angle
