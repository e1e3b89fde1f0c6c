"""Crowd: drawn videos of people walking by one another, so that there is something to track without a download.

Every person has clothes of their own and walks through a scene in perspective, the nearer hiding the further, before a camera
that travels, pans and sways, in a light that changes. The videos are written in MOTChallenge's layout with exact ground truth
and with the detections of an imperfect detector, into the cache folder, and read from there as real ones are (see
mot.py, whose crops() serves here too)::

    data, table = crowd.load(seed=0), crowd.boxes(seed=0)
    (video,) = crowd.sequences(part="test", seed=0)
"""

import hashlib
import inspect
import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import PIL

from flatvae.datasets import MAX_SEED, Dataset, _motchallenge, check_range, mot
from flatvae.datasets._motchallenge import DETECTIONS, GROUND_TRUTH, PEDESTRIAN, Sequence, read_sequence, write_sequence
from flatvae.errors import InputError

__all__ = ["boxes", "load", "sequences"]

WIDTH, HEIGHT = 320, 240  # pixels of a frame
RATE = 25  # frames a second
_FOCAL = 300  # pixels
_EYE = 2.2  # metres: height of the camera
_HORIZON = 85  # row of the horizon, where the camera does not sway
_NEAR, _FAR = 4.6, 11.0  # metres: distances at which people walk; they are about 115 and 45 pixels tall there
_REACH = 0.45  # body heights: half the width of the grid that a person is drawn on
_STRIDE = 0.8  # body heights that two steps take
_LENS = 0.15, 0.7, 0.15  # parts of a pixel's light that the one before, it and the one after get
_NOISE = 3.0  # the sensor: standard deviation, of 255 levels
_FALSE = 0.3  # detections a frame that are of nobody
_MADE = "SHA256"  # file in a sequence's folder that holds the hash of the others
_PATTERNS = ("plain", "rings", "stripes", "checks", "dots", "halves")
_LOWER = ("trousers", "shorts", "skirt")
# A video made by other code is made anew.
_CODE = hashlib.sha256(b"".join(Path(file).read_bytes() for file in (__file__, _motchallenge.__file__))).hexdigest()


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

    Parts and pictures are made as those of mot.load(). The sequences are CROWD-01, CROWD-02, … and differ in scene, people,
    light and camera; the last ones are the test part.

    Args:
        root: not used, the videos are drawn.
        sequences: number of videos, 2 to 99.
        test: how many of them are for test.
        frames: length of a video, at 25 frames a second, 2 to 2,000.
        people: that walk through a video, 4 to 99; in a short one most of them are to be seen at any time.
        source, visibility, size, colour, copies, validation: as in mot.load().
        seed: of everything that is drawn, and of the choice of identities for validation.

    Raises InputError for options out of range and where the cache folder cannot be written.

    Source: this suite's own videos.
    """
    choice = mot.Choice("crowd", source, visibility, tuple(size), colour, copies, validation, seed)
    return mot.assemble(choice, *_videos(sequences, test, frames, people, seed))


def boxes(root: Path | None = None, **options) -> pd.DataFrame:
    """Where load() with the same options has each row from; a table as of mot.boxes(). Raises InputError as load() does."""
    given = _arguments(root, options)
    made_of = {field: given[field] for field in ("source", "visibility", "colour", "copies", "validation", "seed")}
    return mot.table(mot.Choice("crowd", size=tuple(given["size"]), **made_of), *_given_videos(given))


def sequences(root: Path | None = None, part: Literal["train", "test"] = "test", **options) -> list[Sequence]:
    """The videos that load() with the same options makes a part of. Raises InputError as load() does."""
    train, test = _given_videos(_arguments(root, options))
    return {"train": train, "test": test}[part]


def _arguments(root: Path | None, options: dict) -> dict:
    """Arguments of load(), with its defaults for what is not given."""
    bound = inspect.signature(load).bind(root, **options)
    bound.apply_defaults()
    return bound.arguments


def _given_videos(given: dict) -> tuple[list[Sequence], list[Sequence]]:
    return _videos(*(given[option] for option in ("sequences", "test", "frames", "people", "seed")))


# The files


def _videos(sequences: int, test: int, frames: int, people: int, seed: int) -> tuple[list[Sequence], list[Sequence]]:
    """The training and the test sequences; those that are not in the cache are drawn."""
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
    """The sequence in a folder of the cache, drawn where it is missing or damaged."""
    if not _whole(folder):
        try:
            _make(folder, number, frames, people, seed)
        except OSError as error:
            found = f"dataset crowd: {folder} cannot be written ({' '.join(str(error).split())[:120]})"
            mend = "set the environment variable FLATVAE_CACHE to a folder that can be written"
            raise InputError(f"{found}; {mend}.") from error
    return read_sequence(folder)


def _make(folder: Path, number: int, frames: int, people: int, seed: int) -> None:
    """Draw a sequence and put it into its folder, whole or not at all: several jobs may do it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".drawing-") as scratch:
        new = Path(scratch) / folder.name
        scene = _scene(number, frames, people, seed)
        drawn = [_draw(scene, frame) for frame in range(1, frames + 1)]
        truth = _ground_truth(drawn)
        write_sequence(new, [frame.image for frame in drawn], truth, _detections(scene, truth), RATE)
        (new / _MADE).write_text(_hash(new), encoding="ascii")
        if folder.exists() and not _whole(folder):
            os.rename(folder, Path(scratch) / "damaged")
        try:
            os.rename(new, folder)
        except OSError:
            if not _whole(folder):  # else another job was faster, with the same bytes
                raise


