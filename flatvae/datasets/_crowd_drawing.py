"""Draws the frames of a crowd video: people in perspective before a background, seen by a simulated camera."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flatvae.datasets._crowd_scene import EYE, FOCAL, HEIGHT, HORIZON, RATE, WIDTH, Look, Person, Scene, swing_at

_REACH = 0.45  # body heights: half the width of the grid that a person is drawn on
_LENS = 0.15, 0.7, 0.15  # how a pixel's light is shared: previous pixel, itself, next pixel
_NOISE = 3.0  # standard deviation of the sensor's noise, of 255 levels


@dataclass(frozen=True, eq=False)
class Drawn:
    """One frame.

    Attributes:
        image: (HEIGHT, WIDTH, 3), uint8.
        owners: (HEIGHT, WIDTH), identity of the person each pixel shows, 0 for nobody.
        people: identity, left, top, width, height, visibility of everyone with a pixel on the frame, hidden or not.
    """

    image: np.ndarray
    owners: np.ndarray
    people: list[tuple]


@dataclass(frozen=True)
class _Limb:
    """All points within a radius of a line segment; ``ends`` are (x, y) in body heights, y upwards from the ground."""

    ends: tuple[float, float, float, float]
    radius: float
    colour: np.ndarray
    patterned: bool = False


def draw_frame(scene: Scene, frame: int) -> Drawn:
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
    return Drawn(image=_exposed(scene, canvas, frame), owners=owners, people=sorted(people))


def _clip(top: int, left: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the frame that a sprite covers, and of the sprite's part on the frame."""
    onto, part = [], []
    for start, length, end in ((top, shape[0], HEIGHT), (left, shape[1], WIDTH)):
        low, high = (min(max(at, 0), end) for at in (start, start + length))
        onto.append(slice(low, high))
        part.append(slice(low - start, high - start))
    return tuple(onto), tuple(part)


def _box(top: int, left: int, mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width, height of a sprite's drawn pixels; the frame's upper left pixel is 1, 1."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return left + columns[0] + 1, top + rows[0] + 1, width, height


def _sprite(scene: Scene, person: Person, seconds: float) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Row and column of a person's grid on the frame, the mask of the person's pixels, and their colours."""
    travelled, axis, horizon = scene.camera(seconds)
    x, z = person.at(seconds)
    height = FOCAL * person.height / z  # pixels
    foot_column, foot_row = axis + FOCAL * (x - travelled) / z, horizon + FOCAL * EYE / z
    left, right = math.floor(foot_column - _REACH * height), math.ceil(foot_column + _REACH * height)
    top, bottom = math.floor(foot_row - 1.1 * height), math.ceil(foot_row) + 2
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - foot_column) / height * math.copysign(1, person.speed[0])
    up = (foot_row - np.arange(top, bottom, dtype=np.float32) - 0.5) / height
    mask = np.zeros((len(up), len(across)), dtype=bool)
    colours = np.zeros((*mask.shape, 3), dtype=np.float32)
    for limb in _body(person.look, person.gait(seconds)) if left < WIDTH and right > 0 else ():  # else off the frame
        _paint(mask, colours, up, across, limb, person.look)
    return top, left, mask, colours


def _paint(mask: np.ndarray, colours: np.ndarray, up: np.ndarray, across: np.ndarray, limb: _Limb, look: Look) -> None:
    """Draw a limb over the earlier ones."""
    x0, y0, x1, y1 = limb.ends
    rows = _within(up, min(y0, y1) - limb.radius, max(y0, y1) + limb.radius)
    columns = _within(across, min(x0, x1) - limb.radius, max(x0, x1) + limb.radius)
    x, y = across[None, columns] - x0, up[rows, None] - y0
    dx, dy = x1 - x0, y1 - y0
    along = ((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9)).clip(0, 1)
    apart = ((x - along * dx) ** 2 + (y - along * dy) ** 2) / limb.radius**2
    inside = apart < 1
    mask[rows, columns] |= inside
    rounded = (1 - 0.35 * apart + 0.15 * np.sign(x) * np.sqrt(apart))[inside]  # lit from the front
    colour = limb.colour
    if limb.patterned:
        colour = np.where(_pattern(look, x, y)[inside][:, None], look.second, colour)
    colours[rows, columns][inside] = colour * rounded[:, None]


def _within(values: np.ndarray, low: float, high: float) -> slice:
    """The slice of monotonic values that lie between two bounds."""
    inside = (values >= low) & (values <= high)
    first = int(inside.argmax())
    return slice(first, first + np.count_nonzero(inside))


def _pattern(look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points have the second colour: x (1, columns), y (rows, 1) -> (rows, columns), bool."""
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


def _body(look: Look, phase: float) -> Iterator[_Limb]:
    """A walking person's limbs, facing right; limbs that others hide come first."""
    legs = [_leg(phase), _leg(phase + math.pi)]
    lift = -min(leg[-1] for leg in legs)  # the lower foot stands on the ground
    hip, shoulder, head = 0.5 + lift, 0.8 + lift, 0.915 + lift
    arms = [_arm(shoulder, phase + turn) for turn in (math.pi, 0)]  # each opposite to its leg
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


def _leg_limbs(look: Look, leg: tuple[float, float, float, float], lift: float) -> Iterator[_Limb]:
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


def _arm_limbs(look: Look, arm: tuple[float, float, float, float, float, float]) -> Iterator[_Limb]:
    yield _Limb(arm[2:], 0.024, look.skin)
    yield _Limb(arm[:4], 0.033 * look.build, look.top * 0.85)  # darker, to stand out from the body


def _background(scene: Scene, seconds: float) -> np.ndarray:
    """The ground in perspective and the houses behind it, (HEIGHT, WIDTH, 3)."""
    travelled, axis, horizon = scene.camera(seconds)
    canvas = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
    first = math.ceil(horizon)
    columns = (np.arange(WIDTH) - round(axis) + WIDTH // 2) % scene.backdrop.shape[1]
    rows = (np.arange(first) - first + HORIZON + 4).clip(0, len(scene.backdrop) - 1)
    canvas[:first] = scene.backdrop[rows[:, None], columns]
    z = (FOCAL * EYE / (np.arange(first, HEIGHT) + 0.5 - horizon)).clip(0, 60)[:, None]
    x = (np.arange(WIDTH) + 0.5 - axis) * z / FOCAL + travelled
    across, away = np.floor(x * 2).astype(int) % 64, np.floor(z * 2).astype(int) % 64
    slabs = 0.92 + 0.1 * scene.stones[across, away] + 0.04 * ((across // 2 + away // 2) % 2)
    canvas[first:] = scene.ground * slabs[..., None]
    return canvas


def _exposed(scene: Scene, canvas: np.ndarray, frame: int) -> np.ndarray:
    """The scene as the camera records it, with light, lens and sensor noise; uint8 (HEIGHT, WIDTH, 3)."""
    seconds = (frame - 1) / RATE
    axis = scene.camera(seconds)[1]
    edge, strength = scene.shade
    shade = 1 + strength * np.tanh((np.arange(WIDTH) - edge - axis + WIDTH / 2) / 20)
    light = 1 + swing_at(scene.light, seconds) * (1 + scene.tint)
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
