"""Two-dimensional latent spaces over a map of the magnification factor: codes, and level sets of distances."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from scipy.special import logsumexp

from flatvae.errors import InputError
from flatvae.reporting.figures._common import (
    GEODESIC,
    MARKERS,
    RC,
    STRAIGHT,
    Arrays,
    check,
    explained,
    heading,
    new_figure,
    say,
    seeds_of,
)

# "muted" by Paul Tol (2021), safe for colour-blind readers; black replaces its pale grey
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
_UNLABELLED, _UNLABELLED_COLOUR = -1, "#BBBBBB"  # equals flatvae.datasets.UNLABELLED, whose import would load torch
# blue, yellow, red, dark and back to blue: opposite phases differ in lightness or from blue to yellow
_CYCLIC = LinearSegmentedColormap.from_list("phase", ["#0072B2", "#F0E442", "#D55E00", "#3B0F4F", "#0072B2"])
_GREYS = LinearSegmentedColormap.from_list("light_greys", ["#707070", "#FAFAFA"])
_FACTOR = "true factor"  # the name that flatvae.evaluation.flatness writes
_MAX_LABELS = 20
_BEYOND = {"hatch": "////", "edgecolor": "0.85", "linewidth": 0}  # the part of a panel outside its map
# geodesics and straight lines on a map: the thin solid line is drawn over the thick dashed one, so both show if they coincide
GEODESIC_LINE = {"color": GEODESIC.colour, "linestyle": GEODESIC.line, "linewidth": 0.6, "zorder": 2.4}
STRAIGHT_LINE = {"color": STRAIGHT.colour, "linestyle": STRAIGHT.line, "linewidth": 1.6, "zorder": 2.2}
STRAIGHT_LINE["path_effects"] = [withStroke(linewidth=2.2, foreground="white", alpha=0.6)]  # visible on any grey
_CENTRE = {"linestyle": "", "marker": "o", "markersize": 3, "color": "black", "markeredgecolor": "white", "zorder": 3}


def latent_map(
    methods: Mapping[str, Arrays], title: str, missed: Collection[str] = (), factor: str = "true factor"
) -> Figure:
    """Latent codes of every seed over a map of the magnification factor; methods in columns, seeds in rows; n = 2 only.

    `methods`: {method: arrays} with codes (S, N, 2); map_x, map_y (S, G) and map_log_mf (S, G, G) indexed [seed, y, x];
    colour (N,), colour_name and colour_period (0 if the colour variable is not cyclic). Background: log10 of MF / mean MF,
    with the mean of the panel, on one robust scale (2 to 98 %, at least ±0.1) for all panels. Integer labels are drawn as
    classes, unlabelled rows (-1) in grey. `missed`: methods that get a †. `factor`: the name of the data set's true factor.
    Raises InputError if there are no methods, an array is missing, or codes are not two-dimensional.
    """
    needed = ("codes", "map_x", "map_y", "map_log_mf", "colour", "colour_name", "colour_period")
    check(methods, needed, "figure latent_map")
    check_plane(methods, "codes", "figure latent_map")
    with mpl.rc_context(RC):
        seeds = all_seeds(methods, "codes")
        size = 1.6 * len(methods) + 1.5, 1.42 * len(seeds) + 0.8
        figure = new_figure(*size, explained(title, methods, missed))
        colouring = _Colouring.of(methods, factor)

        def draw(axes: Axes, arrays: Arrays, row: int) -> None:
            colouring.scatter(axes, np.asarray(arrays["codes"][row], float), np.asarray(arrays["colour"]))

        axes, scale = draw_grid(figure, methods, seeds, ("codes",), draw, missed)
        colouring.explain(figure, axes)
        explain_map(figure, axes, scale)
    return figure


class _Colouring(NamedTuple):
    """How the colour variable is drawn: classes with a marker each, or a colour map with its limits."""

    name: str
    classes: np.ndarray | None
    period: float
    limits: Normalize

    @classmethod
    def of(cls, methods: Mapping[str, Arrays], factor: str) -> "_Colouring":
        first = next(iter(methods.values()))
        values = np.concatenate([np.ravel(arrays["colour"]) for arrays in methods.values()])
        period, classes = float(first["colour_period"]), None
        if period == 0 and np.array_equal(values, np.round(values)) and len(np.unique(values)) <= _MAX_LABELS:
            classes = np.unique(values)
            if str(first["colour_name"]) == "label":  # put unlabelled rows last, so that every class has its own colour
                classes = classes[np.argsort(classes == _UNLABELLED, kind="stable")]
        limits = Normalize(0, period) if period > 0 else Normalize(values.min(), values.max())
        name = str(first["colour_name"])
        return cls(factor if name == _FACTOR else name, classes, period, limits)

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
            _, colour, marker = self._look(index)
            axes.scatter(*codes[chosen].T, s=4, color=colour, marker=marker, **options)

    def _look(self, index: int) -> tuple[str, str, str]:
        """Name, colour and marker of the class with this index."""
        if self.name == "label" and self.classes[index] == _UNLABELLED:
            return "unlabelled", _UNLABELLED_COLOUR, "."
        return f"{self.classes[index]:g}", label_colour(index), label_marker(index)

    def explain(self, figure: Figure, axes: np.ndarray) -> None:
        if self.classes is None:
            source = ScalarMappable(self.limits, self.colour_map)
            bar = figure.colorbar(
                source, ax=axes, shrink=min(1, 2 / len(axes)), anchor=(0, 1), panchor=False, aspect=15
            )
            bar.set_label(self.name)
            if math.isclose(self.period, 2 * math.pi, rel_tol=1e-3):
                bar.set_label(f"{self.name} [rad]")
                bar.set_ticks([0, self.period / 2, self.period], labels=["0", "π", "2π"])
            return
        if len(self.classes) == 1:
            return  # a single class needs no legend
        handles = [
            Line2D([], [], linestyle="", color=colour, marker=marker, markersize=4, label=name)
            for name, colour, marker in map(self._look, range(len(self.classes)))
        ]
        figure.legend(handles=handles, title=self.name, loc="outside right upper", frameon=False)


def label_colour(index: int) -> str:
    """Colour of the class with this index."""
    return _LABEL_COLOURS[index % len(_LABEL_COLOURS)]


def label_marker(index: int) -> str:
    """Marker of the class with this index; classes that share a colour have different markers."""
    return MARKERS[(index + index // len(_LABEL_COLOURS)) % len(MARKERS)]


def equidistance(methods: Mapping[str, Arrays], title: str, missed: Collection[str] = ()) -> Figure:
    """Level sets of geodesic and of Euclidean distance around points of the latent space; n = 2 only.

    Where they coincide, Euclidean distance equals geodesic distance; on a flat manifold both are circles. Methods in columns,
    seeds in rows, over the map of `latent_map`. Solid: d_g = level; dashed: c · d_E = level, a circle. Each panel has three
    levels, up to half the distance between neighbouring centres (the median over its centres).
    `methods`: {method: arrays} with centres (S, K, 2) and the distances between them, centre_distances (S, K, K);
    distance_x, distance_y (S, H) and geodesic_map (S, K, H, H) indexed [seed, centre, y, x]; euclidean_scale (S,), the
    factor c; map_x, map_y (S, G) and map_log_mf (S, G, G) indexed [seed, y, x]. `missed`: methods that get a †.
    Raises InputError if there are no methods, an array is missing, or centres are not two-dimensional.
    """
    maps, distances = ("map_x", "map_y", "map_log_mf"), ("distance_x", "distance_y", "geodesic_map", "euclidean_scale")
    check(methods, ("centres", "centre_distances", *distances, *maps), "figure equidistance")
    check_plane(methods, "centres", "figure equidistance")
    with mpl.rc_context(RC):
        seeds = all_seeds(methods, "centres")
        columns = 3 if len(methods) > 1 else 1  # of the legend
        height = 1.42 * len(seeds) + 0.9 + 0.2 * (3 / columns)
        figure = new_figure(1.6 * len(methods) + 1.1, height, explained(title, methods, missed))
        finite = ("centres", "distance_x", "distance_y")
        axes, scale = draw_grid(figure, methods, seeds, finite, _level_sets, missed)
        explain_map(figure, axes, scale)
        _explain_level_sets(figure, columns)
    return figure


def _level_sets(axes: Axes, arrays: Arrays, row: int) -> None:
    x, y, centres = (np.asarray(arrays[name][row], float) for name in ("distance_x", "distance_y", "centres"))
    distances = np.ma.masked_invalid(np.asarray(arrays["geodesic_map"][row], float))
    scale = float(arrays["euclidean_scale"][row])
    corner, sides = (x[0], y[0]), (np.ptp(x), np.ptp(y))
    known = Rectangle(corner, *sides, transform=axes.transData)  # the panel may be larger
    levels = _levels(np.array(arrays["centre_distances"][row], float), distances)
    for centre, distance in zip(centres, distances, strict=True):
        if ((distance.min() < levels) & (levels < distance.max())).any():
            sets = axes.contour(x, y, distance, levels, colors=GEODESIC.colour, linestyles=GEODESIC.line)
            sets.set(linewidth=GEODESIC_LINE["linewidth"], zorder=GEODESIC_LINE["zorder"])
        for level in levels if scale > 0 else ():
            axes.add_patch(Circle(centre, level / scale, fill=False, **STRAIGHT_LINE)).set_clip_path(known)
    axes.plot(*centres.T, **_CENTRE)


def _explain_level_sets(figure: Figure, columns: int) -> None:
    handles = [
        Line2D([], [], **GEODESIC_LINE, label="geodesic distance"),
        Line2D([], [], **STRAIGHT_LINE, label="$c$ · Euclidean distance"),
        Line2D([], [], **_CENTRE, label="centre"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _levels(between: np.ndarray, distances: np.ma.MaskedArray) -> np.ndarray:
    """Three equidistant levels up to half the distance from a centre to the next, so that level sets do not overlap.

    The distance is the median over the centres, so that two close centres do not shrink all level sets. If it is not known (one
    centre, or no centre reaches another), the levels go up to the median distance of the map.
    """
    np.fill_diagonal(between, np.inf)  # (K, K)
    reach = np.median(np.nan_to_num(between, nan=np.inf, posinf=np.inf).min(axis=1)) / 2
    if not np.isfinite(reach) or reach == 0:
        reach = np.ma.median(distances) if distances.count() else 0.0
    return reach * np.array([1, 2, 3]) / 3 if reach > 0 else np.empty(0)


def all_seeds(methods: Mapping[str, Arrays], name: str) -> list[int]:
    """The seeds of all methods along the first dimension of this array, sorted."""
    return sorted({seed for arrays in methods.values() for seed in seeds_of(arrays, name)})


def check_plane(methods: Mapping[str, Arrays], name: str, what: str) -> None:
    """Raise InputError if a method's latent points (…, n) of this name are not two-dimensional."""
    for method, arrays in methods.items():
        if np.shape(arrays[name])[-1] != 2:
            raise InputError(f"{what}: {name} of {method} are not two-dimensional; leave the method out")


