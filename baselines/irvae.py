"""IRVAE (Lee et al., ICLR 2022): a VAE whose decoder is pulled towards a scaled isometry, of any scale.

    L = F + λ (E[C] − κ²) + η RDM,   RDM = E tr G(z̃)² / (E tr G(z̃))²,   G = JᵀJ,   p(z) = N(0, I)

RDM is the relaxed distortion measure. Its minimum, 1/n, is reached exactly if G = c I for one c > 0; it is the same for f(a z),
a ≠ 0. The estimate uses one probe v ~ N(0, I) per point: E v·Gv = tr G and E |Gv|² = tr G². The points z̃ are latent mixup, as in
the paper (α₀ = 0.2). The flat VAE's scale-free penalty is n² (RDM − 1/n): this penalty with n² times its ``eta`` is the
counterpart with a standard normal prior.

Default: η = 1.
"""

import torch
from torch import Tensor
from torch.func import jvp, vjp

from baselines.vae import build
from flatvae.geometry.metric import Decoder

__all__ = ["build", "penalty"]  # build is the VAE's


def penalty(decode: Decoder, z: Tensor, noise: Tensor, *, eta: float = 1.0) -> Tensor:
    """η RDM by one jvp and one vjp: a scalar ≥ η / mean |v|², with equality, for every draw of v, on flat decoders.

    Args:
        decode: the decoder's mean f, (B, n) -> (B, D).
        z: mixup points z̃ (B, n).
        noise: v ~ N(0, I), (B, n).
        eta: weight η ≥ 0.
    """
    _, tangent = jvp(decode, (z,), (noise,))  # J v, (B, D)
    _, pull_back = vjp(decode, z)
    (image,) = pull_back(tangent)  # G v = Jᵀ (J v), (B, n)
    trace = tangent.square().sum(-1).mean()
    # for a constant decoder both are 0; the tiny constant makes their ratio 0
    return eta * image.square().sum(-1).mean() / (trace.square() + torch.finfo(z.dtype).tiny)
