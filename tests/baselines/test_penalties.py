"""Every penalty by its own minimiser, against its formula written out, and under scaling of the latent space z → a z."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacrev, vmap

from baselines import fisher_flat_vae, geometric_ae, irvae, jacobian_norm
from flatvae import flat_vae, geometry
from flatvae.training import Trainer, build_seeded

D64 = torch.float64
B, D = 16, 7
PENALTIES = {p.__name__.split(".")[-1]: p.penalty for p in (irvae, fisher_flat_vae, geometric_ae, jacobian_norm)}
penalties = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 4)
scales = st.floats(-1, 1).map(lambda exponent: 10**exponent)
few = settings(max_examples=25)


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


def curved(n: int, seed: int):
    """A decoder whose metric is neither constant nor a multiple of the identity."""
    first, second = normal(6, n, seed=seed + 1), normal(D, 6, seed=seed + 2)
    return lambda z: torch.tanh(z @ first.T) @ second.T


def flat(n: int, seed: int, factor: float = 1.0):
    """z -> c Q z + b with orthonormal columns of Q: G = c² I."""
    columns = torch.linalg.qr(normal(D, n, seed=seed + 3)).Q
    offset = normal(D, seed=seed + 4)
    return lambda z: factor * z @ columns.T + offset


def shear(z: torch.Tensor) -> torch.Tensor:
    """(x, y) -> (x, y + 3 sin x, 0): det G = 1 everywhere, G nowhere but at isolated points a multiple of the identity."""
    return torch.stack([z[:, 0], z[:, 1] + 3 * torch.sin(z[:, 0]), torch.zeros_like(z[:, 0])], -1)


def stretched(decode, factor: float):
    """f(a z), of which the points z / a have the values that f has at z."""
    return lambda z: decode(factor * z)


def metrics(decode, z: torch.Tensor) -> torch.Tensor:
    """G by reverse mode and one point at a time."""
    return torch.stack([j.T @ j for j in vmap(jacrev(decode))(z)])


def assert_mean(samples: torch.Tensor, expected) -> None:
    """The mean of the samples is the expected one within five standard errors."""
    assert abs(samples.mean() - expected) <= 5 * samples.std() / math.sqrt(len(samples))


# ------------------------------------------------------------------------------------------------ each by its minimiser


@few
@given(seeds, sizes, scales)
def test_irvae_is_least_at_flat_metrics_of_any_scale_for_every_draw(seed, n, factor):
    z, v = normal(B, n, seed=seed), normal(B, n, seed=seed + 9)
    least = 1 / v.square().sum(-1).mean()
    torch.testing.assert_close(irvae.penalty(flat(n, seed, factor), z, v), least, rtol=1e-10, atol=0)
    assert irvae.penalty(curved(n, seed), z, v) > least


@few
@given(seeds, sizes, scales)
def test_fisher_of_a_gaussian_is_zero_at_flat_metrics_for_every_draw(seed, n, factor):
    z, v = normal(B, n, seed=seed), normal(B, n, seed=seed + 9)
    assert fisher_flat_vae.penalty(flat(n, seed, factor), z, v) < 1e-24 * max(1, factor**4)
    assert fisher_flat_vae.penalty(curved(n, seed), z, v) > 1e-6


class _Bernoulli:
    """A model with a Bernoulli likelihood and a given mean."""

    likelihood = fisher_flat_vae.Bernoulli()

    def __init__(self, mean):
        self.mean = mean

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.mean(z)


@few
@given(seeds, sizes, st.floats(0.1, 1.0))
def test_fisher_of_a_bernoulli_is_zero_where_the_fisher_metric_is_flat_and_not_where_the_mean_s_is(seed, n, factor):
    """p = sin²(φ/2) with φ affine has JᵀFJ = c² I: information distances are Euclidean."""
    z, v = normal(B, n, seed=seed), normal(B, n, seed=seed + 9)
    angle = flat(n, seed, factor)
    reach = (angle(z) - angle(0 * z)).abs().max()

    def inside(z):  # φ in (0, π)
        return math.pi / 2 + 0.9 * math.pi / 2 * (angle(z) - angle(0 * z)) / reach

    informed = _Bernoulli(lambda z: torch.sin(inside(z) / 2).square())
    affine = _Bernoulli(lambda z: inside(z) / math.pi)
    assert fisher_flat_vae.penalty(informed.decode, z, v) < 1e-20
    assert fisher_flat_vae.penalty(affine.decode, z, v) > 1e-6
    assert fisher_flat_vae.penalty(affine.mean, z, v) < 1e-20  # a plain function is the mean of a Gaussian


def test_geometric_ae_is_zero_at_constant_determinants_flat_or_not():
    z, v = normal(B, 2), normal(B, 2, seed=9)
    assert geometric_ae.penalty(shear, z, v) < 1e-8
    assert geometry.condition_number(geometry.pullback_metric(shear, z)).median() > 2
    assert irvae.penalty(shear, z, v) > 1.2 / v.square().sum(-1).mean()
    assert fisher_flat_vae.penalty(shear, z, v) > 1
    assert geometric_ae.penalty(flat(2, 0), z, v) < 1e-20
    assert geometric_ae.penalty(curved(2, 0), z, v) > 0.1


@few
@given(seeds, sizes, scales)
def test_jacobian_norm_is_zero_at_constant_decoders_alone(seed, n, factor):
    z, v = normal(B, n, seed=seed), normal(B, n, seed=seed + 9)
    assert jacobian_norm.penalty(lambda z: torch.ones_like(z[:, :1]), z, v) == 0
    value = jacobian_norm.penalty(flat(n, seed, factor), z, v)
    torch.testing.assert_close(value, factor**2 * v.square().sum(-1).mean())


def minimised(penalty) -> torch.Tensor:
    """The metric of a linear decoder, started far from flat, after descent on the penalty."""
    weight = (normal(D, 2, seed=5) * torch.tensor([3.0, 0.5], dtype=D64)).requires_grad_()
    z, v = normal(64, 2), normal(64, 2, seed=9)
    optimiser = torch.optim.Adam([weight], lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        penalty(lambda z: z @ weight.T, z, v).backward()
        optimiser.step()
    return (weight.T @ weight).detach()


def test_descent_on_a_linear_decoder_ends_at_the_minimiser():
    start = normal(D, 2, seed=5) * torch.tensor([3.0, 0.5], dtype=D64)
    assert torch.linalg.cond(start.T @ start) > 10
    for penalty in (irvae.penalty, fisher_flat_vae.penalty):
        found = minimised(penalty)
        assert torch.linalg.cond(found) < 1.01
        assert found.trace() > 0.1
    assert minimised(jacobian_norm.penalty).trace() < 1e-3
    # every linear decoder has a constant determinant: there is nothing to descend to
    torch.testing.assert_close(minimised(geometric_ae.penalty), start.T @ start, rtol=1e-6, atol=1e-6)


# --------------------------------------------------------------------------------------------------- under z → a z


@few
@given(seeds, sizes, scales)
def test_scaling_the_latent_space(seed, n, factor):
    """f(a z) at z / a: RDM and Var log det as they were, tr G times a², ‖G − c²I‖² times a⁴."""
    z, v, decode = normal(B, n, seed=seed), normal(B, n, seed=seed + 9), curved(n, seed)
    power = {"irvae": 0, "fisher_flat_vae": 4, "geometric_ae": 0, "jacobian_norm": 2}
    for name, penalty in PENALTIES.items():
        there = penalty(stretched(decode, factor), z / factor, v)
        torch.testing.assert_close(there, factor ** power[name] * penalty(decode, z, v), rtol=1e-7, atol=1e-12)


@few
@given(seeds, st.integers(2, 4))
def test_geometric_ae_is_the_same_under_any_linear_map_of_the_latent_space(seed, n):
    """Up to the ridge, ε times the metric's condition: so G = I + …, and maps that stretch by 2 and turn."""
    z, tail = normal(B, n, seed=seed), curved(n, seed)
    turn, turn_back = (torch.linalg.qr(normal(n, n, seed=seed + k)).Q for k in (7, 8))
    matrix = turn @ torch.linspace(0.5, 2, n, dtype=D64).diag() @ turn_back

    def decode(z):
        return torch.cat([z, tail(z)], -1)

    there = geometric_ae.penalty(lambda z: decode(z @ matrix.T), torch.linalg.solve(matrix, z.T).T, z)
    torch.testing.assert_close(there, geometric_ae.penalty(decode, z, z), rtol=1e-3, atol=1e-3)


