"""Principal components of raw observations (Pearson, 1901): a linear map without any training.

    r(x) = Vᵀ(x − m),   f(z) = V z + m,   V ∈ R^{D×n} the orthonormal directions of largest variance, m the mean

A control, as a descriptor and as a method. As a method its decoder is an isometry, G = VᵀV = I: condition number and normalised
magnification factor are exactly 1 everywhere, at the error of a linear map. No bound is enforced, so its error may be on either
side of it. Its densities are those of probabilistic PCA (Tipping & Bishop, 1999): p(z) = N(0, Λ − σ² I), Λ the components'
variances and σ² the mean of those left out, and q(z|x) = N(r(x), σ² I), the posterior without its shrinkage by (Λ − σ²)/Λ.

**Bernoulli data**: V and m are still those of least squares on the grey values, and the decoder's mean is V z + m clipped to
[0.01, 0.99], so that log p(x|z) is finite. A clipped pixel does not contribute to G, so G is not exactly the identity there.
"""

from collections.abc import Callable

import torch
from sklearn.decomposition import PCA
from torch import Tensor, from_numpy, nn

from flatvae.errors import InputError
from flatvae.model import LatentVariableModel, standard_model
from flatvae.networks import gaussian_log_density, gaussian_sample

_EDGE = 0.01  # least distance of a Bernoulli mean from 0 and 1
_LEAST = 1e-6  # least variance, if the data have none left


def descriptor(dataset, *, latent_dim: int = 2) -> Callable[[Tensor], Tensor]:
    """The descriptor of observations (N, D) -> (N, n), n = ``latent_dim``, fitted to the training data.

    Raises:
        InputError: n is larger than D or than the number of training data.
    """
    fitted = _components(dataset, latent_dim)
    return lambda x: from_numpy(fitted.transform(x.double().numpy()))


class DiagonalNormal(nn.Module):
    """p(z) = N(0, diag s²); its parameter is log s², (n,)."""

    noise_size = 0

    def __init__(self, latent_dim: int):
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(latent_dim))

    def log_density(self, z: Tensor, noise: Tensor) -> Tensor:
        """log N(z; 0, diag s²) in nats: (B, n) -> (B,); needs no noise, (B, 0)."""
        return gaussian_log_density(z, torch.zeros_like(z), self.log_variance)

    def sample(self, noise: Tensor) -> Tensor:
        """Samples of p(z), (N, n), from standard normal noise (N, 2n), whose second half is unused."""
        own = noise.chunk(2, dim=-1)[0]
        return gaussian_sample(torch.zeros_like(own), self.log_variance, own)


class _ClippedLogit(nn.Module):
    """Logits of a mean: log p/(1 − p) with p clipped to [0.01, 0.99]."""

    def forward(self, mean: Tensor) -> Tensor:
        return torch.logit(mean, eps=_EDGE)


def build(dataset, *, latent_dim: int = 2) -> LatentVariableModel:
    """The model with affine encoder and decoder; ``fit`` sets its parameters."""
    model = standard_model(dataset, DiagonalNormal(latent_dim), latent_dim, hidden=(), activation="tanh")
    if dataset.likelihood == "bernoulli":
        model.decoder.append(_ClippedLogit())
    return model


@torch.no_grad()
def fit(dataset, *, seed: int, latent_dim: int = 2) -> LatentVariableModel:
    """The model fitted to the training data, the same for every seed.

    Raises:
        InputError: n is larger than D or than the number of training data.
    """
    fitted = _components(dataset, latent_dim)
    directions, mean = from_numpy(fitted.components_), from_numpy(fitted.mean_)  # (n, D), (D,)
    left_out = max(float(fitted.noise_variance_), _LEAST)  # σ²
    model = build(dataset, latent_dim=latent_dim)
    encoder, decoder = model.encoder.network[0], model.decoder[0]
    log_variance = torch.full((latent_dim,), left_out).log()
    encoder.weight.copy_(torch.cat([directions, torch.zeros_like(directions)]))
    encoder.bias.copy_(torch.cat([-directions @ mean, log_variance]))
    decoder.weight.copy_(directions.T)
    decoder.bias.copy_(mean)
    own = from_numpy(fitted.explained_variance_) - left_out
    model.prior.log_variance.copy_(own.clamp(min=_LEAST).log())
    return model


def _components(dataset, latent_dim: int) -> PCA:
    """scikit-learn's PCA of the training data, in float64."""
    rows, values = dataset.train.shape
    if latent_dim > min(rows, values):
        raise InputError(
            f"pca: latent_dim is {latent_dim}, but {rows} observations of {values} values have {min(rows, values)} components; "
            "take a smaller latent_dim."
        )
    fitted = PCA(latent_dim, svd_solver="covariance_eigh" if values < rows else "full")
    return fitted.fit(dataset.train.double().numpy())
