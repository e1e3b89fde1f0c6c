"""FlatVAE, the flat VAE as a scikit-learn estimator: the class, its automatic choices, its warnings, its file."""

from flatvae.estimator.transformer import FlatVAE, flatness_score
from flatvae.estimator.warnings import BoundMissedWarning, FoldedWarning, NotFlatWarning

__all__ = ["BoundMissedWarning", "FlatVAE", "FoldedWarning", "NotFlatWarning", "flatness_score"]