def _whole(folder: Path) -> bool:
    """Whether a sequence is there as it was written; clusters clear their scratch folders file by file."""
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


# The scene


@dataclass(frozen=True, eq=False)
class _Look:
    """What a person looks like; colours are RGB in [0, 1], lengths in body heights."""

    build: float  # factor on all widths
    skin: np.ndarray
    hair: np.ndarray
    long_hair: bool
    top: np.ndarray
    second: np.ndarray  # colour of the pattern
    pattern: str
    waves: float  # of the pattern, in a body height
    lower: str
    below: np.ndarray
    shoes: np.ndarray
    bag: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Person:
    """Who walks where: at a moment (in seconds) at (x, z) metres, x to the right and z away from the camera's start."""

    look: _Look
    height: float  # metres
    moment: float
    x: float
    z: float
    speed: tuple[float, float]  # metres a second along x and z
    phase: float  # of the gait at that moment

    def at(self, seconds: float) -> tuple[float, float]:
        """Where the person is."""
        passed = seconds - self.moment
        return self.x + self.speed[0] * passed, float(np.clip(self.z + self.speed[1] * passed, _NEAR, _FAR))

    def gait(self, seconds: float) -> float:
        """Phase of the gait in radians, 2π for two steps."""
        walked = math.hypot(*self.speed) * (seconds - self.moment)
        return self.phase + 2 * math.pi * walked / (_STRIDE * self.height)


@dataclass(frozen=True, eq=False)
class _Scene:
    seed: tuple[int, int]
    people: tuple[_Person, ...]
    travel: float  # metres a second to the right
    pan: tuple[float, float, float]  # pixels, seconds, radians of a swing
    sway: tuple[float, float, float]
    light: tuple[float, float, float]  # part of the mean, seconds, radians
    tint: np.ndarray  # (3,), what the light's change does to the colours
    shade: tuple[float, float]  # column of the shadow's edge, its strength
    ground: np.ndarray  # (3,)
    stones: np.ndarray  # (64, 64) in [0, 1]
    backdrop: np.ndarray  # (rows, columns, 3) above the horizon, wider than a frame

    def camera(self, seconds: float) -> tuple[float, float, float]:
        """How far the camera has travelled (metres), and where the optical axis is on the frame: column, horizon's row."""
        return self.travel * seconds, WIDTH / 2 + _swing(self.pan, seconds), _HORIZON + _swing(self.sway, seconds)


def _swing(swing: tuple[float, float, float], seconds: float) -> float:
    amplitude, period, phase = swing
    return amplitude * math.sin(2 * math.pi * seconds / period + phase)


