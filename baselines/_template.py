"""NAME (Author et al., venue year): in one line, what it is.

    L = F + λ (E[C] − κ²) + η · …          the term that is added to the VHP-VAE's Lagrangian

Say where the penalty has its minimum, and whether scaling the latent space changes it. Default: η = 1.

This file runs unchanged, with decoder weight decay, η ‖θ‖², in place of your penalty. docs/adding_a_baseline.md has the contract;
`pytest tests/baselines -k NAME` checks the file.
"""

from torch import Tensor

# For your own model, replace this line by a function build(dataset, *, …) -> LatentVariableModel, as in baselines/vhp_vae.py. If
# it is not trained by steps, add a function fit(dataset, *, seed, …), as in baselines/pca.py.
from baselines.vhp_vae import build
from flatvae.geometry.metric import Decoder

__all__ = ["build", "penalty"]


# Delete the penalty if the method has none. The config may set its keyword arguments and those of build. It is written for one
# model and one batch. torch.func.vmap trains all seeds at once: so no branch may depend on a tensor's values, and all randomness
# must come from the argument noise. A training traces the penalty once: anything else that it reads stays as it was then.
def penalty(decode: Decoder, z: Tensor, noise: Tensor, *, eta: float = 1.0) -> Tensor:
    """η ‖θ‖², θ the decoder's parameters: a scalar.

    Args:
        decode: the decoder's mean f, (B, n) -> (B, D); ``decode.__self__`` is the model.
        z: mixup points z̃ (B, n).
        noise: v ~ N(0, I), (B, n).
        eta: weight η ≥ 0.
    """
    # e.g. torch.func.jvp(decode, (z,), (noise,))[1] is J v, and flatvae.geometry.jacobian_columns(decode, z) has all of J
    return eta * sum(parameter.square().sum() for parameter in decode.__self__.decoder.parameters())
