"""People in videos: who is found as nearest to whom, and which identities a tracker gives over time."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from flatvae.errors import InputError
from flatvae.reporting.figures._common import COLOURS, RC, Arrays, check, check_columns, new_figure, seeds_of
from flatvae.reporting.figures.latent import label_colour
from flatvae.reporting.figures.observations import check_shape

# ---------------------------------------------------------------------------------------------------------- retrieval

_QUERY = {"edgecolor": "black", "linewidth": 1.0, "linestyle": (0, (2, 1))}
_RIGHT = {"edgecolor": COLOURS[0], "linewidth": 1.4}
_WRONG = {"edgecolor": COLOURS[1], "linewidth": 1.4}
# tells the wrong apart without colour
_MARK = {"linestyle": "", "marker": "x", "color": COLOURS[1], "markersize": 4, "markeredgewidth": 1.2}
_MARK["path_effects"] = [withStroke(linewidth=2.4, foreground="white")]
_NOBODY = -1
_ACROSS = 3  # methods side by side
_SIDE = 0.38  # inches: of the square with a picture's area


def retrieval(
    methods: Mapping[str, Arrays],
    test: np.ndarray,
    labels: np.ndarray,
    boxes: pd.DataFrame,
    shape: Sequence[int],
    title: str,
) -> Figure:
    """Queries and their ten nearest by the first seed of every method: a block for each method, a strip for each query.

    Framed blue where the picture is of the query's person, orange and crossed where it is not; below each its frame.
    `methods`: {method: arrays} with queries (Q,) and nearest (S, Q, 10), row numbers of the test part, −1 for none. `test`
    (N, D) in [0, 1], `labels` (N,), −1 for nobody, and `boxes`, a table of N rows with the column frame, are of the test part.
    Raises InputError on no methods, a missing array or column, a shape that is not of D numbers or not (3, rows, columns),
    and row numbers that the test part does not have.
    """
    check(methods, ("queries", "nearest"), "figure retrieval")
    check_columns(boxes, ("frame",), "figure retrieval")
    test = np.asarray(test)
    check_shape(shape, test.shape[1], "figure retrieval")
    if len(shape) != 3 or shape[0] != 3:
        raise InputError(
            f"figure retrieval: shape {tuple(shape)} is no colour image's; pass data of (3, rows, columns)"
        )
    for method, arrays in methods.items():
        last = max(np.max(arrays["queries"]), np.max(arrays["nearest"]))
        if not last < len(test) == len(labels) == len(boxes):
            found = f"{method} has row number {last}, and there are {len(test)} images, {len(labels)} labels, {len(boxes)} boxes"
            raise InputError(f"figure retrieval: {found}; pass those of the test part that was evaluated")
    crops = _Crops(test, np.asarray(labels), boxes["frame"].to_numpy(), tuple(shape))
    with mpl.rc_context(RC):
        return _retrieval(methods, crops, title)


class _Crops(NamedTuple):
    """Pictures (N, D), of whom they are and in which frame, each (N,), and the shape of one."""

    images: np.ndarray
    label: np.ndarray
    frame: np.ndarray
    shape: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a picture, in its own pixels."""
        return self.shape[1:]

    def left(self, column: int) -> float:
        """Left edge of the pictures in a column; there is a gap between the query, in column 0, and those found."""
        return self.size[1] * (1.16 * column + 0.35 * (column > 0))

    def top(self, row: int) -> float:
        """Upper edge of the pictures in a row, with space below for the frames' numbers."""
        return self.size[0] * 1.25 * row

    def extent(self, queries: int, found: int) -> tuple[float, float]:
        """Height and width of a block."""
        return self.top(queries), self.left(found + 1)


