"""Latent mixup and the flat penalty, with its three estimators.

The penalty of Chen et al. (2020) pulls the decoder's metric towards a scaled identity,

    R = E ‖G(z̃) − c² I‖_F²,   c² = E[tr G(z̃)] / n,   G = JᵀJ,

at points z̃ between and a little beyond posterior samples. Each estimator takes ``(decode, z, noise, scale)``: one model's
decoder, a batch z (B, n), noise ~ N(0, I) of z's shape, and c², or None for the batch's own c². It returns (R, c²), both
differentiable once. Costs are counted in decoder passes (forward and backward together) in addition to the plain one.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp, vjp

from flatvae.geometry.metric import Decoder, jacobian_columns, metric_from_columns
from flatvae.geometry.metric import scale as metric_scale

# finite-difference step, relative to the codes' spread: in float32 the relative error of J is then about 2e-3
_STEP = 5e-3


def mixup(z: Tensor, uniform: Tensor, alpha0: float) -> Tensor:
    """Latent mixup z̃ = (1 − α) z_i + α z_j with α ~ U(−α₀, 1 + α₀) (Chen et al. 2020).

    Args:
        z: posterior samples (B, n) of independently drawn data; each point is paired with its predecessor in the batch.
        uniform: U(0, 1), (B,).
        alpha0: α₀ ≥ 0, how far points may lie beyond the data.

    Returns:
        (B, n).
    """
    alpha = ((1 + 2 * alpha0) * uniform - alpha0).unsqueeze(-1)
    return torch.lerp(z, z.roll(1, dims=-2), alpha)


def _symmetric_metric(columns: Tensor) -> Tensor:
    """G of Jacobian columns, (n, B, D) -> (B, n, n), for functions R of G whose derivative is symmetric: ∂R/∂G = (∂R/∂G)ᵀ.

    The gradients through the two factors of JᵀJ are then equal: one is computed and doubled. Second derivatives are wrong.
    """
    metric = metric_from_columns(columns, columns.detach())
    return metric + (metric - metric.detach())


def _deviation(columns: Tensor, scale: Tensor | None) -> tuple[Tensor, Tensor]:
    """(R, c²) from Jacobian columns (n, B, D)."""
    metric = _symmetric_metric(columns)  # (B, n, n)
    scale = metric_scale(metric) if scale is None else scale
    identity = torch.eye(metric.shape[-1], dtype=metric.dtype, device=metric.device)
    return (metric - scale * identity).square().sum((-2, -1)).mean(), scale


def finite_difference(decode: Decoder, z: Tensor, noise: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The paper's estimator (after Rifai et al. 2011): J e_t ≈ (f(z + ε e_t) − f(z)) / ε with random ε. n + 1 passes.

    ε = ± σ (1 + |noise|/2), σ = 5e-3 times the standard deviation of z. Size and sign are random; ε stays away from zero, where
    float32 rounding dominates. Error of J: O(ε).
    """
    spread = z.detach().std(dim=0).mean()
    step = _STEP * spread * torch.where(noise < 0, -1.0, 1.0) * (1 + 0.5 * noise.abs())  # (B, n)
    moved = z + torch.diag_embed(step).movedim(-2, 0)  # (n, B, n): row t moves coordinate t alone
    outputs = decode(torch.cat([z.unsqueeze(0), moved]).flatten(0, 1)).unflatten(0, (-1, z.shape[0]))  # (n + 1, B, D)
    return _deviation((outputs[1:] - outputs[0]) / step.mT.unsqueeze(-1), scale)


def forward_mode(decode: Decoder, z: Tensor, noise: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Exact Jacobian columns by forward-mode differentiation; deterministic, ignores the noise. n passes."""
    return _deviation(jacobian_columns(decode, z), scale)


def probe(decode: Decoder, z: Tensor, noise: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Hutchinson-type estimator: E_v |(G − c² I) v|² = ‖G − c² I‖_F² for v ~ N(0, I). One jvp and one vjp for any n.

    With the batch's own c² = Σ v·Gv / Σ |v|² it is exactly zero on a flat decoder.
    """
    _, tangent = jvp(decode, (z,), (noise,))  # J v, (B, D)
    _, pull_back = vjp(decode, z)
    (image,) = pull_back(tangent)  # G v = Jᵀ (J v), (B, n)
    scale = (noise * image).sum() / noise.square().sum() if scale is None else scale
    return (image - scale * noise).square().sum(-1).mean(), scale


Estimator = Callable[[Decoder, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
ESTIMATORS: dict[str, Estimator] = {
    "finite_difference": finite_difference,
    "forward_mode": forward_mode,
    "probe": probe,
}
