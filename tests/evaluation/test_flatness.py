"""Decoders whose metric is known, seen through the task."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from flatvae import datasets
from flatvae.datasets import Dataset
from flatvae.datasets.pendulum import render
from flatvae.evaluation import flatness

KINDS = ("", "_mixup", "_beyond")


class HandMade(nn.Module):
    """Encodes an observation as itself, or by a given function, with posterior variances; decodes by a given function."""

    def __init__(self, decoder, variances=0.01, encoder=lambda x: x):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.decoder = decoder
        self.variances = torch.as_tensor(variances, dtype=torch.float64)
        self.mean = encoder

    def encoder(self, x):
        codes = self.mean(x) + self.weight
        return codes, self.variances.log().to(codes).expand_as(codes)

    def encode(self, x):
        return self.encoder(x)[0]

    def decode(self, z):
        return self.decoder(z)


def data(n: int = 2, rows: int = 201) -> Dataset:
    values = torch.randn(3 * rows, n, generator=torch.Generator().manual_seed(3))
    return Dataset("hand", *values.split(rows), "gaussian", (n,))


def evaluate(decoder, dataset, **options):
    result = flatness.evaluate(HandMade(decoder, **options), dataset)
    assert {distance for distance, _, _ in result.metrics} == {""}
    return {metric: value for _, metric, value in result.metrics}, result.arrays


def curved(z):
    """f(z) = (z₁, z₂²/2): G = diag(1, z₂²), so k = max(z₂², 1/z₂²), MF = |z₂|."""
    return torch.stack([z[..., 0], z[..., 1].square() / 2], dim=-1)


def half(z):
    """f(z) = (z₁, max(z₂, 0)²/2): the same for z₂ > 0, and of rank one elsewhere."""
    return torch.stack([z[..., 0], z[..., 1].clamp(min=0).square() / 2], dim=-1)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_flat_decoder(n):
    columns = torch.linalg.qr(torch.randn(7, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    values, arrays = evaluate(lambda z: 1.5 * z @ columns.T, data(n))
    for suffix in KINDS:
        for name in ("condition_number_median", "condition_number_q90", "condition_number_active"):
            assert values[f"{name}{suffix}"] == pytest.approx(1, abs=1e-12)
        for name in ("mf_std", "log_mf_std", "metric_deviation", "metric_deviation_rms"):
            assert values[f"{name}{suffix}"] == pytest.approx(0, abs=1e-12)
    assert values["active_dimensions"] == n
    assert values["scale"] == pytest.approx(2.25, rel=1e-12)
    np.testing.assert_allclose(arrays["log_magnification_factor"], n * math.log(1.5), rtol=1e-6)


def test_anisotropic_linear_decoder():
    """Columns of length 2 and 0.5: k = 16 and MF = 1 everywhere, c² = 2.125."""
    values, _ = evaluate(lambda z: z * torch.tensor([2.0, 0.5], dtype=z.dtype), data())
    assert values["condition_number_median"] == pytest.approx(16)
    assert values["condition_number_q90_mixup"] == pytest.approx(16)
    assert values["mf_std"] == values["log_mf_std"] == pytest.approx(0, abs=1e-12)
    assert values["scale"] == pytest.approx(2.125)
    deviation = math.hypot(4 - 2.125, 0.25 - 2.125) / (2.125 * math.sqrt(2))
    for suffix in KINDS:
        assert values[f"metric_deviation{suffix}"] == pytest.approx(deviation)
        assert values[f"metric_deviation_rms{suffix}"] == pytest.approx(deviation)


PLACES = {"": lambda codes: codes, "_mixup": flatness.mixup_points, "_beyond": flatness.beyond_points}


@pytest.mark.parametrize("suffix", KINDS)
def test_varying_metric(suffix):
    dataset = data()
    values, arrays = evaluate(curved, dataset)
    y = PLACES[suffix](dataset.test.double())[:, 1].numpy()
    condition, factor = np.maximum(y**2, y**-2.0), np.abs(y)
    assert values[f"condition_number_median{suffix}"] == pytest.approx(np.quantile(condition, 0.5, method="nearest"))
    assert values[f"condition_number_q90{suffix}"] == pytest.approx(np.quantile(condition, 0.9, method="nearest"))
    assert values[f"mf_std{suffix}"] == pytest.approx(factor.std() / factor.mean())
    np.testing.assert_allclose(arrays[f"condition_number{suffix}"], condition, rtol=1e-5)
    np.testing.assert_allclose(arrays[f"log_magnification_factor{suffix}"], np.log(factor), rtol=1e-4, atol=1e-6)
    assert values[f"log_mf_std{suffix}"] == pytest.approx(np.log(factor).std() / 2)
    scale = (1 + dataset.test[:, 1].double().numpy() ** 2).mean() / 2  # of the codes, wherever the points lie
    assert values["scale"] == pytest.approx(scale)
    deviation = np.hypot(1 - scale, y**2 - scale) / (scale * math.sqrt(2))
    assert values[f"metric_deviation{suffix}"] == pytest.approx(np.quantile(deviation, 0.5, method="nearest"))
    assert values[f"metric_deviation_rms{suffix}"] == pytest.approx(math.sqrt((deviation**2).mean()))
    np.testing.assert_allclose(arrays[f"metric_deviation{suffix}"], deviation, rtol=1e-5)
    if not suffix:
        distortion = (1 + y**4).mean() / (1 + y**2).mean() ** 2
        assert values["metric_deviation_rms"] == pytest.approx(math.sqrt(2 * distortion - 1))


def test_mf_std_does_not_depend_on_the_decoder_s_scale():
    for factor in (1e-200, 1e100):  # the magnification factors themselves would over- or underflow in a product
        n = 2
        log_mf = n * math.log(factor) + torch.log(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
        normalised = flatness.normalised_magnification_factor(log_mf)
        torch.testing.assert_close(normalised, torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64))


def test_partly_rank_deficient_is_infinite_and_not_nan():
    dataset = data()
    values, _ = evaluate(half, dataset)
    factor = dataset.test[:, 1].double().clamp(min=0).numpy()
    assert 0.3 < (factor == 0).mean() < 0.7
    assert values["condition_number_q90"] == math.inf
    assert values["mf_std"] == pytest.approx(factor.std() / factor.mean())
    assert values["log_mf_std"] == math.inf
    assert not any(math.isnan(v) for v in values.values())


@pytest.mark.parametrize("n", [2, 3])
def test_wholly_rank_deficient_is_infinite_and_not_nan(n):
    values, _ = evaluate(lambda z: z[..., :1] * torch.ones(4, dtype=z.dtype), data(n))
    for suffix in KINDS:
        for name in ("condition_number_median", "condition_number_q90", "condition_number_active", "log_mf_std"):
            assert values[f"{name}{suffix}"] == math.inf
        assert values[f"metric_deviation{suffix}"] > 0.5
    assert values["scale"] == pytest.approx(4 / n)
    assert not any(math.isnan(v) for v in values.values())


def test_mixup_points_lie_between_pairs_of_codes():
    codes = data(rows=400).test.double()
    mixed = flatness.mixup_points(codes)
    assert torch.equal(mixed, flatness.mixup_points(codes))
    # the same pairs and positions for every method: an affine map of the codes maps the points
    torch.testing.assert_close(flatness.mixup_points(2 * codes + 1), 2 * mixed + 1)
    # read off pairs and positions from codes that are one-hot
    weights = flatness.mixup_points(torch.eye(400, dtype=torch.float64))
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(400, dtype=torch.float64))
    assert ((weights > 0).sum(1) <= 2).all()
    torch.testing.assert_close(weights @ codes, mixed)
    alpha = (1 - weights.diagonal()).sort().values
    assert (alpha - torch.linspace(0, 1, 400, dtype=torch.float64)).abs().max() < 1.95 / math.sqrt(400) + 0.01


def test_points_beyond_lie_on_the_lines_of_the_mixup_points_outside_the_pairs():
    codes = torch.eye(400, dtype=torch.float64)
    weights, between = flatness.beyond_points(codes), flatness.mixup_points(codes)
    torch.testing.assert_close(weights.sum(1), torch.ones(400, dtype=torch.float64))
    assert ((weights != 0).sum(1) <= 2).all()
    assert torch.equal(weights != 0, between != 0)
    alpha = (1 - weights.diagonal())[(weights != 0).sum(1) == 2]
    below, above = alpha[alpha < 0], alpha[alpha > 1]
    assert len(below) + len(above) == len(alpha)
    assert abs(len(below) - len(above)) < 4 * math.sqrt(400)
    for of_side, start in ((below, -0.2), (above, 1.0)):
        even = start + 0.2 * torch.linspace(0, 1, len(of_side), dtype=torch.float64)
        assert (of_side.sort().values - even).abs().max() < 0.2 * (1.95 / math.sqrt(len(of_side)) + 0.01)
    assert torch.equal(flatness.beyond_points(codes), weights)


def test_a_dimension_that_is_switched_off_counts_in_k_alone():
    """f(z) = (3 z₁, z₂, 10⁻³ z₃), and the third posterior is as wide as its means vary: k = 9·10⁶, k of the other two 9."""
    stretch = torch.tensor([3.0, 1.0, 1e-3], dtype=torch.float64)
    values, _ = evaluate(lambda z: z * stretch, data(3), variances=[0.01, 5.0, 11.0])
    assert values["active_dimensions"] == 2
    for suffix in KINDS:
        assert values[f"condition_number_median{suffix}"] == pytest.approx(9e6)
        assert values[f"condition_number_active{suffix}"] == pytest.approx(9)


def test_without_an_active_dimension_k_is_infinite():
    values, _ = evaluate(lambda z: z, data(), variances=[20.0, 30.0])
    assert values["active_dimensions"] == 0
    assert values["condition_number_active"] == values["condition_number_active_beyond"] == math.inf
    assert values["condition_number_median"] == 1


def test_a_constant_decoder_deviates_without_end():
    values, _ = evaluate(lambda z: 0 * z, data())
    assert values["scale"] == 0
    for suffix in KINDS:
        assert values[f"metric_deviation{suffix}"] == values[f"metric_deviation_rms{suffix}"] == math.inf


def angle(x: torch.Tensor) -> torch.Tensor:
    """Angle of a noise-free pendulum image, (N, 1): that of its centre of mass."""
    x = x.unflatten(1, (16, 16))
    place = torch.arange(16, dtype=x.dtype) - 7.5
    return torch.atan2((-place[:, None] * x).sum((1, 2)), (place * x).sum((1, 2)))[:, None]


@pytest.fixture(scope="module")
def pendulum() -> Dataset:
    return datasets.load("pendulum", train=4, validation=4, test=50)


def tangent_speed(pendulum, decoder) -> float:
    return evaluate(decoder, pendulum, encoder=angle)[0]["tangent_speed_cv"]


def test_tangent_speed_is_even_on_a_circle_and_uneven_on_an_ellipse(pendulum):
    """On (a cos θ, sin θ) the speed is √(a² sin² θ + cos² θ)."""
    for a in (1.0, 2.0):
        found = tangent_speed(pendulum, lambda z, a=a: torch.cat([a * z.cos(), z.sin()], dim=-1))
        theta = np.arange(36000) * 2 * math.pi / 36000
        speed = np.hypot(a * np.sin(theta), np.cos(theta))
        # the centre of mass of pixels is the angle within a hundredth, and so are differences of a degree
        assert found == pytest.approx(speed.std() / speed.mean(), abs=0.03)


def test_tangent_speed_counts_the_step_across_the_seam(pendulum):
    """An open arc: the reconstruction moves on by 1/360 of its length each step, and back in one."""
    found = tangent_speed(pendulum, lambda z: z % (2 * math.pi))
    steps = np.array([1.0] * 359 + [359.0])
    assert found == pytest.approx(steps.std() / steps.mean(), rel=0.01)


def test_tangent_speed_of_a_constant_is_infinite_and_there_is_none_without_a_rendering(pendulum):
    assert tangent_speed(pendulum, lambda z: 0 * z) == math.inf
    assert "tangent_speed_cv" not in evaluate(lambda z: z, data())[0]


def test_the_pendulum_renders_its_images_without_noise(pendulum):
    theta = torch.linspace(0, 6, 7, dtype=torch.float64)
    assert torch.equal(pendulum.render(theta), render(theta).flatten(1))
    noise = pendulum.test - pendulum.render(pendulum.factors)
    assert noise.std().item() == pytest.approx(0.05, rel=0.05)


def test_map_is_indexed_y_then_x_and_covers_the_codes():
    dataset = data()
    _, arrays = evaluate(curved, dataset)
    x, y, log_mf = arrays["map_x"], arrays["map_y"], arrays["map_log_mf"]
    np.testing.assert_allclose(log_mf, np.log(np.abs(y))[:, None] * np.ones_like(x), rtol=1e-3, atol=1e-4)
    codes = dataset.test.numpy()
    assert (x[0] < codes[:, 0].min()) & (codes[:, 0].max() < x[-1])
    assert (y[0] < codes[:, 1].min()) & (codes[:, 1].max() < y[-1])
    np.testing.assert_array_equal(arrays["codes"], codes)


def test_evaluation_is_in_float64_and_leaves_the_model():
    """A metric whose entries differ by 1e-5 relative: float32 would not tell its condition number from one."""
    model = HandMade(lambda z: z * torch.tensor([1.0, 1.0 + 1e-9], dtype=torch.float64).to(z.dtype))
    values = {metric: value for _, metric, value in flatness.evaluate(model, data()).metrics}
    assert values["condition_number_median"] - 1 == pytest.approx(2e-9, rel=1e-5)
    assert model.weight.dtype == torch.float32
