"""Figures from arrays, every seed drawn.

A method's colour is fixed by its place in the order; line style, marker or position keep methods apart in grey too.
Where the arrays of a method have `seeds` (S,), these name its seeds (a frozen seed is not among them), else 0 … S − 1.
Figures are made without pyplot: there is no global state and nothing to close, and Agg draws them on any machine.
"""

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from scipy.special import logsumexp

from flatvae.errors import InputError

Arrays = Mapping[str, np.ndarray]

# Okabe and Ito (2008), safe for colour-blind readers, with greys in place of their yellow, which is lost on white
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
_LINES = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 2)),
    (0, (1, 3)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# "muted" of Paul Tol (2021), safe for colour-blind readers, with black in place of its pale grey
_LABEL_COLOURS = [
    "#332288",
    "#CC6677",
    "#117733",
    "#DDCC77",
    "#88CCEE",
    "#882255",
    "#44AA99",
    "#999933",
    "#AA4499",
    "#000000",
]
# blue, yellow, red, dark and back: opposite phases differ in lightness or along blue to yellow
_CYCLIC = LinearSegmentedColormap.from_list("phase", ["#0072B2", "#F0E442", "#D55E00", "#3B0F4F", "#0072B2"])
_GREYS = LinearSegmentedColormap.from_list("light_greys", ["#707070", "#FAFAFA"])
_MAX_LABELS = 20

_RC = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 10,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # text in the PDF stays text
    "image.cmap": "gray",
}


class _Style(NamedTuple):
    colour: str
    line: object
    marker: str


def method_style(index: int) -> _Style:
    """Colour, line style and marker of the method at this place; after eight the colours return with other lines."""
    row, column = divmod(index, len(_COLOURS))
    return _Style(_COLOURS[column], _LINES[(column + row) % len(_LINES)], _MARKERS[(column + row) % len(_MARKERS)])


def save(figure: Figure, stem: str | PathLike) -> None:
    """Write stem.pdf and stem.png (150 dpi), without date or program version: the same figure gives the same bytes.

    The layout is made once and then kept, so that both files, and those of a later call, agree.
    """
    with mpl.rc_context(_RC):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        figure.savefig(f"{stem}.pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}, dpi=150)
        figure.savefig(f"{stem}.png", metadata={"Software": None}, dpi=150)


def _figure(width: float, height: float, title: str, layout: str = "constrained") -> Figure:
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure


def _check(methods: Mapping, needed: Sequence[str], what: str) -> None:
    if not methods:
        raise InputError(f"{what}: there are no methods to draw; pass at least one")
    for method, arrays in methods.items():
        for name in needed:
            if name not in arrays:
                raise InputError(f"{what}: method {method} lacks '{name}'; pass {', '.join(needed)}")


def _seeds(arrays: Arrays, name: str) -> list[int]:
    """The seeds that the first dimension of this array stands for."""
    return [int(seed) for seed in arrays.get("seeds", range(len(arrays[name])))]


def _log_ticks(axis, low: float, high: float) -> None:
    """Plain numbers as ticks of a log axis, also over less than a decade, where matplotlib's own would be crowded."""
    decades = math.log10(high / low)
    if decades < 0.7:
        ticks = MaxNLocator(4).tick_values(low, high)
    else:
        steps = (1, 2, 5) if decades < 1.6 else (1,)
        stride = max(1, math.ceil(decades / 6))
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**power for power in powers if power % stride == 0 for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick_label(value)))


def _tick_label(value: float) -> str:
    if 1e-3 <= value < 1e5:
        return f"{value:.6g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if math.isclose(factor, 1) else rf"${factor:.3g}\cdot10^{{{exponent}}}$"


# ---------------------------------------------------------------------------------------------------------- flatness


