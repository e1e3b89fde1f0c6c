"""The pull-back metric of a decoder and the quantities derived from it.

Notation: a decoder f: R^n → R^D maps latent points to the *mean* in observation space, each row of a batch by itself.
J(z) = ∂f/∂z ∈ R^{D×n} is its Jacobian, and G(z) = J(z)ᵀ J(z) the Riemannian metric that it pulls back (Arvanitidis et al. 2018;
Chen et al. 2020). Everything here is batched and in the arguments' precision; the evaluation uses float64.
"""

import threading
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp, vmap

Decoder = Callable[[Tensor], Tensor]

FORWARD_MODE = threading.RLock()  # torch's level of forward-mode differentiation is global to all threads
_FEW = 3  # up to this many columns a metric is computed as sums of products, not as N small matrix products
_CHUNK = 1024  # rows whose Jacobians are held at once, at most
# most numbers in these Jacobians, rows · D · n: on a CPU as many as its cache holds, which is three times as fast
_NUMBERS = {"cpu": 2**19}
_NUMBERS_ELSEWHERE = 2**25


def jacobian_columns(decoder: Decoder, z: Tensor) -> Tensor:
    """Columns of the Jacobian by forward-mode differentiation, n passes over one shared primal: J e_t, t = 1…n.

    Args:
        decoder: f, (N, n) -> (N, D), each row by itself.
        z: latent points (N, n).

    Returns:
        (n, N, D).
    """
    basis = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)  # (n, n)
    with FORWARD_MODE:
        return vmap(lambda e: jvp(decoder, (z,), (e.expand_as(z),))[1])(basis)


def jacobian(decoder: Decoder, z: Tensor) -> Tensor:
    """Jacobian J(z) = ∂f/∂z of every row: (N, n) -> (N, D, n)."""
    return jacobian_columns(decoder, z).permute(1, 2, 0)


def metric_from_columns(columns: Tensor, others: Tensor | None = None) -> Tensor:
    """G_st = ⟨J e_s, J e_t⟩ from Jacobian columns, or from two sets of them: (n, N, D) -> (N, n, n)."""
    others = columns if others is None else others
    if len(columns) <= _FEW:
        # all products of columns in one pass: many tiny matrix products are slow
        return (columns.unsqueeze(1) * others.unsqueeze(0)).sum(-1).movedim(-1, 0)
    return torch.einsum("snd,tnd->nst", columns, others)


def pullback_metric(decoder: Decoder, z: Tensor) -> Tensor:
    """Pull-back metric G(z) = J(z)ᵀ J(z) of every row: (N, n) -> (N, n, n), in chunks of rows."""
    numbers = _NUMBERS.get(z.device.type, _NUMBERS_ELSEWHERE)
    size = max(1, min(_CHUNK, numbers // (z.shape[-1] * decoder(z[:1]).shape[-1])))
    return torch.cat([metric_from_columns(jacobian_columns(decoder, rows)) for rows in z.split(size)])


def _check_finite(metric: Tensor) -> None:
    if not torch.isfinite(metric).all():
        raise ValueError(
            "geometry: the metric tensor holds NaN or infinite entries; check the decoder and the latent points"
        )


def _eigenvalues(metric: Tensor) -> Tensor:
    """Ascending eigenvalues (N, n); values within rounding of zero are set to zero."""
    _check_finite(metric)
    values = torch.linalg.eigvalsh(metric)
    rounding = 16 * metric.shape[-1] * torch.finfo(metric.dtype).eps * values[..., -1:].abs()
    return torch.where(values <= rounding, 0.0, values)


def condition_number(metric: Tensor) -> Tensor:
    """Condition number k(G) = λ_max / λ_min: (N, n, n) -> (N,).

    It is 1 if G is a scaled identity, ``inf`` if G is rank-deficient (λ_min within rounding of zero; also for G = 0), and never
    NaN.

    Raises:
        ValueError: the metric has NaN or infinite entries.
    """
    values = _eigenvalues(metric)
    smallest, largest = values[..., 0], values[..., -1]
    return torch.where(smallest > 0, largest / smallest, torch.inf)


def log_magnification_factor(metric: Tensor) -> Tensor:
    """Log of the magnification factor MF = √det G (Bishop et al. 1997): ½ log det G, (N, n, n) -> (N,).

    It is ``-inf`` if G is rank-deficient.

    Raises:
        ValueError: the metric has NaN or infinite entries.
    """
    return 0.5 * _eigenvalues(metric).log().sum(-1)


def scale(metric: Tensor) -> Tensor:
    """c² = E[tr G] / n; c² I is the scaled identity nearest to the metrics on average: (N, n, n) -> ()."""
    return metric.diagonal(dim1=-2, dim2=-1).mean()


def metric_deviation(metric: Tensor, scale: Tensor) -> Tensor:
    """Relative distance of each metric from the scaled identity c² I: ‖G − c² I‖_F / (c² √n), (N, n, n) -> (N,).

    It is 0 if and only if G = c² I. Unlike the condition number it also grows if G is a multiple of I that changes from point to
    point (a conformal metric). It is invariant to scaling of the latent space or the observation space, if c² scales with them.
    For c² = E[tr G] / n of the same metrics its root mean square is √(n RDM − 1), RDM = E[tr G²] / (E[tr G])² (Lee et al.,
    ICLR 2022), because E‖G − c² I‖² = E[tr G²] − n c⁴.

    Args:
        metric: G, (N, n, n).
        scale: c², (); if it is 0 the decoder is constant, which is not flat, and the deviation is ``inf``.

    Raises:
        ValueError: the metric has NaN or infinite entries.
    """
    _check_finite(metric)
    identity = torch.eye(metric.shape[-1], dtype=metric.dtype, device=metric.device)
    distance = torch.linalg.matrix_norm(metric - scale * identity)
    relative = distance / (torch.where(scale > 0, scale, 1.0) * metric.shape[-1] ** 0.5)
    return torch.where(scale > 0, relative, torch.inf)


def condition_number_active(metric: Tensor, active: Tensor) -> Tensor:
    """Condition number k(G_AA) of the metric of the active dimensions A: (N, n, n) -> (N,).

    G_AA holds the rows and columns of G whose numbers are in A: the metric of the slice on which the other coordinates are
    constant. The result is 1 if one dimension is active, and ``inf`` if none is: then the codes carry no information.

    Args:
        metric: G, (N, n, n).
        active: which dimensions are active, (n,) bool, see ``flatvae.model.active_dimensions``.

    Raises:
        ValueError: the metric has NaN or infinite entries.
    """
    if not active.any():
        return torch.full(metric.shape[:1], torch.inf, dtype=metric.dtype, device=metric.device)
    return condition_number(metric[:, active][:, :, active])