def _retrieval(methods: Mapping[str, Arrays], crops: _Crops, title: str) -> Figure:
    down = math.ceil(len(methods) / _ACROSS)
    across = math.ceil(len(methods) / down)
    queries, found = np.shape(next(iter(methods.values()))["nearest"])[1:]
    inches = _SIDE / math.sqrt(math.prod(crops.size))
    height, width = (inches * side for side in crops.extent(queries, found))
    figure = new_figure(across * (width + 0.65) + 0.1, down * (height + 0.5) + 0.8, title, "compressed")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel, (method, arrays) in zip(panels, methods.items(), strict=False):
        panel.set_title(f"{method}, seed {seeds_of(arrays, 'nearest')[0]}", loc="left")
        _draw_block(panel, crops, np.asarray(arrays["queries"]), np.asarray(arrays["nearest"])[0])
    for panel in panels[len(methods) :]:
        panel.remove()
    _explain_retrieval(figure, across)
    return figure


def _draw_block(panel: Axes, crops: _Crops, queries: np.ndarray, nearest: np.ndarray) -> None:
    """Queries (Q,) with the nearest of each (Q, K) beside it."""
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
    panel.tick_params(length=0, labelsize=6, labeltop=True, labelbottom=False)
    panel.spines[:].set_visible(False)


def _draw_crop(panel: Axes, crops: _Crops, crop: int, left: float, top: float, frame: Mapping) -> None:
    """One picture, framed, its upper left corner here, and below it the number of its frame in the video."""
    height, width = crops.size
    image = crops.images[crop].reshape(crops.shape).transpose(1, 2, 0)
    panel.imshow(image, extent=(left, left + width, top + height, top), vmin=0, vmax=1, interpolation="nearest")
    panel.add_patch(Rectangle((left, top), width, height, fill=False, **frame))
    below = {"ha": "center", "va": "top", "fontsize": 4.5}
    panel.text(left + width / 2, top + 1.05 * height, f"{crops.frame[crop]}", **below)


def _explain_retrieval(figure: Figure, across: int) -> None:
    handles = [
        Patch(facecolor="none", label="query", **_QUERY),
        Patch(facecolor="none", label="the same person", **_RIGHT),
        Line2D([], [], label="someone else, or nobody", **_MARK),
    ]
    columns = {"ncols": 3 if across > 1 else 2, "title": "below each picture: its frame"}
    figure.legend(handles=handles, loc="outside lower center", frameon=False, **columns)


# -------------------------------------------------------------------------------------------------------------- tracks

Picture = Callable[[str, int], np.ndarray]  # of a sequence's name and a frame's number, (H, W, 3)

_FRAMES = 5
_COLOURS = 9  # of identities: those of labels, less their black
_PERSON = 0.14  # inches: height of a person's line
_BAR = 5.5  # points: its thickness
_NUMBER = 4.5  # points: size of the tracker's numbers
_FREE = {"edgecolor": "0.85", "linewidth": 0.8, "linestyle": (0, (1, 1)), "fill": False}
_SEEN = {"color": "0.7", "linewidth": 0.6, "zorder": 1}
_CHANGE = {"color": "black", "linewidth": 1.2, "zorder": 3}
_SHOWN = {"color": "0.5", "linewidth": 0.5, "linestyle": (0, (2, 2)), "zorder": 0}
_OUTLINE = [withStroke(linewidth=1.2, foreground="black")]
_NEEDED = ("identities", "frame", "sequence", "box", "sequence_names", "truth")


def tracks(methods: Mapping[str, Arrays], sequence: str, picture: Picture, title: str) -> Figure:
    """Which identities trackers give to the detections of one video, by the first seed of every method.

    For each method five frames evenly spread over the video with the boxes in the colour and with the number of the
    tracker's identity, dotted where there is none; below them a line for each person of the ground truth, in the order of
    appearance: coloured where the person's detection is in a track, thin from the first to the last detection. A black
    stroke is where the tracker's identity changes.
    `methods`: {method: arrays} with identities (S, M), −1 for none; frame, sequence (an index), truth (M,), the person's
    identity, −1 for none; box (M, 4), left, top, width, height, the image's upper left pixel being 1, 1; sequence_names.
    `picture`: (name of the sequence, number of the frame) -> (H, W, 3), uint8 or in [0, 1].
    Raises InputError on no methods, a missing array, a sequence that is not among the names, or without detections.
    """
    check(methods, _NEEDED, "figure tracks")
    found = {method: _Tracked.of(method, arrays, sequence) for method, arrays in methods.items()}
    shown = next(iter(found.values())).spread_frames()
    images = {frame: np.asarray(picture(sequence, frame)) for frame in shown}
    with mpl.rc_context(RC):
        return _tracks(found, images, title)


