"""Human motion: joint angles of five motions from the CMU motion capture database, downloaded where they are missing.

A row is one frame's 50 joint angles. frames() tells from which trial and when each row is, scaling() turns rows back into
degrees, and pose() and joint_positions() turn these into stick figures::

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
from typing import Literal

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
from flatvae.errors import InputError

__all__ = ["TRIALS", "Scaling", "Skeleton", "frames", "joint_positions", "load", "pose", "scaling", "skeleton"]

_RATE = 120  # frames a second
_STILL = 1e-6  # degrees: less is what rounding leaves where nothing moves
_TRIAL = re.compile(r"[\w-]+/[\w-]+\.amc", re.ASCII)
_TEST, _VALIDATION = 1 / 5, 1 / 8  # of all, and of what the test part leaves


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map x = (a − m) / s between joint angles a in degrees and observations x.

    Attributes:
        angles: names of the D angles, "lfemur.rx" and so on: bone, axis.
        mean: m, (D,), in degrees, of the training part.
        scale: s in degrees, s² being the mean of (a − m)² over all angles and rows of the training part.
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
    """All rows of all parts, train before validation before test, before they are scaled."""

    names: tuple[str, ...]  # of the D angles
    motions: tuple[str, ...]
    degrees: np.ndarray  # (N, D)
    frames: pd.DataFrame  # N rows, see frames()


def load(
    root: Path | None = None,
    *,
    trials: dict | None = None,
    split: Literal["time", "trial"] = "time",
    gap: int = 12,
    stride: int = 1,
    balance: bool = False,
) -> Dataset:
    """Joint angles of human motions from ``root/cmu_mocap``, 120 frames a second.

    Of the 62 channels of a recording the 6 of the root (place and heading) and the 6 of fingers and thumbs (noise, some of
    them jump by 180 degrees) are left out. The other 50 angles a become observations::

        x = (a − m) / s,    m the mean of each angle and s² the mean of (a − m)² over the training part

    so that over angles and rows together the training part has variance 1 and its mean squared norm is 50. There is one s
    for all angles, as four of them are constant, and a turn of a knee should weigh more than a tremor of the collar bone.
    scaling() has m and s. Labels are the motions, numbered in the order of ``trials``, and ``label_names`` has them.

    The parts are blocks of time, or whole trials, never frames drawn at random: at 120 Hz a frame all but equals its
    neighbours, so that a test on frames from between training frames is a test of memory.

    Args:
        root: folder of the data; the files lie in, or are downloaded to, its folder ``cmu_mocap``.
        trials: files of each motion, ``{"walking": ["35/35_01.amc", ...], ...}``, with the skeleton beside them
            (``35/35.asf``); None in place of a list are all trials that TRIALS has of the motion, None in place of the whole
            is TRIALS. Of a trial that TRIALS knows, the frames it tells are used, of others all.
        split: "time": the last fifth of every trial is for test, the last eighth of the rest for validation. "trial": of the
            trials of every motion, in their order, the last fifth and the last eighth of the rest, each at least one;
            this takes three trials a motion, and TRIALS has but two of punching.
        gap: with split "time", frames that are left out before the validation and before the test block; 12 are 0.1 s.
        stride: of each trial keep every so many-th frame, the first included, at most 120; the rate is 120 Hz / stride.
        balance: make the motions equally frequent in the training part, whose size stays what it was but for rounding: of each
            motion's frames as many as needed are taken, evenly spaced, some repeatedly where there are too few.

    Raises InputError where a file is damaged, altered, or missing and not to be had, where its angles cannot be degrees,
    for trials that do not exist, and for too few frames or trials.

    Source: CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu; the motions of Chen et al. (2020).
    """
    rows = _read(root, trials, split, gap, stride, balance)
    scale = _scaling(rows)
    values, labels = {}, {}
    for part in PARTS:
        chosen = (rows.frames["part"] == part).to_numpy()
        values[part] = torch.from_numpy(scale.observations(rows.degrees[chosen])).float()
        motion = pd.Categorical(rows.frames["motion"][chosen], categories=rows.motions)
        labels[f"{part}_labels"] = torch.from_numpy(motion.codes.astype(np.int64))
    known = {"likelihood": "gaussian", "shape": (len(rows.names),), "label_names": rows.motions}
    return Dataset(name="human_motion", **known, **values, **labels)


def frames(root: Path | None = None, **options) -> pd.DataFrame:
    """What load() with the same options makes each row of: the rows of train, then of validation, then of test.

    Returns:
        a table with the columns part ("train", ...), motion, trial (its file, as in option trials) and frame (its number
        in the file). Within a part the rows of a trial are together and in the order of time.

    Raises InputError as load() does.
    """
    return _read(**_arguments(root, options)).frames


def scaling(root: Path | None = None, **options) -> Scaling:
    """The Scaling that load() with the same options applies. Raises InputError as load() does."""
    return _scaling(_read(**_arguments(root, options)))


def pose(skeleton: Skeleton, angles: np.ndarray) -> np.ndarray:
    """Channels (..., 62) for joint_positions() from joint angles in degrees (..., 50).

    The root is at the origin and not turned, fingers and thumbs are straight.

    Raises InputError where the number of angles is not that of the skeleton.
    """
    used, angles = observed_channels(skeleton), np.asarray(angles, dtype=np.float64)
    if angles.ndim == 0 or angles.shape[-1] != len(used):
        raise InputError(f"angles have the shape {angles.shape}; the last must be {len(used)}, as the skeleton has.")
    channels = np.zeros((*angles.shape[:-1], len(skeleton.channels)))
    channels[..., used] = angles
    return channels


def _arguments(root: Path | None, options: dict) -> dict:
    """Arguments of load(), with its defaults for what is not given."""
    bound = inspect.signature(load).bind(root, **options)
    bound.apply_defaults()
    return bound.arguments


def _read(root: Path | None, trials: dict | None, split: str, gap: int, stride: int, balance: bool) -> _Rows:
    """The recordings, cut into parts."""
    check_range("human_motion", "gap", gap, 0)
    check_range("human_motion", "stride", stride, 1, _RATE)
    if split not in ("time", "trial"):
        raise wrong(f"option split is {split!r}", "must be 'time' or 'trial'")
    chosen = _chosen(trials)
    held_out = _by_trial(chosen) if split == "trial" else {}
    folder = data_root(root) / FOLDER
    files = [file for of_motion in chosen.values() for file in of_motion]
    found = skeletons(folder, files)
    recordings = {file: recording(folder, file, found[subject_of(file)]) for file in files}
    parts = {file: held_out.get(file) or _by_time(file, len(recordings[file].frames), gap) for file in files}
    table = pd.concat(
        pd.DataFrame({"part": parts[file], "motion": motion, "trial": file, "frame": recordings[file].frames})[::stride]
        for motion, of_motion in chosen.items()
        for file in of_motion
    )
    _check_motions(table, list(chosen), stride)
    order = _order(table, balance)
    skeleton = found[subject_of(files[0])]  # all have the same channels
    used = observed_channels(skeleton)
    return _Rows(
        names=tuple(skeleton.channels[column] for column in used),
        motions=tuple(chosen),
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


def _chosen(trials: dict | None) -> dict[str, list[str]]:
    """Files of each motion, checked."""
    trials = dict.fromkeys(TRIALS) if trials is None else trials
    if not isinstance(trials, dict) or not trials:
        raise wrong(f"option trials is {trials!r}", "must give the files of one or more motions, or be left out")
    chosen = {motion: _files(motion, files) for motion, files in trials.items()}
    files = [file for of_motion in chosen.values() for file in of_motion]
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice:
        raise wrong(f"option trials names {twice} twice", "must name every file once")
    return chosen


def _files(motion: str, files: list[str] | None) -> list[str]:
    if not isinstance(motion, str):
        raise wrong(f"option trials has the motion {motion!r}", "must be a word; put it in quotes")
    if files is None:
        if motion not in TRIALS:
            raise wrong(f"option trials leaves out the files of {motion!r}", f"must name them, or be {listed(TRIALS)}")
        return list(TRIALS[motion])
    if not isinstance(files, list | tuple) or not files:
        raise wrong(f"option trials has {files!r} for {motion!r}", "must be a list of one or more files")
    for file in files:
        if not isinstance(file, str) or not _TRIAL.fullmatch(file):
            raise wrong(f"option trials names {file!r}", "must be SUBJECT/NAME.amc, as in '35/35_01.amc'")
    return list(files)


def _by_trial(chosen: dict[str, list[str]]) -> dict[str, str]:
    """Part of each trial."""
    held_out = {}
    for motion, files in chosen.items():
        if len(files) < 3:
            mend = "name more in option trials, leave the motion out, or set split to time"
            found = f"split by trial takes three trials of each motion and {motion!r} has {len(files)}"
            raise InputError(f"dataset human_motion: {found}; {mend}.")
        test = max(1, round(_TEST * len(files)))
        validation = max(1, round(_VALIDATION * (len(files) - test)))
        parts = ["train"] * (len(files) - test - validation) + ["validation"] * validation + ["test"] * test
        held_out |= zip(files, parts, strict=True)
    return held_out


def _by_time(file: str, length: int, gap: int) -> np.ndarray:
    """Part of each frame (length,), "gap" for those left out."""
    test = max(1, round(_TEST * length))
    validation = max(1, round(_VALIDATION * (length - test - gap)))
    train = length - test - validation - 2 * gap
    if train < 1:
        found = f"{file} has {length} frame(s), too few for three parts with {gap} left out between them"
        raise InputError(f"dataset human_motion: {found}; set gap lower or leave it out of option trials.")
    return np.repeat(["train", "gap", "validation", "gap", "test"], [train, gap, validation, gap, test])


def _check_motions(table: pd.DataFrame, motions: list[str], stride: int) -> None:
    for motion in motions:
        there = set(table["part"][table["motion"] == motion])
        for part in PARTS:
            if part not in there:
                found = f"option stride is {stride} and leaves no frame of {motion!r} in {part}"
                raise wrong(found, "must be lower")


def _order(table: pd.DataFrame, balance: bool) -> np.ndarray:
    """Indices of the rows of train, validation and test, one after another."""
    rows = [np.flatnonzero(table["part"] == part) for part in PARTS]
    if balance:
        motions = table["motion"].to_numpy()[rows[0]]
        groups = [rows[0][motions == motion] for motion in pd.unique(motions)]
        size = max(1, round(len(rows[0]) / len(groups)))
        rows[0] = np.concatenate([group[np.arange(size) * len(group) // size] for group in groups])
    return np.concatenate(rows)


# Files
