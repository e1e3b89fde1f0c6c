"""GEORCE, a rival of the refinement in ``flatvae.geometry.curves``: geodesics as a control problem (Rygaard and Hauberg 2025).

Source: F. M. Rygaard and S. Hauberg, "GEORCE: A Fast New Control Algorithm for Computing Geodesics", arXiv 2505.05961, 2025.
A curve from a to b is a state x_0 = a, …, x_K = b that controls move, x_{s+1} = x_s + u_s, and its cost is the energy

    E(x) = Σ_{s<K} u_sᵀ G(x_s) u_s.

A stationary curve has multipliers μ_s with

    2 G(x_s) u_s + μ_s = 0,      μ_{s−1} = μ_s + ν_s,      ν_s = ∂/∂x [u_sᵀ G(x) u_s] at x = x_s.

An iteration holds G_s = G(x_s) and ν_s and solves these equations, which are linear then, for the controls û:

    N_s = Σ_{s<j<K} ν_j,
    μ = −(Σ_s G_s⁻¹)⁻¹ (2 (b − a) + Σ_s G_s⁻¹ N_s),      û_s = −½ G_s⁻¹ (μ + N_s),

so that Σ_s û_s = b − a. The step is x + α (x̂ − x), by backtracking from α = 1: here α is halved until the energy has decreased
by 10⁻⁴ of what the slope ⟨∇E, x̂ − x⟩ promises (Armijo 1966); the authors' code shrinks α by a factor of its own. Where G is
constant one step with α = 1 arrives.

Cost of an iteration and curve: K − 1 full Jacobians (n forward-mode passes of the decoder), the gradient of |J u|² at as many
points (a forward-mode pass and its reverse), and K − 1 products J u for each trial of the line search. L-BFGS on sine modes
takes one forward and one reverse pass of the decoder for as many points.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jvp

from flatvae.geometry.curves import _sine_basis, curve_length
from flatvae.geometry.metric import Decoder, pullback_metric

_HALVINGS = 10  # of a step, until a curve is given up
_DECREASE = 1e-4  # share of the decrease that the slope promises
_CHUNK = 1024  # points whose J u is differentiated at once
_RIDGE = 1e-6  # added to G, in units of its mean eigenvalue at a: a latent dimension that nothing is decoded from is singular


def between(decoder: Decoder, exact: Decoder, starts: Tensor, parts: int = 4, **options) -> Tensor:
    """The shortest of each pair's curves by GEORCE from S starts and of the first start itself, drawn smoothly.

    Args:
        decoder, options: see ``Georce``.
        exact: the same decoder in float64, for the lengths.
        starts: curves (S, P, K + 1, n), the first of them straight.
        parts: segments of the result for each of a curve's.

    Returns:
        (P, parts · K + 1, n), float64.
    """
    found = Georce(decoder, **options)(starts.flatten(0, 1)).double().unflatten(0, starts.shape[:2])
    curves = torch.stack([smooth(curve, parts) for curve in (starts[0].double(), *found)])
    with torch.no_grad():
        lengths = torch.stack([curve_length(exact, curve) for curve in curves])
    best = lengths.nan_to_num(torch.inf).argmin(0)
    return curves[best, torch.arange(len(best), device=best.device)]


def smooth(curve: Tensor, parts: int) -> Tensor:
    """The sine series through a curve's points, at that many steps from one to the next: (P, K + 1, n) -> (P, parts · K + 1, n)."""
    segments = curve.shape[1] - 1
    time, fine = (
        torch.linspace(0, 1, count * segments + 1, dtype=curve.dtype, device=curve.device) for count in (1, parts)
    )
    straight, drawn = (torch.lerp(curve[:, :1], curve[:, -1:], t[:, None]) for t in (time, fine))
    modes = torch.linalg.solve(_sine_basis(time, segments - 1)[1:-1], (curve - straight)[:, 1:-1])
    return drawn + _sine_basis(fine, segments - 1) @ modes


class _Linear(NamedTuple):
    """The problem at curves x (R, K + 1, n): E (R,), G_s (R, K, n, n), ν_s (R, K, n) with ν_0 = 0."""

    energy: Tensor
    metric: Tensor
    nu: Tensor


