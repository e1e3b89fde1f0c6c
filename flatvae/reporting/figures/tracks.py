"""People in videos: the identities that a tracker assigns over time."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from flatvae.errors import InputError
from flatvae.reporting.figures._common import (
    ONE_SEED,
    RC,
    SMALL,
    Arrays,
    check,
    explained,
    heading,
    new_figure,
    seeds_of,
)
from flatvae.reporting.figures.latent import label_colour

Picture = Callable[[str, int], np.ndarray]  # (name of a sequence, frame number) -> (H, W, 3)

_FRAMES = 3
_COLOURS = 9  # colours of identities: those of labels without black
# (white hatch of a bar, line style of a box) of the first nine identities, the next nine, and so on; dotted is «in no track»
_PATTERNS = (
    ("", "solid"),
    ("////", (0, (4, 1.5))),
    ("....", (0, (6, 1, 1, 1))),
    ("xxxx", (0, (2, 1))),
    ("||||", (0, (8, 1.5, 2, 1.5))),
    ("----", (0, (6, 1, 1, 1, 1, 1))),
)
_PERSON = 0.17  # inches: height of a person's line
_BAR = 0.62  # of that height: the thickness of a bar
_FREE = {"edgecolor": "0.85", "linewidth": 0.8, "linestyle": (0, (1, 1)), "fill": False}
_SEEN = {"color": "0.7", "linewidth": 0.6, "zorder": 1}
_CHANGE = {"color": "black", "linewidth": 1.2, "zorder": 3}
_SHOWN = {"color": "0.5", "linewidth": 0.5, "linestyle": (0, (2, 2)), "zorder": 0}
_OUTLINE = [withStroke(linewidth=1.2, foreground="black")]
_NEEDED = ("identities", "frame", "sequence", "box", "sequence_names", "truth")


def tracks(
    methods: Mapping[str, Arrays], sequence: str, picture: Picture, title: str, missed: Collection[str] = ()
) -> Figure:
    """The identities that trackers assign to the detections of one video, by the first seed of every method.

    One seed is enough for an example, and the figure says so; the tables have the scores of all seeds.
    Each method has three frames, evenly spread over the video and cut to the height of the boxes. A box has the colour and
    number of the tracker's identity, or is dotted if it has none. Below is a line for each person of the ground truth, in the
    order of appearance: thin from the first to the last detection, coloured while the detections are in a track. A black
    stroke marks a change of the tracker's identity. From the tenth identity on, colours return with hatched bars and dashed
    boxes, so that 54 identities of a video look different.
    `methods`: {method: arrays} with identities (S, M), −1 for none; frame, sequence (an index) and truth (the person's
    identity, −1 for none), each (M,); box (M, 4): left, top, width, height, where the upper left pixel is (1, 1);
    sequence_names. `picture`: (name of the sequence, frame number) -> (H, W, 3), uint8 or in [0, 1]. `missed`: methods that
    get a †.
    Raises InputError if there are no methods, an array is missing, or the sequence is unknown or has no detections.
    """
    check(methods, _NEEDED, "figure tracks")
    found = {method: _Tracked.of(method, arrays, sequence) for method, arrays in methods.items()}
    shown = next(iter(found.values())).spread_frames()
    images = {frame: np.asarray(picture(sequence, frame)) for frame in shown}
    with mpl.rc_context(RC):
        return _tracks(found, images, f"{explained(title, methods, missed)}\n{ONE_SEED}", missed)


class _Look(NamedTuple):
    """How an identity is drawn: its colour, the hatch of its bars and the line style of its boxes."""

    colour: str
    hatch: str
    line: str | tuple

    @classmethod
    def of(cls, place: int) -> "_Look":
        """The look of the identity at this place in the order of appearance."""
        return cls(label_colour(place % _COLOURS), *_PATTERNS[place // _COLOURS % len(_PATTERNS)])


class _Tracked(NamedTuple):
    """The detections of one video, (M,) each, and the tracker's identities for one seed of a method."""

    seed: int
    identity: np.ndarray
    frame: np.ndarray
    truth: np.ndarray
    box: np.ndarray

    @classmethod
    def of(cls, method: str, arrays: Arrays, sequence: str) -> "_Tracked":
        """The detections and identities of a method's first seed, in the order of frames."""
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
        """The numbers of three frames: the middles of three equal parts of the frames with detections."""
        frames = np.unique(self.frame)
        places = (np.arange(_FRAMES) + 0.5) / _FRAMES * len(frames)
        return np.unique(frames[places.astype(int)]).tolist()

    def people(self) -> list[int]:
        """Identities of the ground truth in the order of their first detections."""
        seen, first = np.unique(self.truth, return_index=True)
        return [int(person) for person in seen[np.argsort(first)] if person >= 0]

    def looks(self) -> dict[int, "_Look"]:
        """The look of each identity of the tracker, in the order of first detections; looks repeat after 54."""
        given, first = np.unique(self.identity, return_index=True)
        ordered = [int(identity) for identity in given[np.argsort(first)] if identity >= 0]
        return {identity: _Look.of(place) for place, identity in enumerate(ordered)}

    def stretches(self, person: int) -> list[tuple[int, int, int]]:
        """(identity, first frame, last frame) of each run of consecutive frames in which a person keeps one tracker identity."""
        here = self.truth == person
        found: list[tuple[int, int, int]] = []
        for identity, frame in zip(self.identity[here].tolist(), self.frame[here].tolist(), strict=True):
            if found and found[-1][0] == identity and found[-1][2] == frame - 1:
                found[-1] = (identity, found[-1][1], frame)
            else:
                found.append((identity, frame, frame))
        return [stretch for stretch in found if stretch[0] >= 0]


