"""All methods side by side: what flatness costs in reconstruction, and which are better than a baseline."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from flatvae.reporting.comparison import COLUMNS, METRICS, RATIOS
from flatvae.reporting.equality import missed
from flatvae.reporting.figures._common import (
    MARK,
    OPEN_LABEL,
    RC,
    about,
    check_columns,
    heading,
    log_ticks,
    mark_missed,
    new_figure,
    note,
    of_metric,
)
from flatvae.reporting.formatting import fixed, format_interval
from flatvae.reporting.names import Style, method_style
from flatvae.reporting.statistics import t_interval

_WIDTH = 7.2
_NEAR = 0.98, 1.02  # test error / bound: the axis is never narrower, so that noise does not look like a difference
_BOUND = {"color": "black", "linewidth": 0.9, "linestyle": "--", "zorder": 1}
_FRONT = {"color": "0.55", "linewidth": 1.0, "drawstyle": "steps-post", "zorder": 1.5}
_HALF = {"color": "black", "linewidth": 0.9, "linestyle": "--", "zorder": 1}
_SEED = {"linestyle": "", "markersize": 2.5, "markeredgewidth": 0, "alpha": 0.6}
_MEAN = {"linestyle": "", "markersize": 6, "zorder": 3}
_ACROSS = 3  # panels of the forest plot in a row; this leaves room for the effects
_LETTERS = 16  # letters of a legend per inch
_DISAGREE = "≠"
_OPEN = {"linestyle": "", "marker": "o", "color": "white", "markeredgecolor": "0.3"}

LABELS = {
    "condition_number_median": "median $k(G)$, test codes ↓",
    "condition_number_median_mixup": "median $k(G)$, mixup ↓",
    "mf_std": "std of MF / mean MF ↓",
    "test_error": "test error ↓",
    "kl": "KL ↓",
    "nll": r"$-\log\,p(x)$ ↓",
    "knn_accuracy": "k-NN accuracy ↑",
    "precision_at_10": "precision at 10 ↑",
    "true_neighbour_recall_at_10": "true neighbours at 10 ↑",
    "distance_error_median": "distance error ↓",
    "velocity_cv": "CV of velocity ↓",
    "second_difference": "second difference ↓",
    "IDF1": "IDF1 ↑",
}


class _Cloud(NamedTuple):
    """A method on a data set: x = test error / bound and y = condition number of its seeds; whether a seed missed the bound."""

    x: np.ndarray
    y: np.ndarray
    missed: bool

    @property
    def centre(self) -> tuple[float, float]:
        """Mean of x; geometric mean of y, whose axis is logarithmic, or its median if a seed is infinite."""
        return float(self.x.mean()), t_interval(self.y, logarithmic=True).mean


def pareto(frame: pd.DataFrame, methods: Sequence[str], title: str) -> Figure:
    """Flatness against reconstruction: a panel for each data set, every seed, the methods' means and their Pareto front.

    x is the test error over the bound κ² (log axis, at least ± 2 % around 1). It is the *test* error, because the bound holds
    the training error of every method at 1 (dashed); the excess over 1 is lost in generalising. y is the median condition
    number at test codes (log axis; the lower end, 1, is flat). Small markers are seeds. Large ones are the mean of x and the
    geometric mean of y (the median if a seed is infinite); they are open and have a † if a seed missed equal reconstruction or
    had not settled. The grey staircase is the Pareto front: no other method matches or beats the methods at its corners in both
    means. Infinite condition numbers are drawn at the upper edge on a tick of their own; a method with one is on no
    front.

    `frame`: rows of metrics.csv (columns dataset, method, task, metric, seed, value); seeds that lack a number are left out.
    `methods`: those to draw. If no method has the numbers, the figure is a note. Raises InputError on a missing column.
    """
    check_columns(frame, ("dataset", "method", "task", "metric", "seed", "value"), "figure pareto")
    clouds = {name: _clouds(rows, methods) for name, rows in frame.groupby("dataset", sort=False)}
    clouds = {name: found for name, found in clouds.items() if found}
    if not clouds:
        return note("No method has both an error and a condition number.", title)
    drawn = [method for method in methods if any(method in found for found in clouds.values())]
    styles = {method: method_style(method) for method in drawn}
    handles = _pareto_handles(styles, any(cloud.missed for found in clouds.values() for cloud in found.values()))
    with mpl.rc_context(RC):
        rows = math.ceil(len(clouds) / 3)
        columns = math.ceil(len(clouds) / rows)
        figure = new_figure(_WIDTH, (3.4 if columns == 1 else 2.6) * rows + _height(math.ceil(len(handles) / 3)), title)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, (name, found) in zip(axes, clouds.items(), strict=False):
            _pareto_panel(panel, name, found, styles)
        for panel in axes[len(clouds) :]:
            panel.axis("off")
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _clouds(frame: pd.DataFrame, methods: Sequence[str]) -> dict[str, _Cloud]:
    columns = {
        name: of_metric(frame, task, name).set_index(["method", "seed"])["value"]
        for task, name in (
            ("reconstruction", "test_error"),
            ("reconstruction", "bound"),
            ("flatness", "condition_number_median"),
        )
    }
    numbers = pd.concat(columns, axis=1, join="inner")
    numbers["x"] = numbers["test_error"] / numbers["bound"]
    unequal, found = missed(frame), dict(list(numbers.groupby("method")))
    return {
        method: _Cloud(*found[method][["x", "condition_number_median"]].to_numpy(float).T, method in unequal)
        for method in methods
        if method in found
    }


def _pareto_panel(axes: Axes, name: str, clouds: dict[str, _Cloud], styles: dict[str, Style]) -> None:
    axes.set(title=name, xlabel=r"test error / bound $\kappa^2$", ylabel="median $k(G)$, test codes")
    _limit(axes, list(clouds.values()))
    axes.axvline(1, **_BOUND)
    top = axes.get_ylim()[1]
    _front(axes, [cloud.centre for cloud in clouds.values() if np.isfinite(cloud.y).all()])
    for method, cloud in clouds.items():
        style, (x, y) = styles[method], cloud.centre
        axes.plot(cloud.x, _within(cloud.y, top), marker=style.marker, color=style.colour, clip_on=False, **_SEED)
        face = "white" if cloud.missed else style.colour
        look = {"color": face, "markeredgecolor": style.colour, "label": method, "clip_on": False}
        axes.plot(x, _within(y, top), marker=style.marker, **look, **_MEAN)
        if cloud.missed:
            mark_missed(axes, x, float(_within(y, top)), style.colour)


def _within(y: np.ndarray | float, top: float) -> np.ndarray:
    """Moves infinite values to the upper edge."""
    return np.where(np.isinf(y), top, y)


def _limit(axes: Axes, clouds: Sequence[_Cloud]) -> None:
    """Log axes that contain all seeds, the bound ± 2 % and k = 1; infinite condition numbers get a tick at the upper edge."""
    low, high = about(np.concatenate([_NEAR, *(cloud.x for cloud in clouds)]))
    axes.set(xscale="log", xlim=(low, high))
    log_ticks(axes.xaxis, low, high)
    y = np.concatenate([[1.0], *(cloud.y for cloud in clouds)])
    low, high = about(y)
    infinite = bool(np.isinf(y).any())
    top = high * (high / low) ** 0.1 if infinite else high
    axes.set(yscale="log", ylim=(low, top))
    log_ticks(axes.yaxis, low, high)
    if infinite:
        plain = axes.yaxis.get_major_formatter()
        axes.yaxis.set_major_locator(FixedLocator([*axes.yaxis.get_majorticklocs(), top]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: "∞" if value == top else plain(value, place)))


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto-optimal points, where smaller is better in both coordinates; infinite points are never among them.

    A point is dominated if another is at most as large in both and smaller in one. Sorted by x; equal points count once.
    """
    front = []
    for x, y in sorted(set(points)):
        if math.isfinite(y) and (not front or y < front[-1][1]):
            front.append((x, y))
    return front