def _scene(number: int, frames: int, people: int, seed: int) -> _Scene:
    """The scene of a sequence: all that is drawn by lot but noise and detections."""
    draw = np.random.default_rng([seed, number, 0])
    travel, pan = draw.uniform(-0.4, 0.4), (draw.uniform(2, 14), draw.uniform(3, 6), draw.uniform(0, 2 * math.pi))
    return _Scene(
        seed=(seed, number),
        people=tuple(_person(draw, frames / RATE, travel) for _ in range(people)),
        travel=travel,
        pan=pan,
        sway=(draw.uniform(0.5, 2), draw.uniform(0.8, 2), draw.uniform(0, 2 * math.pi)),
        light=(draw.uniform(0.05, 0.2), draw.uniform(3, 8), draw.uniform(0, 2 * math.pi)),
        tint=draw.uniform(-0.4, 0.4, 3),
        shade=(draw.uniform(0.2, 0.8) * WIDTH, draw.uniform(-0.25, 0.25)),
        ground=_colour(draw, (0, 0.15), (0.4, 0.65)),
        stones=draw.random((64, 64)),
        backdrop=_backdrop(draw),
    )


def _person(draw: np.random.Generator, seconds: float, travel: float) -> _Person:
    """A person who is well inside the frame at some moment of the middle of the video."""
    moment, z = draw.uniform(0.2, 0.8) * seconds, draw.uniform(_NEAR, _FAR)
    column = draw.uniform(0.15, 0.85) * WIDTH - WIDTH / 2
    along = float(draw.choice((-1, 1))) * draw.uniform(0.5, 1.5)
    return _Person(
        look=_look(draw),
        height=draw.uniform(1.5, 1.95),
        moment=moment,
        x=travel * moment + column * z / _FOCAL,
        z=z,
        speed=(along, draw.uniform(-0.4, 0.4)),
        phase=draw.uniform(0, 2 * math.pi),
    )


def _look(draw: np.random.Generator) -> _Look:
    return _Look(
        build=draw.uniform(0.85, 1.25),
        skin=_colour(draw, (0.3, 0.55), (0.35, 0.95), hue=(0.04, 0.09)),
        hair=_colour(draw, (0.2, 0.7), (0.05, 0.6), hue=(0.03, 0.13)),
        long_hair=bool(draw.random() < 0.4),
        top=_colour(draw, (0, 0.9), (0.15, 0.95)),
        second=_colour(draw, (0, 0.9), (0.15, 0.95)),
        pattern=str(draw.choice(_PATTERNS)),
        waves=draw.uniform(9, 16),
        lower=str(draw.choice(_LOWER)),
        below=_colour(draw, (0, 0.7), (0.1, 0.7)),
        shoes=_colour(draw, (0, 0.5), (0.05, 0.9)),
        bag=_colour(draw, (0.2, 0.9), (0.2, 0.9)) if draw.random() < 0.4 else None,
    )