class _Tracked(NamedTuple):
    """The detections of one video, (M,) each, and by one seed of a method what the tracker made of them."""

    seed: int
    identity: np.ndarray
    frame: np.ndarray
    truth: np.ndarray
    box: np.ndarray

    @classmethod
    def of(cls, method: str, arrays: Arrays, sequence: str) -> "_Tracked":
        """Those of a method's first seed, in the order of frames."""
        names = [str(name) for name in arrays["sequence_names"]]
        here = np.flatnonzero(np.asarray(arrays["sequence"]) == (names.index(sequence) if sequence in names else -1))
        if not len(here):
            raise InputError(
                f"figure tracks: {method} has no detections in sequence {sequence}; name one of {', '.join(names)}"
            )
        here = here[np.argsort(np.asarray(arrays["frame"])[here], kind="stable")]
        of_seed = np.asarray(arrays["identities"])[0]
        values = (of_seed, *(np.asarray(arrays[name]) for name in ("frame", "truth", "box")))
        return cls(seeds_of(arrays, "identities")[0], *(value[here] for value in values))

    def spread_frames(self) -> list[int]:
        """Numbers of five frames with detections, in the middle of five equal parts of them."""
        frames = np.unique(self.frame)
        places = (np.arange(_FRAMES) + 0.5) / _FRAMES * len(frames)
        return np.unique(frames[places.astype(int)]).tolist()

    def people(self) -> list[int]:
        """Identities of the ground truth in the order of their first detections."""
        seen, first = np.unique(self.truth, return_index=True)
        return [int(person) for person in seen[np.argsort(first)] if person >= 0]

    def colours(self) -> dict[int, str]:
        """A colour for each identity of the tracker, in the order of their first detections; after nine they return."""
        given, first = np.unique(self.identity, return_index=True)
        ordered = [int(identity) for identity in given[np.argsort(first)] if identity >= 0]
        return {identity: label_colour(place % _COLOURS) for place, identity in enumerate(ordered)}

    def stretches(self, person: int) -> list[tuple[int, int, int]]:
        """(identity, first frame, last frame) of a person's consecutive frames under one identity of the tracker."""
        here = self.truth == person
        found: list[tuple[int, int, int]] = []
        for identity, frame in zip(self.identity[here].tolist(), self.frame[here].tolist(), strict=True):
            if found and found[-1][0] == identity and found[-1][2] == frame - 1:
                found[-1] = (identity, found[-1][1], frame)
            else:
                found.append((identity, frame, frame))
        return [stretch for stretch in found if stretch[0] >= 0]


def _tracks(methods: Mapping[str, _Tracked], images: Mapping[int, np.ndarray], title: str) -> Figure:
    width = 8.6
    shape = next(iter(images.values())).shape
    of_pictures = (width - 0.5) / len(images) * shape[0] / shape[1]
    of_lines = [_PERSON * len(tracked.people()) + 0.1 for tracked in methods.values()]
    heights = [height for lines in of_lines for height in (of_pictures, lines)]
    figure = new_figure(width, sum(heights) + 0.45 * len(methods) + 0.9, title)
    grid = figure.add_gridspec(len(heights), len(images), height_ratios=heights)
    frames = [frame for tracked in methods.values() for frame in (tracked.frame[0] - 0.5, tracked.frame[-1] + 0.5)]
    for place, (method, tracked) in enumerate(methods.items()):
        panels = [figure.add_subplot(grid[2 * place, column]) for column in range(len(images))]
        for panel, (frame, image) in zip(panels, images.items(), strict=True):
            _draw_frame(panel, tracked, frame, image)
        panels[0].set_title(f"{method}, seed {tracked.seed}", loc="left")
        lines = figure.add_subplot(grid[2 * place + 1, :])
        lines.set_xlim(min(frames), max(frames))
        _draw_lines(lines, tracked, list(images), (width - 0.5) * 72)
    lines.set_xlabel("frame")
    _explain_tracks(figure)
    return figure


