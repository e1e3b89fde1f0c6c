"""Metrics as functions of a hyperparameter."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flatvae.errors import InputError
from flatvae.reporting.equality import missed
from flatvae.reporting.figures._common import (
    OPEN_LABEL,
    RC,
    about,
    check_columns,
    heading,
    log_ticks,
    mark_missed,
    new_figure,
    of_metric,
    series_style,
)
from flatvae.reporting.names import Style
from flatvae.reporting.scales import logarithmic
from flatvae.reporting.statistics import Interval, over_seeds

_BOUND = {"color": "black", "linewidth": 0.9, "linestyle": "--", "zorder": 1.5}
_BASELINE = {"color": "0.45", "linewidth": 1.2, "linestyle": (0, (6, 1, 1, 1))}
_SEED = {"linestyle": "", "markersize": 2.5, "markeredgewidth": 0, "alpha": 0.6}
_MEAN = {"markersize": 4.5, "zorder": 3}
_EDGE = {"markersize": 4, "clip_on": False, "zorder": 4}
_BEYOND = "beyond the axis"

Values = Mapping[str, Mapping[str, float]]


class _Metric(NamedTuple):
    task: str
    name: str
    label: str


_METRICS = (
    _Metric("flatness", "condition_number_median", "median $k(G)$, test codes"),
    _Metric("flatness", "condition_number_median_mixup", "median $k(G)$, mixup points"),
    _Metric("flatness", "mf_std", "std of MF / mean MF"),
    _Metric("reconstruction", "test_error", "test error $C$"),
    _Metric("reconstruction", "kl", "KL [nats]"),
    _Metric("likelihood", "nll", r"$-\log\,p(x)$ [nats]"),
    _Metric("neighbours", "knn_accuracy", "k-NN accuracy, Euclidean"),
)


class _Point(NamedTuple):
    """A method on a curve: its hyperparameter, values of its seeds, their interval, and whether a seed missed the bound."""

    x: float
    seeds: np.ndarray
    interval: Interval
    missed: bool


def sweep(frame: pd.DataFrame, values: Values, name: str, title: str, baseline: str | None = None) -> Figure:
    """Flatness, error, KL, likelihood and neighbours against a hyperparameter: every seed, mean and 95 % t-interval.

    There is a panel for each metric that the methods have. For metrics with a logarithmic scale (`flatvae.reporting.scales`),
    mean, interval and axis are logarithmic. The panel of the error shows `bound` = κ² (dashed), in the error's units (squared
    error, or nats). If a seed of a method missed equal reconstruction, the mean has an open marker and a †. Values off the axis
    (∞, or 0 on a log axis) are arrows at its edge. The axis of the hyperparameter is logarithmic if all values are > 0 and
    span more than a factor 10.

    `frame`: rows of metrics.csv of one data set (columns method, distance, task, metric, seed, value). `values`: {curve: {method:
    value of the hyperparameter}}; styles follow the order of the curves. `name`: the hyperparameter's name. `baseline`: a method
    without the hyperparameter, drawn as level lines. Raises InputError if there are no methods, a column is missing, a method
    has no rows, or the frame has none of the metrics.
    """
    check_columns(frame, ("method", "distance", "task", "metric", "seed", "value"), "figure sweep")
    frame = _of_methods(frame, values, baseline)
    shown = [metric for metric in _METRICS if len(of_metric(frame, metric.task, metric.name))]
    if not shown:
        raise InputError(f"figure sweep: the frame has none of {', '.join(metric.name for metric in _METRICS)}")
    with mpl.rc_context(RC):
        columns = min(3, len(shown))
        rows = math.ceil(len(shown) / columns)
        figure = new_figure(max(5.4, 2.4 * columns), 2.0 * rows + 1.6, title)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, metric in zip(axes, shown, strict=False):
            _hyperparameter(panel, values, name)
            _panel(panel, frame, metric, values, baseline)
        for panel in axes[len(shown) :]:
            panel.axis("off")
        _explain(figure, frame, values, baseline)
    return figure


def _of_methods(frame: pd.DataFrame, values: Values, baseline: str | None) -> pd.DataFrame:
    """The rows of the curves' methods and of the baseline, with no distance or the Euclidean one; each must have rows."""
    methods = [method for curve in values.values() for method in curve]
    if not methods:
        raise InputError("figure sweep: there are no methods to draw; pass at least one")
    methods += [] if baseline is None else [baseline]
    for method in methods:
        if method not in set(frame["method"]):
            raise InputError(f"figure sweep: the frame has no rows of method {method}; run it or leave it out")
    return frame[frame["method"].isin(methods) & frame["distance"].isin(["", "euclidean"])]


def _hyperparameter(axes: Axes, values: Values, name: str) -> None:
    x = np.array([x for curve in values.values() for x in curve.values()], float)
    axes.set_xlabel(name)
    if (x > 0).all() and x.max() / x.min() > 10:
        low, high = about(x)
        axes.set(xscale="log", xlim=(low, high))
        log_ticks(axes.xaxis, low, high)
        return
    margin = 0.06 * (np.ptp(x) or abs(x[0]) or 1.0)
    axes.set_xlim(x.min() - margin, x.max() + margin)
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", useOffset=False)


# -------------------------------------------------------------------------------------------------------------- panels