def _colour(draw, saturation: tuple[float, float], value: tuple[float, float], hue=(0.0, 1.0)) -> np.ndarray:
    """An RGB colour (3,) in [0, 1], uniform in ranges of hue, saturation and value."""
    h, s, v = draw.uniform(*hue), draw.uniform(*saturation), draw.uniform(*value)
    wheel = np.abs((h + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
    return (v * (1 - s + s * wheel.clip(0, 1))).astype(np.float32)


def _backdrop(draw: np.random.Generator) -> np.ndarray:
    """Houses with windows before the sky, (rows, columns, 3)."""
    rows, columns = _HORIZON + 8, WIDTH + 80
    sky = np.linspace(0.75, 0.9, rows)[:, None, None] * np.array([0.85, 0.93, 1.0])
    picture = np.broadcast_to(sky, (rows, columns, 3)).astype(np.float32)
    left = 0
    while left < columns:
        right, top = left + int(draw.integers(30, 70)), int(draw.integers(0, 45))
        house = picture[top:, left:right]
        house[:] = _colour(draw, (0, 0.4), (0.3, 0.8))
        pitch, glass = int(draw.integers(9, 15)), _colour(draw, (0, 0.4), (0.1, 0.9))
        for row, column in np.ndindex(house.shape[0] // pitch, house.shape[1] // pitch):
            house[row * pitch + 3 : row * pitch + pitch - 2, column * pitch + 3 : column * pitch + pitch - 2] = glass
        left = right
    return picture


# Drawing


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One frame.

    Attributes:
        image: (HEIGHT, WIDTH, 3), uint8.
        owners: (HEIGHT, WIDTH), identity of the person each pixel shows, 0 for nobody.
        people: of everyone with a pixel on the frame, hidden or not: identity, left, top, width, height, visibility.
    """

    image: np.ndarray
    owners: np.ndarray
    people: list[tuple]


@dataclass(frozen=True)
class _Limb:
    """All points closer to a line than a radius: (x, y) of its ends in body heights, y upwards from the ground."""

    ends: tuple[float, float, float, float]
    radius: float
    colour: np.ndarray
    patterned: bool = False


def _draw(scene: _Scene, frame: int) -> _Drawn:
    """Draw a frame, furthest people first."""
    seconds = (frame - 1) / RATE
    canvas, owners = _background(scene, seconds), np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    sprites = {}
    distance = [person.at(seconds)[1] for person in scene.people]
    for index in np.argsort(distance, kind="stable")[::-1]:
        top, left, mask, colours = _sprite(scene, scene.people[index], seconds)
        onto, part = _clip(top, left, mask.shape)
        if mask[part].any():
            canvas[onto][mask[part]] = colours[part][mask[part]]
            owners[onto][mask[part]] = index + 1
            sprites[index + 1] = top, left, mask
    seen = np.bincount(owners.ravel(), minlength=len(scene.people) + 1)
    people = [
        (identity, *_box(*sprites[identity]), seen[identity] / sprites[identity][2].sum()) for identity in sprites
    ]
    return _Drawn(image=_exposed(scene, canvas, frame), owners=owners, people=sorted(people))


def _clip(top: int, left: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a sprite is on the frame, and which part of it."""
    onto, part = [], []
    for start, length, end in ((top, shape[0], HEIGHT), (left, shape[1], WIDTH)):
        low, high = (min(max(at, 0), end) for at in (start, start + length))
        onto.append(slice(low, high))
        part.append(slice(low - start, high - start))
    return tuple(onto), tuple(part)


def _box(top: int, left: int, mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width, height of what is drawn of a sprite, the frame's upper left pixel being 1, 1."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return left + columns[0] + 1, top + rows[0] + 1, width, height


def _sprite(scene: _Scene, person: _Person, seconds: float) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Row and column of a person's grid on the frame, which of its pixels are the person, and their colours."""
    travelled, axis, horizon = scene.camera(seconds)
    x, z = person.at(seconds)
    height = _FOCAL * person.height / z  # pixels
    foot_column, foot_row = axis + _FOCAL * (x - travelled) / z, horizon + _FOCAL * _EYE / z
    left, right = math.floor(foot_column - _REACH * height), math.ceil(foot_column + _REACH * height)
    top, bottom = math.floor(foot_row - 1.1 * height), math.ceil(foot_row) + 2
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - foot_column) / height * math.copysign(1, person.speed[0])
    up = (foot_row - np.arange(top, bottom, dtype=np.float32) - 0.5) / height
    mask = np.zeros((len(up), len(across)), dtype=bool)
    colours = np.zeros((*mask.shape, 3), dtype=np.float32)
    for limb in _body(person.look, person.gait(seconds)):
        _paint(mask, colours, up, across, limb, person.look)
    return top, left, mask, colours


def _paint(mask: np.ndarray, colours: np.ndarray, up: np.ndarray, across: np.ndarray, limb: _Limb, look: _Look) -> None:
    """Draw a limb over what is there."""
    x0, y0, x1, y1 = limb.ends
    near = _within(up, min(y0, y1) - limb.radius, max(y0, y1) + limb.radius)
    beside = _within(across, min(x0, x1) - limb.radius, max(x0, x1) + limb.radius)
    x, y = across[None, beside] - x0, up[near, None] - y0
    dx, dy = x1 - x0, y1 - y0
    along = ((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9)).clip(0, 1)
    apart = ((x - along * dx) ** 2 + (y - along * dy) ** 2) / limb.radius**2
    inside = apart < 1
    mask[near, beside] |= inside
    rounded = (1 - 0.35 * apart + 0.15 * np.sign(x) * np.sqrt(apart))[inside]  # lit from the front
    colour = limb.colour
    if limb.patterned:
        colour = np.where(_pattern(look, x, y)[inside][:, None], look.second, colour)
    colours[near, beside][inside] = colour * rounded[:, None]


def _within(values: np.ndarray, low: float, high: float) -> slice:
    """The run of values between two bounds; values rise or fall."""
    at = np.flatnonzero((values >= low) & (values <= high))
    return slice(at[0], at[-1] + 1) if len(at) else slice(0, 0)


def _pattern(look: _Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points have the second colour, (rows, columns) for x (1, columns) and y (rows, 1)."""
    waves = 2 * math.pi * look.waves
    rings, stripes = np.sin(waves * y) > 0, np.sin(waves * x) > 0
    return {
        "plain": np.zeros((len(y), x.shape[1]), dtype=bool),
        "rings": rings | np.zeros_like(stripes),
        "stripes": stripes | np.zeros_like(rings),
        "checks": rings ^ stripes,
        "dots": np.sin(waves * y) * np.sin(waves * x) > 0.45,
        "halves": (y > 0.14) | np.zeros_like(stripes),
    }[look.pattern]


def _body(look: _Look, phase: float) -> Iterator[_Limb]:
    """A walking person's limbs, those first that the others hide; facing to the right."""
    legs = [_leg(phase), _leg(phase + math.pi)]
    lift = -min(leg[-1] for leg in legs)  # the lower foot stands on the ground
    hip, shoulder, head = 0.5 + lift, 0.8 + lift, 0.915 + lift
    arms = [_arm(shoulder, phase + turn) for turn in (math.pi, 0)]  # each against its leg
    yield from _arm_limbs(look, arms[1])
    for leg in (legs[1], legs[0]):
        yield from _leg_limbs(look, leg, lift)
    if look.lower == "skirt":
        yield _Limb((0, hip, 0, hip - 0.17), 0.1 * look.build, look.below)
    yield _Limb((0, hip + 0.04, 0.01, shoulder - 0.05), 0.088 * look.build, look.top, patterned=True)
    if look.bag is not None:
        yield _Limb((-0.1, hip + 0.13, -0.1, hip + 0.22), 0.055, look.bag)
    if look.long_hair:
        yield _Limb((-0.03, head + 0.01, -0.04, head - 0.11), 0.045, look.hair)
    yield _Limb((0.005, head - 0.02, 0.005, head), 0.056, look.skin)
    yield _Limb((-0.02, head + 0.025, -0.005, head + 0.035), 0.05, look.hair)
    yield from _arm_limbs(look, arms[0])


def _leg(phase: float) -> tuple[float, float, float, float]:
    """Knee and foot (x, y) of a leg whose hip is at (0, 0.5)."""
    thigh = 0.42 * math.sin(phase)
    shank = thigh - 0.75 * max(0.0, math.sin(phase + 1.9))  # the knee bends while the leg swings forward
    knee = 0.24 * math.sin(thigh), 0.5 - 0.24 * math.cos(thigh)
    return *knee, knee[0] + 0.23 * math.sin(shank), knee[1] - 0.23 * math.cos(shank) - 0.03


def _leg_limbs(look: _Look, leg: tuple[float, float, float, float], lift: float) -> Iterator[_Limb]:
    knee_x, knee_y, foot_x, foot_y = leg
    knee_y, ankle = knee_y + lift, foot_y + lift + 0.03
    yield _Limb((foot_x, ankle, foot_x + 0.05, ankle - 0.008), 0.022, look.shoes)
    bare = look.skin if look.lower != "trousers" else look.below
    yield _Limb((knee_x, knee_y, foot_x, ankle + 0.02), 0.036 * look.build, bare)
    yield _Limb((0, 0.5 + lift, knee_x, knee_y), 0.05 * look.build, look.below)


def _arm(shoulder: float, phase: float) -> tuple[float, float, float, float, float, float]:
    """Shoulder, elbow and hand (x, y)."""
    upper = 0.45 * math.sin(phase)
    lower = upper + 0.35
    elbow = 0.15 * math.sin(upper), shoulder - 0.15 * math.cos(upper)
    return 0.0, shoulder - 0.01, *elbow, elbow[0] + 0.14 * math.sin(lower), elbow[1] - 0.14 * math.cos(lower)


def _arm_limbs(look: _Look, arm: tuple[float, float, float, float, float, float]) -> Iterator[_Limb]:
    yield _Limb(arm[2:], 0.024, look.skin)
    yield _Limb(arm[:4], 0.033 * look.build, look.top * 0.85)  # a shade darker, to stand out from the body


def _background(scene: _Scene, seconds: float) -> np.ndarray:
    """Ground in perspective and the houses behind it, (HEIGHT, WIDTH, 3)."""
    travelled, axis, horizon = scene.camera(seconds)
    canvas = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
    first = math.ceil(horizon)
    columns = (np.arange(WIDTH) - round(axis) + WIDTH // 2) % scene.backdrop.shape[1]
    rows = (np.arange(first) - first + _HORIZON + 4).clip(0, len(scene.backdrop) - 1)
    canvas[:first] = scene.backdrop[rows[:, None], columns]
    z = (_FOCAL * _EYE / (np.arange(first, HEIGHT) + 0.5 - horizon)).clip(0, 60)[:, None]
    x = (np.arange(WIDTH) + 0.5 - axis) * z / _FOCAL + travelled
    across, away = np.floor(x * 2).astype(int) % 64, np.floor(z * 2).astype(int) % 64
    slabs = 0.92 + 0.1 * scene.stones[across, away] + 0.04 * ((across // 2 + away // 2) % 2)
    canvas[first:] = scene.ground * slabs[..., None]
    return canvas


def _exposed(scene: _Scene, canvas: np.ndarray, frame: int) -> np.ndarray:
    """What the camera makes of the scene: light, lens and sensor; uint8 (HEIGHT, WIDTH, 3)."""
    seconds = (frame - 1) / RATE
    axis = scene.camera(seconds)[1]
    edge, strength = scene.shade
    shade = 1 + strength * np.tanh((np.arange(WIDTH) - edge - axis + WIDTH / 2) / 20)
    light = 1 + _swing(scene.light, seconds) * (1 + scene.tint)
    lit = _blurred(canvas * (shade[:, None] * light).astype(np.float32))
    noise = np.random.default_rng([*scene.seed, 1, frame]).standard_normal(lit.shape, dtype=np.float32)
    return (lit * 255 + _NOISE * noise).round().clip(0, 255).astype(np.uint8)


def _blurred(image: np.ndarray) -> np.ndarray:
    """An image (rows, columns, 3) through a lens that spreads a pixel over its neighbours; rows first, then columns."""
    for _ in range(2):
        spread = _LENS[1] * image
        spread[1:] += _LENS[0] * image[:-1]
        spread[:-1] += _LENS[2] * image[1:]
        spread[0] += _LENS[0] * image[0]
        spread[-1] += _LENS[2] * image[-1]
        image = spread.transpose(1, 0, 2)
    return image


# Ground truth and detector


def _ground_truth(drawn: list[_Drawn]) -> pd.DataFrame:
    """The exact boxes, with columns as of MOT16/17. As there they reach beyond the frame, and the hidden are in it."""
    rows = [
        (frame, *person[:5], 1, PEDESTRIAN, person[5]) for frame, one in enumerate(drawn, 1) for person in one.people
    ]
    return pd.DataFrame(rows, columns=GROUND_TRUTH[9])


def _detections(scene: _Scene, truth: pd.DataFrame) -> pd.DataFrame:
    """What an imperfect detector finds: it misses the hidden, errs in place and size, and sees people where none are."""
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
    """A detection of nobody, as large as a person would be who stood there."""
    z = draw.uniform(_NEAR, _FAR)
    height = _FOCAL * 1.7 / z
    left, top = draw.uniform(0, WIDTH - 0.4 * height), _HORIZON + _FOCAL * _EYE / z - height
    return left, top, 0.4 * height, height, draw.uniform(0.05, 0.6)


def _into_frame(box: tuple[float, ...]) -> tuple[float, ...]:
    """A detection cut at the frame's border and rounded, as public detections are."""
    left, top, width, height, confidence = box
    x0, y0, x1, y1 = max(left, 1), max(top, 1), min(left + width, WIDTH + 1), min(top + height, HEIGHT + 1)
    return tuple(round(float(value), 1) for value in (x0, y0, x1 - x0, y1 - y0)) + (round(confidence, 3),)
