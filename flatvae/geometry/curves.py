"""Lengths of latent curves, and shortest curves between two points, by refinement of an initial curve.

The length of a latent curve γ is that of its decoded image, L(γ) = ∫ √(γ̇ᵀ G(γ) γ̇) dt. A curve that minimises the energy

    E = K Σ_k ‖f(γ_{k+1}) − f(γ_k)‖²

is a geodesic (Arvanitidis et al. 2018). Curves are

    γ(t) = (1 − t) a + t b + Σ_m √2 sin(mπt) / (mπ) · A u_m,      A = Ḡ^(−1/2), Ḡ the mean metric on the straight line.

For a constant metric E is |f(b) − f(a)|² + Σ_m |u_m|², whose Hessian is a multiple of the identity. So limited-memory BFGS needs
only tens of steps, for any K and any anisotropy. All pairs of a batch are refined together on the device.

Limits: a minimum that neither start leads to is missed; lengths are overestimated for curves with more detail than the modes.
Cost: two passes of the decoder (forward, backward) for K − 1 points per start and iteration.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from flatvae.errors import InputError
from flatvae.geometry.metric import Decoder, pullback_metric

SEGMENTS = 16  # K, segments of a curve in the energy: twice the modes, so that each mode is resolved
_MODES = 8  # sine modes of a curve
_FINE = 4  # segments for the final length, per segment of the energy
_HISTORY = 8  # pairs of steps and gradient changes that L-BFGS keeps
_LOOK = 5  # iterations between two checks of which curves have converged
_SETTLED = 1e-5  # a curve has converged if its energy fell by less than this share over _LOOK iterations
_TWINS = 1e-2  # two curves count as one if |u − u'|² / 2E is below this


def curve_length(decoder: Decoder, curve: Tensor) -> Tensor:
    """Length of decoded curves, Σ_k ‖f(γ_{k+1}) − f(γ_k)‖ ≈ ∫ √(γ̇ᵀ G(γ) γ̇) dt: (..., T, n) -> (...).

    In units of observation space; it converges from below as T grows.
    """
    decoded = decoder(curve.reshape(-1, curve.shape[-1]))  # (... · T, D)
    decoded = decoded.reshape(*curve.shape[:-1], decoded.shape[-1])
    return torch.linalg.vector_norm(decoded.diff(dim=-2), dim=-1).sum(-1)


class Refinement:
    """Finds the shortest curves between pairs of points, from the straight line and from a given path.

    Args:
        decoder: f, (N, n) -> (N, D), each row by itself.
        like: a tensor with the points' precision and device.
        iterations: evaluations of energy and gradient, at most; 0 keeps straight lines and smoothed paths.
        exact: the same decoder in float64, for the final lengths; without it these are in the points' precision.
    """

    def __init__(self, decoder: Decoder, like: Tensor, iterations: int, exact: Decoder | None = None):
        self.decoder, self.iterations = decoder, iterations
        self._final_decoder, self._final_dtype = (decoder, like.dtype) if exact is None else (exact, torch.float64)
        time = torch.linspace(0, 1, SEGMENTS + 1, dtype=like.dtype, device=like.device)
        fine = torch.linspace(0, 1, _FINE * SEGMENTS + 1, dtype=self._final_dtype, device=like.device)
        self._time, self._basis = time, _sine_basis(time, _MODES)  # (K + 1,), (K + 1, M)
        self._fine_time, self._fine_basis = fine, _sine_basis(fine, _MODES)

    def __call__(self, a: Tensor, b: Tensor, path: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Length (P,), straight line's length (P,) and curve (P, T, n) for pairs (P, n), (P, n) with paths (P, K + 1, n).

        Raises:
            InputError: the decoder is not finite on a straight line.
        """
        root = self._inverse_root(a, b)  # (P, n, n)
        pulled = torch.linalg.solve(root, (path - self._line(a, b, self._time)).mT).mT  # (P, K + 1, n)
        modes = torch.linalg.pinv(self._basis) @ pulled  # (P, M, n)
        start = torch.cat([torch.zeros_like(modes), modes])
        ends = torch.cat([a, a]), torch.cat([b, b]), torch.cat([root, root])
        twin = torch.arange(2 * len(a), device=a.device).roll(len(a))  # two starts may give one curve
        refined = minimise(lambda u, rows: self._energy(u, *(e[rows] for e in ends)), start, self.iterations, twin)
        candidates = torch.cat([torch.zeros_like(modes), refined]).unflatten(0, (3, len(a)))  # straight, two refined
        final = [tensor.to(self._final_dtype) for tensor in (a, b, root)]
        fine = self._fine_time, self._fine_basis
        curves = torch.stack([self._curve(u.to(self._final_dtype), *final, *fine) for u in candidates])
        with torch.no_grad():
            lengths = torch.stack([curve_length(self._final_decoder, curve) for curve in curves])  # (3, P)
        if not torch.isfinite(lengths[0]).all():
            raise InputError(
                "geodesic: the decoder's output is not finite on a straight line between points; check the model"
            )
        same = (a == b).all(1)
        lengths[:, same] = 0.0  # instead of rounding errors of the decoder's matrix products
        best = lengths.nan_to_num(torch.inf).argmin(0)  # ties go to the first, the straight line
        pair = torch.arange(len(a), device=a.device)
        return lengths[best, pair], lengths[0], curves[best, pair].to(a)

    def _line(self, a: Tensor, b: Tensor, time: Tensor) -> Tensor:
        """Straight lines: (P, n), (P, n), (T,) -> (P, T, n)."""
        return torch.lerp(a[:, None], b[:, None], time[:, None])

    def _curve(self, u: Tensor, a: Tensor, b: Tensor, root: Tensor, time: Tensor, basis: Tensor) -> Tensor:
        """γ of the module's formula: modes (P, M, n) -> points (P, T, n)."""
        return self._line(a, b, time) + basis @ (u @ root)

    def _inverse_root(self, a: Tensor, b: Tensor) -> Tensor:
        """A = Ḡ^(−1/2) of each pair, Ḡ the mean metric at three points of the straight line: (P, n, n).

        Eigenvalues of Ḡ are at least a thousandth of their mean; where Ḡ vanishes A is the identity.
        """
        time = torch.linspace(0.25, 0.75, 3, dtype=a.dtype, device=a.device)
        points = self._line(a, b, time).flatten(0, 1)
        with torch.no_grad():
            metric = pullback_metric(self.decoder, points).unflatten(0, (len(a), -1)).mean(1)
        values, vectors = torch.linalg.eigh(metric)
        floor = 1e-3 * values.mean(-1, keepdim=True)
        values = torch.where(floor > 0, values.clamp(min=floor), 1.0)
        return vectors * values.rsqrt()[:, None] @ vectors.mT

    def _energy(self, u: Tensor, a: Tensor, b: Tensor, root: Tensor) -> Tensor:
        """½ E of curves given by their modes: (R, M, n) -> (R,)."""
        curve = self._curve(u, a, b, root, self._time, self._basis)
        decoded = self.decoder(curve.flatten(0, 1)).unflatten(0, curve.shape[:2])  # (R, K + 1, D)
        return 0.5 * SEGMENTS * decoded.diff(dim=1).square().sum((1, 2))


