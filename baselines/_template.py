"""NAME (Author et al., venue year): in one line, what it is.

    L = F + λ (E[C] − κ²) + η · …          the formula of what is added to the VHP-VAE's Lagrangian

What it is least for, and whether scaling the latent space changes that. Default: η = 1.

This file runs as it is: decoder weight decay, η ‖θ‖², stands where your penalty goes. docs/adding_a_baseline.md has the
contract; `pytest tests/baselines -k NAME` tries the file.
"""

from torch import Tensor

# A model of your own: write build(dataset, *, …) -> LatentVariableModel, as baselines/vhp_vae.py does, in place of this line
# (or with a fit(dataset, *, seed, …) beside it, as baselines/pca.py does, where nothing is trained by steps).
from baselines.vhp_vae import build
from flatvae.geometry.metric import Decoder

__all__ = ["build", "penalty"]


# Leave the penalty out where the method has none. Its keyword arguments, and those of build, are the hyperparameters that the
# config may set. It is written for one model and one batch; all seeds are trained at once by torch.func.vmap, so no
# branch may depend on a tensor's values, and all randomness is in the noise that it is handed. A training traces it once: what
# it reads besides its arguments stays what it was then.
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
