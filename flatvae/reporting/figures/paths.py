"""Geodesics and straight lines, in latent space and as decoded observations along them."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D

from flatvae.reporting.figures._common import COLOURS, RC, Arrays, check, explained, heading, new_figure, seeds_of
from flatvae.reporting.figures.latent import GEODESIC_LINE, STRAIGHT_LINE, all_seeds, draw_grid, explain_map
from flatvae.reporting.figures.observations import (
    MAX_SAMPLES,
    CurveRow,
    check_shape,
    draw_curves,
    draw_images,
    image_size,
    is_image,
)
from flatvae.reporting.names import method_style

_STRIP_SEEDS = 3  # more would not fit on a page
_CODES = COLOURS[5]  # not black, the colour of geodesics
_CODE = {"linestyle": "", "marker": "o", "markersize": 2, "color": "black", "zorder": 2.6}
_END = {"linestyle": "", "color": "black", "markeredgecolor": "white", "markeredgewidth": 0.4, "zorder": 3}
_START_AND_END = (_END | {"marker": "^", "markersize": 5}, _END | {"marker": "s", "markersize": 4})


def geodesics(methods: Mapping[str, Arrays], shape: Sequence[int], title: str, missed: Collection[str] = ()) -> Figure:
    """Geodesics and straight lines between the same codes, and observations along both for the first pair.

    Above, if n = 2: every pair of every seed, and the test codes, over the map of `latent_map`, methods in columns, seeds in
    rows. Below, for the first three seeds: up to eight decoded observations at equal steps along both paths of the first pair.
    Images form a strip for each path, all on one scale; if `shape` is not that of an image they are curves, with the straight
    line thick and grey.
    `methods`: {method: arrays} with curves (S, C, T, n), which start and end at the pair's codes; frames_straight and
    frames_geodesic (S, C, F, D); if n = 2 also codes (S, N, 2), map_x, map_y (S, G) and map_log_mf (S, G, G) indexed
    [seed, y, x]. `missed`: methods that get a †. Raises InputError if there are no methods, an array is missing, or the shape
    does not have D numbers.
    """
    check(methods, ("curves", "frames_straight", "frames_geodesic"), "figure geodesics")
    plane = {method: arrays for method, arrays in methods.items() if np.shape(arrays["curves"])[-1] == 2}
    if plane:
        check(plane, ("codes", "map_x", "map_y", "map_log_mf"), "figure geodesics")
    strips = {method: _strips(arrays) for method, arrays in methods.items()}
    check_shape(shape, next(iter(strips.values()))[0].straight.shape[1], "figure geodesics")
    with mpl.rc_context(RC):
        width = max(7.2, _plane_width(plane))
        heights = [_plane_height(plane), _strips_height(strips, shape, width)]
        figure = new_figure(width, sum(heights) + 0.3, explained(title, methods, missed))
        figure.set_dpi(150)  # as in the saved image, because the width of text depends on it and strips leave no room
        grid = figure.add_gridspec(1 + bool(plane), 1, height_ratios=heights[not plane :])
        if plane:
            _draw_plane(_middle(figure, grid[0], _plane_width(plane)), plane, missed)
        below = figure.add_subfigure(grid[-1])
        draw = _draw_image_strips if is_image(shape) else _draw_curve_strips
        draw(below, strips, shape, missed)
        below.suptitle(f"decoded along the first pair{_note(methods, plane)}", fontsize=8)
    return figure


def _middle(figure: Figure, place: SubplotSpec, width: float) -> SubFigure:
    """A subfigure of this width in inches, in the middle of the place."""
    side = max(figure.get_figwidth() - width, 0.02) / 2
    return figure.add_subfigure(place.subgridspec(1, 3, width_ratios=[side, width, side])[1])


def _note(methods: Mapping[str, Arrays], plane: Mapping[str, Arrays]) -> str:
    """The part of the strips' title on marks and on seeds left out."""
    seeds = max(len(arrays["curves"]) for arrays in methods.values())
    return " (▲ to ■)" * bool(plane) + f"; {_STRIP_SEEDS} of {seeds} seeds" * (seeds > _STRIP_SEEDS)


# ---------------------------------------------------------------------------------------------------- in latent space


def _plane_width(methods: Mapping[str, Arrays]) -> float:
    return 1.6 * len(methods) + 1.1


def _plane_height(methods: Mapping[str, Arrays]) -> float:
    return (
        1.42 * len(all_seeds(methods, "curves")) + 0.9 + 0.18 * math.ceil(6 / _legend_columns(methods))
        if methods
        else 0.0
    )


def _legend_columns(methods: Mapping[str, Arrays]) -> int:
    """How many of the six legend entries fit in a row under this number of methods."""
    return min(len(methods), 3) if len(methods) < 5 else 6