def draw_grid(
    figure: FigureBase,
    methods: Mapping[str, Arrays],
    seeds: Sequence[int],
    finite: Sequence[str],
    draw: Callable[[Axes, Arrays, int], None],
    missed: Collection[str],
) -> tuple[np.ndarray, Normalize]:
    """Panels (seeds, methods) with the map of log10 MF / mean MF; draw(axes, arrays, row of the seed) adds to each.

    Panels are squares of one size; the part outside a map is hatched. A panel says so if its arrays named in `finite` are not
    finite, or if its method lacks the seed. Returns the panels and the common scale of the maps.
    """
    axes = figure.subplots(len(seeds), len(methods), squeeze=False)
    maps = {method: _log10_normalised(arrays["map_log_mf"]) for method, arrays in methods.items()}
    scale = _robust_scale(maps.values())
    for column, (method, arrays) in enumerate(methods.items()):
        axes[0, column].set_title(heading(method, missed).replace(" (", "\n("))
        axes[-1, column].set_xlabel("$z_1$")
        for row, seed in enumerate(seeds):
            if _background(axes[row, column], arrays, maps[method], seed, scale, finite):
                draw(axes[row, column], arrays, seeds_of(arrays, "map_x").index(seed))
    for row, seed in enumerate(seeds):
        axes[row, 0].set_ylabel(f"seed {seed}\n$z_2$")
    return axes, scale


