"""FlatVAE, the flat VAE in the manner of scikit-learn: the class, what it chooses by itself, what it warns of, its file."""

from flatvae.estimator.transformer import FlatVAE, flatness_score
from flatvae.estimator.warnings import BoundMissedWarning, FoldedWarning, NotFlatWarning

__all__ = ["BoundMissedWarning", "FlatVAE", "FoldedWarning", "NotFlatWarning", "flatness_score"]
