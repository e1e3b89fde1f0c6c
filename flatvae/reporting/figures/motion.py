"""Human motion: trials as trajectories in latent space, and stick figures along straight lines and geodesics."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from flatvae.errors import InputError
from flatvae.reporting.figures._common import (
    RC,
    Arrays,
    check,
    check_columns,
    explained,
    heading,
    new_figure,
    seeds_of,
)
from flatvae.reporting.figures.latent import (
    all_seeds,
    check_plane,
    draw_grid,
    explain_map,
    label_colour,
    label_marker,
)

Pairs = Sequence[tuple[str, str]]  # the motions at the start and end of a strip

# the dark edge makes light colours visible on a light map
_TRAJECTORY = {"linewidth": 0.6, "zorder": 2.2, "path_effects": [withStroke(linewidth=1.1, foreground="0.15")]}
_START = {"markersize": 3, "markeredgecolor": "white", "markeredgewidth": 0.4, "zorder": 2.6}


def trajectories(methods: Mapping[str, Arrays], rows: pd.DataFrame, title: str, missed: Collection[str] = ()) -> Figure:
    """Trials as lines through their codes in time, coloured by motion, over the map of `latent_map`; n = 2 only.

    Methods in columns, seeds in rows. Every block of consecutive frames of a trial has its own line, with a marker at its
    start.
    `methods`: {method: arrays} with codes (S, N, 2); map_x, map_y (S, G) and map_log_mf (S, G, G) indexed [seed, y, x].
    `rows`: the columns motion, trial and frame of the N codes. `missed`: methods that get a †.
    Raises InputError if there are no methods, an array or column is missing, codes are not two-dimensional, or `rows` does not
    have N rows.
    """
    check(methods, ("codes", "map_x", "map_y", "map_log_mf"), "figure trajectories")
    check_plane(methods, "codes", "figure trajectories")
    check_columns(rows, ("motion", "trial", "frame"), "figure trajectories")
    for method, arrays in methods.items():
        count = np.shape(arrays["codes"])[1]
        if count != len(rows):
            raise InputError(
                f"figure trajectories: {method} has {count} codes, but there are {len(rows)} rows; pass the encoded rows"
            )
    motions, pieces = list(pd.unique(rows["motion"])), _pieces(rows)
    places = [motions.index(rows["motion"].iloc[piece[0]]) for piece in pieces]
    with mpl.rc_context(RC):
        seeds = all_seeds(methods, "codes")
        size = 2.1 * len(methods) + 1.1, 1.8 * len(seeds) + 1.1
        figure = new_figure(*size, explained(title, methods, missed))

        def draw(axes: Axes, arrays: Arrays, row: int) -> None:
            for piece, place in zip(pieces, places, strict=True):
                _trajectory(axes, np.asarray(arrays["codes"][row], float)[piece], place)

        axes, scale = draw_grid(figure, methods, seeds, ("codes",), draw, missed)
        _explain_motions(figure, motions, min(5, 2 * len(methods) + 1))
        explain_map(figure, axes, scale)
    return figure


def _pieces(rows: pd.DataFrame) -> list[np.ndarray]:
    """The row numbers of each block of consecutive frames of one trial."""
    trial, step = rows["trial"].to_numpy(), np.diff(rows["frame"].to_numpy())
    within = (trial[1:] == trial[:-1]) & (step > 0)
    stride = step[within].min(initial=np.iinfo(np.int64).max)  # > 1 if every k-th frame was kept
    return np.split(np.arange(len(rows)), np.flatnonzero(~within | (step != stride)) + 1)


def _trajectory(axes: Axes, codes: np.ndarray, place: int) -> None:
    axes.plot(*codes.T, color=label_colour(place), **_TRAJECTORY)
    axes.plot(*codes[0], color=label_colour(place), marker=label_marker(place), **_START)


def _explain_motions(figure: Figure, motions: Sequence[str], columns: int) -> None:
    looks = [{"color": label_colour(i), "marker": label_marker(i)} | _TRAJECTORY | _START for i in range(len(motions))]
    handles = [Line2D([], [], **look, label=motion) for look, motion in zip(looks, motions, strict=True)]
    figure.legend(handles=handles, title="marker: start", loc="outside lower center", ncols=columns, frameon=False)


# --------------------------------------------------------------------------------------------------------------- poses

_WAYS = ("straight", "geodesic")
_SEEDS = 3  # more would not fit on a page
_PAIRS = 3
_AZIMUTH = math.radians(25)  # rotation from the side view towards the front, so that the legs do not hide each other
_SIDES = {  # in drawing order, far side first; they differ in lightness too
    "left limbs": {"color": "#E69F00", "linewidth": 0.8},
    "trunk and head": {"color": "#000000", "linewidth": 0.8},
    "right limbs": {"color": "#0072B2", "linewidth": 0.8},
}
_ORIGINAL = {"color": "0.92", "linewidth": 0, "zorder": 0}
_WIDTH = 2.4  # inches: width of a panel
_EDGE = 0.2  # margin on either side of a panel, as a share of a column


def nearest_frames(strips: np.ndarray, pairs: Pairs, observations: np.ndarray, motions: Sequence[str]) -> np.ndarray:
    """Observations nearest to the ends of strips, each searched among those of the motion at that end.

    `strips` (S, C, F, D), `pairs` at least C names, `observations` (N, D), their `motions` (N,) -> (S, C, 2, D).
    """
    ends = np.asarray(strips)[:, :, [0, -1]]
    found = np.empty(ends.shape)
    for pair in range(ends.shape[1]):
        for end, name in enumerate(pairs[pair]):
            known = np.asarray(observations)[np.asarray(motions) == name]  # (M, D)
            apart = np.linalg.norm(ends[:, pair, end, None] - known, axis=-1)  # (S, M)
            found[:, pair, end] = known[apart.argmin(axis=1)]
    return found


def poses(
    methods: Mapping[str, Arrays],
    joints: Sequence[str],
    bones: Sequence[tuple[int, int]],
    pairs: Pairs,
    title: str,
    missed: Collection[str] = (),
) -> Figure:
    """Stick figures at equal steps along straight latent lines and along geodesics from one motion to another.

    Methods in columns. For up to three pairs and the first three seeds, a strip for each path between the observations at its
    ends (shaded). All poses are seen from their right side, a little from the front, on one scale.
    `methods`: {method: arrays} with joints_straight and joints_geodesic (S, C, F, J, 3) and joints_ends (S, C, 2, J, 3), y
    upwards and z forwards. `joints`: J names; left and right joints differ in their first letter, l or r. `bones`: (parent,
    child), indices of joints. `pairs`: pairs of motions; the first C are those of the arrays. `missed`: methods that get a †.
    Raises InputError if there are no methods, an array is missing, the number of joints differs, or pairs are too few.
    """
    check(methods, ("joints_straight", "joints_geodesic", "joints_ends"), "figure poses")
    for method, arrays in methods.items():
        _, n_pairs, _, n_joints, _ = np.shape(arrays["joints_straight"])
        if n_pairs > len(pairs) or n_joints != len(joints):
            found = f"{method} has {n_pairs} pairs and {n_joints} joints, but {len(pairs)} and {len(joints)} are named"
            raise InputError(f"figure poses: {found}; name all of them")
    shown = np.ceil(np.linspace(0, n_pairs - 1, min(_PAIRS, n_pairs))).astype(int)
    strips = {method: _strips(arrays, shown) for method, arrays in methods.items()}
    every = all_seeds(methods, "joints_straight")
    sheet, sides = _Sheet.of(strips, every[:_SEEDS]), _sides(joints, bones)
    with mpl.rc_context(RC):
        size = _WIDTH * len(methods) + 1.2, (sheet.shape * _WIDTH + 0.1) * len(shown) + 0.9
        figure = new_figure(*size, explained(title, methods, missed))
        figure.set_dpi(150)  # as in the saved image, because the width of text depends on it
        axes = figure.subplots(len(shown), len(methods), squeeze=False)
        for column, (method, of_seeds) in enumerate(strips.items()):
            axes[0, column].set_title(heading(method, missed))
            for row, panel in enumerate(axes[:, column]):
                sheet.prepare(panel)
                for place, seed in enumerate(sheet.seeds):
                    _draw_strip(panel, sheet, place, of_seeds[seed][row] if seed in of_seeds else None, sides)
        for panel, pair in zip(axes[:, 0], shown, strict=True):
            panel.set_ylabel(" → ".join(pairs[pair]))
            sheet.label(panel)
        note = f"; {_SEEDS} of {len(every)} seeds" * (len(every) > _SEEDS)
        _explain_poses(figure, f"decoded at equal steps along the path{note}", min(4, len(methods)))
    return figure


class _Strip(NamedTuple):
    """Joints in the plane of view along both paths (2, F, J, 2), and at the ends (2, J, 2)."""

    ways: np.ndarray
    ends: np.ndarray


def _strips(arrays: Arrays, pairs: np.ndarray) -> dict[int, list[_Strip]]:
    """Seed -> the strips of these pairs."""
    ways = np.stack([_seen(arrays[f"joints_{way}"])[:, pairs] for way in _WAYS], axis=2)  # (S, C, 2, F, J, 2)
    ends = _seen(arrays["joints_ends"])[:, pairs]
    return {
        seed: [_Strip(*strip) for strip in zip(ways[row], ends[row], strict=True)]
        for row, seed in enumerate(seeds_of(arrays, "joints_straight"))
    }


def _seen(joints: np.ndarray) -> np.ndarray:
    """Projects joints (..., 3) to the plane of view (..., 2): forwards points right, the body's right side is shifted right."""
    x, y, z = np.moveaxis(np.asarray(joints, float), -1, 0)
    return np.stack([z * math.cos(_AZIMUTH) - x * math.sin(_AZIMUTH), y], axis=-1)


