"""VAE (Kingma & Welling, ICLR 2014; Rezende et al., ICML 2014): the standard normal prior p(z) = N(0, I), no penalty.

F = E_x E_q(z|x) [log q(z|x) − log p(z)], trained under the suite's reconstruction bound.
"""

from collections.abc import Sequence

from flatvae.model import LatentVariableModel, standard_model
from flatvae.priors import StandardNormal


def build(
    dataset,
    *,
    latent_dim: int = 2,
    hidden: Sequence[int] = (128, 128),
    activation: str = "tanh",
    channels: Sequence[int] = (),
) -> LatentVariableModel:
    """A VAE with n = ``latent_dim``; the decoder has the ``hidden`` widths and the ``channels`` in reverse."""
    return standard_model(dataset, StandardNormal(), latent_dim, hidden, activation, channels)
