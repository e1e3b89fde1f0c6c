"""The penalty's estimators against the exact penalty, and the identities they rest on."""

import math

import pytest
import torch
from torch.func import jacrev, vmap

from flatvae import flat_vae, flattening, geometry
from flatvae.errors import InputError

D64 = torch.float64
N, D = 3, 7


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


W1, W2 = normal(6, N, seed=10), normal(D, 6, seed=11)
Q = torch.linalg.qr(normal(D, N, seed=12)).Q  # orthonormal columns


def decoder(z: torch.Tensor) -> torch.Tensor:
    return torch.tanh(z @ W1.T) @ W2.T


def flat(z: torch.Tensor) -> torch.Tensor:
    return 1.7 * z @ Q.T + torch.linspace(-1, 1, D, dtype=D64)


def exact(decode, z: torch.Tensor, scale=None) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, c²) written out with reverse-mode Jacobians and a loop."""
    metrics = [j.T @ j for j in vmap(jacrev(decode))(z)]
    scale = sum(g.trace() for g in metrics) / (N * len(z)) if scale is None else scale
    identity = torch.eye(N, dtype=D64)
    return sum(((g - scale * identity) ** 2).sum() for g in metrics) / len(z), scale


def probes(draws: int, z: torch.Tensor, scale) -> tuple[torch.Tensor, torch.Tensor]:
    """The probe estimator at the same z with ``draws`` independent noises: (draws,), (draws,)."""
    noise = normal(draws, *z.shape, seed=20)
    if scale is not None:
        return vmap(lambda v: flattening.probe(decoder, z, v, scale))(noise)
    return vmap(lambda v: flattening.probe(decoder, z, v))(noise)


def assert_mean(samples: torch.Tensor, expected) -> None:
    """The mean of samples (draws, ...) is the expected one within five standard errors."""
    error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - expected).abs() <= 5 * error).all()


@pytest.mark.parametrize("scale", [None, torch.tensor(2.5, dtype=D64)], ids=["own scale", "given scale"])
class TestExpectation:
    def test_forward_mode_is_exact(self, scale):
        z = normal(8, N)
        actual = flattening.forward_mode(decoder, z, normal(8, N, seed=1), scale)
        torch.testing.assert_close(actual, exact(decoder, z, scale), rtol=1e-12, atol=1e-12)

    def test_finite_difference_converges_linearly(self, scale, monkeypatch):
        z, noise = normal(8, N), normal(8, N, seed=1)
        expected, expected_scale = exact(decoder, z, scale)
        errors = []
        for step in (1e-3, 1e-4, 1e-5):
            monkeypatch.setattr(flattening, "_STEP", step)
            value, c2 = flattening.finite_difference(decoder, z, noise, scale)
            errors.append(abs(value / expected - 1).item())
            assert abs(c2 / expected_scale - 1) < 10 * step
        assert errors[0] < 1e-2
        assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
        assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)

    def test_finite_difference_of_a_linear_decoder_is_exact(self, scale):
        z = normal(8, N)
        linear = lambda z: z @ W2[:, :N].T  # noqa: E731
        actual = flattening.finite_difference(linear, z, normal(8, N, seed=1), scale)
        torch.testing.assert_close(actual, exact(linear, z, scale), rtol=1e-9, atol=1e-9)


def test_probe_is_unbiased_with_a_given_scale():
    z, scale = normal(8, N), torch.tensor(2.5, dtype=D64)
    values, scales = probes(20_000, z, scale)
    assert_mean(values, exact(decoder, z, scale)[0])
    assert scales.unique().item() == 2.5


def test_probe_with_the_batch_s_own_scale():
    """It is the least over c², below the unbiased value by exactly (c²_own − c²)² · mean |v|²: a bias of O(1/B)."""
    z = normal(64, N)
    expected, scale = exact(decoder, z)
    own, own_scale = probes(4000, z, None)
    unbiased, _ = probes(4000, z, scale)
    weight = normal(4000, 64, N, seed=20).square().sum(-1).mean(-1)
    torch.testing.assert_close(own, unbiased - weight * (own_scale - scale) ** 2, rtol=1e-10, atol=1e-10)
    assert_mean(unbiased, expected)
    assert own.min() >= 0
    assert own.mean().item() == pytest.approx(expected.item(), rel=0.03)
    assert own_scale.mean().item() == pytest.approx(scale.item(), rel=0.01)


def test_probe_s_bias_shrinks_with_the_batch():
    z = normal(8, N)
    biases = []
    for copies in (1, 8):
        points = z.repeat(copies, 1)
        own, _ = probes(16_000 // copies, points, None)
        biases.append((exact(decoder, z)[0] - own.mean()).item())
    assert biases[0] / biases[1] == pytest.approx(8, rel=0.35)


@pytest.mark.parametrize("estimator", flattening.ESTIMATORS)
def test_a_flat_decoder_has_no_penalty(estimator):
    """Zero for every draw of the noise: on a flat decoder no estimator has any variance."""
    z = normal(16, N)
    for seed in range(5):
        value, scale = flattening.ESTIMATORS[estimator](flat, z, normal(16, N, seed=seed))
        assert 0 <= value.item() < (1e-18 if estimator == "finite_difference" else 1e-26)
        assert scale.item() == pytest.approx(1.7**2, rel=1e-9)


class TestIdentities:
    def test_bilinear_probe_gives_the_frobenius_norm(self):
        deviation = geometry.pullback_metric(decoder, normal(1, N))[0] - 2.5 * torch.eye(N, dtype=D64)
        u, v = normal(100_000, N, seed=1), normal(100_000, N, seed=2)
        assert_mean(torch.einsum("ks,st,kt->k", u, deviation, v) ** 2, (deviation**2).sum())

    @pytest.mark.parametrize("estimator", ["forward_mode", "finite_difference"])
    def test_penalty_is_the_trace_squared_times_rdm_less_one_over_n(self, estimator):
        z = normal(32, N)
        eigenvalues = torch.linalg.svdvals(vmap(jacrev(decoder))(z)) ** 2  # (B, n), those of G
        trace = eigenvalues.sum(-1).mean()
        rdm = (eigenvalues**2).sum(-1).mean() / trace**2
        value, scale = flattening.ESTIMATORS[estimator](decoder, z, normal(32, N, seed=1))
        tolerance = 1e-12 if estimator == "forward_mode" else 5e-2
        torch.testing.assert_close(value, trace**2 * (rdm - 1 / N), rtol=tolerance, atol=0)
        torch.testing.assert_close(value / scale**2, N**2 * (rdm - 1 / N), rtol=tolerance, atol=0)


@pytest.mark.parametrize("estimator", flattening.ESTIMATORS)
@pytest.mark.parametrize("factor", [0.01, 3.0])
def test_scaling_the_decoder(estimator, factor):
    z, noise = normal(16, N), normal(16, N, seed=1)

    def value(decode, **options):
        return flat_vae.penalty(decode, z, noise, estimator=estimator, **options)

    def scaled(z):
        return factor * decoder(z)

    free, absolute = value(decoder, eta=1, scale_free=True), value(decoder, eta=1)
    torch.testing.assert_close(value(scaled, eta=1, scale_free=True), free, rtol=1e-8, atol=0)
    torch.testing.assert_close(value(scaled, eta=1), factor**4 * absolute, rtol=1e-8, atol=0)
    torch.testing.assert_close(value(decoder, eta=30), 30 * absolute)
    torch.testing.assert_close(value(decoder, eta=30, scale_free=True), 30 * free)


@pytest.mark.parametrize("scale_free", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("estimator", flattening.ESTIMATORS)
def test_a_decoder_that_does_not_move_has_penalty_zero_and_a_finite_gradient(estimator, scale_free, dtype):
    weight = torch.zeros(D, N, dtype=dtype, requires_grad=True)
    z, noise = normal(16, N).to(dtype), normal(16, N, seed=1).to(dtype)
    value = flat_vae.penalty(lambda z: z @ weight.T, z, noise, estimator=estimator, scale_free=scale_free)
    (gradient,) = torch.autograd.grad(value, weight)
    assert value.item() == 0
    assert gradient.isfinite().all()


def test_scale_free_penalty_cannot_be_lowered_by_shrinking():
    """Gradients flow through c⁴: along the decoder's own direction the scale-free penalty does not change."""
    factor = torch.ones((), dtype=D64, requires_grad=True)
    z, noise = normal(16, N), normal(16, N, seed=1)
    for estimator in flattening.ESTIMATORS:
        value = flat_vae.penalty(lambda z: factor * decoder(z), z, noise, estimator=estimator, scale_free=True)
        (slope,) = torch.autograd.grad(value, factor)
        assert abs(slope.item()) < 1e-8 * value.item()


