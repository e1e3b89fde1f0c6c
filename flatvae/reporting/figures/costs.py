"""The time that methods and distances cost."""

from collections.abc import Collection, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from flatvae.errors import InputError
from flatvae.reporting.figures._common import (
    RC,
    SMALL,
    about,
    check_columns,
    counts,
    explained,
    heading,
    log_axis,
    log_ticks,
    new_figure,
    say,
)
from flatvae.reporting.names import method_style
from flatvae.reporting.statistics import t_interval

_TIMING = r"^(?P<graph>graph_)?(?P<what>query|amortised)_seconds_at_(?P<points>\d+)$"
_KINDS = {"euclidean": "Euclidean", "geodesic": "geodesic, chord filter", "graph": "geodesic, graph alone"}
_WHATS = {"query": "time per query [µs]", "amortised": "amortised time\nper query [µs]"}
_MAX_TICKS = 6
_SEED = {"linestyle": "", "markersize": 2, "markeredgewidth": 0, "alpha": 0.6}
_MEAN = {"linewidth": 0.8, "markersize": 5, "markerfacecolor": "none", "zorder": 3}


def efficiency(frame: pd.DataFrame, title: str, missed: Collection[str] = ()) -> Figure:
    """Microseconds of a query and of an amortised query against the number of points, and milliseconds of a training step.

    amortised = build / number of queries + query: the cost of a query if the index is built for these queries alone.
    There is a column for each distance, with both panels on one scale. Small markers are seeds; lines with large open markers
    are their geometric means, so that one shows through another. Below, a dot for each seed shows the training step.
    `frame`: rows of efficiency.csv of one data set (columns method, distance, metric, seed, value) with the metrics
    query_seconds_at_<N> and amortised_seconds_at_<N> of the distances euclidean and geodesic, for geodesic also
    graph_query_seconds_at_<N> and graph_amortised_seconds_at_<N> (shortest path on the graph, not refined), and
    step_seconds of each method. `missed`: methods that get a †. A panel without rows says so. Raises InputError if a column is
    missing, or if the frame has none of these metrics.
    """
    check_columns(frame, ("method", "distance", "metric", "seed", "value"), "figure efficiency")
    timings, steps = _timings(frame), frame[frame["metric"] == "step_seconds"]
    if timings.empty and steps.empty:
        raise InputError("figure efficiency: the frame has none of its metrics; pass the rows of efficiency.csv")
    methods = list(dict.fromkeys([*timings["method"], *steps["method"]]))
    kinds = [kind for kind in _KINDS if kind in set(timings["kind"])] or ["euclidean"]
    with mpl.rc_context(RC):
        size = max(4.8, 0.6 + 2.5 * len(kinds)), 4.6 + 0.2 * len(methods)
        figure = new_figure(*size, explained(title, methods, missed))
        grid = figure.add_gridspec(3, len(kinds), height_ratios=[1.9, 1.9, 0.3 + 0.2 * len(methods)])
        for column, kind in enumerate(kinds):
            panels = [figure.add_subplot(grid[row, column]) for row in range(len(_WHATS))]
            own = timings[timings["kind"] == kind]
            for panel, (what, label) in zip(panels, _WHATS.items(), strict=True):
                panel.set(ylabel=label if column == 0 else "", xlabel="number of points")
                _against_points(panel, own[own["what"] == what], methods)
            _limit(panels, own)
            panels[0].set_title(_KINDS[kind])
        step = figure.add_subplot(grid[2, :])
        step.set(xlabel="time per training step [ms]")
        _step_seconds(step, steps, methods, missed)
        _explain(figure, methods, missed)
    return figure


def _geometric_mean(values: pd.Series) -> float:
    """The geometric mean: times are averaged in logarithms everywhere (`flatvae.reporting.scales`)."""
    return t_interval(values, logarithmic=True).mean


def _timings(frame: pd.DataFrame) -> pd.DataFrame:
    """Timings of distances in µs; adds `kind` (of distance), `what` (query or amortised) and `points`, parsed from the metric."""
    parts = frame["metric"].str.extract(_TIMING)
    kind = frame["distance"].where(parts["graph"].isna(), "graph")
    points = pd.to_numeric(parts["points"])
    frame = frame.assign(what=parts["what"], points=points, kind=kind, value=1e6 * frame["value"])
    return frame[parts["what"].notna() & kind.isin(_KINDS)]


