"""Crowd: drawn videos of people who walk past one another, for tracking without a download.

Each person wears different clothes and walks through a scene in perspective, where nearer people hide farther ones. The
camera travels, pans and sways, and the light changes. The videos are written to the cache folder in MOTChallenge's layout,
with exact ground truth and the detections of an imperfect detector, and read from there like real ones (see mot.py, whose
crops() serves here too)::

    data, table = crowd.load(seed=0), crowd.boxes(seed=0)
    (video,) = crowd.sequences(part="test", seed=0)
"""

import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import PIL

from flatvae.datasets import MAX_SEED, Dataset, _boxes, _crowd_drawing, _crowd_scene, _motchallenge, check_range, mot
from flatvae.datasets._benchmark import PEDESTRIAN
from flatvae.datasets._boxes import DETECTIONS, GROUND_TRUTH, one_line
from flatvae.datasets._crowd_drawing import Drawn, draw_frame
from flatvae.datasets._crowd_scene import EYE, FAR, FOCAL, HEIGHT, HORIZON, NEAR, RATE, WIDTH, Scene, make_scene
from flatvae.datasets._motchallenge import Sequence, read_sequence, write_sequence
from flatvae.errors import InputError

__all__ = ["boxes", "load", "sequences"]

_FALSE = 0.3  # mean number of false detections per frame
_MADE = "SHA256"  # file in a sequence's folder that holds the hash of the others
# The videos are drawn again when this code changes.
_MADE_BY = (__file__, *(module.__file__ for module in (_crowd_scene, _crowd_drawing, _motchallenge, _boxes)))
_CODE = hashlib.sha256(b"".join(Path(file).read_bytes() for file in _MADE_BY)).hexdigest()


def load(
    root: Path | None = None,
    *,
    sequences: int = 3,
    test: int = 1,
    frames: int = 120,
    people: int = 10,
    source: Literal["ground_truth", "detections"] = "ground_truth",
    visibility: float = 0.25,
    size: tuple[int, int] | list[int] = (64, 32),
    colour: Literal["rgb", "chromaticity"] = "rgb",
    copies: int = 0,
    validation: float = 0.15,
    seed: int = 0,
) -> Dataset:
    """Pictures of the people, (3, rows, columns) flattened; labels are identities.

    Parts and pictures are made as in mot.load(). The sequences are CROWD-01, CROWD-02, … and differ in scene, people, light
    and camera; the last ones form the test part.

    Args:
        root: not used; the videos are drawn.
        sequences: number of videos, 2 to 99.
        test: how many of them form the test part.
        frames: length of a video, at 25 frames a second, 2 to 2,000.
        people: number of people who walk through a video, 4 to 99; in a short video most are visible at any time.
        source, visibility, size, colour, copies, validation: as in mot.load().
        seed: of all random draws, and of the choice of identities for validation.

    Raises InputError for options out of range and where the cache folder cannot be written.

    Source: this suite's own videos.
    """
    choice = mot.Choice("crowd", source, visibility, tuple(size), colour, copies, validation, seed)
    return mot.assemble(choice, *_videos(sequences, test, frames, people, seed))


def boxes(root: Path | None = None, **options) -> pd.DataFrame:
    """The source of each row of load() with the same options, as a table like mot.boxes(). Raises InputError as load() does."""
    given = mot.arguments(load, root, options)
    made_of = {field: given[field] for field in ("source", "visibility", "colour", "copies", "validation", "seed")}
    return mot.table(mot.Choice("crowd", size=tuple(given["size"]), **made_of), *_given_videos(given))


def sequences(root: Path | None = None, part: Literal["train", "test"] = "test", **options) -> list[Sequence]:
    """The videos of a part of load() with the same options. Raises InputError as load() does."""
    train, test = _given_videos(mot.arguments(load, root, options))
    return {"train": train, "test": test}[part]


def _given_videos(given: dict) -> tuple[list[Sequence], list[Sequence]]:
    return _videos(*(given[option] for option in ("sequences", "test", "frames", "people", "seed")))


# The files


def _videos(sequences: int, test: int, frames: int, people: int, seed: int) -> tuple[list[Sequence], list[Sequence]]:
    """The training and the test sequences; those missing in the cache are drawn."""
    check_range("crowd", "sequences", sequences, 2, 99)
    check_range("crowd", "test", test, 1, sequences - 1)
    check_range("crowd", "frames", frames, 2, 2_000)
    check_range("crowd", "people", people, 4, 99)
    check_range("crowd", "seed", seed, 0, MAX_SEED)
    known = [_CODE, np.__version__, PIL.__version__, frames, people, seed]
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:24]
    folder = mot.cache_root() / "crowd" / key
    made = [_made(folder / f"CROWD-{number:02d}", number, frames, people, seed) for number in range(1, sequences + 1)]
    return made[: sequences - test], made[sequences - test :]


