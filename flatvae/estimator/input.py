"""Inputs of ``FlatVAE``: checks its hyperparameters' ranges, and computes the data's mean and scale."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from flatvae.errors import InputError

_ROUNDING = 1e-12  # a scale below this share of the largest value counts as rounding


def check(space) -> None:
    """Checks a FlatVAE's hyperparameters; its number of features must be set.

    Raises:
        InputError: one is out of its range.
    """
    for name in ("latent_dim", "steps", "batch_size"):
        if not isinstance(getattr(space, name), Integral) or getattr(space, name) < 1:
            raise InputError(f"FlatVAE: {name} is {getattr(space, name)!r}; it must be a whole number ≥ 1")
    for name in ("unexplained", "eta", "learning_rate"):
        value = getattr(space, name)
        automatic = name != "learning_rate" and isinstance(value, str) and value == "auto"
        if not automatic and not isinstance(value, Real):
            allowed = "a number" if name == "learning_rate" else "a number or 'auto'"
            raise InputError(f"FlatVAE: {name} is {value!r}; it must be {allowed}")
    hidden = space.hidden
    if not isinstance(hidden, Sequence) or not all(isinstance(width, Integral) and width > 0 for width in hidden):
        raise InputError(f"FlatVAE: hidden is {hidden!r}; it must be a list of whole numbers ≥ 1")
    if space.unexplained != "auto" and not 0 < space.unexplained < 1:
        raise InputError(f"FlatVAE: unexplained is {space.unexplained}; it must be inside (0, 1), or 'auto'")
    if space.eta != "auto" and not 0 <= space.eta < np.inf:
        raise InputError(f"FlatVAE: eta is {space.eta}; it must be finite and ≥ 0, or 'auto'")
    if space.eta == "auto" and not space.scale_free:
        raise InputError("FlatVAE: eta='auto' is for scale_free=True; give a number, of the order of 10000")
    if space.init not in ("auto", "isomap", "random"):
        raise InputError(f"FlatVAE: init is {space.init!r}; it must be auto, isomap or random")
    if space.latent_dim > space.n_features_in_:
        raise InputError(
            f"FlatVAE: latent_dim is {space.latent_dim} but X has {space.n_features_in_} feature(s), so no metric has "
            "full rank; take a smaller latent_dim"
        )


def centre_and_scale(X: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """Mean (D,) of rows (N, D), their scale (root of the mean variance), and whether all rows are equal (then the scale is 1).

    Squares of values above about 1e154 overflow, and squares of values below 1e-154 vanish: so extreme data are first divided
    by their largest value.
    """
    largest = float(max(X.max(), -X.min())) or 1.0
    unit = 1.0 if 1e-100 < largest < 1e100 else largest
    scaled = X if unit == 1.0 else X / unit
    scale = float(np.sqrt(scaled.var(0).mean()))
    constant = scale <= _ROUNDING * largest / unit
    return scaled.mean(0) * unit, 1.0 if constant else scale * unit, constant