def _tracks(
    methods: Mapping[str, _Tracked], images: Mapping[int, np.ndarray], title: str, missed: Collection[str]
) -> Figure:
    width = 8.6
    height, across, *_ = next(iter(images.values())).shape
    top, bottom = _rows(methods.values(), images, height)
    of_pictures = (width - 0.5) / len(images) * (bottom - top) / across
    of_lines = [_PERSON * len(tracked.people()) + 0.1 for tracked in methods.values()]
    heights = [height for lines in of_lines for height in (of_pictures, lines)]
    figure = new_figure(width, sum(heights) + 0.45 * len(methods) + 0.9, title)
    grid = figure.add_gridspec(len(heights), len(images), height_ratios=heights)
    frames = [frame for tracked in methods.values() for frame in (tracked.frame[0] - 0.5, tracked.frame[-1] + 0.5)]
    for place, (method, tracked) in enumerate(methods.items()):
        panels = [figure.add_subplot(grid[2 * place, column]) for column in range(len(images))]
        for panel, (frame, image) in zip(panels, images.items(), strict=True):
            _draw_frame(panel, tracked, frame, image, (width - 0.5) * 72 / len(images) / across)
            panel.set_ylim(bottom, top)
        panels[0].set_title(f"{heading(method, missed)}, seed {tracked.seed}", loc="left")
        lines = figure.add_subplot(grid[2 * place + 1, :])
        lines.set_xlim(min(frames), max(frames))
        _draw_lines(lines, tracked, list(images), (width - 0.5) * 72)
    lines.set_xlabel("frame")
    _explain_tracks(figure)
    return figure


def _rows(methods: Iterable[_Tracked], frames: Iterable[int], height: int) -> tuple[float, float]:
    """Upper and lower edge of the part shown: the boxes of these frames with a margin, within the image."""
    boxes = np.concatenate([tracked.box[np.isin(tracked.frame, list(frames))] for tracked in methods])
    upper, lower = boxes[:, 1], boxes[:, 1] + boxes[:, 3]
    margin = 0.25 * np.ptp([upper.min(), lower.max()])
    return max(1.0, float(upper.min() - margin)), min(height + 1.0, float(lower.max() + margin))