def _made(folder: Path, number: int, frames: int, people: int, seed: int) -> Sequence:
    """The sequence in a folder of the cache, drawn where missing or damaged."""
    if not _whole(folder):
        try:
            _make(folder, number, frames, people, seed)
        except OSError as error:
            found = f"dataset crowd: {folder} cannot be written ({one_line(error)})"
            fix = "set the environment variable FLATVAE_CACHE to a writable folder"
            raise InputError(f"{found}; {fix}.") from error
    return read_sequence(folder)


def _make(folder: Path, number: int, frames: int, people: int, seed: int) -> None:
    """Draw a sequence and put it into its folder atomically: several jobs may do so at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".drawing-") as scratch:
        new = Path(scratch) / folder.name
        scene = make_scene(number, frames, people, seed)
        drawn = [draw_frame(scene, frame) for frame in range(1, frames + 1)]
        truth = _ground_truth(drawn)
        write_sequence(new, [frame.image for frame in drawn], truth, _detections(scene, truth), RATE)
        (new / _MADE).write_text(_hash(new), encoding="ascii")
        if folder.exists() and not _whole(folder):
            os.rename(folder, Path(scratch) / "damaged")
        try:
            os.rename(new, folder)
        except OSError:
            if not _whole(folder):  # else another job wrote the same bytes first
                raise


def _whole(folder: Path) -> bool:
    """Whether all files of a sequence exist and are unchanged; clusters clear their scratch folders file by file."""
    try:
        return (folder / _MADE).read_text(encoding="ascii") == _hash(folder)
    except (OSError, ValueError):
        return False


def _hash(folder: Path) -> str:
    """sha256 over names and contents of a sequence's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _MADE:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# Ground truth and detector


def _ground_truth(drawn: list[Drawn]) -> pd.DataFrame:
    """The exact boxes, with the columns of MOT16/17. As there, boxes reach beyond the frame and hidden people have one."""
    rows = [
        (frame, *person[:5], 1, PEDESTRIAN, person[5]) for frame, one in enumerate(drawn, 1) for person in one.people
    ]
    return pd.DataFrame(rows, columns=GROUND_TRUTH[9])


def _detections(scene: Scene, truth: pd.DataFrame) -> pd.DataFrame:
    """Detections of an imperfect detector: it misses hidden people, errs in place and size, and has false detections."""
    draw = np.random.default_rng([*scene.seed, 2])
    rows = []
    for frame, people in truth.groupby("frame"):
        found = [_detected(draw, person) for person in people.itertuples() if _is_found(draw, person.visibility)]
        found += [_imagined(draw) for _ in range(draw.poisson(_FALSE))]
        inside = [box for box in map(_into_frame, found) if min(box[2:4]) > 1]
        rows += [(frame, -1, *box) for box in sorted(inside, key=lambda box: -box[4])]
    return pd.DataFrame(rows, columns=DETECTIONS[7])


def _is_found(draw: np.random.Generator, visibility: float) -> bool:
    return bool(draw.random() < 0.97 / (1 + math.exp((0.4 - visibility) / 0.08)))


def _detected(draw: np.random.Generator, person) -> tuple[float, ...]:
    """Left, top, width, height, confidence of a person's detection."""
    width, height = person.width * math.exp(draw.normal(0, 0.07)), person.height * math.exp(draw.normal(0, 0.05))
    left = person.left + (person.width - width) / 2 + draw.normal(0, 0.05) * person.width
    top = person.top + (person.height - height) / 2 + draw.normal(0, 0.03) * person.height
    return left, top, width, height, float(np.clip(0.45 + 0.5 * person.visibility + draw.normal(0, 0.1), 0.05, 1))


def _imagined(draw: np.random.Generator) -> tuple[float, ...]:
    """A false detection, as large as a person at that place."""
    z = draw.uniform(NEAR, FAR)
    height = FOCAL * 1.7 / z
    left, top = draw.uniform(0, WIDTH - 0.4 * height), HORIZON + FOCAL * EYE / z - height
    return left, top, 0.4 * height, height, draw.uniform(0.05, 0.6)


def _into_frame(box: tuple[float, ...]) -> tuple[float, ...]:
    """A detection cut at the frame's border and rounded, as public detections are."""
    left, top, width, height, confidence = box
    x0, y0, x1, y1 = max(left, 1), max(top, 1), min(left + width, WIDTH + 1), min(top + height, HEIGHT + 1)
    return tuple(round(float(value), 1) for value in (x0, y0, x1 - x0, y1 - y0)) + (round(confidence, 3),)