# -------------------------------------------------------------------------------------------- against the formulas


@pytest.mark.parametrize("n", [1, 3])
def test_values_are_those_of_the_formulas(n):
    """Probes against traces of metrics by reverse mode, at 20,000 draws; the determinant without any."""
    z, decode = normal(B, n), curved(n, 0)
    metric = metrics(decode, z)
    trace = metric.diagonal(dim1=-2, dim2=-1).sum(-1).mean()
    noise = normal(20_000, B, n, seed=9)
    assert_mean(vmap(lambda v: jacobian_norm.penalty(decode, z, v))(noise), trace)
    log_det = torch.linalg.eigvalsh(metric).log().sum(-1)
    expected = ((log_det - log_det.mean()) ** 2).sum() / (B - 1)
    torch.testing.assert_close(geometric_ae.penalty(decode, z, noise[0]), expected, rtol=1e-3, atol=0)
    # a ratio of means: with all draws in one batch, and that is the batch of the penalty
    rdm = (metric @ metric).diagonal(dim1=-2, dim2=-1).sum(-1).mean() / trace**2
    found = irvae.penalty(decode, z.repeat(20_000, 1), noise.flatten(0, 1))
    assert found.item() == pytest.approx(rdm.item(), rel=0.02)


@few
@given(seeds, sizes)
def test_irvae_is_the_scale_free_flat_penalty_but_for_constants(seed, n):
    z, v, decode = normal(B, n, seed=seed), normal(B, n, seed=seed + 9), curved(n, seed)
    mean = v.square().sum(-1).mean()
    free = flat_vae.penalty(decode, z, v, estimator="probe", scale_free=True)
    torch.testing.assert_close(free, mean**2 * irvae.penalty(decode, z, v) - mean, rtol=1e-8, atol=1e-8)