def _sides(joints: Sequence[str], bones: Sequence[tuple[int, int]]) -> dict[str, np.ndarray]:
    """Bones (B, 2) of each side; a joint belongs to a side if its mirror image exists."""
    mirrored = {"l": "r", "r": "l"}
    of_joint = [name[0] if mirrored.get(name[0], "") + name[1:] in joints else "" for name in joints]
    return {
        side: np.array([bone for bone in bones if of_joint[bone[1]] == letter], int).reshape(-1, 2)
        for side, letter in zip(_SIDES, ("l", "", "r"), strict=True)
    }


class _Sheet(NamedTuple):
    """The grid of poses in a panel: a column for each step and for both ends, two rows for each seed."""

    seeds: list[int]
    columns: int
    step: float
    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, methods: Mapping[str, Mapping[int, list[_Strip]]], seeds: list[int]) -> "_Sheet":
        """One sheet for all panels, so that all poses have one scale."""
        strips = [strip for of_seeds in methods.values() for seed in seeds for strip in of_seeds.get(seed, ())]
        every = np.concatenate([part.reshape(-1, *part.shape[-2:]) for strip in strips for part in strip])
        every = every[np.isfinite(every).all(axis=(1, 2))]  # (P, J, 2)
        if not len(every):
            every = np.zeros((1, 1, 2))
        left, right = every[..., 0].min(axis=1), every[..., 0].max(axis=1)
        step = np.quantile(right - left, 0.95) or 1.0  # the widest 5 % may touch their neighbours
        middle = np.median(right + left) / 2
        return cls(seeds, strips[0].ways.shape[1] + 2, step, middle, every[..., 1].min(), every[..., 1].max())

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 2 * len(self.seeds)

    @property
    def row_height(self) -> float:
        """Height of the tallest pose, with a margin."""
        return 1.08 * (self.high - self.low) or 1.0

    @property
    def shape(self) -> float:
        """Height over width of a panel."""
        return self.rows * self.row_height / np.ptp(self.limits)

    @property
    def limits(self) -> tuple[float, float]:
        """Left and right end of a panel."""
        return -_EDGE * self.step, (self.columns + _EDGE) * self.step

    def origins(self, columns: Sequence[int], row: float) -> np.ndarray:
        """Positions of the roots of poses in these columns, (P, 2); rows count downwards."""
        x = (np.asarray(columns) + 0.5) * self.step - self.middle
        y = -(row + 0.5) * self.row_height - (self.low + self.high) / 2
        return np.stack([x, np.full(len(x), y)], axis=1)

    def prepare(self, panel: Axes) -> None:
        """Sets limits and shades the ends."""
        left, right = self.limits
        panel.set(xlim=(left, right), ylim=(-self.rows * self.row_height, 0), aspect="equal", xticks=[], yticks=[])
        panel.axvspan(left, self.step, **_ORIGINAL)
        panel.axvspan((self.columns - 1) * self.step, right, **_ORIGINAL)
        for place in range(1, len(self.seeds)):
            panel.axhline(-2 * place * self.row_height, color="0.7", linewidth=0.5)

    def label(self, panel: Axes) -> None:
        """Labels the rows with seed and path."""
        labels = [f"seed {seed} {way}" if way == "straight" else way for seed in self.seeds for way in _WAYS]
        panel.set_yticks(-(np.arange(self.rows) + 0.5) * self.row_height, labels, fontsize=6)
        panel.tick_params(length=0)


