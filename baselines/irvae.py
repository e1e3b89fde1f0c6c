"""IRVAE (Lee et al., ICLR 2022): a VAE whose decoder is pulled towards a scaled isometry, whatever the scale.

    L = F + λ (E[C] − κ²) + η RDM,   RDM = E tr G(z̃)² / (E tr G(z̃))²,   G = JᵀJ,   p(z) = N(0, I)

RDM, the relaxed distortion measure, is least, 1/n, exactly where G = c I for one c > 0, and is the same for f(a z), a ≠ 0. By one
probe v ~ N(0, I) a point: E v·Gv = tr G and E |Gv|² = tr G². The points z̃ are latent mixup, as in the paper (α₀ = 0.2). Flat
VAE's scale-free penalty is n² (RDM − 1/n): this one with ``eta`` n² times as large is its counterpart under the compact prior.

Default: η = 1.
"""

import torch
from torch import Tensor
from torch.func import jvp, vjp

from baselines.vae import build
from flatvae.geometry.metric import Decoder

__all__ = ["build", "penalty"]  # build is the VAE's


def penalty(decode: Decoder, z: Tensor, noise: Tensor, *, eta: float = 1.0) -> Tensor:
    """η RDM by one jvp and one vjp: a scalar ≥ η / mean |v|², which exactly the flat decoders reach, for every draw of v.

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
    # a decoder that does not move at all has no shape to speak of: the tiny constant makes that 0 / tiny = 0
    return eta * image.square().sum(-1).mean() / (trace.square() + torch.finfo(z.dtype).tiny)