def _front(axes: Axes, centres: Sequence[tuple[float, float]]) -> None:
    front = pareto_front(centres)
    if front:
        (right, top), (x, y) = (axes.get_xlim()[1], axes.get_ylim()[1]), zip(*front, strict=True)
        axes.plot([x[0], *x, right], [top, *y, y[-1]], **_FRONT)


def _pareto_handles(styles: dict[str, Style], missed: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, label=heading(method, ()), **_MEAN)
        for method, style in styles.items()
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", **_SEED, label="a seed (large: mean, geometric of k)"))
    handles.append(Line2D([], [], **_BOUND, label=r"bound $\kappa^2$ of the training error"))
    handles.append(Line2D([], [], **_FRONT, label="Pareto front of the means"))
    return handles + [_open_handle(OPEN_LABEL)] * missed


def _open_handle(label: str) -> Line2D:
    return Line2D([], [], markersize=5, **_OPEN, label=label)


def _height(legend_rows: int) -> float:
    """Height of title and legend in inches."""
    return 0.5 + 0.17 * legend_rows


def improvement(frame: pd.DataFrame, methods: Sequence[str], baseline: str, title: str) -> Figure:
    """Forest plot of the probability of improvement over a baseline: a panel for each metric, a row for each method.

    Each marker has its 95 % interval (none if low is NaN); the dashed line is at ½. The marker is open, and the method has a †,
    if a seed of the method or of the baseline missed equal reconstruction. The effect size with its 95 % interval is at the
    right of each row: «× 0.5» is the ratio to the baseline, «+0.1» the difference from it. The heading of a panel shows the
    better direction as an arrow, the number of data sets, and the least number n of seeds.

    A ≠ follows if the probability says better and the effect worse, or the reverse, unless both intervals hold «as good». The
    probability counts wins: a method that is far better on one data set and slightly worse on two has 1/3, yet the better
    geometric mean.

    `frame`: from `flatvae.reporting.comparison.improvement`; without rows the figure is a note. `methods`: the rows; a method
    without a number has an empty row. Raises InputError on a missing column.
    """
    check_columns(frame, COLUMNS, "figure improvement")
    rival = heading(baseline, ())
    if frame.empty:
        return note(f"There are no numbers of {rival} to compare with.", title)
    metrics = list(dict.fromkeys(frame["metric"]))
    unequal = set(frame.loc[~frame["equal"].astype(bool), "method"])
    handles = [
        Line2D([], [], color="0.3", marker="o", markersize=4, label="the probability, with 95 % bootstrap interval"),
        Line2D([], [], **_HALF, label=f"as good as {rival}"),
        *[_open_handle(f"open, {MARK}: a seed of it or of {rival} missed equal reconstruction")] * bool(unequal),
    ]
    with mpl.rc_context(RC):
        rows = math.ceil(len(metrics) / _ACROSS)
        columns = math.ceil(len(metrics) / rows)
        width = max(6.4, 1.2 + 2.3 * columns)
        text = _explained(frame, rival, width)
        height = rows * (0.72 + 0.17 * len(methods)) + _height(3 - (columns > 1) + len(text))
        figure = new_figure(width, height, title)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        names = [heading(method, unequal) for method in methods]
        for panel, metric in zip(axes, metrics, strict=False):
            _improvement_panel(panel, frame[frame["metric"] == metric], metric, methods, baseline)
            panel.set_yticks(range(len(methods)), names)
        for panel in axes[len(metrics) :]:
            panel.axis("off")
        figure.legend(
            handles=handles, title="\n".join(text), loc="outside lower center", ncols=1 + (columns > 1), frameon=False
        )
    return figure