def _against_points(axes: Axes, timings: pd.DataFrame, methods: Sequence[str]) -> None:
    """Draws the seeds and the mean of every method."""
    if timings.empty:
        say(axes, "none")
        axes.set(xticks=[], yticks=[])
        return
    numbers = np.unique(timings["points"])
    for method in methods:
        rows, style = timings[timings["method"] == method], method_style(method)
        look = {"color": style.colour, "marker": style.marker}
        for seed, one in rows.sort_values("points").groupby("seed", sort=False):
            axes.plot(one["points"], one["value"], label=f"{method} {seed}", **look, **_SEED)
        mean = rows.groupby("points")["value"].agg(_geometric_mean)
        axes.plot(mean.index, mean, linestyle=style.line, label=method, **look, **_MEAN)
    axes.set(xscale="log", xlim=(numbers[0] / 1.2, numbers[-1] * 1.2))
    axes.xaxis.set_major_locator(FixedLocator(numbers[:: -(-len(numbers) // _MAX_TICKS)]))
    axes.xaxis.set_minor_locator(NullLocator())
    counts(axes.xaxis)


def _limit(panels: Sequence[Axes], timings: pd.DataFrame) -> None:
    """Sets the same log axis for all panels of a distance."""
    low, high = about(timings["value"].to_numpy(float))
    for axes in panels:
        if axes.lines:
            axes.set(yscale="log", ylim=(low, high))
            log_ticks(axes.yaxis, low, high)


def _step_seconds(axes: Axes, steps: pd.DataFrame, methods: Sequence[str], missed: Collection[str]) -> None:
    """Draws a dot for each seed; the axis starts at 0, so that ratios of costs are visible."""
    if steps.empty:
        say(axes, "none")
        axes.set_yticks([])
        return
    milliseconds = 1e3 * steps["value"]
    axes.set(xlim=(0, 1.08 * milliseconds.max()), ylim=(len(methods) - 0.5, -0.5))
    axes.set_yticks(range(len(methods)), [heading(method, missed) for method in methods])
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=6)
    for slot, method in enumerate(methods):
        values, style = milliseconds[steps["method"] == method].to_numpy(), method_style(method)
        places = slot - 0.25 + 0.5 * (np.arange(len(values)) + 0.5) / max(1, len(values))
        axes.plot(values, places, style.marker, color=style.colour, markersize=3, label=method)
        axes.axhline(slot - 0.5, color="0.85", linewidth=0.5)


def _explain(figure: Figure, methods: Sequence[str], missed: Collection[str]) -> None:
    styles = {heading(method, missed): method_style(method) for method in methods}
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, marker=s.marker, label=name, **_MEAN)
        for name, s in styles.items()
    ]
    note = "small filled markers: seeds; lines with open markers: their geometric mean"
    figure.legend(handles=handles, title=note, loc="outside lower center", ncols=4, frameon=False, handlelength=3)


def scaling(frame: pd.DataFrame, exponents: pd.DataFrame, title: str) -> Figure:
    """Seconds against latent dimension n, observation dimension D and number of seeds, one panel each, on log axes.

    Thin lines are rounds, thick ones their geometric mean; the legend has the mean exponent over the larger sizes.
    `frame`: columns method, quantity, size, seed (the round), seconds; `exponents`: columns method, quantity, exponent. Raises
    InputError on a missing column.
    """
    check_columns(frame, ("method", "quantity", "size", "seed", "seconds"), "figure scaling")
    quantities = list(dict.fromkeys(frame["quantity"]))
    with mpl.rc_context(RC):
        figure = new_figure(2.6 * len(quantities) + 0.4, 3.9, title)
        for panel, quantity in zip(np.ravel(figure.subplots(1, len(quantities))), quantities, strict=True):
            own, fitted = frame[frame["quantity"] == quantity], exponents[exponents["quantity"] == quantity]
            _against_size(panel, own, fitted.groupby("method")["exponent"].mean())
            panel.set(xlabel=quantity)
        figure.axes[0].set(ylabel="seconds")
    return figure


def _against_size(axes: Axes, frame: pd.DataFrame, exponent: pd.Series) -> None:
    for method, rows in frame.groupby("method", sort=False):
        style = method_style(method)
        for _, one in rows.sort_values("size").groupby("seed"):
            axes.plot(one["size"], one["seconds"], linewidth=0.4, alpha=0.5, color=style.colour)
        mean = rows.groupby("size")["seconds"].agg(_geometric_mean)
        look = {"color": style.colour, "linestyle": style.line, "marker": style.marker, "markersize": 3}
        axes.plot(mean.index, mean, linewidth=1.2, label=f"{_variant(method)}: {exponent[method]:.2f}", **look)
    log_axis(axes)
    sizes = np.unique(frame["size"])
    axes.set(xscale="log", xlim=about(sizes))
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    counts(axes.xaxis)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "frameon": False}
    axes.legend(fontsize=SMALL, title="exponent at the larger sizes", title_fontsize=SMALL, **below)


def _variant(method: str) -> str:
    """The display name of a method, followed by its suffix in brackets."""
    name, bracket, rest = method.partition(" (")
    return heading(name, ()) + bracket + rest.replace("_", " ")
