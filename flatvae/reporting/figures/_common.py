"""Shared by all figures: styles, names, ticks, limits, checks, and creating and saving figures."""

import math
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from os import PathLike

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from flatvae.errors import InputError
from flatvae.reporting.names import Style, display_name

Arrays = Mapping[str, np.ndarray]

_LETTERS = 12  # letters of a title per inch

# Okabe and Ito (2008), safe for colour-blind readers; grey replaces their yellow, which is hard to see on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
LINES = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 2)),
    (0, (1, 3)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

RC = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 10,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # keep text in the PDF as text
    "image.cmap": "gray",
    "hatch.linewidth": 0.5,
}


def series_style(index: int) -> Style:
    """Colour, line style and marker of the curve with this index, for curves without a method; colours repeat after eight."""
    row, column = divmod(index, len(COLOURS))
    return Style(COLOURS[column], LINES[(column + row) % len(LINES)], MARKERS[(column + row) % len(MARKERS)])


# the two paths between latent points, in every figure that has both
GEODESIC = Style("#000000", "-", "o")
STRAIGHT = Style("#D55E00", (0, (2.5, 1.5)), "o")


def save(figure: Figure, stem: str | PathLike) -> None:
    """Write stem.pdf and stem.png (150 dpi) without date or program version, so that the same figure gives the same bytes.

    The layout is computed once and kept, so that both files, and those of later calls, agree.
    """
    with mpl.rc_context(RC):
        lay_out(figure)
        figure.set_layout_engine("none")
        _round_places(figure)
        figure.savefig(f"{stem}.pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}, dpi=150)
        figure.savefig(f"{stem}.png", metadata={"Software": None}, dpi=150)


def lay_out(figure: Figure) -> None:
    """Compute the layout twice: it changes tick labels, and these change the space it must leave."""
    for _ in range(2):
        figure.draw_without_rendering()


def _round_places(figure: FigureBase) -> None:
    """Round the positions of axes, titles and subfigures, in fractions of the figure, to 20 binary places.

    The order in which the layout's solver works depends on memory addresses, so a repeated layout may differ in the last bits,
    and a position half-way between two pixels may fall on either. Rounding is binary because inches and pixels give fractions
    half-way between two decimals.
    """
    for part in figure.subfigs:
        part.bbox_relative.set_points(_rounded(part.bbox_relative.get_points()))
        _round_places(part)
    for axes in figure.axes:
        axes.set_position(Bbox(_rounded(axes.get_position(original=True).get_points())))
    for text in (figure._suptitle, figure._supxlabel, figure._supylabel):
        if text is not None:
            text.set_position(_rounded(text.get_position()))


def _rounded(places: ArrayLike) -> np.ndarray:
    return np.ldexp(np.round(np.ldexp(places, 20)), -20)


def new_figure(width: float, height: float, title: str, layout: str = "constrained") -> Figure:
    """A figure of this size in inches with an Agg canvas and a wrapped title; each further title line makes it taller."""
    lines = [part for line in title.split("\n") for part in textwrap.wrap(line, int(width * _LETTERS))]
    figure = Figure(figsize=(width, height + 0.17 * (len(lines) - 1)), layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(lines))
    return figure


SMALL = 6  # points: the smallest text readable at 100 %
ONE_SEED = "one seed is enough to show the kinds of error; the tables have the numbers of all seeds"
MARK = "†"
OPEN_LABEL = f"open, {MARK}: a seed missed equal reconstruction"


def heading(method: str, missed: Collection[str]) -> str:
    """A method's display name, with † if a seed of it missed equal reconstruction."""
    return f"{display_name(method)} {MARK}" if method in missed else display_name(method)


def explained(title: str, methods: Iterable[str], missed: Collection[str]) -> str:
    """The title, and below it an explanation of † if a method has one."""
    return f"{title}\n{MARK} a seed missed equal reconstruction" if set(methods) & set(missed) else title


def mark_missed(axes: Axes, x: float, y: float, colour: str) -> None:
    """Write † next to an open marker."""
    axes.annotate(MARK, (x, y), (3, 2), textcoords="offset points", fontsize=7, color=colour, annotation_clip=False)


def note(text: str, title: str) -> Figure:
    """A figure with a sentence instead of a drawing, which says why there is none."""
    with mpl.rc_context(RC):
        figure = new_figure(4.5, 1.2, title)
        figure.text(0.5, 0.4, text, ha="center", va="center", wrap=True)
    return figure


def check(methods: Mapping, needed: Sequence[str], what: str) -> None:
    """Raise InputError if there are no methods, or if one lacks an array (or a column)."""
    if not methods:
        raise InputError(f"{what}: there are no methods to draw; pass at least one")
    for method, arrays in methods.items():
        for name in needed:
            if name not in arrays:
                raise InputError(f"{what}: method {method} lacks '{name}'; pass {', '.join(needed)}")


def check_columns(frame: pd.DataFrame, needed: Sequence[str], what: str) -> None:
    """Raise InputError if the frame lacks a column."""
    for name in needed:
        if name not in frame.columns:
            raise InputError(f"{what}: the frame lacks the column '{name}'; pass {', '.join(needed)}")


def of_metric(frame: pd.DataFrame, task: str, metric: str) -> pd.DataFrame:
    """The rows of one metric."""
    return frame[(frame["task"] == task) & (frame["metric"] == metric)]


def seeds_of(arrays: Arrays, name: str) -> list[int]:
    """The seeds along the first dimension of this array."""
    return [int(seed) for seed in arrays.get("seeds", range(len(arrays[name])))]


def log_ticks(axis, low: float, high: float) -> None:
    """Set ticks in one number format on a log axis, even over less than a decade, where matplotlib's would be crowded."""
    decades = math.log10(high / low)
    evenly = decades < 0.7
    if evenly:
        ticks = [tick for tick in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]
    else:
        ticks = _decade_ticks(low, high, (1, 2, 5) if decades < 1.6 else (1,))
    if decades >= 1.6 and len(ticks) < 3:
        ticks = _decade_ticks(low, high, (1, 3))
    if len(ticks) < 2:  # one tick does not show the scale
        ticks, evenly = _decade_ticks(low, high, (1, 2, 5)), False
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    written = _tick_format(ticks, evenly)
    axis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))


