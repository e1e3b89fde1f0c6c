"""FlatVI (Palma et al., ICML 2025): a VAE whose decoder's *Fisher* metric is pulled towards a scaled identity.

    L = F + λ (E[C] − κ²) + η R,   R = E ‖J(z̃)ᵀ F J(z̃) − c² I‖_F²,   c² = E tr(JᵀFJ) / n,   p(z) = N(0, I)

F is the Fisher information of the likelihood at its mean f(z̃): 1/σ² for a Gaussian, diag 1/(p (1 − p)) for a Bernoulli
likelihood. The minimum of R, 0, is reached exactly if JᵀFJ = c² I for one c. For f(a z) R is a⁴ times its value for f at a z. So,
like the absolute flat penalty, it also falls as the latent space grows.

JᵀFJ is the ordinary pull-back metric of φ ∘ f, φ the coordinates in which F is the identity: φ(x) = x / σ, and
φ(p) = 2 arcsin √p, the variance-stabilising map. So the flat penalty's estimator applies, with one probe. Our choice is σ = 1,
because σ is fixed outside the training and η absorbs σ⁻⁴. **For a Gaussian likelihood this is the flat VAE's penalty with a
standard normal prior.** FlatVI is for counts, with a negative binomial likelihood; the Gaussian and Bernoulli likelihoods, the
batch's own c² and the mixup points are this suite's.

The likelihood is that of the model whose ``decode`` is penalised, so no hyperparameter can contradict it. A plain function has no
model and counts as the mean of a Gaussian.

Default: η = 1.
"""

import torch
from torch import Tensor

from baselines.vae import build
from flatvae.flattening import probe
from flatvae.geometry.metric import Decoder
from flatvae.likelihoods import Bernoulli

__all__ = ["build", "fisher_coordinates", "penalty"]  # build is the VAE's

# p is clipped this far from 0 and 1, where √F is infinite; there √F J is almost 0, and clipping makes it 0
_EDGE = 1e-6


def penalty(decode: Decoder, z: Tensor, noise: Tensor, *, eta: float = 1.0) -> Tensor:
    """η R by one jvp and one vjp: a scalar ≥ 0, zero for every draw of v where JᵀFJ = c² I.

    Args:
        decode: the decoder's mean f, (B, n) -> (B, D); a LatentVariableModel's ``decode``, or a function.
        z: mixup points z̃ (B, n).
        noise: v ~ N(0, I), (B, n).
        eta: weight η ≥ 0.
    """
    return eta * probe(fisher_coordinates(decode), z, noise)[0]


def fisher_coordinates(decode: Decoder) -> Decoder:
    """φ ∘ f, whose pull-back metric is JᵀFJ with the Fisher matrix of the likelihood of the decoder's model."""
    model = getattr(decode, "__self__", None)  # the model, if decode is its bound method
    if isinstance(getattr(model, "likelihood", None), Bernoulli):
        return lambda z: 2 * torch.asin(decode(z).clamp(_EDGE, 1 - _EDGE).sqrt())
    return decode