class _Descent:
    """L-BFGS for many problems at once. It keeps the problems not yet converged, each with its own step and history.

    Attributes:
        rows: numbers of the problems (R,).
        u: their current points (R, d).
        value: their energies (R,).
        step: length of the next step (R,); 1 unless steps were rejected.
    """

    def __init__(self, energy: Callable[[Tensor, Tensor], Tensor], start: Tensor):
        self.energy, self.shape = energy, start.shape[1:]
        self.rows = torch.arange(len(start), device=start.device)
        self.u = start.flatten(1)
        self.value, self.gradient = self._evaluate(self.u)
        self.step = torch.ones_like(self.value)
        self.seen, self.idle = (
            self.value,
            torch.zeros_like(self.rows),
        )  # energy at the last check, checks without progress
        self.history: list[tuple[Tensor, Tensor, Tensor]] = []  # (s, y, 1 / sᵀy); 0 where an entry is not used

    def _evaluate(self, u: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            value = self.energy(u.view(-1, *self.shape), self.rows)
            (gradient,) = torch.autograd.grad(value.sum(), u)
        return value.detach(), gradient

    def advance(self) -> None:
        """One step of each problem: taken if it lowers the energy enough (Armijo); otherwise the next step is shorter."""
        direction = _lbfgs_direction(self.gradient, self.history)
        slope = (direction * self.gradient).sum(1)
        s = self.step[:, None] * direction
        value, gradient = self._evaluate(self.u + s)
        taken = value <= self.value + 1e-4 * self.step * slope
        self._learn(s, gradient - self.gradient, taken)
        self.u = torch.where(taken[:, None], self.u + s, self.u)
        self.gradient = torch.where(taken[:, None], gradient, self.gradient)
        self.value = torch.where(taken, value, self.value)
        self.step = torch.where(taken, 1.0, 0.25 * self.step)

    def _learn(self, s: Tensor, y: Tensor, taken: Tensor) -> None:
        """Adds steps and gradient changes to the history, where the step was taken and the curvature is positive."""
        sy = (s * y).sum(1)
        learnt = taken & (sy > 1e-8 * s.norm(dim=1) * y.norm(dim=1))
        if learnt.any():
            inverse = torch.where(learnt, 1 / sy.where(learnt, 1.0), 0.0)
            self.history = [*self.history[1 - _HISTORY :], (s, y.where(learnt[:, None], 0.0), inverse)]

    def moving(self) -> Tensor:
        """Which problems have not converged (R,); a problem whose last step was rejected is checked a second time."""
        self.idle = torch.where(self.seen - self.value > _SETTLED * self.seen, 0, self.idle + 1)
        return (self.idle == 0) | ((self.idle == 1) & (self.step < 1))

    def keep(self, moving: Tensor) -> None:
        """Keeps the problems ``moving`` (R,) and drops the others."""
        for name in ("rows", "u", "value", "gradient", "step", "idle"):
            setattr(self, name, getattr(self, name)[moving])
        self.history = [tuple(x[moving] for x in entry) for entry in self.history]
        self.seen = self.value


def minimise(
    energy: Callable[[Tensor, Tensor], Tensor], start: Tensor, iterations: int, twin: Tensor | None = None
) -> Tensor:
    """Limited-memory BFGS (Nocedal 1980) for many problems at once; converged problems leave the batch.

    The problems must be well scaled: the first step is the whole gradient.

    Args:
        energy: (u (R, …), rows (R,)) -> (R,); ``rows`` are the problems' numbers.
        start: (P, …).
        iterations: evaluations of energy and gradient, at most.
        twin: for each problem the number of another with the same energy function (P,). If two twins come so close that they
            will converge to the same minimum, only the one with less energy goes on.

    Returns:
        (P, …): the best points found; their energy is never above the start's.
    """
    result = start.clone()
    if iterations < 1 or not len(start):
        return result
    descent = _Descent(energy, start)
    reached = descent.value.clone()  # energies of all problems at the last check
    for iteration in range(1, iterations):
        descent.advance()
        if iteration % _LOOK == 0:
            moving = descent.moving()
            result[descent.rows], reached[descent.rows] = descent.u.view(-1, *start.shape[1:]), descent.value
            if twin is not None:
                moving &= ~_behind(result.flatten(1), reached, twin)[descent.rows]
            descent.keep(moving)
            if not len(descent.rows):
                return result
    result[descent.rows] = descent.u.view(-1, *start.shape[1:])
    return result


def _behind(u: Tensor, energy: Tensor, twin: Tensor) -> Tensor:
    """Which problems, at u (P, d), are close to a twin with less energy (with equal energy: a lower number): (P,) bool."""
    close = (u - u[twin]).square().sum(1) < 2 * _TWINS * energy
    later = torch.arange(len(twin), device=twin.device) > twin
    return close & ((energy > energy[twin]) | ((energy == energy[twin]) & later))


def _lbfgs_direction(gradient: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """−H ∇ by the two-loop recursion over the history, oldest first: (R, d) -> (R, d)."""
    q, alphas = gradient, []
    for s, y, inverse in reversed(history):
        alpha = inverse * (s * q).sum(1)
        alphas.append(alpha)
        q = q - alpha[:, None] * y
    for (s, y, inverse), alpha in zip(history, reversed(alphas), strict=True):
        q = q + (alpha - inverse * (y * q).sum(1))[:, None] * s
    return -q


def _sine_basis(time: Tensor, modes: int) -> Tensor:
    """√2 sin(mπt) / (mπ), m = 1 … M, whose derivatives are orthonormal on [0, 1]: (T,) -> (T, M)."""
    frequency = math.pi * torch.arange(1, modes + 1, dtype=time.dtype, device=time.device)
    return math.sqrt(2) * torch.sin(time[:, None] * frequency) / frequency
