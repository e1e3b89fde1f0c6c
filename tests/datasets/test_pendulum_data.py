"""The pendulum's images against the geometry of a rod."""

import math

import pytest
import torch

from flatvae import datasets
from flatvae.datasets.pendulum import render
from flatvae.errors import InputError

ANGLES = torch.linspace(0, 2 * math.pi, 37, dtype=torch.float64)


def segment_distance(point, end) -> float:
    """Distance of a point to the segment from the origin to `end`, by brute force over the segment's points."""
    steps = torch.linspace(0, 1, 100_001, dtype=torch.float64)[:, None]
    return (steps * end - point).norm(dim=1).min().item()


def test_intensity_is_the_profile_of_the_distance_to_the_rod():
    size, angle = 16, 0.7
    image = render(torch.tensor(angle, dtype=torch.float64), size)
    end = 7.0 * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    for row, column in [(7, 8), (2, 12), (0, 15), (9, 3), (15, 0), (4, 14)]:
        point = torch.tensor([column - 7.5, 7.5 - row], dtype=torch.float64)
        assert image[row, column].item() == pytest.approx(math.exp(-(segment_distance(point, end) ** 2) / 2), abs=1e-6)


def test_a_full_turn_gives_the_same_image():
    torch.testing.assert_close(render(ANGLES + 2 * math.pi), render(ANGLES), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [8, 15, 16])
def test_a_quarter_turn_of_the_angle_is_one_of_the_image(size):
    turned = torch.rot90(render(ANGLES, size), 1, dims=(-2, -1))
    torch.testing.assert_close(render(ANGLES + math.pi / 2, size), turned, rtol=0, atol=1e-12)


def test_angle_zero_points_right_and_a_quarter_up():
    right, up = render(0.0), render(math.pi / 2)
    assert right[:, 8:].sum() > 5 * right[:, :7].sum()
    assert up[:8].sum() > 5 * up[9:].sum()


def test_the_image_moves_continuously_and_never_stands_still():
    """Steps of the curve of images shrink in proportion to the step in angle, and every step is one."""
    speeds = []
    for count in (720, 1440):
        angle = torch.linspace(0, 2 * math.pi, count + 1, dtype=torch.float64)
        speeds.append(render(angle).flatten(1).diff(dim=0).norm(dim=1) * count / (2 * math.pi))
    assert speeds[0].min() > 1
    assert speeds[0].max() / speeds[0].min() < 2
    assert speeds[1].max().item() == pytest.approx(speeds[0].max().item(), rel=0.01)


def test_render_takes_any_shape_and_keeps_the_type():
    images = render(ANGLES.reshape(1, 37)[:, :6].reshape(2, 3), 8)
    assert images.dtype == torch.float64
    torch.testing.assert_close(images[1, 2], render(ANGLES[5], 8))
    torch.testing.assert_close(render(1), render(1.0))


def test_test_images_are_those_of_their_factors():
    dataset = datasets.load("pendulum", train=5, validation=5, test=2000, noise=0.05, seed=4)
    residual = dataset.test - render(dataset.factors).flatten(1)  # (2000, 256): what is left is the noise
    assert residual.std().item() == pytest.approx(0.05, rel=0.01)
    assert residual.mean().item() == pytest.approx(0, abs=5 * 0.05 / math.sqrt(residual.numel()))
    assert dataset.factor_period == 2 * math.pi


def test_without_noise_the_images_are_the_rendered_ones():
    dataset = datasets.load("pendulum", train=5, validation=5, test=50, noise=0.0)
    assert torch.equal(dataset.test, render(dataset.factors).flatten(1))


def test_angles_are_uniform_on_the_circle():
    angle = datasets.load("pendulum", train=5, validation=5, test=5000).factors
    assert angle.min() >= 0
    assert angle.max() < 2 * math.pi
    ecdf_gap = (angle.sort().values / (2 * math.pi) - torch.arange(5000) / 5000).abs().max()
    assert ecdf_gap < 1.63 / math.sqrt(5000)  # Kolmogorov-Smirnov, 1 %


def test_sizes_and_likelihood():
    dataset = datasets.load("pendulum")
    assert dataset.description() == {
        "name": "pendulum",
        "likelihood": "gaussian",
        "shape": [16, 16],
        "sizes": {"train": 15_000, "validation": 1_000, "test": 15_000},
    }


@pytest.mark.parametrize(("option", "value"), [("train", 0), ("validation", -1), ("noise", -0.1), ("noise", math.nan)])
def test_bad_options_are_refused(option, value):
    with pytest.raises(InputError, match=rf"^dataset pendulum: option {option} is {value}; it must be .*\.$"):
        datasets.load("pendulum", **{option: value})
