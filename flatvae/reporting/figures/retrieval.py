"""People in videos: the pictures found nearest to each query."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from flatvae.errors import InputError
from flatvae.reporting.figures._common import (
    COLOURS,
    ONE_SEED,
    RC,
    SMALL,
    Arrays,
    check,
    check_columns,
    explained,
    heading,
    new_figure,
    seeds_of,
)
from flatvae.reporting.figures.observations import check_shape

_QUERY = {"edgecolor": "black", "linewidth": 1.0, "linestyle": (0, (2, 1))}
_RIGHT = {"edgecolor": COLOURS[0], "linewidth": 1.4}
_WRONG = {"edgecolor": COLOURS[1], "linewidth": 1.4}
# marks wrong pictures without colour
_MARK = {"linestyle": "", "marker": "x", "color": COLOURS[1], "markersize": 4, "markeredgewidth": 1.2}
_MARK["path_effects"] = [withStroke(linewidth=2.4, foreground="white")]
_NOBODY = -1
_ACROSS = 3  # methods side by side
_SIDE = 0.46  # inches: side of a square with the area of a picture


def retrieval(
    methods: Mapping[str, Arrays],
    test: np.ndarray,
    labels: np.ndarray,
    boxes: pd.DataFrame,
    shape: Sequence[int],
    title: str,
    missed: Collection[str] = (),
) -> Figure:
    """Queries and their ten nearest by the first seed of every method: a block for each method, a strip for each query.

    One seed is enough for an example, and the figure says so; the tables have the numbers of all seeds. A picture of the query's
    person has a blue frame, any other an orange frame and a cross; its frame number is below.
    `methods`: {method: arrays} with queries (Q,) and nearest (S, Q, 10), row numbers of the test part, −1 for none. `test`
    (N, D) in [0, 1], `labels` (N,), −1 for nobody, and `boxes`, a table of N rows with the column frame, are of the test part.
    `missed`: methods that get a †.
    Raises InputError if there are no methods, an array or column is missing, the shape does not have D numbers or is not
    (3, rows, columns), or the test part lacks a row number.
    """
    check(methods, ("queries", "nearest"), "figure retrieval")
    check_columns(boxes, ("frame",), "figure retrieval")
    test = np.asarray(test)
    check_shape(shape, test.shape[1], "figure retrieval")
    if len(shape) != 3 or shape[0] != 3:
        raise InputError(
            f"figure retrieval: shape {tuple(shape)} is not that of a colour image; pass data of shape (3, rows, columns)"
        )
    for method, arrays in methods.items():
        last = max(np.max(arrays["queries"]), np.max(arrays["nearest"]))
        if not last < len(test) == len(labels) == len(boxes):
            found = f"{method} has row number {last}, but there are {len(test)} images, {len(labels)} labels, {len(boxes)} boxes"
            raise InputError(f"figure retrieval: {found}; pass those of the evaluated test part")
    crops = _Crops(test, np.asarray(labels), boxes["frame"].to_numpy(), tuple(shape))
    with mpl.rc_context(RC):
        return _retrieval(methods, crops, f"{explained(title, methods, missed)}\n{ONE_SEED}", missed)


class _Crops(NamedTuple):
    """Pictures (N, D), their people and frames, each (N,), and the shape of one picture."""

    images: np.ndarray
    label: np.ndarray
    frame: np.ndarray
    shape: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a picture, in its own pixels."""
        return self.shape[1:]

    def left(self, column: int) -> float:
        """Left edge of the pictures in a column; a gap separates the query, in column 0, from the pictures found."""
        return self.size[1] * (1.16 * column + 0.35 * (column > 0))

    def top(self, row: int) -> float:
        """Upper edge of the pictures in a row, with space below for frame numbers."""
        return self.size[0] * 1.3 * row

    def extent(self, queries: int, found: int) -> tuple[float, float]:
        """Height and width of a block."""
        return self.top(queries), self.left(found + 1)


def _retrieval(methods: Mapping[str, Arrays], crops: _Crops, title: str, missed: Collection[str]) -> Figure:
    down = math.ceil(len(methods) / _ACROSS)
    across = math.ceil(len(methods) / down)
    queries, found = np.shape(next(iter(methods.values()))["nearest"])[1:]
    inches = _SIDE / math.sqrt(math.prod(crops.size))
    height, width = (inches * side for side in crops.extent(queries, found))
    figure = new_figure(across * (width + 0.75) + 0.1, down * (height + 0.55) + 0.9, title, "compressed")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel, (method, arrays) in zip(panels, methods.items(), strict=False):
        panel.set_title(f"{heading(method, missed)}, seed {seeds_of(arrays, 'nearest')[0]}", loc="left")
        _draw_block(panel, crops, np.asarray(arrays["queries"]), np.asarray(arrays["nearest"])[0])
    for panel in panels[len(methods) :]:
        panel.remove()
    _explain_retrieval(figure, across)
    return figure


def _draw_block(panel: Axes, crops: _Crops, queries: np.ndarray, nearest: np.ndarray) -> None:
    """Draws queries (Q,), each followed by its nearest (Q, K)."""
    for row, (query, found) in enumerate(zip(queries, nearest, strict=True)):
        _draw_crop(panel, crops, query, crops.left(0), crops.top(row), _QUERY)
        for column, crop in enumerate(found, 1):
            if crop < 0:
                continue
            right = crops.label[crop] == crops.label[query] != _NOBODY
            place = crops.left(column), crops.top(row)
            _draw_crop(panel, crops, crop, *place, _RIGHT if right else _WRONG)
            if not right:
                panel.plot(place[0] + 0.82 * crops.size[1], place[1] + 0.09 * crops.size[0], **_MARK)
    height, width = crops.extent(len(queries), nearest.shape[1])
    margin = 0.04 * crops.size[1]
    panel.set(xlim=(-margin, width), ylim=(height, -margin), aspect="equal")
    middles = [crops.left(column) + crops.size[1] / 2 for column in range(nearest.shape[1] + 1)]
    panel.set_xticks(middles, ["query", *range(1, nearest.shape[1] + 1)])
    middles = [crops.top(row) + crops.size[0] / 2 for row in range(len(queries))]
    panel.set_yticks(middles, [f"person {crops.label[query]}" for query in queries])
    panel.tick_params(length=0, labelsize=7, labeltop=True, labelbottom=False)
    panel.spines[:].set_visible(False)


def _draw_crop(panel: Axes, crops: _Crops, crop: int, left: float, top: float, frame: Mapping) -> None:
    """Draws a framed picture with its upper left corner at (left, top), and below it its frame number in the video."""
    height, width = crops.size
    image = crops.images[crop].reshape(crops.shape).transpose(1, 2, 0)
    panel.imshow(image, extent=(left, left + width, top + height, top), vmin=0, vmax=1, interpolation="nearest")
    panel.add_patch(Rectangle((left, top), width, height, fill=False, **frame))
    below = {"ha": "center", "va": "top", "fontsize": SMALL}
    panel.text(left + width / 2, top + 1.05 * height, f"{crops.frame[crop]}", **below)


def _explain_retrieval(figure: Figure, across: int) -> None:
    handles = [
        Patch(facecolor="none", label="query", **_QUERY),
        Patch(facecolor="none", label="the same person", **_RIGHT),
        Line2D([], [], label="someone else, or nobody", **_MARK),
    ]
    columns = {"ncols": 3 if across > 1 else 2, "title": "below each picture: its frame"}
    figure.legend(handles=handles, loc="outside lower center", frameon=False, **columns)