def _draw_plane(figure: FigureBase, methods: Mapping[str, Arrays], missed: Collection[str]) -> None:
    axes, scale = draw_grid(figure, methods, all_seeds(methods, "curves"), ("codes",), _draw_pairs, missed)
    explain_map(figure, axes, scale)
    handles = [
        Line2D([], [], **GEODESIC_LINE, label="geodesic"),
        Line2D([], [], **STRAIGHT_LINE, label="straight line"),
        Line2D([], [], linestyle="", marker="o", markersize=3, color=_CODES, label="test codes"),
        Line2D([], [], **_CODE, label="ends of a pair"),
        *(
            Line2D([], [], **look, label=f"{end} of the first pair")
            for end, look in zip(("start", "end"), _START_AND_END, strict=True)
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=_legend_columns(methods), frameon=False)


def _draw_pairs(axes: Axes, arrays: Arrays, row: int) -> None:
    codes, curves = (np.asarray(arrays[name][row], float) for name in ("codes", "curves"))
    axes.scatter(*codes.T, s=1.5, color=_CODES, linewidths=0, rasterized=True)
    for curve in curves:
        ends = curve[[0, -1]]
        axes.plot(*curve.T, **GEODESIC_LINE)
        axes.plot(*ends.T, **STRAIGHT_LINE)
        axes.plot(*ends.T, **_CODE)
    for end, look in zip(curves[0, [0, -1]], _START_AND_END, strict=True):
        axes.plot(*end, **look)


# ---------------------------------------------------------------------------------------------------- as observations


class _Strip(NamedTuple):
    """Observations (F, D) along both paths of the first pair of a seed."""

    seed: int
    straight: np.ndarray
    geodesic: np.ndarray


def _strips(arrays: Arrays) -> list[_Strip]:
    """The strips of the first seeds, with at most eight steps from start to end."""
    steps = np.shape(arrays["frames_straight"])[2]
    chosen = np.linspace(0, steps - 1, min(steps, MAX_SAMPLES)).round().astype(int)
    ways = (
        np.asarray(arrays[name], float)[:_STRIP_SEEDS, 0, chosen] for name in ("frames_straight", "frames_geodesic")
    )
    return [_Strip(*strip) for strip in zip(seeds_of(arrays, "curves")[:_STRIP_SEEDS], *ways, strict=True)]


def _strips_height(strips: Mapping[str, list[_Strip]], shape: Sequence[int], width: float) -> float:
    """Height in inches that strips as wide as the figure need."""
    seeds = max(len(block) for block in strips.values())
    if not is_image(shape):
        return sum(0.75 * len(block) + 0.25 for block in strips.values()) + 0.7
    columns = _columns(strips, width)
    height, image_width = image_size(shape)
    frame_width = (width / columns - 1.1) / len(next(iter(strips.values()))[0].straight)
    return math.ceil(len(strips) / columns) * (2 * seeds * frame_width * height / image_width + 0.4) + 0.5


def _columns(strips: Mapping[str, list[_Strip]], width: float) -> int:
    return min(len(strips), int(width // 3.4))


def _draw_image_strips(
    figure: FigureBase, strips: Mapping[str, list[_Strip]], shape: Sequence[int], missed: Collection[str]
) -> None:
    """Draws a panel for each method, with two strips for each seed."""
    limits = _limits(strips)
    columns = _columns(strips, figure.figure.get_figwidth())
    axes = figure.subplots(math.ceil(len(strips) / columns), columns, squeeze=False).ravel()
    for panel, (method, block) in zip(axes, strips.items(), strict=False):
        images = np.concatenate([[strip.straight, strip.geodesic] for strip in block])
        labels = [f"seed {strip.seed}, {way}" for strip in block for way in ("straight", "geodesic")]
        labels = [
            label if np.isfinite(row).all() else f"{label}:\nnot finite"
            for label, row in zip(labels, images, strict=True)
        ]
        draw_images(panel, images, labels, shape, limits)
        panel.set_title(heading(method, missed), loc="left", pad=4)
    for panel in axes[len(strips) :]:
        panel.axis("off")
    figure.supxlabel("equal steps along the path", fontsize=8)


def _limits(strips: Mapping[str, list[_Strip]]) -> Normalize:
    """One scale for all strips: from the least to the greatest of their values."""
    values = np.concatenate([np.ravel(way) for block in strips.values() for strip in block for way in strip[1:]])
    values = values[np.isfinite(values)]
    return Normalize(values.min(), values.max()) if len(values) else Normalize(0, 1)


def _draw_curve_strips(
    figure: FigureBase, strips: Mapping[str, list[_Strip]], shape: Sequence[int], missed: Collection[str]
) -> None:
    """Draws a row of panels for each seed of each method, one panel per step."""
    rows, first = [], {}
    for method, block in strips.items():
        first[method], colour = len(rows), method_style(method).colour
        rows += [CurveRow(f"seed {strip.seed}", colour, strip.straight, strip.geodesic[None]) for strip in block]
    axes = draw_curves(figure, rows, "columns: equal steps along the path; grey: straight line, colour: geodesic")
    for method, row in first.items():
        axes[row, 0].set_title(heading(method, missed), loc="left", pad=4)
