"""The content of a drawn crowd video: people, their clothes and paths, camera, light, ground and houses."""

import math
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 320, 240  # pixels of a frame
RATE = 25  # frames a second
FOCAL = 300  # pixels
EYE = 2.2  # metres: height of the camera
HORIZON = 85  # row of the horizon when the camera does not sway
NEAR, FAR = 4.6, 11.0  # metres: distances at which people walk; they are about 115 and 45 pixels tall there
PATTERNS = ("plain", "rings", "stripes", "checks", "dots", "halves")
LOWER = ("trousers", "shorts", "skirt")
_STRIDE = 0.8  # body heights that two steps take


@dataclass(frozen=True, eq=False)
class Look:
    """What a person looks like; colours are RGB in [0, 1], lengths in body heights."""

    build: float  # factor on all widths
    skin: np.ndarray
    hair: np.ndarray
    long_hair: bool
    top: np.ndarray
    second: np.ndarray  # colour of the pattern
    pattern: str
    waves: float  # of the pattern, per body height
    lower: str
    below: np.ndarray
    shoes: np.ndarray
    bag: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Person:
    """A person on a straight path: at ``moment`` (s) at (x, z) metres, x to the right and z away from the camera's start."""

    look: Look
    height: float  # metres
    moment: float
    x: float
    z: float
    speed: tuple[float, float]  # metres a second along x and z
    phase: float  # of the gait at that moment

    def at(self, seconds: float) -> tuple[float, float]:
        """Where the person is."""
        passed = seconds - self.moment
        return self.x + self.speed[0] * passed, float(np.clip(self.z + self.speed[1] * passed, NEAR, FAR))

    def gait(self, seconds: float) -> float:
        """Phase of the gait in radians, 2π for two steps."""
        walked = math.hypot(*self.speed) * (seconds - self.moment)
        return self.phase + 2 * math.pi * walked / (_STRIDE * self.height)


@dataclass(frozen=True, eq=False)
class Scene:
    seed: tuple[int, int]
    people: tuple[Person, ...]
    travel: float  # metres a second to the right
    pan: tuple[float, float, float]  # pixels, seconds, radians of a swing
    sway: tuple[float, float, float]
    light: tuple[float, float, float]  # share of the mean, seconds, radians
    tint: np.ndarray  # (3,), how strongly the light's change acts on each colour
    shade: tuple[float, float]  # column of the shadow's edge, its strength
    ground: np.ndarray  # (3,)
    stones: np.ndarray  # (64, 64) in [0, 1]
    backdrop: np.ndarray  # (rows, columns, 3) above the horizon, wider than a frame

    def camera(self, seconds: float) -> tuple[float, float, float]:
        """Metres that the camera has travelled, and its optical axis on the frame: column, row of the horizon."""
        return self.travel * seconds, WIDTH / 2 + swing_at(self.pan, seconds), HORIZON + swing_at(self.sway, seconds)


def swing_at(swing: tuple[float, float, float], seconds: float) -> float:
    amplitude, period, phase = swing
    return amplitude * math.sin(2 * math.pi * seconds / period + phase)


def make_scene(number: int, frames: int, people: int, seed: int) -> Scene:
    """The scene of a sequence: everything random except noise and detections."""
    draw = np.random.default_rng([seed, number, 0])
    travel, pan = draw.uniform(-0.4, 0.4), (draw.uniform(2, 14), draw.uniform(3, 6), draw.uniform(0, 2 * math.pi))
    return Scene(
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


def _person(draw: np.random.Generator, seconds: float, travel: float) -> Person:
    """A person who is well inside the frame at some moment in the middle of the video."""
    moment, z = draw.uniform(0.2, 0.8) * seconds, draw.uniform(NEAR, FAR)
    column = draw.uniform(0.15, 0.85) * WIDTH - WIDTH / 2
    along = float(draw.choice((-1, 1))) * draw.uniform(0.5, 1.5)
    return Person(
        look=_look(draw),
        height=draw.uniform(1.5, 1.95),
        moment=moment,
        x=travel * moment + column * z / FOCAL,
        z=z,
        speed=(along, draw.uniform(-0.4, 0.4)),
        phase=draw.uniform(0, 2 * math.pi),
    )


def _look(draw: np.random.Generator) -> Look:
    return Look(
        build=draw.uniform(0.85, 1.25),
        skin=_colour(draw, (0.3, 0.55), (0.35, 0.95), hue=(0.04, 0.09)),
        hair=_colour(draw, (0.2, 0.7), (0.05, 0.6), hue=(0.03, 0.13)),
        long_hair=bool(draw.random() < 0.4),
        top=_colour(draw, (0, 0.9), (0.15, 0.95)),
        second=_colour(draw, (0, 0.9), (0.15, 0.95)),
        pattern=str(draw.choice(PATTERNS)),
        waves=draw.uniform(9, 16),
        lower=str(draw.choice(LOWER)),
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
    rows, columns = HORIZON + 8, WIDTH + 80
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
