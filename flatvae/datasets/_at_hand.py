"""Which data sets are at hand: what a reader needs by default, which of it is there, and how to get the rest."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from flatvae.datasets import _cmu, mnist, mot, names

YES, NO, IN_PART, UNKNOWN = "yes", "no", "in part", "–"


class AtHand(NamedTuple):
    """A data set by its name: whether it is at hand (YES, NO, IN_PART or UNKNOWN), and where it lies or how to get it."""

    name: str
    state: str
    where: str


def at_hand(root: Path) -> list[AtHand]:
    """Every data set, looked for in a folder of data. Files are not opened: whether they are whole, their reader says."""
    return [_of(name, root) for name in names()]


def _of(name: str, root: Path) -> AtHand:
    without_files = {
        "arrays": (UNKNOWN, "your own files: name them in a config, see docs/your_data.md"),
        "crowd": (YES, f"drawn when first loaded, and kept in {mot.cache_root() / 'crowd'}"),
        "digits": (YES, "comes with scikit-learn"),
        "pendulum": (YES, "drawn when loaded"),
    }
    with_files = {"mnist": _mnist, "human_motion": _human_motion, "mot": _mot}
    if name in with_files:
        return with_files[name](root)
    return AtHand(name, *without_files.get(name, (UNKNOWN, f"see flatvae/datasets/{name}.py")))


def _mnist(root: Path) -> AtHand:
    folder, lost = root / "mnist", []
    for name in mnist.SHA256:
        unpacked = name.removesuffix(".gz")
        if not any((folder / file).exists() for file in (name, unpacked, unpacked.replace("-idx", ".idx"))):
            lost.append(name)
    return _told(
        "mnist", "files", folder, len(mnist.SHA256), lost, f"a run downloads them from {_host(mnist.MIRRORS[0])}"
    )


def _human_motion(root: Path) -> AtHand:
    folder = root / _cmu.FOLDER
    trials = [file for of_motion in _cmu.TRIALS.values() for file in of_motion]
    files = [*trials, *(f"{subject}/{subject}.asf" for subject in dict.fromkeys(map(_cmu.subject_of, trials)))]
    lost = [file for file in files if not (folder / file).exists()]
    how = f"a run downloads them from {_host(_cmu.SITE)}"
    if by_hand := [file for file in lost if not _cmu._ON_SITE.fullmatch(file)]:
        how += f", but {len(by_hand)} such as {by_hand[0]}: put these there, or name others in the option trials"
    return _told("human_motion", "files", folder, len(files), lost, how)


def _mot(root: Path) -> AtHand:
    folder, sequences = root / mot.FOLDER, [*mot.TRAIN, *mot.TEST]
    lost = [name for name in sequences if not (folder / name).is_dir()]
    how = f"get {', '.join(lost)} from {mot.SITE} and put the folders there; their licence allows no download by a run"
    return _told("mot", "videos", folder, len(sequences), lost, how)


def _told(name: str, things: str, folder: Path, needed: int, lost: list[str], how: str) -> AtHand:
    if not lost:
        return AtHand(name, YES, f"{needed} {things} in {folder}")
    return AtHand(
        name, NO if len(lost) == needed else IN_PART, f"{len(lost)} of {needed} {things} are not in {folder}: {how}"
    )


def _host(address: str) -> str:
    return urlsplit(address).netloc
