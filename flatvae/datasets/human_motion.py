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

import hashlib
import inspect
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pooch
import torch

from flatvae.datasets import PARTS, Dataset, check_range, data_root
from flatvae.datasets._acclaim import Motion, Skeleton, joint_positions, read_motion, read_skeleton
from flatvae.errors import InputError

__all__ = ["TRIALS", "Scaling", "Skeleton", "frames", "joint_positions", "load", "pose", "scaling", "skeleton"]

FOLDER = "cmu_mocap"
SITE = "http://mocap.cs.cmu.edu/subjects/"
# Trials of each motion: the first and last frame that are used, and the sha256 of their channels as little-endian float64.
# Of the values, as copies of these files differ in their line ends; of a span of frames, as some copies are cut.
# Subjects 35 and 49 are those of Chen et al.; 02 and 135 stand in for their 143 (punching) and 74 (kicking).
TRIALS = {
    "walking": {
        "35/35_01.amc": (1, 358, "026a78dee966a13998b82de8781c43d924cb0a360794a63678a740319ed6201f"),
        "35/35_02.amc": (20, 406, "166f3aae4d57458698da4bc7271bac4ddb8bd77880b6db46f267e8c26578fc7f"),
        "35/35_05.amc": (10, 427, "daaadb8c6db9da173dbaded332658ce429e6e5c43cd24e69fb1307e577419cd2"),
        "35/35_07.amc": (1, 360, "071c748af9d0f0e5dfa3099b962ff40f01cf1655432f588969a4b2a550780e45"),
        "35/35_08.amc": (1, 445, "ffbaa92bffb986dfc10201dd54d741ca6aa0eebad4fe0982b9571ce44626e649"),
        "35/35_09.amc": (10, 384, "82cdc29d0b8bae567422cd7ad53fd0b3c22ca798fbbc1fee8b029ee8d49a22db"),
        "35/35_10.amc": (10, 432, "331ccf5a1b8e4f4834be5940ca3be9df513bbcf183867c9c9e71999a94c568e7"),
        "35/35_11.amc": (16, 385, "6d9020159592c519fe51e4a30256a181c0e434d8c708b8cf3bade853af475f9c"),
        "35/35_12.amc": (20, 397, "3685c0974b9c7645d5e8d989d59008c4264108f94317a16e4e4af7ef53323f8a"),
        "35/35_13.amc": (80, 400, "0cdb31559057530e41cd08753d7761aa666ca81b1542fc64229b40aa2ef4ccc2"),
        "35/35_14.amc": (1, 411, "a6921285f36651f0c01e824943c0c04c5d2fd6bb9016e543d1f1d3466238feed"),
        "35/35_15.amc": (1, 406, "f22fb19cf66ddc33a96e9bc44938c7453e7f2abfdab74d3bb0694e59db3a43ea"),
        "35/35_16.amc": (1, 443, "2aa61efaa7d5a66ca7e4c6de37a37754cdf2506a32a0d2249815507cc4b55e73"),
        "35/35_28.amc": (1, 417, "a8579445344cbfe6b9e8166bd32601d2f8765e27894514ce5d59a886ae728fa0"),
        "35/35_29.amc": (1, 497, "3127b6d412ac42c8ba2b39310d4398a2674e2309773eedce721d8995290740b4"),
        "35/35_30.amc": (160, 412, "721d40a546975460d3eafaa3cac44c53f5d73b13cb77867fb3b7eb1815c9b9ba"),
        "35/35_31.amc": (1, 421, "4e27ae0971f03f687174bdc0c5441a986c5997dde9020efdce9ccbddc000e437"),
        "35/35_32.amc": (1, 392, "8867d72eeb98f07689611cee49b08fc81c8a94c0c97e315835e6fe18a7953f54"),
        "35/35_33.amc": (1, 410, "c0dac6ed53b058f0235035e2120ec7027f81e6dcfc65f4db7a94c5d11a620fc0"),
        "35/35_34.amc": (1, 415, "c77027fa68d62de9be4652e17ccd124e9549fbacecf0ae1926efffd894866964"),
    },
    "jogging": {
        "35/35_24_from_expmap.amc": (1, 150, "3469aee18f69b4801beddb0fbc757f762e3747d6d499f2735c10b49b9dbdfdac"),
        "35/35_run_a_from_expmap.amc": (1, 167, "d197df9b5453f875ec9c044ef6beeac9819431a30f39289feba6170e99ecee5d"),
        "35/35_run_b_from_expmap.amc": (1, 162, "a8bbbc7289f4d037b86da2fa8cf278361de4798265741414e02beb3c132d5255"),
        "35/35_run_c_from_expmap.amc": (1, 165, "52a4543a3d418c384c70fefb19031535d8f5926653424343543386e8e1de81b1"),
    },
    "balancing": {
        "49/49_18.amc": (1, 1102, "2fe6607b47ad6046279ecbf1e4e8e1714fec28465b0cef77441f38e247ead065"),
        "49/49_19.amc": (1, 957, "eb472a039a3f34d24266d1ec3836eb32a8e810ff32355fd5c4e124f2a326eec4"),
        "49/49_20.amc": (1, 898, "b64b37c09eb4f6d43f4ef7f89d6ee441c5d13eddd962bc6d827fff688ca491b4"),
    },
    "punching": {
        "02/02_05.amc": (1, 1854, "a48d7abcc8777c270cb9c9292bd8fc654e4612855ab97e132f95db31bc4d11c0"),
        "135/135_09.amc": (1, 2150, "030ccd39935fa828e52ab45c50720afa74b560ba04a0afe7a633f7ea892afa02"),
    },
    "kicking": {
        "135/135_04.amc": (1, 1316, "bb14f4fb78cc1db2c6de360ecae35522b3720a23909c5c580fb645ace9b89a80"),
        "135/135_07.amc": (1, 1472, "e07e6433a9dcfd88145166778f6aef550dfa6df408f5d2ab37e93fa06d4134df"),
        "135/135_11.amc": (1, 2446, "480492862779ef1531d9f847fdc16a054d15074226751e017fa68244835894e4"),
    },
}
_RATE = 120  # frames a second
_STILL = 1e-6  # degrees: less is what rounding leaves where nothing moves
_ATTEMPTS = 3
_PAUSE = 1.0  # seconds before a download is tried again
_ON_SITE = re.compile(r"(\d{2,3})/\1(_\d{2,3}\.amc|\.asf)", re.ASCII)
_TRIAL = re.compile(r"[\w-]+/[\w-]+\.amc", re.ASCII)
_NOT_USED = ("root", "lfingers", "lthumb", "rfingers", "rthumb")  # 6 channels of the root, 6 of fingers and thumbs
_TEST, _VALIDATION = 1 / 5, 1 / 8  # of all, and of what the test part leaves
_LEAST, _MOST = 2 * math.pi, 360  # degrees between which a trial's largest joint angle lies: radians never exceed 2π


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
    scaling() has m and s. Labels are the motions, numbered in the order of ``trials``.

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
    return Dataset(name="human_motion", likelihood="gaussian", shape=(len(rows.names),), **values, **labels)


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


