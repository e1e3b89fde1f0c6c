"""GEORCE, the rival of the geodesics' refinement, on metrics whose geodesics are known."""

import math

import torch
from georce import Georce, between, smooth

from flatvae import geometry

D64 = torch.float64


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


def ends(count: int, n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of points on the southern cap of the sphere, the opposite pole of its projection out of reach."""
    return tuple(1.2 * torch.rand(2, count, n, dtype=D64, generator=torch.Generator().manual_seed(0)) - 0.6)


def straight(a: torch.Tensor, b: torch.Tensor, segments: int) -> torch.Tensor:
    return torch.lerp(a[:, None], b[:, None], torch.linspace(0, 1, segments + 1, dtype=D64)[:, None])


def sphere(z: torch.Tensor) -> torch.Tensor:
    """The unit sphere by stereographic projection from its north pole."""
    square = z.square().sum(-1, keepdim=True)
    return torch.cat([2 * z, square - 1], -1) / (square + 1)


def paraboloid(z: torch.Tensor) -> torch.Tensor:
    return torch.cat([z, z.square().sum(-1, keepdim=True)], -1)


def test_where_the_metric_is_constant_one_step_arrives_from_anywhere():
    matrix, start = normal(5, 3), normal(4, 17, 3, seed=1)
    found = Georce(lambda z: z @ matrix.T, iterations=1)(start)
    torch.testing.assert_close(found, straight(start[:, 0], start[:, -1], 16), rtol=0, atol=1e-12)


def test_on_a_sphere_it_finds_great_circles():
    """Their length is the angle between the ends; the curve's nodes are joined by arcs."""
    a, b = ends(20)
    found = Georce(sphere, settled=1e-12)(straight(a, b, 16))
    chords = sphere(found).diff(dim=1).norm(dim=-1)
    angle = torch.acos((sphere(a) * sphere(b)).sum(-1))
    torch.testing.assert_close((2 * torch.asin(chords / 2)).sum(1), angle, rtol=1e-5, atol=0)


def test_on_a_sphere_the_error_is_of_second_order_in_the_number_of_controls():
    a, b = ends(20)
    angle = torch.acos((sphere(a) * sphere(b)).sum(-1))
    curves = [Georce(sphere, settled=1e-14)(straight(a, b, segments)) for segments in (8, 32)]
    coarse, fine = (
        (geometry.curve_length(sphere, smooth(x, 2048 // (x.shape[1] - 1))) / angle - 1).mean() for x in curves
    )
    assert fine.abs() < coarse / 8


def test_on_a_paraboloid_it_finds_the_meridian():
    """From a bent start; the arc of y = x² from r to s has the length F(s) − F(r), F(x) = ½ x √(1 + 4x²) + ¼ asinh 2x."""
    a, b = torch.tensor([[0.3, 0.0]], dtype=D64), torch.tensor([[1.5, 0.0]], dtype=D64)
    line = straight(a, b, 64)
    bend = 0.3 * torch.sin(math.pi * torch.linspace(0, 1, 65, dtype=D64))
    bent = line + torch.stack([torch.zeros(65, dtype=D64), bend], -1)
    found = smooth(Georce(paraboloid, settled=1e-13)(bent), 32)
    to_r, to_s = (x * math.sqrt(1 + 4 * x * x) / 2 + math.asinh(2 * x) / 4 for x in (0.3, 1.5))
    torch.testing.assert_close(geometry.curve_length(paraboloid, found).item(), to_s - to_r, rtol=1e-4, atol=0)
    assert found[..., 1].abs().max() < 1e-3


def test_a_latent_dimension_that_nothing_is_decoded_from_does_no_harm():
    a, b = ends(5, 3)
    found = Georce(lambda z: sphere(z[:, :2]), settled=1e-12)(straight(a, b, 16))
    known = Georce(sphere, settled=1e-12)(straight(a[:, :2], b[:, :2], 16))
    torch.testing.assert_close(found[..., :2], known, rtol=0, atol=1e-3)


def test_of_two_starts_the_shorter_end_counts_and_never_more_than_the_straight_line():
    a, b = ends(10)
    line = straight(a, b, 16)
    wild = line + torch.nn.functional.pad(normal(10, 15, 2, seed=2), (0, 0, 1, 1))
    found = geometry.curve_length(sphere, between(sphere, sphere, torch.stack([line, wild]), iterations=30))
    alone = geometry.curve_length(sphere, between(sphere, sphere, line[None], iterations=30))
    assert (found <= alone).all()
    assert (alone <= geometry.curve_length(sphere, smooth(line, 4))).all()
