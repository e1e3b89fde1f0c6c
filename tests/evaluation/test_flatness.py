"""Decoders whose metric is known, seen through the task."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from flatvae.datasets import Dataset
from flatvae.evaluation import flatness


class HandMade(nn.Module):
    """Encodes an observation as itself and decodes by a given function."""

    def __init__(self, decoder):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.decoder = decoder

    def encode(self, x):
        return x + self.weight

    def decode(self, z):
        return self.decoder(z)


def data(n: int = 2, rows: int = 201) -> Dataset:
    values = torch.randn(3 * rows, n, generator=torch.Generator().manual_seed(3))
    return Dataset("hand", *values.split(rows), "gaussian", (n,))


def evaluate(decoder, dataset):
    result = flatness.evaluate(HandMade(decoder), dataset)
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
    for suffix in ("", "_mixup"):
        assert values[f"condition_number_median{suffix}"] == pytest.approx(1, abs=1e-12)
        assert values[f"condition_number_q90{suffix}"] == pytest.approx(1, abs=1e-12)
        assert values[f"mf_std{suffix}"] == pytest.approx(0, abs=1e-12)
    assert values["scale"] == pytest.approx(2.25, rel=1e-12)
    np.testing.assert_allclose(arrays["log_magnification_factor"], n * math.log(1.5), rtol=1e-6)


def test_anisotropic_linear_decoder():
    """Columns of length 2 and 0.5: k = 16 and MF = 1 everywhere, c² = 2.125."""
    values, _ = evaluate(lambda z: z * torch.tensor([2.0, 0.5], dtype=z.dtype), data())
    assert values["condition_number_median"] == pytest.approx(16)
    assert values["condition_number_q90_mixup"] == pytest.approx(16)
    assert values["mf_std"] == pytest.approx(0, abs=1e-12)
    assert values["scale"] == pytest.approx(2.125)


@pytest.mark.parametrize("suffix", ["", "_mixup"])
def test_varying_metric(suffix):
    dataset = data()
    values, arrays = evaluate(curved, dataset)
    points = dataset.test.double()
    points = flatness.mixup_points(points) if suffix else points
    y = points[:, 1].numpy()
    condition, factor = np.maximum(y**2, y**-2.0), np.abs(y)
    assert values[f"condition_number_median{suffix}"] == pytest.approx(np.quantile(condition, 0.5, method="nearest"))
    assert values[f"condition_number_q90{suffix}"] == pytest.approx(np.quantile(condition, 0.9, method="nearest"))
    assert values[f"mf_std{suffix}"] == pytest.approx(factor.std() / factor.mean())
    np.testing.assert_allclose(arrays[f"condition_number{suffix}"], condition, rtol=1e-5)
    np.testing.assert_allclose(arrays[f"log_magnification_factor{suffix}"], np.log(factor), rtol=1e-4, atol=1e-6)
    if not suffix:
        assert values["scale"] == pytest.approx((1 + y**2).mean() / 2)


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
    assert not any(math.isnan(v) for v in values.values())


@pytest.mark.parametrize("n", [2, 3])
def test_wholly_rank_deficient_is_infinite_and_not_nan(n):
    values, _ = evaluate(lambda z: z[..., :1] * torch.ones(4, dtype=z.dtype), data(n))
    for suffix in ("", "_mixup"):
        assert values[f"condition_number_median{suffix}"] == math.inf
        assert values[f"condition_number_q90{suffix}"] == math.inf
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
