"""The metric of decoders whose metric is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacfwd, vmap

from flatvae import geometry
from flatvae.geometry import metric

D64 = torch.float64
few = settings(max_examples=40)
dimensions = st.integers(1, 6)
seeds = st.integers(0, 10_000)
scales = st.floats(1e-4, 1e4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=generator(seed))


def close(actual, expected, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=actual.dtype), rtol=tolerance, atol=tolerance)


def linear(matrix: torch.Tensor):
    return lambda z: z @ matrix.mT


def sphere(z: torch.Tensor) -> torch.Tensor:
    theta, phi = z.unbind(-1)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], dim=-1)


def torus(z: torch.Tensor) -> torch.Tensor:
    u, v = z.unbind(-1)
    return torch.stack([(3 + v.cos()) * u.cos(), (3 + v.cos()) * u.sin(), v.sin()], dim=-1)


def network(n: int, d: int, seed: int = 0):
    first, second = normal(8, n, seed=seed), normal(d, 8, seed=seed + 1)
    return lambda z: torch.tanh(z @ first.mT) @ second.mT


def orthogonal(n: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(normal(n, n, seed=seed)).Q


def metric_with(eigenvalues: list[float], seed: int) -> torch.Tensor:
    rotation = orthogonal(len(eigenvalues), seed)
    return (rotation * torch.tensor(eigenvalues, dtype=D64)) @ rotation.mT


class TestJacobian:
    def test_is_the_matrix_of_a_linear_decoder(self):
        matrix = normal(5, 3)
        close(geometry.jacobian(linear(matrix), normal(4, 3, seed=1)), matrix.expand(4, 5, 3))

    @pytest.mark.parametrize(("n", "d"), [(1, 4), (2, 3), (3, 7), (6, 2)])
    def test_equals_jacfwd_row_by_row(self, n, d):
        decoder, z = network(n, d), normal(9, n, seed=2)
        close(geometry.jacobian(decoder, z), vmap(jacfwd(decoder))(z))


class TestPullbackMetric:
    def test_linear(self):
        matrix = normal(5, 3)
        metric = geometry.pullback_metric(linear(matrix), normal(4, 3, seed=1))
        close(metric, (matrix.mT @ matrix).expand(4, 3, 3))

    def test_sphere(self):
        theta = torch.linspace(0.1, 3.0, 7, dtype=D64)
        z = torch.stack([theta, torch.linspace(-4, 4, 7, dtype=D64)], dim=-1)
        metric = geometry.pullback_metric(sphere, z)
        close(metric, torch.diag_embed(torch.stack([torch.ones(7, dtype=D64), theta.sin() ** 2], dim=-1)))
        close(geometry.condition_number(metric), 1 / theta.sin() ** 2, 1e-10)
        close(geometry.log_magnification_factor(metric), theta.sin().log())

    def test_torus(self):
        z = 3 * normal(11, 2)
        metric = geometry.pullback_metric(torus, z)
        outer = (3 + z[:, 1].cos()) ** 2
        close(metric, torch.diag_embed(torch.stack([outer, torch.ones(11, dtype=D64)], dim=-1)))
        close(geometry.condition_number(metric), outer, 1e-10)
        close(geometry.log_magnification_factor(metric), outer.sqrt().log())

    @pytest.mark.parametrize("rows", [1, 1024, 1025, 2500])
    def test_many_rows_are_each_their_own(self, rows):
        z = 2 * normal(rows, 2)
        metric = geometry.pullback_metric(torus, z)
        assert len(metric) == rows
        close(metric[:, 0, 0], (3 + z[:, 1].cos()) ** 2)

    def test_scale_is_the_mean_trace_over_n(self):
        z = normal(50, 2)
        expected = (((3 + z[:, 1].cos()) ** 2).mean() + 1) / 2
        close(geometry.scale(geometry.pullback_metric(torus, z)), expected)


DEFICIENT = {
    "duplicate columns": linear(torch.tensor([[1.0, 1.0], [0.3, 0.3], [-2.0, -2.0]], dtype=D64)),
    "unseen coordinate": lambda z: torch.tanh(z[..., :1]) * torch.tensor([1.0, 2.0, 3.0], dtype=D64),
    "fewer dimensions than latent": linear(torch.tensor([[1.7, -0.4]], dtype=D64)),
    "constant": lambda z: torch.full_like(z, 4.2) + 0 * z,
    "rounding": linear(torch.tensor([[0.1, 0.3], [0.7, 2.1], [1.1, 3.3]], dtype=D64)),
}


@pytest.mark.parametrize("decoder", DEFICIENT.values(), ids=DEFICIENT.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rank_deficient_is_infinite_and_never_nan(decoder, dtype):
    metric = geometry.pullback_metric(decoder, normal(6, 2)).to(dtype)
    assert geometry.condition_number(metric).tolist() == [math.inf] * 6
    assert geometry.log_magnification_factor(metric).tolist() == [-math.inf] * 6


def test_sphere_at_its_pole_is_rank_deficient_there_alone():
    metric = geometry.pullback_metric(sphere, torch.tensor([[0.0, 1.0], [math.pi / 2, 1.0]], dtype=D64))
    close(geometry.condition_number(metric), [math.inf, 1.0])
    close(geometry.log_magnification_factor(metric), [-math.inf, 0.0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "function",
    [
        geometry.condition_number,
        geometry.log_magnification_factor,
        lambda g: geometry.metric_deviation(g, g.new_ones(())),
    ],
)
def test_non_finite_metric_is_an_error(function, value):
    metric = torch.eye(2, dtype=D64).repeat(3, 1, 1)
    metric[1, 0, 0] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        function(metric)


@few
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=6), seeds, scales)
def test_condition_number_is_the_eigenvalues_ratio_whatever_the_scale(eigenvalues, seed, factor):
    metric = metric_with(eigenvalues, seed)[None]
    condition = geometry.condition_number(metric)
    assert condition.item() >= 1
    close(condition, [max(eigenvalues) / min(eigenvalues)], 1e-8)
    close(geometry.condition_number(factor * metric), condition, 1e-8)


@few
@given(dimensions, seeds, scales)
def test_log_mf_moves_by_n_log_s_when_the_decoder_is_scaled(n, seed, factor):
    decoder, z = network(n, 8, seed), normal(3, n, seed=seed)
    before = geometry.log_magnification_factor(geometry.pullback_metric(decoder, z))
    after = geometry.log_magnification_factor(geometry.pullback_metric(lambda z: factor * decoder(z), z))
    close(after, before + n * math.log(factor), 1e-6)


@few
@given(dimensions, seeds)
def test_orthogonal_change_of_coordinates_leaves_k_and_mf(n, seed):
    decoder, z, rotation = network(n, 8, seed), normal(3, n, seed=seed), orthogonal(n, seed + 5)
    metric = geometry.pullback_metric(decoder, z)
    turned = geometry.pullback_metric(lambda y: decoder(y @ rotation.mT), z @ rotation)
    close(geometry.condition_number(turned), geometry.condition_number(metric), 1e-6)
    close(geometry.log_magnification_factor(turned), geometry.log_magnification_factor(metric), 1e-6)


class TestCurveLength:
    def test_straight_line_under_a_linear_decoder(self):
        matrix, start, end = normal(5, 3), normal(3, seed=1), normal(3, seed=2)
        curve = torch.lerp(start, end, torch.linspace(0, 1, 7, dtype=D64)[:, None])
        close(geometry.curve_length(linear(matrix), curve), torch.linalg.vector_norm(matrix @ (end - start)))

    @pytest.mark.parametrize("points", [5, 50, 500])
    def test_great_circle(self, points):
        """From the pole to the south along a meridian: an inscribed polygon, of known length, that tends to the arc."""
        theta = torch.linspace(0, 2.0, points, dtype=D64)
        curve = torch.stack([theta, torch.full_like(theta, 0.7)], dim=-1)
        length = geometry.curve_length(sphere, curve)
        close(length, 2 * (points - 1) * math.sin(1.0 / (points - 1)))
        assert 0 <= 2.0 - length < 0.4 / (points - 1) ** 2

    def test_a_point_has_no_length(self):
        assert geometry.curve_length(torus, normal(1, 2).expand(9, 2)).item() == 0

    def test_leading_dimensions_are_separate_curves(self):
        curves = normal(2, 3, 6, 2)
        lengths = geometry.curve_length(torus, curves)
        expected = [[geometry.curve_length(torus, curves[i, j]) for j in range(3)] for i in range(2)]
        close(lengths, torch.tensor(expected, dtype=D64))

    def test_is_the_integral_of_the_metric(self):
        """∫ √(γ̇ᵀ G γ̇) dt of a winding line on the torus, by the trapezoidal rule."""
        t = torch.linspace(0, 1, 4001, dtype=D64)
        velocity = torch.tensor([2.0, 5.0], dtype=D64)
        curve = t[:, None] * velocity
        speed = torch.einsum("s,nst,t->n", velocity, geometry.pullback_metric(torus, curve), velocity).sqrt()
        close(geometry.curve_length(torus, curve), torch.trapezoid(speed, t), 1e-6)


def random_metrics(count: int, n: int, seed: int) -> torch.Tensor:
    factors = normal(count, n + 2, n, seed=seed)
    return factors.mT @ factors


@few
@given(dimensions, seeds, scales)
def test_deviation_is_zero_on_a_scaled_identity(n, seed, factor):
    """That of a scaled isometry: f(z) = s U z with orthonormal columns U."""
    isometry = orthogonal(n + 3, seed)[:, :n] * factor
    found = geometry.pullback_metric(linear(isometry), normal(5, n, seed=seed))
    close(geometry.metric_deviation(found, geometry.scale(found)), torch.zeros(5))


@few
@given(dimensions, seeds, scales)
def test_deviation_sees_a_conformal_metric_that_k_lets_pass(n, seed, factor):
    """G = c²(z) I: the deviation is |c²(z) / c² − 1| and k is 1."""
    squares = factor * torch.tensor([0.5, 1.0, 1.5, 1.0], dtype=D64)
    metrics = squares[:, None, None] * torch.eye(n, dtype=D64)
    close(geometry.condition_number(metrics), torch.ones(4))
    close(geometry.metric_deviation(metrics, geometry.scale(metrics)), torch.tensor([0.5, 0.0, 0.5, 0.0]))


@few
@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), seeds)
def test_deviation_is_that_of_the_eigenvalues(eigenvalues, seed):
    """√(Σ (λ − c²)² / n) / c², of a diagonal metric and of a rotated one; rank-deficient ones included."""
    scale = torch.tensor(2.0, dtype=D64)
    expected = math.sqrt(sum((value - 2) ** 2 for value in eigenvalues) / len(eigenvalues)) / 2
    diagonal = torch.diag(torch.tensor(eigenvalues, dtype=D64))
    for one in (diagonal, metric_with(eigenvalues, seed)):
        close(geometry.metric_deviation(one[None], scale), [expected], 1e-10)


@few
@given(dimensions, seeds, scales, scales)
def test_deviation_does_not_depend_on_units_or_on_the_observation_space_s_axes(n, seed, latent, observed):
    """f ↦ b Q f(a z) turns G into a² b² G and c² into a² b² c²."""
    decoder, z, rotation = network(n, 7, seed), normal(6, n, seed=seed), orthogonal(7, seed + 2)
    plain = geometry.pullback_metric(decoder, z)
    changed = geometry.pullback_metric(lambda y: observed * decoder(latent * y) @ rotation.mT, z / latent)
    one, other = (geometry.metric_deviation(g, geometry.scale(g)) for g in (plain, changed))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@few
@given(dimensions, seeds)
def test_the_deviations_root_mean_square_is_the_relaxed_distortion(n, seed):
    """√(n RDM − 1), RDM = E[tr G²] / (E[tr G])² (Lee et al. 2022), which is 1/n where G = c² I."""
    metrics = random_metrics(9, n, seed)
    squares, traces = (metrics @ metrics).diagonal(dim1=1, dim2=2).sum(1), metrics.diagonal(dim1=1, dim2=2).sum(1)
    expected = math.sqrt(n * squares.mean() / traces.mean() ** 2 - 1)
    found = geometry.metric_deviation(metrics, geometry.scale(metrics)).square().mean().sqrt()
    close(found, expected, 1e-9)


def test_a_constant_decoder_deviates_without_end():
    metrics = torch.zeros(3, 2, 2, dtype=D64)
    assert geometry.metric_deviation(metrics, geometry.scale(metrics)).tolist() == [math.inf] * 3


@few
@given(seeds, st.lists(st.booleans(), min_size=5, max_size=5))
def test_condition_number_of_the_active_dimensions_is_that_of_the_slice(seed, chosen):
    """k of the decoder of the active coordinates alone, the others held at their values."""
    active = torch.tensor(chosen)
    decoder, z = network(5, 8, seed), normal(4, 5, seed=seed)
    found = geometry.condition_number_active(geometry.pullback_metric(decoder, z), active)
    if not any(chosen):
        assert found.tolist() == [math.inf] * 4
        return
    for point, value in zip(z, found, strict=True):

        def slice_of(part, point=point):
            whole = torch.where(active, 0.0, point) + part @ torch.eye(5, dtype=D64)[active]
            return decoder(whole)

        own = geometry.condition_number(geometry.pullback_metric(slice_of, point[active][None]))
        torch.testing.assert_close(value, own[0], rtol=1e-6, atol=0)


@pytest.mark.parametrize(("rows", "numbers"), [(1024, 1), (1024, 40), (3, 2**25)])
def test_chunks_of_rows_leave_the_metric_as_it_is(monkeypatch, rows, numbers):
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4)).double()
    z = torch.randn(11, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = geometry.pullback_metric(decoder, z)
    monkeypatch.setattr(metric, "_CHUNK", rows)
    monkeypatch.setattr(metric, "_NUMBERS", {"cpu": numbers})
    sizes = []
    monkeypatch.setattr(
        metric, "jacobian_columns", lambda f, z, own=geometry.jacobian_columns: sizes.append(len(z)) or own(f, z)
    )
    torch.testing.assert_close(geometry.pullback_metric(decoder, z), whole)
    assert max(sizes) == max(1, min(rows, numbers // 8))
