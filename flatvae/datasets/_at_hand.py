"""Which data sets are at hand: the files each needs by default, those that exist, and how to get the rest."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from flatvae.datasets import _cmu, mnist, mot, names

YES, NO, IN_PART, UNKNOWN = "yes", "no", "in part", "–"


class AtHand(NamedTuple):
    """A data set's name, whether it is at hand (YES, NO, IN_PART or UNKNOWN), and where it is or how to get it."""

    name: str
    state: str
    where: str


def at_hand(root: Path) -> list[AtHand]:
    """Look for every data set in a data folder. Files are not opened; only the loaders check their content."""
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
    folder, missing = root / "mnist", []
    for name in mnist.SHA256:
        unpacked = name.removesuffix(".gz")
        if not any((folder / file).exists() for file in (name, unpacked, unpacked.replace("-idx", ".idx"))):
            missing.append(name)
    return _entry(
        "mnist", "files", folder, len(mnist.SHA256), missing, f"a run downloads them from {_host(mnist.MIRRORS[0])}"
    )


def _human_motion(root: Path) -> AtHand:
    folder = root / _cmu.FOLDER
    trials = [file for of_motion in _cmu.TRIALS.values() for file in of_motion]
    files = [*trials, *(f"{subject}/{subject}.asf" for subject in dict.fromkeys(map(_cmu.subject_of, trials)))]
    missing = [file for file in files if not (folder / file).exists()]
    how = f"a run downloads them from {_host(_cmu.SITE)}"
    if by_hand := [file for file in missing if not _cmu._ON_SITE.fullmatch(file)]:
        how += f", but {len(by_hand)} such as {by_hand[0]}: put these there, or name others in the option trials"
    return _entry("human_motion", "files", folder, len(files), missing, how)


def _mot(root: Path) -> AtHand:
    folder, sequences = root / mot.FOLDER, [*mot.TRAIN, *mot.TEST]
    missing = [name for name in sequences if not (folder / name).is_dir()]
    how = (
        f"get {', '.join(missing)} from {mot.SITE} and put the folders there; their licence allows no download by a run"
    )
    return _entry("mot", "videos", folder, len(sequences), missing, how)


def _entry(name: str, things: str, folder: Path, needed: int, missing: list[str], how: str) -> AtHand:
    if not missing:
        return AtHand(name, YES, f"{needed} {things} in {folder}")
    return AtHand(
        name,
        NO if len(missing) == needed else IN_PART,
        f"{len(missing)} of {needed} {things} are not in {folder}: {how}",
    )


def _host(address: str) -> str:
    return urlsplit(address).netloc
