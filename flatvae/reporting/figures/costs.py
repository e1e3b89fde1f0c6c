"""What the methods and the distances cost in time."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flatvae.errors import InputError
from flatvae.reporting.figures._common import (
    GEODESIC,
    RC,
    STRAIGHT,
    about,
    check_columns,
    log_axis,
    method_style,
    new_figure,
    say,
)
from flatvae.reporting.statistics import t_interval

_TIMING = r"^(?P<graph>graph_)?(?P<what>query|amortised)_seconds_at_(?P<points>\d+)$"
_KINDS = {
    "geodesic": ("geodesic (chord filter)", GEODESIC.line),
    "graph": ("geodesic, on the graph alone", (0, (1, 1))),
    "euclidean": ("Euclidean", STRAIGHT.line),
}
_MAX_TICKS = 6


def efficiency(frame: pd.DataFrame, title: str) -> Figure:
    """Seconds of a query and amortised seconds of one against the number of points, and seconds of a training step.

    amortised = build / number of queries + query: what a query costs when the index is built for the queries alone.
    `frame`: rows of efficiency.csv of one data set (columns method, distance, metric, seed, value) with the metrics
    query_seconds_at_<N> and amortised_seconds_at_<N> of the distances euclidean and geodesic, for geodesic also
    graph_query_seconds_at_<N> and graph_amortised_seconds_at_<N> (shortest path on the graph, not refined), and
    step_seconds of each method. A thin line for each seed, a thick one for their geometric mean; a method has a colour and a
    marker, a distance a line style. A panel without rows says so. Raises InputError on a missing column and on a frame
    without any of these metrics.
    """
    check_columns(frame, ("method", "distance", "metric", "seed", "value"), "figure efficiency")
    timings, steps = _timings(frame), frame[frame["metric"] == "step_seconds"]
    if timings.empty and steps.empty:
        raise InputError("figure efficiency: the frame has none of its metrics; pass the rows of efficiency.csv")
    methods = list(dict.fromkeys([*timings["method"], *steps["method"]]))
    with mpl.rc_context(RC):
        figure = new_figure(7.2, 5.2, title)
        (query, amortised), (step, legend) = figure.subplots(2, 2)
        for panel, what, label in (
            (query, "query", "time per query [s]"),
            (amortised, "amortised", "amortised time per query [s]"),
        ):
            panel.set(xlabel="number of points", ylabel=label)
            _against_points(panel, timings[timings["what"] == what], methods)
        step.set(xlabel="time per training step [s]")
        _step_seconds(step, steps, methods)
        _explain(legend, methods, timings["kind"].unique())
    return figure


def _geometric_mean(values: pd.Series) -> float:
    """Times are averaged in logarithms, as everywhere (`flatvae.reporting.scales`)."""
    return t_interval(values, logarithmic=True).mean


def _timings(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of timings of distances, with `kind` (of distance), `what` (is timed) and `points` read from their metric."""
    parts = frame["metric"].str.extract(_TIMING)
    kind = frame["distance"].where(parts["graph"].isna(), "graph")
    points = pd.to_numeric(parts["points"])
    frame = frame.assign(what=parts["what"], points=points, kind=kind)
    return frame[parts["what"].notna() & kind.isin(_KINDS)]


