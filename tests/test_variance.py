"""Total variance and what principal components leave, against NumPy's SVD and data whose spectrum is known."""

import dataclasses

import numpy as np
import pytest
import refusal
import torch

from flatvae import datasets
from flatvae.variance import pca_unexplained, summary, total_variance


def with_spectrum(variances, rows: int = 400, offset: float = 0.0) -> torch.Tensor:
    """Rows whose covariance has exactly these eigenvalues, in rotated directions: (N, D), float32."""
    source = np.random.default_rng(0)
    scores = source.normal(size=(rows, len(variances)))
    scores = np.linalg.qr(scores - scores.mean(0))[0] * np.sqrt(rows * np.array(variances))
    rotation = np.linalg.qr(source.normal(size=(len(variances),) * 2))[0]
    return torch.from_numpy(scores @ rotation + offset).float()


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_total_variance_is_the_sum_of_the_eigenvalues(offset):
    rows = with_spectrum([4.0, 2.0, 1.0, 0.5, *[0.01] * 30], offset=offset)
    assert total_variance(rows) == pytest.approx(7.8, rel=1e-4)
    exact = rows.double().numpy()
    assert total_variance(rows) == pytest.approx(((exact - exact.mean(0)) ** 2).sum(1).mean(), rel=1e-12)


@pytest.mark.parametrize(("n", "left"), [(1, 3.5), (2, 1.5), (3, 0.5), (4, 0.0), (9, 0.0)])
def test_principal_components_leave_the_other_eigenvalues(n, left):
    assert pca_unexplained(with_spectrum([4.0, 2.0, 1.0, 0.5]), n) == pytest.approx(left / 7.5, abs=1e-6)


def test_wide_rows_have_the_error_of_the_svd():
    """More columns than rows, and enough of both for the randomised solver."""
    rows = with_spectrum(1 / np.arange(1, 521) ** 2, rows=600)
    exact = rows.double().numpy()
    eigenvalues = np.linalg.svd(exact - exact.mean(0), compute_uv=False) ** 2
    assert pca_unexplained(rows, 5) == pytest.approx(eigenvalues[5:].sum() / eigenvalues.sum(), rel=1e-3)
    few = with_spectrum([3.0, 1.0], rows=3)
    assert pca_unexplained(few @ torch.eye(2, 50), 1) == pytest.approx(0.25, abs=1e-6)


def test_of_large_data_a_sample_of_evenly_spread_rows_serves():
    """The first half of the rows lies on a line: it alone would leave nothing."""
    rows = torch.randn(20_000, 10, generator=torch.Generator().manual_seed(0))
    rows[:10_000, 1:] = 0
    whole, part = (pca_unexplained(rows, 3, values) for values in (10**9, 20_000))
    assert part == pytest.approx(whole, rel=0.05)
    assert pca_unexplained(rows[:10_000], 3) < 1e-6 < whole


def test_equal_rows_leave_nothing():
    rows = torch.full((47, 3), 0.1)
    assert total_variance(rows) == 0
    assert pca_unexplained(rows, 1) == 0


def test_the_summary_of_a_data_set(tiny):
    found = summary(tiny, latent_dim=2, unexplained=0.25)
    exact = tiny.train.double().numpy()
    eigenvalues = np.linalg.eigvalsh(np.cov(exact.T, bias=True))
    assert found["dim"] == 6
    assert found["total_variance"] == pytest.approx(eigenvalues.sum(), rel=1e-5)
    assert found["pca_error"] == pytest.approx(eigenvalues[:-2].sum(), rel=1e-5)
    assert found["pca_unexplained"] == pytest.approx(eigenvalues[:-2].sum() / eigenvalues.sum(), rel=1e-5)
    assert found["bound"] == pytest.approx(0.25 * eigenvalues.sum(), rel=1e-5)
    assert (found["latent_dim"], found["unexplained"]) == (2, 0.25)
    assert set(summary(tiny)) == {"dim", "total_variance"}


def test_the_training_part_alone_counts(tiny):
    other = dataclasses.replace(tiny, test=100 * tiny.test, validation=100 * tiny.validation)
    assert summary(other, 2, 0.1) == summary(tiny, 2, 0.1)


def test_a_share_of_the_variance_is_for_gaussian_data_that_vary(tiny, tiny_bernoulli):
    assert summary(tiny_bernoulli, latent_dim=2) == {"dim": 6}
    assert "the likelihood is bernoulli; give bound, in nats" in refusal.refused(summary, tiny_bernoulli, 2, 0.1)
    still = dataclasses.replace(tiny, train=torch.full((47, 6), 0.1))
    assert "all training rows are equal" in refusal.refused(summary, still, 2, 0.1)


def test_the_default_pendulum_is_what_its_bound_says():
    """Pixel noise of 0.05 alone leaves 256 · 0.05² = 0.64; one angle moves the picture along a curve that no plane holds."""
    data = datasets.load("pendulum", train=2000, validation=10, test=10)
    found = summary(data, latent_dim=2)
    assert found["total_variance"] > found["pca_error"] > 10 * 0.64