@few
@given(seeds, sizes)
def test_fisher_metric_of_a_bernoulli(seed, n):
    """The metric of the coordinates is JᵀFJ, F = diag 1/(p(1 − p))."""
    z, logits = normal(B, n, seed=seed), curved(n, seed)
    model = _Bernoulli(lambda z: torch.sigmoid(logits(z)))
    jacobian, p = vmap(jacrev(model.decode))(z), model.decode(z)
    expected = torch.einsum("bds,bd,bdt->bst", jacobian, 1 / (p * (1 - p)), jacobian)
    found = geometry.pullback_metric(fisher_flat_vae.fisher_coordinates(model.decode), z)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_in_training_the_fisher_matrix_is_that_of_the_data_set_s_likelihood(tiny, tiny_bernoulli):
    """The penalty is handed ``decode`` alone, under ``vmap`` over seeds."""
    hyperparameters = {"bound": 0.5, "steps": 10, "batch_size": 16, "latent_dim": 2, "hidden": [8], "alpha0": None}
    for dataset in (tiny, tiny_bernoulli):
        trainer = Trainer(fisher_flat_vae, dataset, hyperparameters, [4, 7], dtype=D64)
        x, noise, uniform, probe = trainer._draw()
        _, _, values, z = trainer._mapped(trainer.objective, "model.", trainer.params, x, noise, uniform, probe)
        for index, seed in enumerate([4, 7]):
            model = build_seeded(fisher_flat_vae, dataset, {"latent_dim": 2, "hidden": [8]}, seed).double()
            jacobian, p = vmap(jacrev(model.decode))(z[index]), model.decode(z[index])
            weight = 1 / (p * (1 - p)) if dataset is tiny_bernoulli else torch.ones_like(p)
            metric = torch.einsum("bds,bd,bdt->bst", jacobian, weight, jacobian)
            image = torch.einsum("bst,bt->bs", metric, probe[index])
            scale = (probe[index] * image).sum() / probe[index].square().sum()
            expected = (image - scale * probe[index]).square().sum(-1).mean()
            torch.testing.assert_close(values[index], expected, rtol=1e-8, atol=1e-14)


# ------------------------------------------------------------------------------------------------------- at the edges


@penalties
def test_eta_is_a_factor(penalty):
    z, v, decode = normal(B, 3), normal(B, 3, seed=9), curved(3, 0)
    torch.testing.assert_close(penalty(decode, z, v, eta=30), 30 * penalty(decode, z, v))


@penalties
@pytest.mark.parametrize("dtype", [torch.float32, D64])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_decoder_without_full_rank_has_a_finite_value_and_gradient(penalty, dtype, rank):
    weight = torch.zeros(D, 3, dtype=dtype)
    weight[:, :rank] = 1.0
    weight.requires_grad_()
    z, v = normal(B, 3).to(dtype), normal(B, 3, seed=9).to(dtype)
    value = penalty(lambda z: torch.sinh(z @ weight.T), z, v)
    (gradient,) = torch.autograd.grad(value, weight)
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert rank > 0 or value.item() == 0


def test_fisher_of_saturated_pixels_is_finite():
    weight = (1e3 * normal(D, 2)).float().requires_grad_()
    model = _Bernoulli(lambda z: torch.sigmoid(z @ weight.T))
    z, v = normal(B, 2).float(), normal(B, 2, seed=9).float()
    assert (model.decode(z) == 1).any()
    value = fisher_flat_vae.penalty(model.decode, z, v)
    (gradient,) = torch.autograd.grad(value, weight)
    assert value.isfinite()
    assert gradient.isfinite().all()


@penalties
def test_gradient_through_the_points(penalty):
    z, v = normal(4, 3).requires_grad_(), normal(4, 3, seed=9)
    assert torch.autograd.gradcheck(lambda z: penalty(curved(3, 0), z, v), z)
