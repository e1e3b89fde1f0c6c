"""The paper's method, VHP-FMVAE (Chen et al., ICML 2020): a VHP-VAE whose decoder's metric is pulled to a scaled identity.

L = F + λ (E[C] − κ²) + η R,  R = E ‖G(z̃) − c² I‖_F²,  z̃ = latent mixup of posterior samples.

The scale-free form replaces R by R / c⁴ = n² (RDM − 1/n). RDM = E tr G² / (E tr G)² is the measure of IRVAE (Lee et al., ICLR
2022), here with the hierarchical prior and the reconstruction bound. Gradients flow through c⁴: if it were detached, shrinking
J would reduce the penalty.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from flatvae.errors import InputError
from flatvae.flattening import ESTIMATORS
from flatvae.geometry.metric import Decoder
from flatvae.model import LatentVariableModel, standard_model
from flatvae.priors import HierarchicalPrior, StandardNormal

PRIORS = ("hierarchical", "normal")


def build(
    dataset,
    *,
    latent_dim: int = 2,
    hidden: Sequence[int] = (128, 128),
    activation: str = "tanh",
    channels: Sequence[int] = (),
    prior: str = "hierarchical",
    prior_hidden: Sequence[int] = (64, 64),
    n_prior_samples: int = 8,
) -> LatentVariableModel:
    """The VHP-VAE's model; ``prior: normal`` is the ablation with a standard normal prior.

    Raises:
        InputError: the prior or the activation is unknown.
    """
    if prior not in PRIORS:
        raise InputError(f"flat_vae: prior {prior!r} is unknown; choose {' or '.join(PRIORS)}")
    learned = HierarchicalPrior(latent_dim, prior_hidden, activation, n_prior_samples)
    chosen = learned if prior == "hierarchical" else StandardNormal()
    return standard_model(dataset, chosen, latent_dim, hidden, activation, channels)


def penalty(
    decode: Decoder,
    z: Tensor,
    noise: Tensor,
    *,
    eta: float = 1.0,
    estimator: str = "finite_difference",
    scale_free: bool = False,
) -> Tensor:
    """η R, or η R / c⁴ where ``scale_free``: a scalar ≥ 0, zero on a flat decoder.

    Args:
        decode: the decoder's mean f, (B, n) -> (B, D).
        z: mixup points z̃ (B, n).
        noise: N(0, I), (B, n); probes or finite-difference steps.
        eta: the weight η ≥ 0.
        estimator: ``finite_difference`` (the paper's), ``forward_mode`` or ``probe``.
        scale_free: divide by c⁴.

    Raises:
        InputError: the estimator is unknown.
    """
    if estimator not in ESTIMATORS:
        raise InputError(f"flat_vae: estimator {estimator!r} is unknown; choose {', '.join(ESTIMATORS)}")
    deviation, scale = ESTIMATORS[estimator](decode, z, noise, None)
    if scale_free:
        # for a constant decoder both are 0; the tiny constant makes their ratio 0
        deviation = deviation / (scale.square() + torch.finfo(z.dtype).tiny)
    return eta * deviation