def skeleton(root: Path | None = None, subject: str = "35") -> Skeleton:
    """The skeleton of a subject, the folder of a trial's file; downloaded where it is missing.

    Raises InputError where the file is damaged or cannot be had.
    """
    file = f"{subject}/{subject}.asf"
    folder = data_root(root) / FOLDER
    _check_can_be_had(folder, [file])
    path = folder / file
    if not os.path.exists(path):
        _download(path, file, read_skeleton)
    return read_skeleton(path)


def pose(skeleton: Skeleton, angles: np.ndarray) -> np.ndarray:
    """Channels (..., 62) for joint_positions() from joint angles in degrees (..., 50).

    The root is at the origin and not turned, fingers and thumbs are straight.

    Raises InputError where the number of angles is not that of the skeleton.
    """
    used, angles = _used(skeleton), np.asarray(angles, dtype=np.float64)
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
        raise _wrong(f"option split is {split!r}", "must be 'time' or 'trial'")
    chosen = _chosen(trials)
    held_out = _by_trial(chosen) if split == "trial" else {}
    folder = data_root(root) / FOLDER
    files = [file for of_motion in chosen.values() for file in of_motion]
    skeletons = _skeletons(folder, files)
    recordings = {file: _recording(folder, file, skeletons[_subject(file)]) for file in files}
    parts = {file: held_out.get(file) or _by_time(file, len(recordings[file].frames), gap) for file in files}
    table = pd.concat(
        pd.DataFrame({"part": parts[file], "motion": motion, "trial": file, "frame": recordings[file].frames})[::stride]
        for motion, of_motion in chosen.items()
        for file in of_motion
    )
    _check_motions(table, list(chosen), stride)
    order = _order(table, balance)
    skeleton = skeletons[_subject(files[0])]  # all have the same channels
    used = _used(skeleton)
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
        raise _wrong(f"option trials is {trials!r}", "must give the files of one or more motions, or be left out")
    chosen = {motion: _files(motion, files) for motion, files in trials.items()}
    files = [file for of_motion in chosen.values() for file in of_motion]
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice:
        raise _wrong(f"option trials names {twice} twice", "must name every file once")
    return chosen


def _files(motion: str, files: list[str] | None) -> list[str]:
    if not isinstance(motion, str):
        raise _wrong(f"option trials has the motion {motion!r}", "must be a word; put it in quotes")
    if files is None:
        if motion not in TRIALS:
            raise _wrong(
                f"option trials leaves out the files of {motion!r}", f"must name them, or be {_listed(TRIALS)}"
            )
        return list(TRIALS[motion])
    if not isinstance(files, list | tuple) or not files:
        raise _wrong(f"option trials has {files!r} for {motion!r}", "must be a list of one or more files")
    for file in files:
        if not isinstance(file, str) or not _TRIAL.fullmatch(file):
            raise _wrong(f"option trials names {file!r}", "must be SUBJECT/NAME.amc, as in '35/35_01.amc'")
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
                raise _wrong(found, "must be lower")


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


