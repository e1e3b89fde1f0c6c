"""Distributions over points or pairs as quantile bars, one for each seed: flatness, distances, interpolation."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import logsumexp

from flatvae.reporting.figures._common import RC, Arrays, about, check, explained, heading, log_ticks, new_figure
from flatvae.reporting.names import method_style

_Tests = Mapping[str, Callable[[np.ndarray], np.ndarray]]
_NOT_ON_LOG: _Tests = {"∞": np.isinf, "0": lambda values: values == 0}
_ABOVE_ONE: _Tests = {"> 1": lambda values: values > 1}


def flatness(methods: Mapping[str, Arrays], title: str, missed: Collection[str] = ()) -> Figure:
    """Condition number and normalised magnification factor of every seed; both are 1 on a flat manifold.

    `methods`: {method: arrays} with condition_number, condition_number_mixup, log_magnification_factor and
    log_magnification_factor_mixup, each (S, N). Left: test codes; right: mixup points, on the same axis. Upper row:
    k(G) = λ_max/λ_min; lower row: MF / mean MF, with the mean of each seed. A seed is a thin line from the 5 % to the
    95 % quantile, a thick one between the quartiles and a dot at the median. Values off the log axis (k = ∞, MF = 0) are
    counted in the panel, and an arrow at the edge marks a quantile there; seeds with NaN are counted too.
    `missed`: methods that get a †. Raises InputError if there are no methods or an array is missing.
    """
    needed = [f"{name}{part}" for name in ("condition_number", "log_magnification_factor") for part in ("", "_mixup")]
    check(methods, needed, "figure flatness")
    with mpl.rc_context(RC):
        figure, axes = _panels(methods, "condition_number", 2, 2, title, missed)
        parts = ("", "_mixup")
        numbers = [{m: np.asarray(a[f"condition_number{p}"], float) for m, a in methods.items()} for p in parts]
        factors = [{m: normalised_factor(a[f"log_magnification_factor{p}"]) for m, a in methods.items()} for p in parts]
        _on_log_axis(axes[0], numbers, missed, reference=1)
        _on_log_axis(axes[1], factors, missed, reference=1)
        for column, where in enumerate(("test codes", "mixup points")):
            axes[0, column].set(title=where, xlabel=r"condition number $k(G)$")
            axes[1, column].set(xlabel="MF / mean MF")
        _explain(figure, reference="flat")
    return figure


def normalised_factor(log_factor: np.ndarray) -> np.ndarray:
    """MF / mean MF of every seed from l = log MF (S, N), in the stable form exp(l − log mean exp l); 0 if all MF are 0."""
    log_factor = np.asarray(log_factor, float)
    with np.errstate(invalid="ignore"):
        log_mean = logsumexp(log_factor, axis=-1, keepdims=True) - math.log(log_factor.shape[-1])
    return np.exp(log_factor - np.where(np.isneginf(log_mean), 0.0, log_mean))


def distances(methods: Mapping[str, Arrays], title: str, missed: Collection[str] = ()) -> Figure:
    """How far straight latent lines are from geodesics, over the pairs of every seed, drawn as in `flatness`.

        geodesic length / straight line's length          1 if the straight line is the geodesic
        |c · d_E − d_g| / d_g                             0 if Euclidean and geodesic distance agree up to a factor
        length on the graph / length after refinement     1 if the graph's path is the geodesic

    `methods`: {method: arrays} with length_ratio, euclidean, geodesic_length, graph_length, each (S, P), and
    euclidean_scale (S,), the factor c. All lengths are in units of the observations; 0 / 0, for a pair at one point, counts as
    no difference. The first axis is linear and ends at 1; pairs beyond it are counted. Raises InputError if there are no methods
    or an array is missing.
    """
    needed = ("length_ratio", "euclidean", "euclidean_scale", "geodesic_length", "graph_length")
    check(methods, needed, "figure distances")
    with mpl.rc_context(RC):
        figure, axes = _panels(methods, "length_ratio", 1, 3, title, missed)
        _on_axis_to_one(axes[0, 0], {m: _rounded_to_one(a["length_ratio"]) for m, a in methods.items()}, missed)
        _on_log_axis(axes[0, 1:2], [{m: _relative_error(a) for m, a in methods.items()}], missed, reference=None)
        _on_log_axis(axes[0, 2:], [{m: _graph_ratio(a) for m, a in methods.items()}], missed, reference=1)
        axes[0, 0].set(xlabel="length:\ngeodesic / straight line")
        axes[0, 1].set(xlabel="relative distance error\n$|c\\,d_E - d_g|\\,/\\,d_g$")
        axes[0, 2].set(xlabel="length:\ngraph / refined geodesic")
        _explain(figure, reference="no difference")
    return figure


def interpolation(methods: Mapping[str, Arrays], title: str, missed: Collection[str] = ()) -> Figure:
    """How smoothly straight latent lines decode, over the pairs of every seed, drawn as in `flatness`.

    `methods`: {method: arrays} with second_difference and velocity_cv, each (S, P): the mean norm of the decoded curve's
    second difference over the curve's length, and the coefficient of variation of its step lengths. Neither has a unit;
    both are 0 on a straight decoded line at constant speed. `kept` (S, P) says which pairs count. Raises InputError if there are
    no methods or an array is missing.
    """
    check(methods, ("second_difference", "velocity_cv", "kept"), "figure interpolation")
    with mpl.rc_context(RC):
        figure, axes = _panels(methods, "second_difference", 1, 2, title, missed)
        for column, name in enumerate(("second_difference", "velocity_cv")):
            kept = {m: _kept(a, name) for m, a in methods.items()}
            _on_log_axis(axes[0, column : column + 1], [kept], missed, reference=None)
        axes[0, 0].set(xlabel="second difference · (T − 1)² / curve length")
        axes[0, 1].set(xlabel="step length: standard deviation / mean")
        _explain(figure)
    return figure


def _kept(arrays: Arrays, name: str) -> list[np.ndarray]:
    """Values of the pairs that count, one array for each seed."""
    return [np.asarray(points, float)[kept] for points, kept in zip(arrays[name], arrays["kept"], strict=True)]


def _rounded_to_one(ratio: np.ndarray) -> np.ndarray:
    """Sets ratios to 1 that differ from 1 by less than single precision resolves."""
    ratio = np.asarray(ratio, float)
    return np.where(np.abs(ratio - 1) < 1e-6, 1.0, ratio)


def _relative_error(arrays: Arrays) -> np.ndarray:
    """|c · d_E − d_g| / d_g of every pair (S, P)."""
    scale = np.asarray(arrays["euclidean_scale"], float)[:, None]
    geodesic = np.asarray(arrays["geodesic_length"], float)
    return _quotient(np.abs(scale * np.asarray(arrays["euclidean"], float) - geodesic), geodesic, 0.0)


def _graph_ratio(arrays: Arrays) -> np.ndarray:
    graph, geodesic = (np.asarray(arrays[name], float) for name in ("graph_length", "geodesic_length"))
    return _quotient(graph, geodesic, 1.0)


def _quotient(numerator: np.ndarray, denominator: np.ndarray, zero_by_zero: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = numerator / denominator
    return np.where((numerator == 0) & (denominator == 0), zero_by_zero, quotient)


def _panels(
    methods: Mapping[str, Arrays], name: str, rows: int, columns: int, title: str, missed: Collection[str]
) -> tuple[Figure, np.ndarray]:
    """A figure with panels (rows, columns) and room for a line per seed; `name` is an array whose first dimension is seeds."""
    seeds = max(len(arrays[name]) for arrays in methods.values())
    height = 0.5 + 0.7 * rows + rows * len(methods) * max(0.34, 0.065 * seeds + 0.1)
    figure = new_figure(7.2, height, explained(title, methods, missed))
    return figure, figure.subplots(rows, columns, sharey=True, squeeze=False)


def _on_log_axis(
    panels: Sequence[Axes],
    values: Sequence[Mapping[str, Sequence[np.ndarray]]],
    missed: Collection[str],
    reference: float | None,
) -> None:
    """Draws the bars of {method: (S, P)} of each panel, all on one log axis, with a dotted line at the reference."""
    drawn = np.concatenate([_drawn(own) for own in values])
    low, high = about(np.append(drawn, [] if reference is None else reference))
    for axes, own in zip(panels, values, strict=True):
        axes.set(xscale="log", xlim=(low, high))
        _bars(axes, own, missed, _NOT_ON_LOG)
        log_ticks(axes.xaxis, low, high)
        if reference is not None:
            axes.axvline(reference, color="black", linewidth=0.8, linestyle=":", zorder=1)


def _on_axis_to_one(axes: Axes, values: Mapping[str, Sequence[np.ndarray]], missed: Collection[str]) -> None:
    """Draws the bars of {method: (S, P)} on a linear axis that ends at 1."""
    drawn = _drawn(values)
    low = min(drawn[np.isfinite(drawn)], default=1.0)
    axes.set(xlim=(min(low - 0.05 * (1 - low), 0.99), 1))
    _bars(axes, values, missed, _ABOVE_ONE)
    axes.locator_params(axis="x", nbins=4)


def _drawn(values: Mapping[str, Sequence[np.ndarray]]) -> np.ndarray:
    """All numbers that the bars show: quantiles and medians of all methods in one array."""
    shown = [(np.median(points), *_quantiles(points)) for seeds in values.values() for points in seeds]
    return np.ravel(shown)


def _bars(axes: Axes, values: Mapping[str, Sequence[np.ndarray]], missed: Collection[str], outside: _Tests) -> None:
    """Draws a bar for each seed of {method: (S, P)} within the x limits, and writes how many points are outside."""
    axes.set(ylim=(len(values) - 0.5, -0.5))
    axes.set_yticks(range(len(values)), [heading(method, missed) for method in values])
    axes.tick_params(axis="y", length=0)
    for slot, (method, seeds) in enumerate(values.items()):
        width = 0.6 / len(seeds)
        for seed, points in enumerate(seeds):
            _seed_bar(axes, points, slot - 0.2 + (seed + 0.5) * width, method_style(method).colour, f"{method} {seed}")
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "top", "fontsize": 6}
        axes.text(0.99, slot - 0.48, _counts(seeds, outside), **place)
        axes.axhline(slot - 0.5, color="0.85", linewidth=0.5)


def _quantiles(points: np.ndarray) -> np.ndarray:
    """The 5, 25, 75 and 95 % quantiles as values that occur, because interpolation between a number and ∞ gives NaN."""
    return np.quantile(points, [0.05, 0.25, 0.75, 0.95], method="inverted_cdf")


def _seed_bar(axes: Axes, points: np.ndarray, y: float, colour: str, label: str) -> None:
    if np.isnan(points).any():
        return
    low, high = axes.get_xlim()
    quantiles, median = _quantiles(points), float(np.median(points))
    q05, q25, q75, q95 = np.clip(quantiles, low, high)
    axes.plot([q05, q95], [y, y], color=colour, linewidth=0.7, solid_capstyle="butt")
    axes.plot([q25, q75], [y, y], color=colour, linewidth=2.4, solid_capstyle="butt")
    marker = ">" if median > high else "<" if median < low else "o"
    look = {"markersize": 3, "markeredgecolor": colour, "clip_on": False}
    axes.plot([np.clip(median, low, high)], [y], marker, color="white", label=label, **look)
    if quantiles[-1] > high:
        axes.plot([high], [y], ">", color=colour, **look)
    if quantiles[0] < low:
        axes.plot([low], [y], "<", color=colour, **look)


def _counts(seeds: Sequence[np.ndarray], outside: _Tests) -> str:
    """A note on how many values of the seeds, (P,) each, are off the axis; empty if none."""
    lost = np.array([np.isnan(points).any() for points in seeds])
    kept = np.concatenate([np.empty(0), *(points for points, no in zip(seeds, lost, strict=True) if not no)])
    counts = {name: test(kept).sum() for name, test in outside.items()}
    notes = [f"{count:,} of {kept.size:,} are {name}" for name, count in counts.items() if count]
    return "; ".join(notes + [f"{lost.sum()} of {len(seeds)} seeds not finite"] * bool(lost.any()))


def _explain(figure: Figure, reference: str = "") -> None:
    handles = [
        Line2D([], [], color="0.3", linewidth=0.7, label="5–95 %"),
        Line2D([], [], color="0.3", linewidth=2.4, label="25–75 %"),
        Line2D(
            [], [], color="white", marker="o", markeredgecolor="0.3", markersize=3, label="median (one line per seed)"
        ),
    ]
    if reference:
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=":", label=reference))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