def flatness(methods: Mapping[str, Arrays], title: str) -> Figure:
    """Condition number and normalised magnification factor of every seed; both are 1 on a flat manifold.

    `methods`: {method: arrays} with condition_number, condition_number_mixup, log_magnification_factor and
    log_magnification_factor_mixup, each (S, N). Left test codes, right mixup points; upper row k(G) = λ_max/λ_min, lower
    row MF / mean MF, the mean being the seed's own. A seed is a thin line from the 5 % to the 95 % quantile, a thick one
    between the quartiles and a dot at the median. What a log axis cannot hold (k = ∞, MF = 0) is drawn as an
    arrow at the edge where it reaches a quantile, and counted in the panel; seeds with NaN are counted too.
    Raises InputError on no methods and on a missing array.
    """
    needed = [f"{name}{part}" for name in ("condition_number", "log_magnification_factor") for part in ("", "_mixup")]
    _check(methods, needed, "figure flatness")
    with mpl.rc_context(_RC):
        seeds = max(len(arrays["condition_number"]) for arrays in methods.values())
        figure = _figure(7.2, 1.9 + 2 * len(methods) * max(0.34, 0.065 * seeds + 0.1), title)
        axes = figure.subplots(2, 2, sharey=True)
        for column, (part, where) in enumerate((("", "test codes"), ("_mixup", "mixup points"))):
            numbers = {m: np.asarray(a[f"condition_number{part}"], float) for m, a in methods.items()}
            factors = {m: normalised_factor(a[f"log_magnification_factor{part}"]) for m, a in methods.items()}
            _distributions(axes[0, column], numbers)
            _distributions(axes[1, column], factors)
            axes[0, column].set(title=where, xlabel=r"condition number $k(G)$")
            axes[1, column].set(xlabel="MF / mean MF")
        figure.legend(handles=_quantile_handles(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def normalised_factor(log_factor: np.ndarray) -> np.ndarray:
    """MF / mean MF of every seed from log MF (S, N), as the stable exp(l − log mean exp l); 0 where all MF are 0."""
    log_factor = np.asarray(log_factor, float)
    with np.errstate(invalid="ignore"):
        log_mean = logsumexp(log_factor, axis=-1, keepdims=True) - math.log(log_factor.shape[-1])
    return np.exp(log_factor - np.where(np.isneginf(log_mean), 0.0, log_mean))


def _distributions(axes: Axes, values: Mapping[str, np.ndarray]) -> None:
    low, high = _log_limits(values)
    axes.set(xscale="log", xlim=(low, high), ylim=(len(values) - 0.5, -0.5))
    axes.set_yticks(range(len(values)), list(values))
    axes.tick_params(axis="y", length=0)
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=1)
    for slot, (method, seeds) in enumerate(values.items()):
        width = 0.6 / len(seeds)
        for seed, points in enumerate(seeds):
            _seed_bar(axes, points, slot - 0.2 + (seed + 0.5) * width, method_style(slot).colour, f"{method} {seed}")
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "top", "fontsize": 6}
        axes.text(0.99, slot - 0.48, _counts(seeds), **place)
        axes.axhline(slot - 0.5, color="0.85", linewidth=0.5)
    _log_ticks(axes.xaxis, low, high)