def _draw_strip(panel: Axes, sheet: _Sheet, place: int, strip: _Strip | None, sides: Mapping[str, np.ndarray]) -> None:
    """Draws both paths of a seed, one above the other, between the observations at their ends."""
    middle = {"x": sheet.columns * sheet.step / 2, "ha": "center", "va": "center"}
    if strip is None:
        panel.text(y=-(2 * place + 1) * sheet.row_height, s="no result", **middle)
        return
    _draw_poses(panel, strip.ends, sheet.origins((0, sheet.columns - 1), 2 * place + 0.5), sides)
    for row, way in enumerate(strip.ways, 2 * place):
        if np.isfinite(way).all():
            _draw_poses(panel, way, sheet.origins(range(1, sheet.columns - 1), row), sides)
        else:
            panel.text(y=-(row + 0.5) * sheet.row_height, s="not finite", **middle)


def _draw_poses(panel: Axes, poses: np.ndarray, origins: np.ndarray, sides: Mapping[str, np.ndarray]) -> None:
    """Draws poses (P, J, 2) with their roots at the origins (P, 2)."""
    places = poses + origins[:, None]
    for side, bones in sides.items():
        panel.add_collection(LineCollection(places[:, bones].reshape(-1, 2, 2), **_SIDES[side], label=side))


def _explain_poses(figure: Figure, note: str, columns: int) -> None:
    handles = [Line2D([], [], **look, label=side) for side, look in reversed(_SIDES.items())]
    handles.append(Patch(**_ORIGINAL, label="nearest test frames of the two motions"))
    figure.legend(handles=handles, title=note, loc="outside lower center", ncols=columns, frameon=False)