def _draw_frame(panel: Axes, tracked: _Tracked, frame: int, image: np.ndarray) -> None:
    """A frame of the video with the boxes found in it; the upper left pixel is between 1 and 2."""
    height, width = image.shape[:2]
    panel.imshow(image, extent=(1, width + 1, height + 1, 1), vmin=0, vmax=1, interpolation="antialiased")
    colours, here = tracked.colours(), tracked.frame == frame
    for identity, (left, top, *size) in zip(tracked.identity[here].tolist(), tracked.box[here], strict=True):
        if identity < 0:
            panel.add_patch(Rectangle((left, top), *size, **_FREE))
            continue
        panel.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=colours[identity], linewidth=1.3))
        below = {"boxstyle": "square,pad=0.15", "facecolor": colours[identity], "linewidth": 0}
        look = {"fontsize": _NUMBER, "color": "white", "ha": "left", "va": "top", "path_effects": _OUTLINE}
        panel.text(max(left, 1), max(top, 1), f"{identity}", bbox=below, clip_on=True, **look)
    panel.set(xlim=(1, width + 1), ylim=(height + 1, 1), xticks=[], yticks=[])
    panel.set_xlabel(f"frame {frame}", fontsize=6, labelpad=2)


def _draw_lines(panel: Axes, tracked: _Tracked, shown: Sequence[int], points: float) -> None:
    """A line for each person on an axis of so many points, with the tracker's identity by colour."""
    people, colours = tracked.people(), tracked.colours()
    for row, person in enumerate(people):
        seen = tracked.frame[tracked.truth == person]
        panel.plot((seen[0] - 0.5, seen[-1] + 0.5), (row, row), **_SEEN)
        stretches = tracked.stretches(person)
        segments = [((first - 0.5, row), (last + 0.5, row)) for _, first, last in stretches]
        looks = {"linewidths": _BAR, "colors": [colours[identity] for identity, *_ in stretches], "zorder": 2}
        panel.add_collection(LineCollection(segments, capstyle="butt", **looks), autolim=False)
        _draw_changes(panel, row, stretches, points)
    for frame in shown:
        panel.axvline(frame, **_SHOWN)
    panel.set_yticks(range(len(people)), [f"{person}" for person in people], fontsize=5)
    panel.set(ylim=(len(people) - 0.4, -0.6), ylabel="person")
    panel.tick_params(axis="x", labelsize=6, length=2)
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)


def _draw_changes(panel: Axes, row: int, stretches: list[tuple[int, int, int]], points: float) -> None:
    """Strokes where the identity changes, and its number on the first stretch after it that has space for it."""
    before = written = None
    frame = points / np.ptp(panel.get_xlim())  # points
    look = {"fontsize": _NUMBER, "color": "white", "va": "center_baseline", "path_effects": _OUTLINE, "zorder": 4}
    for identity, first, last in stretches:
        if before not in (None, identity):
            panel.plot((first - 0.5, first - 0.5), (row - 0.5, row + 0.5), **_CHANGE)
            written = None
        if written is None and (last - first + 1) * frame > 0.7 * _NUMBER * len(f"{identity}") + 2:
            panel.text(first - 0.5 + 1.5 / frame, row, f"{identity}", **look)
            written = identity
        before = identity


def _explain_tracks(figure: Figure) -> None:
    bar = {"color": label_colour(0), "linewidth": _BAR}
    handles = [
        Line2D([], [], **bar, label="in a track: its colour and number"),
        Line2D([], [], **_CHANGE | {"linestyle": "", "marker": "|", "markersize": 8}, label="its identity changes"),
        Line2D([], [], **_SEEN, label="first to last detection of a person"),
        Patch(facecolor="0.4", **{k: v for k, v in _FREE.items() if k != "fill"}, label="detected, in no track"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