def _panel(axes: Axes, frame: pd.DataFrame, metric: _Metric, values: Values, baseline: str | None) -> None:
    rows, unequal, log = of_metric(frame, metric.task, metric.name), missed(frame), logarithmic(metric.name)
    seeds = {method: of_method.to_numpy(float) for method, of_method in rows.groupby("method")["value"]}
    curves = {
        label: [
            _Point(x, seeds[m], over_seeds(seeds[m], metric.name), m in unequal) for m, x in curve.items() if m in seeds
        ]
        for label, curve in values.items()
    }
    bounds = of_metric(frame, "reconstruction", "bound") if metric.name == "test_error" else frame[:0]
    drawn = [bounds["value"], *(ends for of_method in seeds.values() for ends in _ends(of_method, metric.name))]
    axes.set_ylabel(metric.label)
    _limit(axes, np.concatenate([np.ravel(each) for each in drawn]).astype(float), log)
    if len(bounds):
        _bound(axes, bounds, values)
    if baseline in seeds:
        _level(axes, seeds[baseline], metric.name)
    for index, (label, points) in enumerate(curves.items()):
        _curve(axes, sorted(points, key=lambda point: point.x), series_style(index), label)


def _ends(seeds: np.ndarray, metric: str) -> list[np.ndarray]:
    """The values that the limits of an axis must contain."""
    interval = over_seeds(seeds, metric)
    return [seeds, np.array([] if interval.low is None else [interval.low, interval.high])]


def _limit(axes: Axes, drawn: np.ndarray, log: bool) -> None:
    if log:
        low, high = about(drawn)
        axes.set(yscale="log", ylim=(low, high))
        log_ticks(axes.yaxis, low, high)
        return
    drawn = drawn[np.isfinite(drawn)] if np.isfinite(drawn).any() else np.zeros(1)
    margin = 0.06 * (np.ptp(drawn) or abs(drawn[0]) or 1.0)
    axes.set_ylim(drawn.min() - margin, drawn.max() + margin)


def _bound(axes: Axes, bounds: pd.DataFrame, values: Values) -> None:
    """Draws the bound of the error: one level, or a line along each curve if methods have different bounds."""
    if bounds["value"].nunique() == 1:
        axes.axhline(bounds["value"].iloc[0], **_BOUND)
        return
    of_method = bounds.groupby("method")["value"].first()
    for curve in values.values():
        known = sorted((x, of_method[method]) for method, x in curve.items() if method in of_method)
        axes.plot([x for x, _ in known], [bound for _, bound in known], marker="_", markersize=8, **_BOUND)


def _level(axes: Axes, seeds: np.ndarray, metric: str) -> None:
    """Draws the baseline as level lines, since it has no value of the hyperparameter."""
    interval = over_seeds(seeds, metric)
    for value in seeds:
        axes.axhline(value, xmin=1, xmax=1.04, clip_on=False, color=_BASELINE["color"], linewidth=0.8, zorder=1)
    axes.axhline(interval.mean, **_BASELINE)
    if interval.low is not None:
        axes.axhspan(interval.low, interval.high, color=_BASELINE["color"], alpha=0.15, linewidth=0, zorder=0.9)


def _curve(axes: Axes, points: list[_Point], style: Style, label: str) -> None:
    x, means = [point.x for point in points], [point.interval.mean for point in points]
    low, high = (np.array([getattr(p.interval, end) for p in points], float) for end in ("low", "high"))
    axes.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
    axes.vlines(x, low, high, color=style.colour, linewidth=0.6)  # with one point the band has no width
    axes.plot(x, means, color=style.colour, linestyle=style.line, linewidth=1, label=label)
    for point in points:
        _values(axes, point.x, point.seeds, style.marker, color=style.colour, markeredgecolor=style.colour, **_SEED)
        look = {"color": "white" if point.missed else style.colour, "markeredgecolor": style.colour}
        _values(axes, point.x, np.array([point.interval.mean]), style.marker, linestyle="", **look, **_MEAN)
        if point.missed and axes.get_ylim()[0] <= point.interval.mean <= axes.get_ylim()[1]:
            mark_missed(axes, point.x, point.interval.mean, style.colour)


def _values(axes: Axes, x: float, values: np.ndarray, marker: str, **look) -> None:
    """Draws markers at x, and arrows at the edges for values off the axis."""
    low, high = axes.get_ylim()
    inside = values[(low <= values) & (values <= high)]
    if len(inside):
        axes.plot(np.full(len(inside), x), inside, marker=marker, **look)
    for edge, arrow, beyond in ((high, "^", values > high), (low, "v", values < low)):
        if beyond.any():
            axes.plot(x, edge, arrow, color=look["markeredgecolor"], label=_BEYOND, **_EDGE)


def _explain(figure: Figure, frame: pd.DataFrame, values: Values, baseline: str | None) -> None:
    styles = [(label, series_style(index)) for index, label in enumerate(values)]
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, linewidth=1, marker=s.marker, markersize=4.5, label=label)
        for label, s in styles
    ]
    if baseline is not None:
        handles.append(Line2D([], [], **_BASELINE, label=f"{heading(baseline, missed(frame))} (ticks: its seeds)"))
    handles.append(Line2D([], [], color="0.3", marker="o", **_SEED, label="a seed"))
    handles.append(
        Patch(color="0.3", alpha=0.2, linewidth=0, label="mean, 95 % t-interval (of logarithms on log axes)")
    )
    if len(of_metric(frame, "reconstruction", "test_error")) and len(of_metric(frame, "reconstruction", "bound")):
        handles.append(Line2D([], [], **_BOUND, label=r"bound $\kappa^2$"))
    if missed(frame):
        open_marker = {"marker": "o", "color": "white", "markeredgecolor": "0.3", "markersize": 4.5}
        handles.append(Line2D([], [], linestyle="", **open_marker, label=OPEN_LABEL))
    if any(line.get_label() == _BEYOND for panel in figure.axes for line in panel.lines):
        handles.append(Line2D([], [], linestyle="", color="0.3", marker="^", label=_BEYOND, **_EDGE))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, handlelength=3.5)