def _log_limits(values: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Limits about all that is drawn and about 1."""
    drawn = [(1.0, np.median(points), *_quantiles(points)) for seeds in values.values() for points in seeds]
    return _about(np.ravel(drawn))


def _about(values: np.ndarray) -> tuple[float, float]:
    """Limits of a log axis for the values that it can hold, with a margin."""
    values = values[np.isfinite(values) & (values > 0)]
    margin = max((values.max() / values.min()) ** 0.05, 1.005)
    return values.min() / margin, values.max() * margin


def _quantiles(points: np.ndarray) -> np.ndarray:
    """5, 25, 75, 95 % as values that occur, for interpolation between a number and ∞ gives NaN."""
    return np.quantile(points, [0.05, 0.25, 0.75, 0.95], method="inverted_cdf")


def _seed_bar(axes: Axes, points: np.ndarray, y: float, colour: str, label: str) -> None:
    if np.isnan(points).any():
        return
    low, high = axes.get_xlim()
    q05, q25, q75, q95 = np.clip(_quantiles(points), low, high)
    axes.plot([q05, q95], [y, y], color=colour, linewidth=0.7, solid_capstyle="butt")
    axes.plot([q25, q75], [y, y], color=colour, linewidth=2.4, solid_capstyle="butt")
    median = float(np.median(points))
    marker = ">" if median > high else "<" if median < low else "o"
    look = {"markersize": 3, "markeredgecolor": colour, "clip_on": False}
    axes.plot([np.clip(median, low, high)], [y], marker, color="white", label=label, **look)
    if q95 == high:
        axes.plot([high], [y], ">", color=colour, **look)
    if q05 == low:
        axes.plot([low], [y], "<", color=colour, **look)


def _counts(seeds: np.ndarray) -> str:
    """What the log axis does not show of (S, N) values, in words; empty where it shows all."""
    lost = np.isnan(seeds).any(axis=-1)
    kept = seeds[~lost]
    counts = {"∞": np.isinf(kept).sum(), "0": (kept == 0).sum()}
    notes = [f"{value}: {count:,} of {kept.size:,}" for value, count in counts.items() if count]
    return "; ".join(notes + [f"{lost.sum()} of {len(seeds)} seeds not finite"] * bool(lost.any()))


def _quantile_handles() -> list[Line2D]:
    return [
        Line2D([], [], color="0.3", linewidth=0.7, label="5–95 %"),
        Line2D([], [], color="0.3", linewidth=2.4, label="25–75 %"),
        Line2D(
            [], [], color="white", marker="o", markeredgecolor="0.3", markersize=3, label="median (one line per seed)"
        ),
        Line2D([], [], color="black", linewidth=0.8, linestyle=":", label="flat"),
    ]


# -------------------------------------------------------------------------------------------------------- latent map


def latent_map(methods: Mapping[str, Arrays], title: str) -> Figure:
    """Latent codes of every seed over a map of the magnification factor; methods in columns, seeds in rows; n = 2 only.

    `methods`: {method: arrays} with codes (S, N, 2); map_x, map_y (S, G) and map_log_mf (S, G, G) indexed [seed, y, x];
    colour (N,), colour_name and colour_period (0 where the colour variable is not cyclic). Background: log10 of MF / mean
    MF, the mean over the panel, one robust scale (2 to 98 %, at least ±0.1) for all panels. Integer labels are drawn as
    classes. Raises InputError on no methods, a missing array, and codes that are not two-dimensional.
    """
    needed = ("codes", "map_x", "map_y", "map_log_mf", "colour", "colour_name", "colour_period")
    _check(methods, needed, "figure latent_map")
    for method, arrays in methods.items():
        if np.shape(arrays["codes"])[-1] != 2:
            raise InputError(f"figure latent_map: codes of {method} are not of two dimensions; leave it out")
    with mpl.rc_context(_RC):
        seeds = sorted({seed for arrays in methods.values() for seed in _seeds(arrays, "codes")})
        rows = len(seeds)
        figure = _figure(1.6 * len(methods) + 1.5, 1.42 * rows + 0.6, title, "compressed")
        axes = figure.subplots(rows, len(methods), squeeze=False)
        maps = {method: _log10_normalised(arrays["map_log_mf"]) for method, arrays in methods.items()}
        scale = _robust_scale(maps.values())
        colouring = _Colouring.of(methods)
        for column, (method, arrays) in enumerate(methods.items()):
            axes[0, column].set_title(method)
            for row, seed in enumerate(seeds):
                _latent_panel(axes[row, column], arrays, maps[method], seed, scale, colouring)
        for row, seed in enumerate(seeds):
            axes[row, 0].set_ylabel(f"seed {seed}\n$z_2$")
        for column in range(len(methods)):
            axes[-1, column].set_xlabel("$z_1$")
        colouring.explain(figure, axes)
        bar = figure.colorbar(
            ScalarMappable(scale, _GREYS), ax=axes, extend="both", shrink=min(1, 2 / rows), anchor=(0, 1), aspect=15
        )
        bar.set_label(r"$\log_{10}$ MF / mean MF")
    return figure


def _log10_normalised(log_factor: np.ndarray) -> np.ndarray:
    """log10(MF / mean MF) of every map (S, G, G), the mean over the map; −∞ where MF = 0, NaN where it is not known."""
    log_factor = np.asarray(log_factor, float)
    with np.errstate(invalid="ignore"):
        log_mean = logsumexp(log_factor, axis=(1, 2), keepdims=True) - math.log(log_factor[0].size)
    return (log_factor - np.where(np.isneginf(log_mean), 0.0, log_mean)) / math.log(10)


def _robust_scale(maps) -> Normalize:
    finite = np.concatenate([values[np.isfinite(values)] for values in maps] + [np.zeros(1)])
    low, high = np.quantile(finite, [0.02, 0.98])
    return Normalize(min(low, -0.1), max(high, 0.1))  # a flat map looks flat: its noise is not stretched


class _Colouring(NamedTuple):
    """How the colour variable is drawn: classes with a marker each, or a colour map with its limits."""

    name: str
    classes: np.ndarray | None
    period: float
    limits: Normalize

    @classmethod
    def of(cls, methods: Mapping[str, Arrays]) -> "_Colouring":
        first = next(iter(methods.values()))
        values = np.concatenate([np.ravel(arrays["colour"]) for arrays in methods.values()])
        period, classes = float(first["colour_period"]), None
        if period == 0 and np.array_equal(values, np.round(values)) and len(np.unique(values)) <= _MAX_LABELS:
            classes = np.unique(values)
        limits = Normalize(0, period) if period > 0 else Normalize(values.min(), values.max())
        return cls(str(first["colour_name"]), classes, period, limits)

    @property
    def colour_map(self) -> Colormap:
        return _CYCLIC if self.period > 0 else mpl.colormaps["viridis"]

    def scatter(self, axes: Axes, codes: np.ndarray, values: np.ndarray) -> None:
        options = {"linewidths": 0, "rasterized": True}
        if self.classes is None:
            values = values % self.period if self.period > 0 else values
            axes.scatter(*codes.T, s=3, c=values, cmap=self.colour_map, norm=self.limits, **options)
            return
        for index, label in enumerate(self.classes):
            chosen = values == label
            axes.scatter(*codes[chosen].T, s=4, color=_label_colour(index), marker=_label_marker(index), **options)

    def explain(self, figure: Figure, axes: np.ndarray) -> None:
        if self.classes is None:
            source = ScalarMappable(self.limits, self.colour_map)
            bar = figure.colorbar(source, ax=axes, shrink=min(1, 2 / len(axes)), anchor=(0, 1), aspect=15)
            bar.set_label(self.name)
            if math.isclose(self.period, 2 * math.pi, rel_tol=1e-3):
                bar.set_label(f"{self.name} [rad]")
                bar.set_ticks([0, self.period / 2, self.period], labels=["0", "π", "2π"])
            return
        if len(self.classes) == 1:
            return  # nothing to tell apart
        handles = [
            Line2D(
                [], [], linestyle="", color=_label_colour(i), marker=_label_marker(i), markersize=4, label=f"{label:g}"
            )
            for i, label in enumerate(self.classes)
        ]
        figure.legend(handles=handles, title=self.name, loc="outside right upper", frameon=False)


def _label_colour(index: int) -> str:
    return _LABEL_COLOURS[index % len(_LABEL_COLOURS)]


def _label_marker(index: int) -> str:
    return _MARKERS[(index + index // len(_LABEL_COLOURS)) % len(_MARKERS)]


def _latent_panel(
    axes: Axes, arrays: Arrays, maps: np.ndarray, seed: int, scale: Normalize, colouring: _Colouring
) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if seed not in _seeds(arrays, "codes"):
        axes.text(0.5, 0.5, "no result", transform=axes.transAxes, ha="center", va="center")
        return
    row = _seeds(arrays, "codes").index(seed)
    codes, x, y = (np.asarray(arrays[name][row], float) for name in ("codes", "map_x", "map_y"))
    if not all(np.isfinite(values).all() for values in (codes, x, y)):
        axes.text(0.5, 0.5, "not finite", transform=axes.transAxes, ha="center", va="center")
        return
    axes.pcolormesh(x, y, maps[row], cmap=_GREYS, norm=scale, shading="nearest", rasterized=True)
    colouring.scatter(axes, codes, np.asarray(arrays["colour"]))
    axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), aspect="equal")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelsize=6, length=2)


# --------------------------------------------------------------------------------------------------- reconstructions


def reconstructions(methods: Mapping[str, Arrays], shape: Sequence[int], title: str) -> Figure:
    """Up to ten test observations and their reconstructions by every seed of every method.

    `methods`: {method: arrays} with originals (M, D) and reconstructions (S, M, D). `shape` (H, W), (C, H, W) or
    (H, W, C) with C of 1 or 3: images, the originals in the first row, then a row for each seed of each method, all on the
    originals' scale. Any other shape: curves over the dimension, originals thick and grey, a thin line for each seed.
    Raises InputError on no methods, a missing array, and a shape that is not of D numbers.
    """
    _check(methods, ("originals", "reconstructions"), "figure reconstructions")
    originals = np.asarray(next(iter(methods.values()))["originals"], float)[:10]
    if math.prod(shape) != originals.shape[1]:
        dimension = originals.shape[1]
        raise InputError(f"figure reconstructions: shape {tuple(shape)} is not of D = {dimension}; pass the data's own")
    with mpl.rc_context(_RC):
        if _image_axes(shape) is None:
            return _curves(methods, originals, title)
        return _images(methods, originals, shape, title)


def _image_axes(shape: Sequence[int]) -> tuple[int, ...] | None:
    """How to bring an image of this shape to (H, W) or (H, W, C); None where it is no image."""
    if len(shape) == 2:
        return (0, 1)
    if len(shape) == 3 and shape[0] in (1, 3):
        return (1, 2, 0)
    if len(shape) == 3 and shape[2] in (1, 3):
        return (0, 1, 2)
    return None


def _images(methods: Mapping[str, Arrays], originals: np.ndarray, shape: Sequence[int], title: str) -> Figure:
    blocks = {"original": originals[None]} | {
        method: np.asarray(arrays["reconstructions"], float)[:, :10] for method, arrays in methods.items()
    }
    rows = [len(block) for block in blocks.values()]
    limits = Normalize(originals.min(), originals.max())
    height, width = _mosaic(originals[None], shape, limits).shape[:2]
    row_height = float(np.clip(9 / sum(rows), 0.25, 0.58))
    figure = _figure(
        width / height * row_height + 0.7, row_height * sum(rows) + 0.25 * len(rows) + 0.4, title, "compressed"
    )
    axes = figure.subplots(len(blocks), 1, squeeze=False, height_ratios=rows)[:, 0]
    for panel, (name, block) in zip(axes, blocks.items(), strict=True):
        panel.imshow(_mosaic(block, shape, limits), vmin=0, vmax=1, interpolation="nearest")
        panel.set_title(name, loc="left", pad=4)
        labels = [f"seed {seed}" for seed in _seeds(methods[name], "reconstructions")] if name in methods else [""]
        panel.set_yticks((np.arange(len(block)) + 0.5) * height - 1, labels, fontsize=6)
        panel.set_xticks([])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return figure


def _mosaic(block: np.ndarray, shape: Sequence[int], limits: Normalize) -> np.ndarray:
    """(R, M, D) -> one picture of R rows and M columns, scaled to 0 … 1, with a white gap of one pixel after each."""
    images = np.clip(np.asarray(limits(block)).reshape(*block.shape[:2], *shape), 0, 1)
    images = images.transpose(0, 1, *(2 + axis for axis in _image_axes(shape)))
    if images.ndim == 5 and images.shape[-1] == 1:
        images = images[..., 0]
    gap = [(0, 0), (0, 0), (0, 1), (0, 1)] + [(0, 0)] * (images.ndim - 4)
    images = np.pad(images, gap, constant_values=1.0)
    rows, columns, height, width, *channels = images.shape
    return images.swapaxes(1, 2).reshape(rows * height, columns * width, *channels)


def _curves(methods: Mapping[str, Arrays], originals: np.ndarray, title: str) -> Figure:
    figure = _figure(max(3.0, 1.1 * len(originals)), 0.8 + 1.15 * len(methods), title)
    axes = figure.subplots(len(methods), len(originals), sharex=True, sharey=True, squeeze=False)
    for row, (method, arrays) in enumerate(methods.items()):
        axes[row, 0].set_ylabel(f"{method}\nvalue", fontsize=7)
        for sample, panel in enumerate(axes[row]):
            panel.plot(originals[sample], color="0.65", linewidth=2.2)
            for seed in arrays["reconstructions"]:
                panel.plot(seed[sample], color=method_style(row).colour, linewidth=0.7)
            panel.tick_params(labelsize=6, length=2)
    figure.supxlabel("dimension of the observation (grey: original; one line per seed)", fontsize=8)
    return figure


# --------------------------------------------------------------------------------------------------- training curves

_CURVES = (
    ("error", "reconstruction error $C$"),
    ("kl", "KL [nats]"),
    ("beta", r"$\beta = 1/\lambda$"),
    ("penalty", "weighted penalty"),
    ("scale", "scale $c^2$"),
)


def training_curves(methods: Mapping[str, pd.DataFrame], bound: float, title: str) -> Figure:
    """How error, KL, β, penalty and scale went in training: a thin line for each seed.

    `methods`: {method: frame} with columns seed, step, error, kl, beta, penalty, scale, initial. The error stands
    against `bound` = κ² (dashed), in its own units (squared error, or nats). All but KL have log axes; of the penalty only
    what is > 0 is drawn. A marker stands at the first step after the initial phase. Raises InputError on no methods and
    on a missing column.
    """
    _check(methods, ("seed", "step", *(name for name, _ in _CURVES), "initial"), "figure training_curves")
    with mpl.rc_context(_RC):
        figure = _figure(7.2, 4.4, title)
        axes = figure.subplots(2, 3, sharex=True).flat
        for panel, (name, label) in zip(axes, _CURVES, strict=False):
            panel.set(ylabel=label, xlabel="training step")
            panel.tick_params(labelbottom=True)
            for index, (method, frame) in enumerate(methods.items()):
                for _, seed in frame.groupby("seed", sort=False):
                    _training_curve(panel, seed, name, method_style(index), method)
            if name == "error":
                panel.axhline(bound, color="black", linewidth=0.9, linestyle="--", zorder=3)
            if name != "kl":
                _log_axis(panel)
        _explain_curves(axes[5], methods)
    return figure


def _training_curve(axes: Axes, seed: pd.DataFrame, name: str, style: _Style, label: str) -> None:
    values = seed[name].to_numpy(float)
    if name != "kl":
        values = np.where(values > 0, values, np.nan)
    if np.isnan(values).all():
        return
    steps, initial = seed["step"].to_numpy(), seed["initial"].to_numpy().astype(bool)
    axes.plot(steps, values, color=style.colour, linestyle=style.line, linewidth=0.8, label=label)
    if initial.any() and not initial.all():
        end = int(np.argmin(initial))
        look = {"color": style.colour, "markersize": 3.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
        axes.plot(steps[end], values[end], style.marker, **look)


def _log_axis(axes: Axes) -> None:
    values = np.concatenate([np.ravel(line.get_ydata()) for line in axes.lines] + [np.empty(0)]).astype(float)
    if not (values > 0).any():
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
        return
    low, high = _about(values)
    axes.set(yscale="log", ylim=(low, high))
    _log_ticks(axes.yaxis, low, high)


def _explain_curves(axes: Axes, methods: Mapping[str, pd.DataFrame]) -> None:
    axes.axis("off")
    styles = {method: method_style(index) for index, method in enumerate(methods)}
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, marker=s.marker, markersize=3.5, linewidth=0.9, label=method)
        for method, s in styles.items()
    ]
    handles.append(Line2D([], [], color="black", linewidth=0.9, linestyle="--", label=r"bound $\kappa^2$"))
    note = "one line per seed;\nmarker: initial phase ends"
    axes.legend(handles=handles, loc="center", frameon=False, title=note, handlelength=4)
