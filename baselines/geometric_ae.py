"""Geometric autoencoder (Nazari et al., ICML 2023), its penalty on a VAE: a decoder that magnifies equally everywhere.

    L = F + λ (E[C] − κ²) + η Var_z̃[log det G(z̃)],   G = JᵀJ,   p(z) = N(0, I)

The penalty's minimum, 0, is reached exactly if det G is constant. Areas are then preserved up to one factor, but lengths and
angles need not be (a shear has det G = 1 and any condition number). The penalty is the same for f(A z), A invertible, and so at
any scale of the latent space. Nazari et al. use it in a plain autoencoder, at the codes; here it is used in a VAE, at the suite's
mixup points.

Default: η = 1.
"""

import torch
from torch import Tensor

from baselines.vae import build
from flatvae.geometry.metric import Decoder, jacobian_columns, metric_from_columns

__all__ = ["build", "penalty"]  # build is the VAE's

# relative to the metric's mean eigenvalue: above float32's rounding, so that log det of a rank-deficient G is finite
_RIDGE = 1e-6


def penalty(decode: Decoder, z: Tensor, noise: Tensor, *, eta: float = 1.0) -> Tensor:
    """η Var[log det (G + ε I)] over the batch, unbiased, ε = 1e-6 tr G / n: a scalar ≥ 0.

    A determinant needs the whole metric: n forward passes, no noise.

    Args:
        decode: the decoder's mean f, (B, n) -> (B, D).
        z: mixup points z̃ (B, n), at least two.
        noise: unused.
        eta: weight η ≥ 0.
    """
    metric = metric_from_columns(jacobian_columns(decode, z))  # (B, n, n)
    ridge = _RIDGE * metric.diagonal(dim1=-2, dim2=-1).mean(-1) + torch.finfo(z.dtype).tiny  # (B,)
    identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    return eta * torch.linalg.slogdet(metric + ridge[:, None, None] * identity).logabsdet.var()
