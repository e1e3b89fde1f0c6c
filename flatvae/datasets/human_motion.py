"""Human motion: joint angles of five motions from the CMU motion capture database, downloaded where missing.

A row holds one frame's 50 joint angles. frames() gives each row's trial and frame, scaling() turns rows back into degrees,
and pose() and joint_positions() turn these into stick figures::

    options = {"stride": 2}
    data = human_motion.load(root, **options)
    table = human_motion.frames(root, **options)
    skeleton = human_motion.skeleton(root, "35")
    angles = human_motion.scaling(root, **options).degrees(data.test)  # (N, 50)
    joints = human_motion.joint_positions(skeleton, human_motion.pose(skeleton, angles))  # (N, 31, 3)

The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF
EIA-0196217.
"""

import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from flatvae.datasets import PARTS, Dataset, check_range, data_root
from flatvae.datasets._acclaim import Skeleton, joint_positions
from flatvae.datasets._cmu import (
    FOLDER,
    TRIALS,
    listed,
    observed_channels,
    recording,
    skeleton,
    skeletons,
    subject_of,
    wrong,
)
from flatvae.datasets._interleaved import interleaved
from flatvae.errors import InputError

__all__ = ["TRIALS", "Scaling", "Skeleton", "frames", "joint_positions", "load", "pose", "scaling", "skeleton"]

