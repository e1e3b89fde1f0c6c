"""The CMU motion capture database: the recordings that are used, and their files, downloaded where missing.

The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF
EIA-0196217.
"""

import hashlib
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pooch

from flatvae.datasets import data_root
from flatvae.datasets._acclaim import Motion, Skeleton, read_motion, read_skeleton
from flatvae.errors import InputError

FOLDER = "cmu_mocap"
SITE = "http://mocap.cs.cmu.edu/subjects/"
# Trials of each motion: the first and last frame used, and the sha256 of their channels as little-endian float64.
# The values are hashed, not the bytes: copies of these files differ in line endings. Frames are given because some copies are
# cut. The last trial of a motion with three or more is held out whole; for kicking the shortest comes last, to leave more for
# training. Subjects 35 and 49 are those of Chen et al.; 02 and 135 replace their 143 (punching) and 74 (kicking).
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
        "135/135_07.amc": (1, 1472, "e07e6433a9dcfd88145166778f6aef550dfa6df408f5d2ab37e93fa06d4134df"),
        "135/135_11.amc": (1, 2446, "480492862779ef1531d9f847fdc16a054d15074226751e017fa68244835894e4"),
        "135/135_04.amc": (1, 1316, "bb14f4fb78cc1db2c6de360ecae35522b3720a23909c5c580fb645ace9b89a80"),
    },
}
_ATTEMPTS = 3
_PAUSE = 1.0  # seconds before a download is tried again
_ON_SITE = re.compile(r"(\d{2,3})/\1(_\d{2,3}\.amc|\.asf)", re.ASCII)
_NOT_USED = ("root", "lfingers", "lthumb", "rfingers", "rthumb")  # 6 channels of the root, 6 of fingers and thumbs
_LEAST, _MOST = 2 * math.pi, 360  # bounds of a trial's largest joint angle in degrees; angles in radians stay below 2π


def skeleton(root: Path | None = None, subject: str = "35") -> Skeleton:
    """The skeleton of a subject, named by the folder of its trials; downloaded where missing.

    Raises InputError where the file is damaged or cannot be downloaded.
    """
    file = f"{subject}/{subject}.asf"
    folder = data_root(root) / FOLDER
    _check_can_be_had(folder, [file])
    path = folder / file
    if not os.path.exists(path):
        _download(path, file, read_skeleton)
    return read_skeleton(path)


def skeletons(folder: Path, files: list[str]) -> dict[str, Skeleton]:
    """Skeleton of each subject; all must have the same channels."""
    subjects = dict.fromkeys(subject_of(file) for file in files)
    _check_can_be_had(folder, [*files, *(f"{subject}/{subject}.asf" for subject in subjects)])
    skeletons = {subject: skeleton(folder.parent, subject) for subject in subjects}
    first = next(iter(skeletons))
    if not observed_channels(skeletons[first]):
        raise wrong(f"the skeleton of subject {first} has no observed joint", "must have one")
    for subject, other in skeletons.items():
        if other.channels != skeletons[first].channels:
            raise wrong(
                f"the skeleton of subject {subject} has other channels than that of {first}", "must have the same ones"
            )
    return skeletons


def _check_can_be_had(folder: Path, files: list[str]) -> None:
    """Raise InputError, before any download, for files that are neither in the folder nor on the database's site."""
    lost = [file for file in files if not _ON_SITE.fullmatch(file) and not os.path.exists(folder / file)]
    if lost:
        found = f"{listed(lost)}: missing, and not on the database's site"
        fix = f"put the missing files into {folder} or name others in option trials, as 35/35_17.amc for jogging"
        raise InputError(f"dataset human_motion: {found}; {fix}.")


def recording(folder: Path, file: str, skeleton: Skeleton) -> Motion:
    """The used frames of a trial; downloads the file if it is missing."""
    path = folder / file
    if not os.path.exists(path):
        _download(path, file, lambda copy: _checked(copy, file, skeleton))
    return _checked(path, file, skeleton)


def _checked(path: Path, file: str, skeleton: Skeleton) -> Motion:
    """The used frames of a trial's file; InputError where they differ from the known ones or cannot be joint angles."""
    motion = read_motion(path, skeleton)
    largest = np.abs(motion.channels[:, observed_channels(skeleton)]).max()
    if not _LEAST <= largest <= _MOST:
        found = f"{path}: the largest joint angle would be {largest:.3g} degrees"
        raise InputError(f"{found}; give another file, or correct :DEGREES or :RADIANS in its header if it is wrong.")
    known = {name: facts for of_motion in TRIALS.values() for name, facts in of_motion.items()}
    if file not in known:
        return motion
    first, last, sha256 = known[file]
    inside = (first <= motion.frames) & (motion.frames <= last)
    motion = Motion(channels=motion.channels[inside], frames=motion.frames[inside])
    content = np.ascontiguousarray(motion.channels + 0.0, dtype="<f8")  # + 0.0 turns −0 into 0
    if hashlib.sha256(content).hexdigest() != sha256:
        fix = "delete it to have it downloaded again, or give an altered recording another name"
        raise InputError(f"{path}: its frames {first} to {last} are not those of the recording; {fix}.")
    return motion


def _download(path: Path, file: str, check: Callable[[Path], object]) -> None:
    """Fetch a file from the database's site; it gets its name only after the check."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as scratch:
            copy = _from_site(Path(scratch), path, file, check)
            # Copied, as pooch's file is readable by its owner only; the rename is atomic.
            os.replace(shutil.copyfile(copy, Path(scratch) / "copy"), path)
    except OSError as error:
        fix = "make the folder writable or put the file there yourself"
        raise InputError(
            f"dataset human_motion: {path} cannot be written ({_one_line(error)[:120]}); {fix}."
        ) from error


def _from_site(scratch: Path, path: Path, file: str, check: Callable[[Path], object]) -> Path:
    for attempt in range(_ATTEMPTS):
        try:
            copy = Path(pooch.retrieve(SITE + file, known_hash=None, fname=f"{attempt}-{path.name}", path=scratch))
            check(copy)
            return copy
        except Exception as error:  # any failure may be temporary; the last one is reported
            reason = error
            time.sleep(_PAUSE * (attempt + 1 < _ATTEMPTS))
    found = f"{file} is missing and {SITE} did not give it"
    said = _one_line(reason).replace(f"{scratch}{os.sep}", "")[:200].rstrip(".")
    raise InputError(f"dataset human_motion: {found}; put it into {path.parent} ({said}).")


def subject_of(file: str) -> str:
    return file.split("/")[0]


def observed_channels(skeleton: Skeleton) -> list[int]:
    """Indices of the observed channels."""
    return [at for at, channel in enumerate(skeleton.channels) if channel.split(".")[0] not in _NOT_USED]


def _one_line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join((str(error) or type(error).__name__).split())


def listed(names) -> str:
    return ", ".join(names)


def wrong(found: str, fix: str) -> InputError:
    return InputError(f"dataset human_motion: {found}; it {fix}.")
