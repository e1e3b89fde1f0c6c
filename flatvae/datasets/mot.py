"""Pedestrians of MOTChallenge videos: a row is the picture of one person in one frame, its label that person's identity.

boxes() gives each row's sequence, frame and box; sequences() gives the videos of a part, with ground truth and detections;
and crops() gives the pictures of any boxes of a frame, as a tracker needs them::

    options = {"train": ["TUD-Campus", "ETH-Sunnyday"], "test": ["TUD-Stadtmitte"]}
    data, table = mot.load(root, **options), mot.boxes(root, **options)
    (video,) = mot.sequences(root, "test", **options)
    for frame, found in video.detections.groupby("frame"):
        pictures = mot.crops(video, frame, found)  # (N, D)

The videos show people and are published under CC BY-NC-SA 3.0: users download them themselves, and pictures are kept in a
cache folder outside the project (set it with the environment variable FLATVAE_CACHE).
"""

import functools
import inspect
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from flatvae.datasets import MAX_SEED, PARTS, Dataset, check_range, data_root
from flatvae.datasets._benchmark import counted, match, overlapping, without_distractors
from flatvae.datasets._boxes import BOX
from flatvae.datasets._motchallenge import Sequence, mode, read_frame, read_sequence
from flatvae.datasets._pictures import cache_root, cached, crops, digests, observations, outside
from flatvae.errors import InputError

__all__ = ["TEST", "TRAIN", "boxes", "cache_root", "crops", "load", "sequences"]
__all__ += ["Sequence", "read_frame", "read_sequence"]  # re-exported

FOLDER = "mot"
SITE = "https://motchallenge.net"
TRAIN, TEST = ("TUD-Campus", "ETH-Sunnyday"), ("TUD-Stadtmitte",)
COLUMNS = ("part", "sequence", "frame", "identity", "label", *BOX)
NOBODY = -1  # identity and label of a detection that is no pedestrian
COLOURS = ("rgb", "chromaticity")
_MOVED, _ZOOM = (0.1, 0.05), 0.1  # of copies: largest shift in widths and heights, largest |log scale|
_LARGEST = 512  # pixels a side of a crop
_FEWEST = 4  # identities a sequence needs: two in each part, so that one can be mistaken for another
_ALIKE = 0.3  # least intersection over union of two boxes of a frame that are taken to show the same thing


@dataclass(frozen=True)
class Choice:
    """How sequences become a data set: the options of load() with the same names, checked."""

    dataset: str
    source: str
    visibility: float
    size: tuple[int, int]
    colour: str
    copies: int
    validation: float
    seed: int

    def __post_init__(self):
        check_range(self.dataset, "visibility", self.visibility, 0, 1)
        check_range(self.dataset, "copies", self.copies, 0, 100)
        check_range(self.dataset, "validation", self.validation, 0.01, 0.5)
        check_range(self.dataset, "seed", self.seed, 0, MAX_SEED)
        if self.colour not in COLOURS:
            raise self.refusal(f"option colour is {self.colour!r}", f"it must be {' or '.join(map(repr, COLOURS))}")
        if self.source not in ("ground_truth", "detections"):
            raise self.refusal(f"option source is {self.source!r}", "it must be 'ground_truth' or 'detections'")
        if len(self.size) != 2 or any(type(side) is not int or not 1 <= side <= _LARGEST for side in self.size):
            raise self.refusal(f"option size is {list(self.size)}", f"it must be rows and columns, 1 to {_LARGEST}")

    def refusal(self, found: str, fix: str) -> InputError:
        """The error that names the cause and the fix."""
        return InputError(f"dataset {self.dataset}: {found}; {fix}.")