@pytest.mark.parametrize("scale_free", [False, True])
@pytest.mark.parametrize("estimator", ["forward_mode", "probe"])
def test_gradient_through_the_points(estimator, scale_free):
    z = normal(4, N).requires_grad_()
    noise = normal(4, N, seed=1)
    assert torch.autograd.gradcheck(
        lambda z: flat_vae.penalty(decoder, z, noise, estimator=estimator, scale_free=scale_free), z
    )


def test_gradient_of_finite_differences_through_the_points(monkeypatch):
    monkeypatch.setattr(flattening, "_STEP", 1e-6)
    z, noise = normal(4, N).requires_grad_(), normal(4, N, seed=1)
    gradients = [
        torch.autograd.grad(flattening.ESTIMATORS[name](decoder, z, noise)[0], z)[0]
        for name in ("finite_difference", "forward_mode")
    ]
    assert gradients[1].abs().min() > 1e-3
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


class TestGradientByParameters:
    """All estimators train the decoder in the same direction, c² given."""

    scale = torch.tensor(2.5, dtype=D64)

    def gradient(self, estimator, z, noise) -> torch.Tensor:
        first, second = W1.clone().requires_grad_(), W2.clone().requires_grad_()
        decode = lambda z: torch.tanh(z @ first.T) @ second.T  # noqa: E731
        value, _ = flattening.ESTIMATORS[estimator](decode, z, noise, self.scale)
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, [first, second])])

    def reference(self, z) -> torch.Tensor:
        first, second = W1.clone().requires_grad_(), W2.clone().requires_grad_()
        value, _ = exact(lambda z: torch.tanh(z @ first.T) @ second.T, z, self.scale)
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, [first, second])])

    def test_forward_mode(self):
        z = normal(8, N)
        torch.testing.assert_close(self.gradient("forward_mode", z, z), self.reference(z), rtol=1e-10, atol=1e-10)

    def test_finite_difference(self, monkeypatch):
        monkeypatch.setattr(flattening, "_STEP", 1e-6)
        z = normal(8, N)
        actual = self.gradient("finite_difference", z, normal(8, N, seed=1))
        torch.testing.assert_close(actual, self.reference(z), rtol=1e-4, atol=1e-4)

    def test_probe(self):
        z = normal(8, N)
        noises = normal(40, 8 * 500, N, seed=1)
        assert_mean(torch.stack([self.gradient("probe", z.repeat(500, 1), v) for v in noises]), self.reference(z))