_RATE = 120  # frames a second
_STILL = 1e-6  # degrees: a smaller deviation is rounding, not movement
_TRIAL = re.compile(r"[\w-]+/[\w-]+\.amc", re.ASCII)
_HELD_OUT = "test_recordings"
_FEWEST = 3  # recordings from which on a motion has one held out


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map x = (a − m) / s between joint angles a in degrees and observations x.

    Attributes:
        angles: names of the D angles, bone and axis: "lfemur.rx" and so on.
        mean: m, (D,), of the training part, in degrees.
        scale: s in degrees; s² is the mean of (a − m)² over all angles and rows of the training part.
    """

    angles: tuple[str, ...]
    mean: np.ndarray
    scale: float

    def observations(self, degrees: np.ndarray) -> np.ndarray:
        """Angles in degrees (..., D) -> observations (..., D), float64."""
        return (np.asarray(degrees, dtype=np.float64) - self.mean) / self.scale

    def degrees(self, observations: np.ndarray) -> np.ndarray:
        """Observations (..., D), an array or a tensor in main memory -> angles in degrees (..., D), float64."""
        return np.asarray(observations, dtype=np.float64) * self.scale + self.mean


@dataclass(frozen=True, eq=False)
class _Rows:
    """All rows before scaling, in the order train, validation, test, test_recordings."""

    names: tuple[str, ...]  # of the D angles
    motions: tuple[str, ...]
    degrees: np.ndarray  # (N, D)
    frames: pd.DataFrame  # N rows, see frames()


def load(
    root: Path | None = None,
    *,
    trials: dict | None = None,
    held_out: dict | None = None,
    train_block: int = 360,
    validation_block: int = 60,
    test_block: int = 90,
    gap: int = 60,
    stride: int = 1,
    balance: bool = False,
) -> Dataset:
    """Joint angles of human motions from ``root/cmu_mocap``, 120 frames a second.

    A recording has 62 channels. The 6 of the root (place and heading) and the 6 of fingers and thumbs (noise; some jump by
    180 degrees) are left out. The other 50 angles a become observations::

        x = (a − m) / s,    m the mean of each angle and s² the mean of (a − m)² over the training part

    so that over angles and rows together the training part has variance 1 and its mean squared norm is 50. All angles share
    one s: four of them are constant, and a turn of the knee should weigh more than a tremor of the collar bone. scaling()
    returns m and s. Labels are the motions, numbered in the order of ``trials``; ``label_names`` holds their names.

    The parts train, validation and test alternate along time in blocks, and the frames between two blocks are left out. At
    120 Hz a frame nearly equals its neighbours, so test frames next to training frames would only test memory. The end of a
    recording alone would not do either, as its movements may not occur earlier. The recordings of a motion are cut as if
    they followed one another, so a short one may lie in a single part. With T the frames of a motion's recordings and b the
    blocks' least lengths::

        m = max(1, ⌊(T + gap) / (b_train + b_test + b_validation + 3 gap)⌋)    periods of equal length (T + gap) / m,
        each: train, gap, test, gap, validation, gap                           blocks in the ratio of the b

    So no frame lies within ``gap`` frames (by default half a second) of a frame of another part.

    A movement that occurs only once is still new if it falls into a test block. With the defaults and ``stride=2`` the mean
    squared distance from a test observation to the nearest training observation is 0.6 for walking, 2.5 for jogging, 4.5 for
    balancing, 1.9 for punching and 4.9 for kicking. Read the motions' errors against these.

    Recordings that are held out whole form a second, harder test part, ``test_recordings`` with ``test_recordings_labels``.

    Args:
        root: folder of the data; the files lie in, or are downloaded to, its folder ``cmu_mocap``.
        trials: files of each motion, ``{"walking": ["35/35_01.amc", ...], ...}``, with the skeleton in the same folder
            (``35/35.asf``). None for a motion takes all its trials in TRIALS; None for the whole option takes TRIALS. Of
            trials in TRIALS the frames listed there are used, of others all.
        held_out: files of each motion that are held out whole, in the form of ``trials``, which need not name them; they may
            be of another subject. None: the last trial of every motion with three or more; {}: none.
        train_block, validation_block, test_block: least frames in a block of each part; blocks are shorter only where a
            motion's recordings are too short for one period.
        gap: frames left out between two blocks; 60 are half a second.
        stride: keep every stride-th frame of each trial, from the first on; at most 120. The rate is 120 Hz / stride.
        balance: make the motions equally frequent in the training part and keep its size (up to rounding): take evenly spaced
            frames of each motion, and repeat some where there are too few.

    Raises InputError where a file is damaged or altered, or missing without a download, where its angles cannot be degrees,
    for trials that do not exist, and for too few frames.

    Source: CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu; the motions of Chen et al. (2020).
    """
    rows = _read(root, trials, held_out, train_block, validation_block, test_block, gap, stride, balance)
    scale = _scaling(rows)
    values = {}
    for part in (*PARTS, _HELD_OUT):
        chosen = (rows.frames["part"] == part).to_numpy()
        if chosen.any():
            values[part] = torch.from_numpy(scale.observations(rows.degrees[chosen])).float()
            motion = pd.Categorical(rows.frames["motion"][chosen], categories=rows.motions)
            values[f"{part}_labels"] = torch.from_numpy(motion.codes.astype(np.int64))
    known = {"likelihood": "gaussian", "shape": (len(rows.names),), "label_names": rows.motions}
    return Dataset(name="human_motion", **known, **values)


def frames(root: Path | None = None, **options) -> pd.DataFrame:
    """The source of each row of load() with the same options, in the order train, validation, test, test_recordings.

    Returns:
        A table with the columns part ("train", ...), motion, trial (its file, as in option trials) and frame (its number
        in the file). Within a part the rows of a trial are contiguous and in the order of time.

    Raises InputError as load() does.
    """
    return _read(**_arguments(root, options)).frames


def scaling(root: Path | None = None, **options) -> Scaling:
    """The Scaling that load() with the same options applies. Raises InputError as load() does."""
    return _scaling(_read(**_arguments(root, options)))


def pose(skeleton: Skeleton, angles: np.ndarray) -> np.ndarray:
    """Channels (..., 62) for joint_positions() from joint angles in degrees (..., 50).

    The root is at the origin and not rotated; fingers and thumbs are straight.

    Raises InputError where the number of angles is not the skeleton's.
    """
    used, angles = observed_channels(skeleton), np.asarray(angles, dtype=np.float64)
    if angles.ndim == 0 or angles.shape[-1] != len(used):
        raise InputError(f"angles have the shape {angles.shape}; the last must be {len(used)}, as the skeleton has.")
    channels = np.zeros((*angles.shape[:-1], len(skeleton.channels)))
    channels[..., used] = angles
    return channels


def _arguments(root: Path | None, options: dict) -> dict:
    """Arguments of load(), completed with its defaults."""
    bound = inspect.signature(load).bind(root, **options)
    bound.apply_defaults()
    return bound.arguments


def _read(
    root: Path | None,
    trials: dict | None,
    held_out: dict | None,
    train_block: int,
    validation_block: int,
    test_block: int,
    gap: int,
    stride: int,
    balance: bool,
) -> _Rows:
    """The recordings, cut into parts."""
    blocks = {"train": train_block, "validation": validation_block, "test": test_block}
    for part, frames in blocks.items():
        check_range("human_motion", f"{part}_block", frames, 1)
    check_range("human_motion", "gap", gap, 0)
    check_range("human_motion", "stride", stride, 1, _RATE)
    cut, whole = _chosen(trials, held_out)
    folder = data_root(root) / FOLDER
    files = [file for motion in cut for file in (*cut[motion], *whole[motion])]
    found = skeletons(folder, files)
    recordings = {file: recording(folder, file, found[subject_of(file)]) for file in files}
    parts = {file: _HELD_OUT for of_motion in whole.values() for file in of_motion}
    for motion, of_motion in cut.items():
        parts |= _cut(motion, {file: len(recordings[file].frames) for file in of_motion}, blocks, gap)
    table = pd.concat(
        pd.DataFrame({"part": parts[file], "motion": motion, "trial": file, "frame": recordings[file].frames})[::stride]
        for motion in cut
        for file in (*cut[motion], *whole[motion])
    )
    _check_motions(table, list(cut), stride)
    order = _order(table, balance)
    skeleton = found[subject_of(files[0])]  # all have the same channels
    used = observed_channels(skeleton)
    return _Rows(
        names=tuple(skeleton.channels[column] for column in used),
        motions=tuple(cut),
        degrees=np.concatenate([recordings[file].channels[::stride, used] for file in files])[order],
        frames=table.iloc[order].reset_index(drop=True),
    )


def _scaling(rows: _Rows) -> Scaling:
    train = rows.degrees[rows.frames["part"] == "train"]
    mean = train.mean(0)
    scale = math.sqrt(((train - mean) ** 2).mean())
    if scale < _STILL:
        raise InputError(
            "dataset human_motion: no joint moves in the training part; name other files in option trials."
        )
    return Scaling(rows.names, mean, scale)


# Trials and parts


def _chosen(trials: dict | None, held_out: dict | None) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The files of each motion that are cut into parts and those that are held out whole, both checked."""
    trials = dict.fromkeys(TRIALS) if trials is None else trials
    if not isinstance(trials, dict) or not trials:
        raise wrong(f"option trials is {trials!r}", "must give the files of one or more motions, or be left out")
    chosen = {motion: _files("trials", motion, files) for motion, files in trials.items()}
    if held_out is None:
        held_out = {motion: files[-1:] for motion, files in chosen.items() if len(files) >= _FEWEST}
    other = next((motion for motion in held_out if motion not in chosen), None)
    if other is not None:
        raise wrong(f"option held_out has the motion {other!r}", f"must be one of trials: {listed(chosen)}")
    whole = {motion: _files("held_out", motion, held_out[motion]) if motion in held_out else [] for motion in chosen}
    cut = {motion: [file for file in files if file not in whole[motion]] for motion, files in chosen.items()}
    empty = next((motion for motion, files in cut.items() if not files), None)
    if empty is not None:
        raise wrong(f"option held_out leaves no trial of {empty!r} for training", "must name fewer")
    for option, files in (("trials", chosen), ("held_out", {m: [*cut[m], *whole[m]] for m in chosen})):
        _check_once(option, [file for of_motion in files.values() for file in of_motion])
    return cut, whole