def load(
    root: Path | None = None,
    *,
    train: tuple[str, ...] | list[str] = TRAIN,
    test: tuple[str, ...] | list[str] = TEST,
    source: Literal["ground_truth", "detections"] = "ground_truth",
    visibility: float = 0.25,
    size: tuple[int, int] | list[int] = (64, 32),
    colour: Literal["rgb", "chromaticity"] = "rgb",
    copies: int = 0,
    validation: float = 0.15,
    seed: int = 0,
) -> Dataset:
    """Pictures of pedestrians from ``root/mot``, (3, rows, columns) flattened; labels are identities.

    A box is cut out at whole pixels, scaled to fit (aspect ratio kept, bilinear with antialiasing) and centred on grey; its
    part outside the image is grey too. _benchmark says which boxes count. The others, and boxes entirely outside the image,
    are left out, and their number is printed. A frame with an EXIF orientation is turned first, as in OpenCV, so boxes refer
    to the frame as it is shown.

    Training and test part are different videos. Validation holds out *identities* of the training videos: in each video at
    least two, who have at least the share ``validation`` of its boxes. It does not hold out a block of time: the people in a
    block are in the training part too, so its error would say nothing about people the model has never seen, and in these
    short videos a block has no two pictures of a person far enough apart in time for re-identification. Held-out people
    appear next to others, so training boxes that overlap a held-out person's box in the same frame (intersection over union
    ≥ 0.3) are left out. Measured on the default videos: 1 % of the held-out pictures are closer to a training picture than
    to any other picture of their person. A person with two identities in the ground truth goes unnoticed.

    Labels number all used (sequence, identity) pairs, in the order of the options and, within a sequence, of the identity.

    Args:
        root: folder of the data; the sequences lie in its folder ``mot``.
        train, test: names of sequences.
        source: "ground_truth", or "detections" for the boxes of the public detector. By the benchmark's rule, detections get
            the identity of the pedestrian they match, −1 for none, and detections of distractors are left out. The validation
            part has the detections of held-out identities.
        visibility: least visible share of a ground truth's box, where the sequence gives it (MOT16/17); below it the picture
            shows someone else. Detections are not filtered.
        size: rows and columns of a picture.
        colour: "rgb", or "chromaticity": c = v / (v_R + v_G + v_B + 0.1) for a pixel's RGB values v. Shade and light scale
            v, so they cancel, except for the constant, which keeps dark pixels dark. Then x = 0.1 (c − m) / s, with m the mean
            of each channel and s² the mean square of c − m over the picture (at least 0.001²), so that every picture has the
            energy |x|² = 0.01 D, whatever its video's colours. Chromaticity identifies people far better: rank-1 / mAP by
            Euclidean distance between raw pictures 10 or more frames apart, in RGB and in chromaticity, are 0.71 / 0.49 and
            0.84 / 0.64 (TUD-Campus), 0.86 / 0.56 and 0.95 / 0.76 (ETH-Sunnyday), 0.58 / 0.38 and 0.77 / 0.56 (TUD-Stadtmitte).
        copies: number of extra cuts of each training box, moved by up to 10 % of its width and 5 % of its height and scaled
            by up to 10 %, as a detector might place it; the training part becomes 1 + copies times as large.
        validation: least share of a training sequence's boxes that is held out, 0.01 to 0.5.
        seed: of the choice of identities.

    Raises InputError for sequences that are missing, broken or without ground truth, for missing and broken frames, and
    for videos that are in both parts.

    Source: MOTChallenge, Leal-Taixé et al. (2015) and Milan et al. (2016).
    """
    choice = Choice("mot", source, visibility, tuple(size), colour, copies, validation, seed)
    return assemble(choice, *_both(root, train, test))


def boxes(root: Path | None = None, **options) -> pd.DataFrame:
    """The source of each row of load() with the same options, in the order train, validation, test.

    Returns:
        A table with the columns part ("train", ...), sequence, frame, identity (as in the file, −1 for none), label (as in
        load()), left, top, width, height (pixels; the image's upper left pixel is 1, 1). Within a part the rows of a
        sequence are contiguous and in the order of frames.

    Raises InputError as load() does, except for frames, which it does not open.
    """
    given = arguments(load, root, options)
    videos = _both(given.pop("root"), given.pop("train"), given.pop("test"))
    return table(Choice("mot", **{**given, "size": tuple(given["size"])}), *videos)


def sequences(root: Path | None = None, part: Literal["train", "test"] = "test", **options) -> list[Sequence]:
    """The videos of a part of load() with the same options. Raises InputError as load() does."""
    given = arguments(load, root, options)
    return dict(zip(("train", "test"), _both(given["root"], given["train"], given["test"]), strict=True))[part]


# Shared with other data sets of videos


def assemble(choice: Choice, train: list[Sequence], test: list[Sequence]) -> Dataset:
    """Make the data set from training and test sequences."""
    rows, left_out = _table(choice, train, test)
    videos = [*train, *test]
    frames = {video.name: digests(video, rows["frame"][rows["sequence"] == video.name]) for video in videos}
    _check_apart(choice, train, test, frames)
    pictures = np.empty((len(rows), 3, *choice.size), dtype=np.uint8)
    for video in videos:
        here = (rows["sequence"] == video.name).to_numpy()
        pictures[here] = cached(video, rows[here], choice.size, frames[video.name])
    _report(choice, rows, left_out)
    values, labels = {}, {}
    for part in PARTS:
        here = (rows["part"] == part).to_numpy()
        values[part] = observations(pictures[here], choice.colour)
        labels[f"{part}_labels"] = torch.from_numpy(rows["label"].to_numpy()[here])
    return Dataset(
        name=choice.dataset,
        likelihood="gaussian",
        shape=(3, *choice.size),
        boxes=rows,
        videos={"train": train, "test": test},
        crops=functools.partial(crops, size=choice.size, colour=choice.colour),
        **values,
        **labels,
    )