@pytest.mark.parametrize("n", [2, 5])  # sums of products, and matrix products
def test_the_gradient_through_one_factor_of_the_metric_twice_is_that_through_both(n):
    columns = normal(n, 4, D).requires_grad_()
    metric = columns.permute(1, 0, 2) @ columns.permute(1, 2, 0)
    scale = metric.diagonal(dim1=-2, dim2=-1).mean()
    known = (metric - scale * torch.eye(n)).square().sum((-2, -1)).mean() / scale.square()
    deviation, scale = flattening._deviation(columns, None)
    found = deviation / scale.square()
    torch.testing.assert_close(found, known)
    torch.testing.assert_close(*(torch.autograd.grad(value, columns) for value in (found, known)))


def test_unknown_estimator_is_named():
    with pytest.raises(InputError, match="'hutchinson'"):
        flat_vae.penalty(decoder, normal(4, N), normal(4, N), estimator="hutchinson")


class TestMixup:
    def alpha(self, z, mixed) -> torch.Tensor:
        """Position of each point between its datum and the previous one of the batch; fails if it is off their line."""
        partner = torch.cat([z[-1:], z[:-1]])
        along = partner - z
        alpha = ((mixed - z) * along).sum(-1) / (along**2).sum(-1)
        torch.testing.assert_close(mixed, (1 - alpha[:, None]) * z + alpha[:, None] * partner)
        return alpha

    @pytest.mark.parametrize("alpha0", [0.0, 0.2, 1.0])
    def test_endpoints(self, alpha0):
        z = normal(6, N)
        at = [0.0, alpha0 / (1 + 2 * alpha0), 0.5, (1 + alpha0) / (1 + 2 * alpha0), 1.0, 0.5]
        alpha = self.alpha(z, flattening.mixup(z, torch.tensor(at, dtype=D64), alpha0))
        expected = torch.tensor([-alpha0, 0.0, 0.5, 1.0, 1 + alpha0, 0.5], dtype=D64)
        torch.testing.assert_close(alpha, expected, rtol=1e-10, atol=1e-10)

    def test_alpha_is_uniform_between_and_a_little_beyond(self):
        z = normal(5000, N)
        uniform = torch.rand(5000, dtype=D64, generator=torch.Generator().manual_seed(1))
        alpha = self.alpha(z, flattening.mixup(z, uniform, 0.2)).sort().values
        assert alpha[0] >= -0.2
        assert alpha[-1] <= 1.2
        quantiles = torch.linspace(-0.2, 1.2, 5000, dtype=D64)
        assert (alpha - quantiles).abs().max() < 1.4 * 1.95 / math.sqrt(5000)  # Kolmogorov-Smirnov at 0.1 %

    def test_no_point_is_its_own_partner(self):
        z = normal(6, N)
        assert (flattening.mixup(z, torch.ones(6, dtype=D64), 0.0) - z).abs().sum(-1).min() > 0
