"""Warnings of ``FlatVAE`` after a fit: the bound was missed, the space is not flat, the space is folded."""

import warnings

from sklearn.exceptions import ConvergenceWarning

NOT_FLAT = 1.5  # a space with a larger median condition number counts as not flat
FAITHFUL = {"trustworthiness": 0.95, "graph_rank_correlation": 0.8}  # a space below either counts as folded


class BoundMissedWarning(ConvergenceWarning):
    """The training ended above its reconstruction bound: its flatness was not enforced."""


class NotFlatWarning(UserWarning):
    """The median condition number of the latent metric is above 1.5."""


class FoldedWarning(UserWarning):
    """Neighbouring codes are not neighbours among the data, or distant codes are not distant along the data."""


def bound_missed(unexplained: float, bound: float) -> str:
    """The warning's text."""
    return (
        f"FlatVAE: {unexplained:.3g} of the variance is unexplained, {unexplained / bound - 1:.0%} more than the {bound:.3g} "
        "that was asked for, so the flat penalty had almost no weight; take more steps, wider hidden layers, a larger "
        "unexplained or a larger latent_dim"
    )


def not_flat(condition_number: float, active: int, latent_dim: int) -> str:
    """The warning's text."""
    if active < latent_dim:
        fix = (
            f"only {active} of the {latent_dim} latent dimensions are in use: take latent_dim={max(active, 1)}, or a smaller "
            "unexplained"
        )
    else:
        fix = "take a larger eta, or a larger unexplained"
    return f"FlatVAE: the space is not flat, its median condition number is {condition_number:.3g}; {fix}"


def folded(trustworthiness: float | None, correlation: float) -> str | None:
    """The warning's text; None if the space is faithful or has too few rows to judge."""
    if trustworthiness is None:
        return None
    found = {"trustworthiness": trustworthiness, "graph_rank_correlation": correlation}
    low = [f"{name} {value:.2f}" for name, value in found.items() if value < FAITHFUL[name]]
    if not low:
        return None
    return (
        f"FlatVAE: the space is not faithful ({' and '.join(low)}; 1 is best): it is folded or torn, or the data's neighbours "
        "are noise, and distances between codes can mislead; take a larger latent_dim, or a smaller unexplained"
    )


def judge(space) -> None:
    """Issues the warnings for a fitted ``FlatVAE``, at the line that called ``fit``.

    If ``eta`` is 0, flatness was not asked for and is not checked.
    """
    k, texts = space.condition_number_.median, {}
    if not space.bound_met_:
        texts[BoundMissedWarning] = bound_missed(space.unexplained_, space.bound_)
    if k > NOT_FLAT and space.eta_ > 0:
        texts[NotFlatWarning] = not_flat(k, space.active_dimensions_, space.latent_dim)
    texts[FoldedWarning] = folded(space.trustworthiness_, space.graph_rank_correlation_)
    for category, text in texts.items():
        if text is not None:
            warnings.warn(text, category, stacklevel=3)
