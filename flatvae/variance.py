"""Variance of data: the total, the share that principal components leave, and the bound that allows a given share."""

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from flatvae.errors import InputError

_COLUMNS = 16  # columns converted to double precision at once
_VALUES = 20_000_000  # numbers that principal components are fitted to: a second or two on one core


def total_variance(rows: Tensor) -> float:
    """Total variance E‖x − x̄‖² of rows (N, D): their mean squared distance from the mean row x̄, in double precision.

    It is exactly 0 where all rows are equal.
    """
    moved = (
        columns.double() - columns[0].double() for columns in rows.split(_COLUMNS, dim=1)
    )  # shifted by the first row: else rounding of the mean gives equal rows a variance
    return sum(columns.var(0, correction=0).sum().item() for columns in moved)


def pca_unexplained(rows: Tensor, n: int, values: int = _VALUES) -> float:
    """Share of the total variance of rows (N, D) that their first n principal components leave unexplained, in [0, 1].

        1 − Σ_{i ≤ n} λ_i / Σ_i λ_i,    λ₁ ≥ λ₂ ≥ … the eigenvalues of the covariance

    It is 0 if n ≥ min(N, D) or all rows are equal. For large data it uses evenly spaced rows: ``values`` numbers in all, at least
    10 n rows. Components fit such a sample a little better than the whole.

    Source: K. Pearson (1901), On lines and planes of closest fit to systems of points in space.
    """
    count = min(len(rows), max(values // rows.shape[1], 10 * n))
    sample = rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()].double()
    whole = total_variance(sample)
    if whole == 0 or n >= min(sample.shape):
        return 0.0
    fitted = PCA(n, random_state=0).fit(sample.numpy())
    explained = fitted.explained_variance_.sum() * (len(sample) - 1) / len(sample)  # scikit-learn divides by N − 1
    return min(max(1 - float(explained) / whole, 0.0), 1.0)


def summary(dataset, latent_dim: int | None = None, unexplained: float | None = None) -> dict[str, float]:
    """Variance of a data set's training part, to six digits, and the bound that follows.

    Args:
        dataset: the ``Dataset``.
        latent_dim: number of principal components; None leaves them out.
        unexplained: share of the total variance that the reconstruction may leave unexplained; None: no bound is computed.

    Returns:
        ``dim`` = D and the arguments that are given. For the Gaussian likelihood also ``total_variance``; what the principal
        components leave of it: ``pca_error``, the squared error summed over an observation, and ``pca_unexplained``, its share;
        and ``bound`` κ² = unexplained · total variance.

    Raises:
        InputError: ``unexplained`` is given but the likelihood is not Gaussian or all rows are equal.
    """
    if dataset.likelihood != "gaussian":
        if unexplained is not None:
            raise InputError(
                f"dataset {dataset.name}: unexplained is a share of the variance, but the likelihood is {dataset.likelihood}; "
                "give bound, in nats."
            )
        return {"dim": dataset.dim}
    variance = total_variance(dataset.train)
    found = {"total_variance": variance}
    if latent_dim is not None:
        share = pca_unexplained(dataset.train, latent_dim)
        found |= {"pca_error": share * variance, "pca_unexplained": share}
    if unexplained is not None:
        if variance == 0:
            raise InputError(
                f"dataset {dataset.name}: all training rows are equal, so unexplained gives no bound; give other data, or bound."
            )
        found["bound"] = unexplained * variance
    asked = {"latent_dim": latent_dim, "unexplained": unexplained}
    measured = {name: float(f"{value:.6g}") for name, value in found.items()}
    return {"dim": dataset.dim, **{name: value for name, value in asked.items() if value is not None}, **measured}