def _skeletons(folder: Path, files: list[str]) -> dict[str, Skeleton]:
    """Skeleton of each subject; all must have the same channels."""
    subjects = dict.fromkeys(_subject(file) for file in files)
    _check_can_be_had(folder, [*files, *(f"{subject}/{subject}.asf" for subject in subjects)])
    skeletons = {subject: skeleton(folder.parent, subject) for subject in subjects}
    first = next(iter(skeletons))
    if not _used(skeletons[first]):
        raise _wrong(f"the skeleton of subject {first} has no joint that is observed", "must have one")
    for subject, other in skeletons.items():
        if other.channels != skeletons[first].channels:
            raise _wrong(
                f"the skeleton of subject {subject} has other channels than that of {first}", "must have the same"
            )
    return skeletons


def _check_can_be_had(folder: Path, files: list[str]) -> None:
    """Raise InputError for files that are neither there nor on the database's site, before any is downloaded."""
    lost = [file for file in files if not _ON_SITE.fullmatch(file) and not os.path.exists(folder / file)]
    if lost:
        found = f"{_listed(lost)}: missing, and not a file of the database's site"
        mend = f"put what is missing into {folder} or name other files in option trials, as 35/35_17.amc for jogging"
        raise InputError(f"dataset human_motion: {found}; {mend}.")


def _recording(folder: Path, file: str, skeleton: Skeleton) -> Motion:
    """The frames of a trial that are used; the file is downloaded first where it is missing."""
    path = folder / file
    if not os.path.exists(path):
        _download(path, file, lambda copy: _checked(copy, file, skeleton))
    return _checked(path, file, skeleton)


def _checked(path: Path, file: str, skeleton: Skeleton) -> Motion:
    """The used frames of a trial's file; InputError where they are not the known ones or cannot be joint angles."""
    motion = read_motion(path, skeleton)
    largest = np.abs(motion.channels[:, _used(skeleton)]).max()
    if not _LEAST <= largest <= _MOST:
        found = f"{path}: the largest joint angle would be {largest:.3g} degrees"
        raise InputError(f"{found}; give another file, or mend :DEGREES or :RADIANS in its header if that is wrong.")
    known = {name: facts for of_motion in TRIALS.values() for name, facts in of_motion.items()}
    if file not in known:
        return motion
    first, last, sha256 = known[file]
    inside = (first <= motion.frames) & (motion.frames <= last)
    motion = Motion(channels=motion.channels[inside], frames=motion.frames[inside])
    content = np.ascontiguousarray(motion.channels + 0.0, dtype="<f8")  # + 0.0 for one sign of zero
    if hashlib.sha256(content).hexdigest() != sha256:
        mend = "delete it to have it downloaded again, or give an altered recording a name of its own"
        raise InputError(f"{path}: its frames {first} to {last} are not those of the recording; {mend}.")
    return motion


def _download(path: Path, file: str, check: Callable[[Path], object]) -> None:
    """Fetch a file from the database's site; it gets its name only once it is checked."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as scratch:
            copy = _from_site(Path(scratch), path, file, check)
            # A copy, as pooch's own file can be read by its owner alone; the rename makes it whole or absent.
            os.replace(shutil.copyfile(copy, Path(scratch) / "copy"), path)
    except OSError as error:
        mend = "make the folder writable or put the file there yourself"
        raise InputError(f"dataset human_motion: {path} cannot be written ({_line(error)[:120]}); {mend}.") from error


def _from_site(scratch: Path, path: Path, file: str, check: Callable[[Path], object]) -> Path:
    for attempt in range(_ATTEMPTS):
        try:
            copy = Path(pooch.retrieve(SITE + file, known_hash=None, fname=f"{attempt}-{path.name}", path=scratch))
            check(copy)
            return copy
        except Exception as error:  # whatever it is that fails here may not fail again; the last reason is reported
            reason = error
            time.sleep(_PAUSE * (attempt + 1 < _ATTEMPTS))
    found = f"{file} is missing and {SITE} did not give it"
    said = _line(reason).replace(f"{scratch}{os.sep}", "")[:200].rstrip(".")
    raise InputError(f"dataset human_motion: {found}; put it into {path.parent} ({said}).")


def _subject(file: str) -> str:
    return file.split("/")[0]


def _used(skeleton: Skeleton) -> list[int]:
    """Indices of the channels that are observed."""
    return [at for at, channel in enumerate(skeleton.channels) if channel.split(".")[0] not in _NOT_USED]


def _line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join((str(error) or type(error).__name__).split())


def _listed(names) -> str:
    return ", ".join(names)


def _wrong(found: str, mend: str) -> InputError:
    return InputError(f"dataset human_motion: {found}; it {mend}.")