def _draw_frame(panel: Axes, tracked: _Tracked, frame: int, image: np.ndarray, points: float) -> None:
    """Draws a frame of the video with its detected boxes; the upper left pixel extends from 1 to 2.

    ``points`` is the size of a pixel. A number is at the upper left of its box, or below the numbers that are there already.
    """
    height, width = image.shape[:2]
    high, written = 1.6 * SMALL / points, []  # numbers: left, right, top
    panel.imshow(image, extent=(1, width + 1, height + 1, 1), vmin=0, vmax=1, interpolation="antialiased")
    looks, here = tracked.looks(), tracked.frame == frame
    for identity, (left, top, *size) in zip(tracked.identity[here].tolist(), tracked.box[here], strict=True):
        if identity < 0:
            panel.add_patch(Rectangle((left, top), *size, **_FREE))
            continue
        colour, _, line = looks[identity]
        panel.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=colour, linewidth=1.3, linestyle=line))
        below = {"boxstyle": "square,pad=0.15", "facecolor": colour, "linewidth": 0}
        look = {"fontsize": SMALL, "color": "white", "ha": "left", "va": "top", "path_effects": _OUTLINE}
        start, top = max(left, 1), max(top, 1)
        end = start + (0.7 * len(f"{identity}") + 0.3) * SMALL / points
        while any(start < right and other < end and abs(top - upper) < high for other, right, upper in written):
            top += high
        written.append((start, end, top))
        panel.text(start, top, f"{identity}", bbox=below, clip_on=True, **look)
    panel.set(xlim=(1, width + 1), xticks=[], yticks=[])
    panel.set_xlabel(f"frame {frame}", fontsize=7, labelpad=2)


def _draw_lines(panel: Axes, tracked: _Tracked, shown: Sequence[int], points: float) -> None:
    """Draws a line for each person with the look of the tracker's identity; ``points`` is the width of the axis."""
    people, looks = tracked.people(), tracked.looks()
    for row, person in enumerate(people):
        seen = tracked.frame[tracked.truth == person]
        panel.plot((seen[0] - 0.5, seen[-1] + 0.5), (row, row), **_SEEN)
        stretches = tracked.stretches(person)
        for identity, first, last in stretches:
            place = (first - 0.5, row - _BAR / 2), last - first + 1, _BAR
            panel.add_patch(Rectangle(*place, **_bar(looks[identity]), zorder=2))
        _draw_changes(panel, row, stretches, points)
    for frame in shown:
        panel.axvline(frame, **_SHOWN)
    panel.set_yticks(range(len(people)), [f"{person}" for person in people], fontsize=6.5)
    panel.set(ylim=(len(people) - 0.4, -0.6), ylabel="person")
    panel.tick_params(axis="x", labelsize=7, length=2)
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)


def _bar(look: _Look) -> dict:
    return {"facecolor": look.colour, "hatch": look.hatch, "edgecolor": "white", "linewidth": 0}


def _draw_changes(panel: Axes, row: int, stretches: list[tuple[int, int, int]], points: float) -> None:
    """Draws a stroke at each change of identity, and the new number on the next stretch that has room for it."""
    before = written = None
    frame = points / np.ptp(panel.get_xlim())  # points
    look = {"fontsize": SMALL, "color": "white", "va": "center_baseline", "path_effects": _OUTLINE, "zorder": 4}
    for identity, first, last in stretches:
        if before not in (None, identity):
            panel.plot((first - 0.5, first - 0.5), (row - 0.5, row + 0.5), **_CHANGE)
            written = None
        if written is None and (last - first + 1) * frame > 0.7 * SMALL * len(f"{identity}") + 2:
            panel.text(first - 0.5 + 1.5 / frame, row, f"{identity}", **look)
            written = identity
        before = identity


def _explain_tracks(figure: Figure) -> None:
    handles = [
        Patch(**_bar(_Look.of(0)), label="in a track: its colour, hatch and number"),
        Line2D([], [], **_CHANGE | {"linestyle": "", "marker": "|", "markersize": 8}, label="its identity changes"),
        Line2D([], [], **_SEEN, label="first to last detection of a person"),
        Patch(facecolor="0.4", **{k: v for k, v in _FREE.items() if k != "fill"}, label="detected, in no track"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