def explain_map(figure: FigureBase, axes: np.ndarray, scale: Normalize) -> None:
    """Adds the colour bar of the map, at most two panels high."""
    source, shrink = ScalarMappable(scale, _GREYS), min(1, 2 / len(axes))
    bar = figure.colorbar(source, ax=axes, extend="both", shrink=shrink, anchor=(0, 1), panchor=False, aspect=15)
    bar.set_label(r"$\log_{10}$ MF / mean MF")


def _background(
    axes: Axes, arrays: Arrays, maps: np.ndarray, seed: int, scale: Normalize, finite: Sequence[str]
) -> bool:
    """Draw the map of a seed and return True; without a map, write the reason in the panel and return False."""
    axes.set(xticks=[], yticks=[], box_aspect=1)
    if seed not in seeds_of(arrays, "map_x"):
        say(axes, "no result")
        return False
    row = seeds_of(arrays, "map_x").index(seed)
    if not all(np.isfinite(arrays[name][row]).all() for name in ("map_x", "map_y", *finite)):
        say(axes, "not finite")
        return False
    x, y = (np.asarray(arrays[name][row], float) for name in ("map_x", "map_y"))
    axes.pcolormesh(x, y, maps[row], cmap=_GREYS, norm=scale, shading="nearest", rasterized=True)
    half = max(np.ptp(x), np.ptp(y)) / 2
    xlim, ylim = ((middle - half, middle + half) for middle in ((x.min() + x.max()) / 2, (y.min() + y.max()) / 2))
    axes.set(xlim=xlim, ylim=ylim, aspect="equal")
    axes.patch.set(**_BEYOND)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelsize=6, length=2)
    return True


def _log10_normalised(log_factor: np.ndarray) -> np.ndarray:
    """log10(MF / mean MF) of every map (S, G, G), with the mean of the map; −∞ where MF = 0, NaN where MF is not known."""
    log_factor = np.asarray(log_factor, float)
    with np.errstate(invalid="ignore"):
        log_mean = logsumexp(log_factor, axis=(1, 2), keepdims=True) - math.log(log_factor[0].size)
    return (log_factor - np.where(np.isneginf(log_mean), 0.0, log_mean)) / math.log(10)


def _robust_scale(maps) -> Normalize:
    finite = np.concatenate([values[np.isfinite(values)] for values in maps] + [np.zeros(1)])
    low, high = np.quantile(finite, [0.02, 0.98])
    return Normalize(min(low, -0.1), max(high, 0.1))  # at least ±0.1, or noise makes a flat map look uneven
