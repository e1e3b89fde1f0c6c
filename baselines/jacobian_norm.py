"""VAE with a penalty on the Jacobian's norm: does a flat penalty do more than shrink the decoder?

    L = F + λ (E[C] − κ²) + η E tr G(z̃) = F + λ (E[C] − κ²) + η E ‖J(z̃)‖_F²,   p(z) = N(0, I)

A control. It favours smooth decoders, as the contractive autoencoder of Rifai et al. (ICML 2011) favours smooth encoders, but no
particular shape. Its minimum, 0, is reached only by constant decoders. For f(a z) it is a² times its value for f at a z, so a
wider latent space lowers it as well as flattening does. A flat penalty that does no better than this one only shrinks. The
estimate uses one probe v ~ N(0, I) per point (after Hoffman et al. 2019, arXiv 1908.02729): E |J v|² = tr G.

Default: η = 1.
"""

from torch import Tensor
from torch.func import jvp

from baselines.vae import build
from flatvae.geometry.metric import Decoder

__all__ = ["build", "penalty"]  # build is the VAE's


def penalty(decode: Decoder, z: Tensor, noise: Tensor, *, eta: float = 1.0) -> Tensor:
    """η E |J v|² by one jvp: a scalar ≥ 0.

    Args:
        decode: the decoder's mean f, (B, n) -> (B, D).
        z: mixup points z̃ (B, n).
        noise: v ~ N(0, I), (B, n).
        eta: weight η ≥ 0.
    """
    return eta * jvp(decode, (z,), (noise,))[1].square().sum(-1).mean()
