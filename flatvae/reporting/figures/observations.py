"""Draws observations as images or, if they are none, as curves: reconstructions, and decoded observations for other figures."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase

from flatvae.errors import InputError
from flatvae.reporting.figures._common import RC, Arrays, check, explained, heading, new_figure, seeds_of
from flatvae.reporting.names import method_style

MAX_SAMPLES = 8  # columns of pictures; more would be too small to read
_SIDE = 0.44, 0.58  # inches: least and greatest side of a square with the area of a picture


def reconstructions(
    methods: Mapping[str, Arrays], shape: Sequence[int], title: str, missed: Collection[str] = ()
) -> Figure:
    """Up to eight test observations and their reconstructions by every seed of every method.

    `methods`: {method: arrays} with originals (M, D) and reconstructions (S, M, D). If `shape` is (H, W), (C, H, W) or
    (H, W, C) with C of 1 or 3, observations are images: for each method the originals, and below them a row for each seed, all
    on the originals' scale. With any other shape they are curves over the dimension: originals thick and grey, a thin line for
    each seed. `missed`: methods that get a †. Raises InputError if there are no methods, an array is missing, or the shape does
    not have D numbers.
    """
    check(methods, ("originals", "reconstructions"), "figure reconstructions")
    originals = np.asarray(next(iter(methods.values()))["originals"], float)[:MAX_SAMPLES]
    check_shape(shape, originals.shape[1], "figure reconstructions")
    draw = _reconstructed_images if is_image(shape) else _reconstructed_curves
    with mpl.rc_context(RC):
        return draw(methods, originals, shape, title, missed)


def _reconstructed_images(
    methods: Mapping[str, Arrays], originals: np.ndarray, shape: Sequence[int], title: str, missed: Collection[str]
) -> Figure:
    blocks = {
        method: np.concatenate([originals[None], np.asarray(arrays["reconstructions"], float)[:, :MAX_SAMPLES]])
        for method, arrays in methods.items()
    }  # (1 + S, M, D)
    rows = [len(block) for block in blocks.values()]
    limits = Normalize(originals.min(), originals.max())
    height, width = _mosaic(originals[None], shape, limits).shape[:2]
    high, wide = image_size(shape)
    row_height = float(np.clip(10 / sum(rows), *_SIDE)) * math.sqrt(high / wide)
    inches = max(width / height * row_height + 0.7, 4.2)  # at least the width of the title
    title = explained(title, methods, missed)
    figure = new_figure(inches, row_height * sum(rows) + 0.25 * len(rows) + 0.4, title, "compressed")
    axes = figure.subplots(len(blocks), 1, squeeze=False, height_ratios=rows)[:, 0]
    for panel, (method, block) in zip(axes, blocks.items(), strict=True):
        labels = ["original", *(f"seed {seed}" for seed in seeds_of(methods[method], "reconstructions"))]
        draw_images(panel, block, labels, shape, limits)
        panel.set_title(heading(method, missed), loc="left", pad=4)
    return figure


def _reconstructed_curves(
    methods: Mapping[str, Arrays], originals: np.ndarray, shape: Sequence[int], title: str, missed: Collection[str]
) -> Figure:
    rows = [
        CurveRow(heading(method, missed), method_style(method).colour, originals, arrays["reconstructions"])
        for method, arrays in methods.items()
    ]
    size = max(3.0, 1.1 * len(originals)), 0.8 + 1.15 * len(methods)
    figure = new_figure(*size, explained(title, methods, missed))
    draw_curves(figure, rows, "grey: original; one line per seed")
    return figure


def check_shape(shape: Sequence[int], dimension: int, what: str) -> None:
    """Raise InputError if the shape does not have D numbers."""
    if math.prod(shape) != dimension:
        raise InputError(f"{what}: shape {tuple(shape)} does not have D = {dimension} numbers; pass the data's shape")


def is_image(shape: Sequence[int]) -> bool:
    """Whether observations of this shape are drawn as images."""
    return _image_axes(shape) is not None


def _image_axes(shape: Sequence[int]) -> tuple[int, ...] | None:
    """The axes that bring an image of this shape to (H, W) or (H, W, C); None if it is not an image."""
    if len(shape) == 2:
        return (0, 1)
    if len(shape) == 3 and shape[0] in (1, 3):
        return (1, 2, 0)
    if len(shape) == 3 and shape[2] in (1, 3):
        return (0, 1, 2)
    return None


def image_size(shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of an image of this shape, in pixels."""
    rows, columns, *_ = _image_axes(shape)
    return shape[rows], shape[columns]


def draw_images(panel: Axes, block: np.ndarray, labels: Sequence[str], shape: Sequence[int], limits: Normalize) -> None:
    """Draws images (R, M, D) in R labelled rows and M columns; the limits become black and white."""
    height = image_size(shape)[0] + 1  # with the gap
    panel.imshow(_mosaic(block, shape, limits), vmin=0, vmax=1, interpolation="nearest")
    panel.set_yticks((np.arange(len(block)) + 0.5) * height - 1, labels, fontsize=6.5)
    panel.set_xticks([])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


def _mosaic(block: np.ndarray, shape: Sequence[int], limits: Normalize) -> np.ndarray:
    """(R, M, D) -> one picture with R rows and M columns, scaled to 0 … 1, with a white gap of one pixel after each image."""
    images = np.clip(np.asarray(limits(block)).reshape(*block.shape[:2], *shape), 0, 1)
    images = images.transpose(0, 1, *(2 + axis for axis in _image_axes(shape)))
    if images.ndim == 5 and images.shape[-1] == 1:
        images = images[..., 0]
    gap = [(0, 0), (0, 0), (0, 1), (0, 1)] + [(0, 0)] * (images.ndim - 4)
    images = np.pad(images, gap, constant_values=1.0)
    rows, columns, height, width, *channels = images.shape
    return images.swapaxes(1, 2).reshape(rows * height, columns * width, *channels)


class CurveRow(NamedTuple):
    """A row of M panels, one for each observation: a reference (M, D) below lines (L, M, D)."""

    label: str
    colour: str
    reference: np.ndarray
    lines: np.ndarray


def draw_curves(figure: FigureBase, rows: Sequence[CurveRow], note: str) -> np.ndarray:
    """Draws observations as curves over their dimension: the reference thick and grey, the lines thin and coloured.

    Returns the panels (R, M).
    """
    axes = figure.subplots(len(rows), len(rows[0].reference), sharex=True, sharey=True, squeeze=False)
    for row, panels in zip(rows, axes, strict=True):
        panels[0].set_ylabel(f"{row.label}\nvalue", fontsize=7)
        for sample, panel in enumerate(panels):
            panel.plot(row.reference[sample], color="0.65", linewidth=2.2)
            for line in row.lines:
                panel.plot(line[sample], color=row.colour, linewidth=0.7)
            panel.tick_params(labelsize=6, length=2)
    figure.supxlabel(f"dimension of the observation ({note})", fontsize=8)
    return axes