def table(choice: Choice, train: list[Sequence], test: list[Sequence]) -> pd.DataFrame:
    """The table of boxes() for training and test sequences."""
    return _table(choice, train, test)[0]


def arguments(load: Callable[..., Dataset], root: Path | None, options: dict) -> dict:
    """Arguments of a data set's load(), completed with its defaults."""
    bound = inspect.signature(load).bind(root, **options)
    bound.apply_defaults()
    return bound.arguments


# Which boxes, in which part


def _both(root: Path | None, train, test) -> tuple[list[Sequence], list[Sequence]]:
    """The training and the test sequences."""
    for option, names in (("train", train), ("test", test)):
        listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        if not names or not listed or any(name in ("", "..") or Path(name).name != name for name in names):
            wanted = "it must name one or more sequences, each by its folder's name without a slash"
            raise InputError(f"dataset mot: option {option} is {names!r}; {wanted}.")
    named = [*train, *test]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice:
        raise InputError(f"dataset mot: sequence {twice} is named twice; name each once, in train or in test.")
    folder = data_root(root) / FOLDER
    lost = [name for name in named if not stat.S_ISDIR(mode(folder / name))]
    if lost:
        found = f"dataset mot: sequence {', '.join(lost)} is missing in {folder}"
        fix = f"get it from {SITE} (its licence, CC BY-NC-SA 3.0, does not let this project ship it)"
        raise InputError(f"{found}; {fix} and put its folder with img1, gt and det there.")
    return [read_sequence(folder / name) for name in train], [read_sequence(folder / name) for name in test]


def _table(choice: Choice, train: list[Sequence], test: list[Sequence]) -> tuple[pd.DataFrame, Counter]:
    """The table of boxes(), and the number of boxes left out for each reason."""
    of_train, of_test = Counter(), Counter()
    generator = torch.Generator().manual_seed(choice.seed)
    pieces = []
    for video in train:
        left_out = Counter()
        rows = _of_sequence(choice, video, left_out)
        held_out = _held_out(choice, video, rows, generator, left_out)
        hidden = video.ground_truth[counted(video.ground_truth) & video.ground_truth["identity"].isin(held_out)]
        alike = overlapping(rows, hidden, _ALIKE) & ~rows["identity"].isin(held_out)
        left_out["overlapping a held-out person"] += int(alike.sum())
        rows["part"] = np.where(rows["identity"].isin(held_out), "validation", "train")
        of_train += left_out
        pieces.append(_with_copies(rows[~alike], choice.copies, video, generator))
    pieces += [_of_sequence(choice, video, of_test).assign(part="test") for video in test]
    rows = pd.concat(pieces, ignore_index=True)
    order = pd.Categorical(rows["part"], categories=PARTS).codes.argsort(kind="stable")
    rows = rows.iloc[order].reset_index(drop=True)
    for part, videos, gone in zip(PARTS, (train, train, test), (of_train, of_train, of_test), strict=True):
        if not (rows["part"] == part).any():
            found = f"no box is left for the {part} part from {', '.join(video.name for video in videos)}"
            raise _too_few(choice, videos, gone, found, "name other sequences")
    rows["label"] = _labels(rows, [video.name for video in (*train, *test)])
    return rows[list(COLUMNS)], of_train + of_test


def _of_sequence(choice: Choice, video: Sequence, left_out: Counter) -> pd.DataFrame:
    """A sequence's used boxes, with sequence, frame, identity and box, in the order of frames."""
    for kind, there in (("gt/gt.txt", video.ground_truth), ("det/det.txt", video.detections)):
        needed = kind[0] == "g" or choice.source == "detections"
        if needed and there is None:
            raise choice.refusal(f"sequence {video.name} has no {kind}", f"put it into {video.folder}")
    people = _detected if choice.source == "detections" else _annotated
    rows = people(choice, video, left_out)
    gone = outside(rows, video)
    left_out["outside the image"] += int(gone.sum())
    rows = rows[~gone].sort_values(["frame", "identity"], kind="stable", ignore_index=True)
    return rows[["frame", "identity", *BOX]].assign(sequence=video.name)


