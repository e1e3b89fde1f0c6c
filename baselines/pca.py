"""Principal components of raw observations: r(x) = Vᵀ(x − m), V the n directions of largest variance (Pearson, 1901).

A control: what a linear map finds without any training.
"""

from collections.abc import Callable

from sklearn.decomposition import PCA
from torch import Tensor, from_numpy


def descriptor(dataset, *, latent_dim: int = 2) -> Callable[[Tensor], Tensor]:
    """The descriptor of observations (N, D) -> (N, n), n = ``latent_dim``, fitted to the training data."""
    fitted = PCA(latent_dim, svd_solver="covariance_eigh" if dataset.dim < len(dataset.train) else "full")
    fitted.fit(dataset.train.double().numpy())
    return lambda x: from_numpy(fitted.transform(x.double().numpy()))