def _against_points(axes: Axes, timings: pd.DataFrame, methods: Sequence[str]) -> None:
    if timings.empty:
        say(axes, "none")
        return
    for (method, kind), rows in timings.groupby(["method", "kind"], sort=False):
        style = method_style(methods.index(method))
        look = {"color": style.colour, "linestyle": _KINDS[kind][1]}
        for seed, one in rows.sort_values("points").groupby("seed", sort=False):
            label = f"{method} {kind} {seed}"
            axes.plot(
                one["points"],
                one["value"],
                marker=style.marker,
                markersize=1.5,
                linewidth=0.5,
                alpha=0.6,
                label=label,
                **look,
            )
        mean = rows.groupby("points")["value"].agg(_geometric_mean)
        label = f"{method} {kind} mean"
        axes.plot(mean.index, mean, marker=style.marker, markersize=4, linewidth=1.2, label=label, **look)
    log_axis(axes)
    numbers = np.unique(timings["points"])
    axes.set(xscale="log", xlim=about(numbers))
    axes.xaxis.set_major_locator(FixedLocator(numbers[:: -(-len(numbers) // _MAX_TICKS)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _step_seconds(axes: Axes, steps: pd.DataFrame, methods: Sequence[str]) -> None:
    """A dot for each seed, from 0, for the ratio of two methods' costs is what counts."""
    if steps.empty:
        say(axes, "none")
        axes.set_yticks([])
        return
    axes.set(xlim=(0, 1.08 * steps["value"].max()), ylim=(len(methods) - 0.5, -0.5))
    axes.set_yticks(range(len(methods)), methods)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    for slot, method in enumerate(methods):
        values = steps.loc[steps["method"] == method, "value"].to_numpy()
        style, places = method_style(slot), slot - 0.25 + 0.5 * (np.arange(len(values)) + 0.5) / max(1, len(values))
        axes.plot(values, places, style.marker, color=style.colour, markersize=3.5, label=method)
        axes.axhline(slot - 0.5, color="0.85", linewidth=0.5)


def _explain(axes: Axes, methods: Sequence[str], kinds: Sequence[str]) -> None:
    axes.axis("off")
    styles = [(method, method_style(index)) for index, method in enumerate(methods)]
    handles = [
        Line2D([], [], color=style.colour, linestyle="", marker=style.marker, markersize=4, label=method)
        for method, style in styles
    ]
    handles += [
        Line2D([], [], color="0.3", linestyle=line, linewidth=1.2, label=label)
        for kind, (label, line) in _KINDS.items()
        if kind in kinds
    ]
    note = "thin line, dot: a seed;\nthick line: geometric mean of the seeds"
    axes.legend(handles=handles, loc="center", frameon=False, title=note, handlelength=4)


def scaling(frame: pd.DataFrame, exponents: pd.DataFrame, title: str) -> Figure:
    """Seconds against latent dimension n, observation dimension D and number of seeds, on log axes, a panel each.

    A thin line for each round, a thick one for their geometric mean; the legend has the mean exponent of the larger sizes.
    `frame`: columns method, quantity, size, seed (the round), seconds; `exponents`: columns method, quantity, exponent. Raises
    InputError on a missing column.
    """
    check_columns(frame, ("method", "quantity", "size", "seed", "seconds"), "figure scaling")
    methods, quantities = (list(dict.fromkeys(frame[name])) for name in ("method", "quantity"))
    with mpl.rc_context(RC):
        figure = new_figure(2.6 * len(quantities) + 0.4, 3.9, title)
        for panel, quantity in zip(np.ravel(figure.subplots(1, len(quantities))), quantities, strict=True):
            own, fitted = frame[frame["quantity"] == quantity], exponents[exponents["quantity"] == quantity]
            _against_size(panel, own, fitted.groupby("method")["exponent"].mean(), methods)
            panel.set(xlabel=quantity)
        figure.axes[0].set(ylabel="seconds")
    return figure


def _against_size(axes: Axes, frame: pd.DataFrame, exponent: pd.Series, methods: Sequence[str]) -> None:
    for method, rows in frame.groupby("method", sort=False):
        style = method_style(methods.index(method))
        for _, one in rows.sort_values("size").groupby("seed"):
            axes.plot(one["size"], one["seconds"], linewidth=0.4, alpha=0.5, color=style.colour)
        mean = rows.groupby("size")["seconds"].agg(_geometric_mean)
        look = {"color": style.colour, "linestyle": style.line, "marker": style.marker, "markersize": 3}
        axes.plot(mean.index, mean, linewidth=1.2, label=f"{method}: {exponent[method]:.2f}", **look)
    log_axis(axes)
    sizes = np.unique(frame["size"])
    axes.set(xscale="log", xlim=about(sizes))
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "frameon": False}
    axes.legend(fontsize=5.5, title="exponent at the larger sizes", title_fontsize=5.5, **below)