def _explained(frame: pd.DataFrame, rival: str, width: float) -> list[str]:
    """What the numbers of the forest plot are, in lines that fit the width in inches."""
    sentences = [
        f"Marker: the probability that a training of the method is better than one of {rival}, averaged over data sets.",
        f"At the right: the change of the number: ratio to {rival} (×, geometric mean) or difference (+, −), 95 % t-interval.",
    ]
    if any(_disagree(row) for row in frame.itertuples()):
        sentences.append(
            f"{_DISAGREE}: one says better and the other worse; this happens if one data set gains much and others lose a little."
        )
    return [line for sentence in sentences for line in textwrap.wrap(sentence, int(width * _LETTERS))]


def _disagree(row) -> bool:
    """Whether probability and effect size point to different sides of the baseline, and not both intervals hold «as good»."""
    better, same = next(m.better for m in METRICS if m.name == row.metric), float(row.metric in RATIOS)
    opposite = (row.probability - 0.5) * better * (row.effect - same) < 0
    return opposite and not (row.low <= 0.5 <= row.high and row.effect_low <= same <= row.effect_high)


def _improvement_panel(axes: Axes, frame: pd.DataFrame, metric: str, methods: Sequence[str], baseline: str) -> None:
    datasets = int(frame["datasets"].max())
    scope = f"{datasets} data set{'s' * (datasets > 1)}, n = {frame['n'].min()}"
    axes.set_title(f"{LABELS.get(metric, metric)}\n{scope}", fontsize=7)
    axes.set(xlim=(-0.06, 1.06), ylim=(len(methods) - 0.5, -0.5))
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.tick_params(axis="y", length=0)
    axes.axvline(0.5, **_HALF)
    for slot in range(1, len(methods)):
        axes.axhline(slot - 0.5, color="0.9", linewidth=0.5, zorder=0.5)
    for row in frame.itertuples():
        slot, style = methods.index(row.method), method_style(row.method)
        axes.plot([row.low, row.high], [slot, slot], color=style.colour, linewidth=1.1, solid_capstyle="butt")
        face = style.colour if row.equal else "white"
        look = {"color": face, "markeredgecolor": style.colour, "label": row.method}
        axes.plot(row.probability, slot, style.marker, markersize=4, zorder=3, **look)
        if row.method != baseline:
            _write_effect(axes, slot, metric, row)