def _check_once(option: str, files: list[str]) -> None:
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice:
        raise wrong(f"option {option} names {twice} twice", "must name every file once")


def _files(option: str, motion: str, files: list[str] | None) -> list[str]:
    if not isinstance(motion, str):
        raise wrong(f"option {option} has the motion {motion!r}", "must be a word; put it in quotes")
    if files is None:
        if motion not in TRIALS:
            raise wrong(
                f"option {option} leaves out the files of {motion!r}", f"must name them, or be {listed(TRIALS)}"
            )
        return list(TRIALS[motion])
    if not isinstance(files, list | tuple) or not files:
        raise wrong(f"option {option} has {files!r} for {motion!r}", "must be a list of one or more files")
    for file in files:
        if not isinstance(file, str) or not _TRIAL.fullmatch(file):
            raise wrong(f"option {option} names {file!r}", "must be SUBJECT/NAME.amc, as in '35/35_01.amc'")
    return list(files)


def _cut(motion: str, lengths: dict[str, int], blocks: dict[str, int], gap: int) -> dict[str, np.ndarray]:
    """Part of each frame of each recording of a motion, "gap" for those left out; ``lengths`` in frames, by file."""
    total = sum(lengths.values())
    parts = interleaved(total, blocks, gap)
    if parts is None:
        found = f"the recordings of {motion!r} have {total} frame(s), too few for three parts with gaps of {gap} between them"
        raise InputError(f"dataset human_motion: {found}; set gap lower or name more in option trials.")
    return dict(zip(lengths, np.split(parts, np.cumsum(list(lengths.values()))[:-1]), strict=True))


def _check_motions(table: pd.DataFrame, motions: list[str], stride: int) -> None:
    for motion in motions:
        there = set(table["part"][table["motion"] == motion])
        for part in PARTS:
            if part not in there:
                found = f"option stride is {stride} and leaves no frame of {motion!r} in {part}"
                raise wrong(found, "must be lower")


def _order(table: pd.DataFrame, balance: bool) -> np.ndarray:
    """Indices of the rows of train, validation, test and test_recordings, one after another."""
    rows = [np.flatnonzero(table["part"] == part) for part in (*PARTS, _HELD_OUT)]
    if balance:
        motions = table["motion"].to_numpy()[rows[0]]
        groups = [rows[0][motions == motion] for motion in pd.unique(motions)]
        size = max(1, round(len(rows[0]) / len(groups)))
        rows[0] = np.concatenate([group[np.arange(size) * len(group) // size] for group in groups])
    return np.concatenate(rows)