class Georce:
    """GEORCE of many pairs at once; curves that have settled leave the batch.

    Args:
        decoder: f, (N, n) -> (N, D), each row by itself; the metric is G(x) = J(x)ᵀ J(x) + a ridge of 10⁻⁶ tr G(a) / n.
        iterations: at most.
        settled: relative decrease of the energy in an iteration below which a curve has settled.
    """

    def __init__(self, decoder: Decoder, iterations: int = 100, settled: float = 1e-5):
        self.decoder, self.iterations, self.settled = decoder, iterations, settled
        self.jacobians = self.trials = 0  # points at which J was taken, and at which J u alone was

    def __call__(self, curves: Tensor) -> Tensor:
        """Curves of less energy with the same ends: (P, K + 1, n) -> (P, K + 1, n)."""
        curves = curves.clone()
        rows = torch.arange(len(curves), device=curves.device)
        x, first = curves, self._metric(curves[:, 0])
        ridge = _RIDGE * first.diagonal(dim1=-2, dim2=-1).mean(-1)  # (P,)
        identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        first = first + ridge[:, None, None] * identity
        at = self._linear(x, first, ridge)
        for _ in range(self.iterations):
            direction, slope = self._direction(x, at)
            new, energy = self._searched(x, direction, slope, at, first, ridge)
            curves[rows] = new
            moving = at.energy - energy > self.settled * at.energy
            rows, x, first, ridge = rows[moving], new[moving], first[moving], ridge[moving]
            if not len(rows):
                break
            at = self._linear(x, first, ridge)
        return curves

    def _metric(self, points: Tensor) -> Tensor:
        """G without the ridge: (N, n) -> (N, n, n)."""
        self.jacobians += len(points)
        with torch.no_grad():
            return pullback_metric(self.decoder, points)

    def _linear(self, x: Tensor, first: Tensor, ridge: Tensor) -> _Linear:
        """Energy, metric and ν at curves, whose first point's metric is known."""
        u = x.diff(dim=1)
        inner = x[:, 1:-1].flatten(0, 1)
        metric = self._metric(inner).unflatten(0, (len(x), -1))
        metric = metric + ridge[:, None, None, None] * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        metric = torch.cat([first[:, None], metric], dim=1)
        pairs = zip(inner.split(_CHUNK), u[:, 1:].flatten(0, 1).split(_CHUNK), strict=True)
        nu = torch.cat([self._nu(*pair) for pair in pairs]).unflatten(0, (len(x), -1))
        nu = torch.cat([torch.zeros_like(x[:, :1]), nu], dim=1)
        return _Linear(torch.einsum("rsi,rsij,rsj->r", u, metric, u), metric, nu)

    def _nu(self, points: Tensor, u: Tensor) -> Tensor:
        """∂/∂x |J(x) u|² by a reverse pass through a forward-mode pass: (N, n), (N, n) -> (N, n)."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            moved = jvp(self.decoder, (points,), (u,))[1]
            return torch.autograd.grad(moved.square().sum(), points)[0]

    def _direction(self, x: Tensor, at: _Linear) -> tuple[Tensor, Tensor]:
        """x̂ − x (R, K + 1, n) and the energy's slope along it (R,)."""
        u = x.diff(dim=1)
        later = at.nu.flip(1).cumsum(1).flip(1) - at.nu  # N_s
        inverse = torch.linalg.inv(at.metric)
        pulled = (inverse @ later[..., None]).sum(1)[..., 0]  # (R, n)
        mu = -torch.linalg.solve(inverse.sum(1), 2 * (x[:, -1] - x[:, 0]) + pulled)
        wanted = -0.5 * (inverse @ (mu[:, None] + later)[..., None])[..., 0]
        change = (wanted - u).cumsum(1)[:, :-1]  # of x_1 … x_{K−1}
        momentum = 2 * (at.metric @ u[..., None])[..., 0]
        gradient = at.nu[:, 1:] + momentum[:, :-1] - momentum[:, 1:]
        ends = torch.zeros_like(x[:, :1])
        return torch.cat([ends, change, ends], dim=1), (gradient * change).sum((1, 2))

    @torch.no_grad()
    def _energy(self, x: Tensor, first: Tensor, ridge: Tensor) -> Tensor:
        """E of curves, without Jacobians: (R, K + 1, n) -> (R,)."""
        u = x.diff(dim=1)
        self.trials += u[:, 1:, 0].numel()
        moved = jvp(self.decoder, (x[:, 1:-1].flatten(0, 1),), (u[:, 1:].flatten(0, 1),))[1]
        inner = moved.square().sum(1).view(len(x), -1).sum(1) + ridge * u[:, 1:].square().sum((1, 2))
        return torch.einsum("ri,rij,rj->r", u[:, 0], first, u[:, 0]) + inner

    def _searched(
        self, x: Tensor, direction: Tensor, slope: Tensor, at: _Linear, first: Tensor, ridge: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The curves after the line search, and their energies; where no step is good enough they stay."""
        new, reached, step = x.clone(), at.energy.clone(), 1.0
        left = torch.arange(len(x), device=x.device)
        for _ in range(_HALVINGS):
            trial = x[left] + step * direction[left]
            energy = self._energy(trial, first[left], ridge[left])
            good = energy <= at.energy[left] + _DECREASE * step * slope[left]
            new[left[good]], reached[left[good]] = trial[good], energy[good]
            left, step = left[~good], step / 2
            if not len(left):
                break
        return new, reached