def _write_effect(axes: Axes, slot: int, metric: str, row) -> None:
    """Write the effect size at the right of the panel; nothing if it is NaN."""
    if np.isnan(row.effect):
        return
    found, ratio = (row.effect, row.effect_low, row.effect_high), metric in RATIOS
    text = _short(*found, row.effect if ratio else max(map(abs, found)))
    sign = "× " if ratio else "+" if row.effect > 0 else ""
    look = {"va": "center", "fontsize": 6.5, "textcoords": "offset points", "annotation_clip": False}
    written = axes.annotate(f"{sign}{text}", (1, slot), (4, 0), xycoords=axes.get_yaxis_transform(), **look)
    if _disagree(row):
        axes.annotate(_DISAGREE, (1, 0.5), (3, 0), xycoords=written, weight="bold", **look)


def _short(mean: float, low: float, high: float, size: float) -> str:
    """«0.39 [0.28, 0.54]»: two significant digits of ``size``, or as many as distinguish the ends."""
    largest, width = max(abs(mean), abs(low), abs(high)), high - low
    if not (width > 0 and 1e-3 <= largest < 1e4) or 0 < 10 * low < high:
        return format_interval(mean, low, high)
    decimals = max(1 - math.floor(math.log10(size)), -math.floor(math.log10(width)))
    mean, low, high = (fixed(value, decimals) for value in (mean, low, high))
    return f"{mean} [{low}, {high}]"