def _with_copies(rows: pd.DataFrame, copies: int, video: Sequence, generator: torch.Generator) -> pd.DataFrame:
    """The rows, plus moved copies of the training rows, in the order of frames."""
    again = pd.concat([rows[rows["part"] == "train"]] * copies) if copies else rows[:0]
    across, down, zoom = (2 * torch.rand(3, len(again), generator=generator, dtype=torch.float64) - 1).numpy()
    width, height = again["width"] * np.exp(_ZOOM * zoom), again["height"] * np.exp(_ZOOM * zoom)
    again = again.assign(
        left=again["left"] + _MOVED[0] * across * again["width"] + (again["width"] - width) / 2,
        top=again["top"] + _MOVED[1] * down * again["height"] + (again["height"] - height) / 2,
        width=width,
        height=height,
    )
    return pd.concat([rows, again[~outside(again, video)]]).sort_values("frame", kind="stable")


def _annotated(choice: Choice, video: Sequence, left_out: Counter) -> pd.DataFrame:
    """Rows of the ground truth that count and are visible."""
    rows = video.ground_truth[counted(video.ground_truth)]
    left_out["not counted (flag 0, another class)"] += len(video.ground_truth) - len(rows)
    if "visibility" not in rows:  # MOT15 has none
        return rows
    seen = rows["visibility"] >= choice.visibility
    left_out[f"less than {choice.visibility:g} visible"] += int((~seen).sum())
    return rows[seen]


def _detected(choice: Choice, video: Sequence, left_out: Counter) -> pd.DataFrame:
    """Detections that the benchmark counts, with the identity of the matched pedestrian, or NOBODY."""
    kept = without_distractors(video.detections, video.ground_truth)
    left_out["of a distractor"] += int((~kept).sum())
    people = video.ground_truth[counted(video.ground_truth)]
    rows = video.detections[kept]
    matched = match(rows, people)
    identity = np.append(people["identity"].to_numpy(), NOBODY)  # so that −1 finds NOBODY
    return rows.assign(identity=identity[matched])


def _held_out(choice: Choice, video: Sequence, rows: pd.DataFrame, generator, left_out: Counter) -> list[int]:
    """The identities of a training sequence that are held out for validation."""
    sizes = rows["identity"][rows["identity"] != NOBODY].value_counts().sort_index()
    if len(sizes) < _FEWEST:
        found = f"sequence {video.name} has {len(sizes)} usable identities"
        raise _too_few(choice, [video], left_out, found, f"name one for training that has {_FEWEST} or more")
    sizes = sizes.iloc[torch.randperm(len(sizes), generator=generator).numpy()]
    enough = int((sizes.cumsum() < choice.validation * sizes.sum()).sum()) + 1
    return sizes.index[: min(max(enough, 2), len(sizes) - 2)].tolist()


def _labels(rows: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Label of each row (N,), int64."""
    place = {name: at for at, name in enumerate(names)}
    who = list(zip(rows["sequence"].map(place), rows["identity"], strict=True))
    known = {key: at for at, key in enumerate(sorted({key for key in who if key[1] != NOBODY}))}
    return np.array([known.get(key, NOBODY) for key in who], dtype=np.int64)


def _check_apart(choice: Choice, train: list[Sequence], test: list[Sequence], frames: dict) -> None:
    """Raise InputError where training and test sequences share a frame: MOT16 and MOT17 are the same videos."""
    owner = {digest: video.name for video in train for digest in frames[video.name].values()}
    for video in test:
        for digest in frames[video.name].values():
            if digest in owner:
                found = f"sequences {owner[digest]} (train) and {video.name} (test) have a frame in common"
                raise choice.refusal(found, "they are the same video; name one of them")


def _report(choice: Choice, rows: pd.DataFrame, left_out: Counter) -> None:
    sizes = ", ".join(f"{(rows['part'] == part).sum()} {part}" for part in PARTS)
    people = rows["label"][rows["label"] != NOBODY].nunique()
    print(f"dataset {choice.dataset}: {sizes} boxes of {people} identities; left out: {_reasons(left_out)}", flush=True)


def _reasons(left_out: Counter) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "none"


def _too_few(choice: Choice, videos: list[Sequence], left_out: Counter, found: str, fix: str) -> InputError:
    """The error for videos with too few boxes, with the numbers left out for each reason."""
    count = sum(len(getattr(video, choice.source)) for video in videos)
    lower = ", or set visibility lower" if any("visible" in reason for reason in +left_out) else ""
    return choice.refusal(f"{found} ({count} boxes in {choice.source}, left out: {_reasons(left_out)})", fix + lower)