def _decade_ticks(low: float, high: float, steps: Sequence[int]) -> list[float]:
    stride = max(1, math.ceil(math.log10(high / low) / 6))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers if power % stride == 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _tick_format(ticks: Sequence[float], evenly: bool) -> Callable[[float], str]:
    """One format for all ticks: powers of ten if one is tiny or huge, equal decimals if they are evenly spaced."""
    if not all(1e-3 <= tick < 1e5 for tick in ticks):
        return _power
    if evenly:
        decimals = max(len(f"{tick:.6g}".partition(".")[2]) for tick in ticks)
        return lambda value: f"{value:,.{decimals}f}"
    return lambda value: f"{value:,.6g}"


def _power(value: float) -> str:
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if math.isclose(factor, 1) else rf"${factor:.3g}\cdot10^{{{exponent}}}$"


def counts(axis) -> None:
    """Write ticks with thousands separators: «2,000»."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def about(values: np.ndarray) -> tuple[float, float]:
    """Limits of a log axis around the finite values > 0, with a margin; (0.5, 2) if there are none."""
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 0.5, 2.0
    margin = max((values.max() / values.min()) ** 0.05, 1.005)
    return values.min() / margin, values.max() * margin


def log_axis(axes: Axes) -> None:
    """Make y a log axis around the values of the lines; write «none» if no value is > 0."""
    values = np.concatenate([np.ravel(line.get_ydata()) for line in axes.lines] + [np.empty(0)]).astype(float)
    if not (values > 0).any():
        say(axes, "none")
        axes.set_yticks([])
        return
    low, high = about(values)
    axes.set(yscale="log", ylim=(low, high))
    log_ticks(axes.yaxis, low, high)


def say(axes: Axes, text: str) -> None:
    """Write in the middle of an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
