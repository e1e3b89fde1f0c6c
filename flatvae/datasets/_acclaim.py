"""Acclaim motion capture files: skeletons (.asf), motions (.amc), and joint positions (forward kinematics).

Reads the part of the format that the CMU database uses: bones that only rotate, and a root without an offset. Refuses
anything else with the file and the line, and never guesses.

Source: Acclaim Skeleton File Definition V1.10 (M. Schafer, 1995).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

import numpy as np

from flatvae.datasets._text import read_text
from flatvae.errors import InputError

_ROTATIONS = ("rx", "ry", "rz")
_ROOT_CHANNELS = ("tx", "ty", "tz", *_ROTATIONS)
_BONE_KEYS = ("id", "name", "direction", "length", "axis", "dof", "limits", "bodymass", "cofmass")
_TO_DEGREES = {"deg": 1.0, "rad": 180 / math.pi}
_AS_SPACES = bytes.maketrans(b",()", b"   ")  # the definition treats these as spaces
_HUGE = 1e300  # numbers must be below this, so that radians converted to degrees stay finite
_DIGITS = 9  # most digits of a frame number: 96 days at 120 Hz

_Row = tuple[int, bytes]  # number of a line, its text
_Line = tuple[int, list[str]]  # number of a line, its words
_Block = tuple[int, list[_Line]]  # number of the line before, the lines


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A tree of J joints: the root and the far end of every bone. Parents come before their children.

    Attributes:
        joints: names, "root" and those of the bones, in the order of the hierarchy, depth first.
        parents: index of each joint's parent, −1 for the root.
        offsets: (J, 3), from the parent joint to the joint in the rest pose, in the file's units of length. In the CMU
            database one unit is 1/0.45 inch, 5.644 cm; y points up.
        axes: (J, 3, 3), rotation matrix C of the frame in which the joint's angles are given.
        dofs: degrees of freedom of each joint, in the file's order: ("rx", "rz"), or () for a rigid bone.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    axes: np.ndarray
    dofs: tuple[tuple[str, ...], ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of a motion's channels, joint by joint: "root.tx" … "rtoes.rx"."""
        return tuple(f"{joint}.{dof}" for joint, dofs in zip(self.joints, self.dofs, strict=True) for dof in dofs)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The lines of a stick figure: (parent, child), indices of joints."""
        return tuple((parent, joint) for joint, parent in enumerate(self.parents) if parent >= 0)


@dataclass(frozen=True, eq=False)
class Motion:
    """A recording of T frames.

    Attributes:
        channels: (T, C) float64, in the order of the skeleton's channels: positions in its units of length, angles in
            degrees.
        frames: (T,) int64, the frames' numbers in the file: consecutive, but the first need not be 1.
    """

    channels: np.ndarray
    frames: np.ndarray


def joint_positions(skeleton: Skeleton, channels: np.ndarray) -> np.ndarray:
    """Positions p of all joints, by the Acclaim convention.

    L are the local rotations of bone_rotations(), o the joints' offsets in the rest pose, G the global rotations::

        G_root = L_root,          p_root = (tx, ty, tz)
        G_j    = G_parent L_j,    p_j    = p_parent + G_j o_j

    Args:
        skeleton: with J joints and C channels.
        channels: (..., C), positions in the skeleton's units and angles in degrees. All zeros give the rest pose.

    Returns:
        (..., J, 3) float64, in the skeleton's units of length.

    Raises InputError where the number of channels differs from the skeleton's.

    Source: Acclaim Skeleton File Definition V1.10.
    """
    channels = _checked_channels(skeleton, channels)
    turned = bone_rotations(skeleton, channels)  # (..., J, 3, 3); local, and made global joint by joint in the loop
    positions = np.empty((*channels.shape[:-1], len(skeleton.joints), 3))
    positions[..., 0, :] = channels[..., [skeleton.channels.index(f"root.{axis}") for axis in _ROOT_CHANNELS[:3]]]
    for parent, joint in skeleton.bones:  # parents come first
        turned[..., joint, :, :] = turned[..., parent, :, :] @ turned[..., joint, :, :]
        positions[..., joint, :] = positions[..., parent, :] + turned[..., joint, :, :] @ skeleton.offsets[joint]
    return positions


def bone_rotations(skeleton: Skeleton, channels: np.ndarray) -> np.ndarray:
    """Rotation of each joint relative to its parent, L = C R Cᵀ, where R = Rz Ry Rx if the angles are given as rx ry rz.

    Rotations are about fixed axes; the first angle given is applied first.

    Args:
        skeleton: with J joints and C channels.
        channels: (..., C), angles in degrees.

    Returns:
        (..., J, 3, 3) float64.

    Raises InputError where the number of channels differs from the skeleton's.
    """
    channels = _checked_channels(skeleton, channels)
    rotations = np.empty((*channels.shape[:-1], len(skeleton.joints), 3, 3))
    column = 0
    for joint, (axes, dofs) in enumerate(zip(skeleton.axes, skeleton.dofs, strict=True)):
        local = np.eye(3)
        for dof in dofs:
            if dof in _ROTATIONS:
                local = _rotation(dof[1], channels[..., column]) @ local
            column += 1
        rotations[..., joint, :, :] = axes @ local @ axes.T
    return rotations


def read_motion(path: Path, skeleton: Skeleton) -> Motion:
    """Read the .amc file of a motion of this skeleton.

    The header must say ``:DEGREES`` or ``:RADIANS``; radians are converted. Every frame must give every channel, with the
    bones in the same order, and the frames must be numbered without gaps.

    Raises InputError for everything else, naming file and line.
    """
    rows = _rows(path)
    start = next((index for index, (_, text) in enumerate(rows) if not text.startswith(b":")), len(rows))
    factor = _TO_DEGREES[_angle_unit(path, rows[:start])]
    body = rows[start:]
    pattern = _pattern(path, body, skeleton)
    words = _checked_words(path, body, pattern)
    numbers = _frame_numbers(path, body[:: len(pattern)])
    values = _values(path, body, words).reshape(len(numbers), -1)  # (T, C), in the file's order of bones
    given = [f"{name.decode()}.{dof}" for name, dofs in pattern[1:] for dof in dofs]
    order = [given.index(channel) for channel in skeleton.channels]
    scale = [factor if channel.endswith(_ROTATIONS) else 1.0 for channel in skeleton.channels]
    return Motion(channels=values[:, order] * scale, frames=numbers)


def read_skeleton(path: Path) -> Skeleton:
    """Read an .asf file.

    Raises InputError, naming file and line, for anything outside the format, for bones that change length or place, and for
    a root with an offset (no file of the CMU database has either).
    """
    sections = _sections(path)
    factor = _skeleton_unit(path, sections)
    bones = _bones(path, _section(path, sections, "bonedata"), factor)
    parents = _tree(path, _section(path, sections, "hierarchy"), set(bones))
    bones["root"] = (np.zeros(3), np.eye(3), _root_dofs(path, _section(path, sections, "root")))
    joints = tuple(parents)
    return Skeleton(
        joints=joints,
        parents=tuple(-1 if parent is None else joints.index(parent) for parent in parents.values()),
        offsets=np.stack([bones[joint][0] for joint in joints]),
        axes=np.stack([bones[joint][1] for joint in joints]),
        dofs=tuple(bones[joint][2] for joint in joints),
    )


def _checked_channels(skeleton: Skeleton, channels: np.ndarray) -> np.ndarray:
    channels, wanted = np.asarray(channels, dtype=np.float64), len(skeleton.channels)
    if channels.ndim == 0 or channels.shape[-1] != wanted:
        raise InputError(f"channels have the shape {channels.shape}; the last must be {wanted}, as in the skeleton.")
    return channels


def _rotation(axis: str, degrees: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) of right-handed rotations about the axis x, y or z by angles (...)."""
    radians = np.deg2rad(degrees)
    one = "xyz".index(axis)
    two, three = (one + 1) % 3, (one + 2) % 3
    matrix = np.zeros((*radians.shape, 3, 3))
    matrix[..., one, one] = 1
    matrix[..., two, two] = matrix[..., three, three] = np.cos(radians)
    matrix[..., three, two] = np.sin(radians)
    matrix[..., two, three] = -matrix[..., three, two]
    return matrix


def _rows(path: Path) -> list[_Row]:
    """Lines of a file without comments and empty lines.

    Lines stay text: splitting them here would make half a million lists, whose garbage collection takes longer than parsing.
    """
    try:
        content = read_text(path).encode()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); it must be a readable file.") from error
    lines = enumerate(content.split(b"\n"), 1)
    return [(number, text) for number, line in lines if (text := line.partition(b"#")[0].strip())]


# Motions


def _angle_unit(path: Path, header: list[_Row]) -> str:
    said = {text.split()[0].upper() for _, text in header} & {b":DEGREES", b":RADIANS"}
    if len(said) != 1:
        found = "both :DEGREES and :RADIANS" if said else "neither :DEGREES nor :RADIANS"
        raise InputError(f"{path}: the header says {found}; it must say one of them, before the first frame.")
    return "deg" if said == {b":DEGREES"} else "rad"


def _pattern(path: Path, body: list[_Row], skeleton: Skeleton) -> list[tuple[bytes, tuple[str, ...]]]:
    """The lines of the first frame: (b"", ()) for its number, then each bone with its channels."""
    if not body:
        raise InputError(f"{path} holds no frame; it must hold at least one.")
    dofs = {name.encode(): given for name, given in zip(skeleton.joints, skeleton.dofs, strict=True) if given}
    _check_number(path, *body[0])
    first = {}
    for line, text in body[1:]:
        name = text.split()[0]
        if name.isdigit():
            break
        if name not in dofs:
            raise _wrong(path, line, f"{_shown(name)} is no moving bone of the skeleton", "must be one")
        if name in first:
            found = f"the frame gives {_shown(name)} twice"
            raise _wrong(path, line, found, "must give each bone once, after its number")
        first[name] = dofs[name]
    for name in dofs:
        if name not in first:
            raise _wrong(path, body[0][0], f"the frame lacks bone {_shown(name)}", "must give every moving bone")
    return [(b"", ()), *first.items()]


def _check_number(path: Path, line: int, text: bytes) -> None:
    if not text.isdigit() or len(text) > _DIGITS:
        raise _wrong(path, line, f"{_shown(text)} stands here", "must be the number of a frame, alone")


def _checked_words(path: Path, body: list[_Row], pattern: list[tuple[bytes, tuple[str, ...]]]) -> list[bytes]:
    """All values as words, flat, in the file's order.

    Raises InputError unless every frame has the same lines as the first, with as many values as the skeleton says.
    """
    values = []
    for (line, text), (name, dofs) in zip(body, cycle(pattern), strict=False):
        words = text.split()
        if not name:
            _check_number(path, line, text)
        elif words[0] != name:
            fix = f"must be {_shown(name)}, as in the first frame"
            raise _wrong(path, line, f"{_shown(words[0])} stands here", fix)
        elif len(words) - 1 != len(dofs):
            found = f"{_shown(name)} has {len(words) - 1} value(s)"
            raise _wrong(path, line, found, f"must have {len(dofs)}, as the skeleton says")
        values += words[1:]
    if len(body) % len(pattern):
        raise _wrong(path, body[-1][0], "the file ends within a frame", "must be complete")
    return values


def _frame_numbers(path: Path, rows: list[_Row]) -> np.ndarray:
    numbers = np.array([int(text) for _, text in rows])
    jumps = np.flatnonzero(np.diff(numbers) != 1)
    if len(jumps):
        before, after = numbers[jumps[0] : jumps[0] + 2]
        line = rows[jumps[0] + 1][0]
        raise _wrong(path, line, f"frame {after} follows frame {before}", f"must be frame {before + 1}")
    return numbers


def _values(path: Path, body: list[_Row], words: list[bytes]) -> np.ndarray:
    """The words of the body as finite numbers."""
    try:
        values = np.fromiter(map(float, words), np.float64, len(words))
    except ValueError:
        values = np.array([np.nan])
    if (abs(values) < _HUGE).all() and b"_" not in b"".join(words):  # Python takes 1_0 for 10
        return values
    for line, text in body:  # slower, but finds the line
        for word in text.split()[1:]:
            _number(path, line, word.decode())
    raise AssertionError("unreachable: one of the values is no number")


# Skeletons


def _sections(path: Path) -> dict[str, _Block]:
    """Every section: the number of its first line, and its lines."""
    sections, lines = {}, []
    for number, text in _rows(path):
        words = [word.decode() for word in text.translate(_AS_SPACES).split()]
        if words and words[0].startswith(":"):
            if words[0] in sections:
                raise _wrong(path, number, f"the section {_shown(words[0])} begins again", "must occur once")
            lines = []
            sections[words[0]] = (number, lines)
        elif words:
            lines.append((number, words))
    return sections


def _section(path: Path, sections: dict[str, _Block], name: str) -> _Block:
    if f":{name}" not in sections:
        raise InputError(f"{path} has no section :{name}; it must be a complete .asf file.")
    return sections[f":{name}"]


def _skeleton_unit(path: Path, sections: dict[str, _Block]) -> float:
    """The factor from the file's unit of angle to degrees."""
    block = _section(path, sections, "units")
    line, values = _entry(path, block, _entries(path, block, ("mass", "length", "angle")), "angle")
    if len(values) != 1 or values[0] not in _TO_DEGREES:
        raise _wrong(path, line, f"the unit of angle is {_shown(' '.join(values))}", "must be deg or rad")
    return _TO_DEGREES[values[0]]


def _root_dofs(path: Path, block: _Block) -> tuple[str, ...]:
    entries = _entries(path, block, ("order", "axis", "position", "orientation"))
    for key in ("position", "orientation"):
        line, values = _entry(path, block, entries, key)
        if any(_vector(path, line, values)):
            found = f"the root's {key} is {' '.join(values)}"
            raise _wrong(path, line, found, "must be 0 0 0, other values are not supported")
    line, values = _entry(path, block, entries, "order")
    order = tuple(value.lower() for value in values)
    if sorted(order) != sorted(_ROOT_CHANNELS):
        raise _wrong(path, line, f"the order is {_shown(' '.join(values))}", "must hold TX TY TZ RX RY RZ, each once")
    return order


def _bones(path: Path, block: _Block, factor: float) -> dict[str, tuple[np.ndarray, np.ndarray, tuple[str, ...]]]:
    """Offset (3,), axes (3, 3) and degrees of freedom of every bone."""
    bones = {}
    for bone in _blocks(path, block):
        entries = _entries(path, bone, _BONE_KEYS)
        line, name = _entry(path, bone, entries, "name")
        if len(name) != 1 or name[0] in ("root", *bones) or name[0].isdigit():
            found = f"the name is {_shown(' '.join(name))}"
            raise _wrong(path, line, found, "must be one word, not a number, that no other bone has")
        bones[name[0]] = (_offset(path, bone, entries), _axes(path, bone, entries, factor), _dofs(path, entries))
    return bones


def _offset(path: Path, block: _Block, entries: dict[str, _Line]) -> np.ndarray:
    direction = _vector(path, *_entry(path, block, entries, "direction"))
    line, values = _entry(path, block, entries, "length")
    if len(values) != 1:
        raise _wrong(path, line, f"the length has {len(values)} values", "must have one")
    offset = [_number(path, line, values[0]) * value for value in direction]
    if not all(map(math.isfinite, offset)):
        raise _wrong(path, line, "direction times length is infinite", "must be finite")
    return np.array(offset)


def _axes(path: Path, block: _Block, entries: dict[str, _Line], factor: float) -> np.ndarray:
    """C, the rotation by the three angles of ``axis``; the first letter of the order is applied first: Rz Ry Rx for XYZ."""
    line, (*angles, order) = _entry(path, block, entries, "axis")
    if sorted(order.lower()) != ["x", "y", "z"]:
        raise _wrong(path, line, f"the order of the axis is {_shown(order)}", "must be a permutation of XYZ")
    matrix = np.eye(3)
    for axis, angle in zip(order.lower(), _vector(path, line, angles), strict=True):
        matrix = _rotation(axis, factor * angle) @ matrix
    return matrix


def _dofs(path: Path, entries: dict[str, _Line]) -> tuple[str, ...]:
    line, values = entries.get("dof", (0, []))
    dofs = tuple(value.lower() for value in values)
    if "dof" in entries and (not dofs or len(set(dofs)) < len(dofs) or not set(dofs) <= set(_ROTATIONS)):
        found = f"the degrees of freedom are {_shown(' '.join(values))}"
        raise _wrong(path, line, found, "must be some of rx ry rz, each at most once; others are not supported")
    limits_line, limits = entries.get("limits", (0, None))
    if limits is not None and len(limits) != 2 * len(dofs):  # a line is missing or damaged
        found = f"there are {len(limits)} limits for {len(dofs)} degree(s) of freedom"
        raise _wrong(path, limits_line, found, "must be two for each")
    return dofs


def _tree(path: Path, block: _Block, names: set[str]) -> dict[str, str | None]:
    """Parent of every joint, None for the root, in the order of the hierarchy, depth first."""
    children = {}
    for line, (parent, *bones) in chain.from_iterable(lines for _, lines in _blocks(path, block)):
        children.setdefault(parent, []).extend((line, bone) for bone in bones)
    parents, waiting = {}, [(block[0], "root", None)]
    while waiting:
        line, joint, parent = waiting.pop()
        if joint in parents:
            raise _wrong(path, line, f"{_shown(joint)} is in the hierarchy twice", "must be there once")
        if parent is not None and joint not in names:
            raise _wrong(path, line, f"{_shown(joint)} is no bone of :bonedata", "must be one")
        parents[joint] = parent
        waiting += [(line, child, joint) for line, child in reversed(children.get(joint, []))]
    for name in sorted(names | set(children)):
        if name != "root" and name not in parents:
            raise _wrong(path, block[0], f"{_shown(name)} is not connected to the root", "must be, through its parents")
    return parents


def _blocks(path: Path, block: _Block) -> Iterator[_Block]:
    """The lines between each begin and its end, with the line number of begin."""
    start, inside = 0, None
    for line, words in block[1]:
        if words == ["begin"] and inside is None:
            start, inside = line, []
        elif words == ["end"] and inside is not None:
            yield start, inside
            inside = None
        elif inside is None or words[0] in ("begin", "end"):
            found = f"{_shown(' '.join(words))} stands here"
            raise _wrong(path, line, found, "must be within one pair of begin and end")
        else:
            inside.append((line, words))
    if inside is not None:
        raise _wrong(path, start, "begin has no end", "must have one; the file may be cut off")


def _entries(path: Path, block: _Block, keys: tuple[str, ...]) -> dict[str, _Line]:
    """Line and values of each key that is given; limits continue on lines that begin with a number."""
    entries, last = {}, None
    for line, (key, *values) in block[1]:
        if last == "limits" and _as_number(key) is not None:
            entries["limits"][1].extend([key, *values])
        elif key in entries or key not in keys:
            raise _wrong(path, line, f"{_shown(key)} is unknown or repeated", f"must be one of {', '.join(keys)}")
        else:
            entries[key], last = (line, values), key
    return entries


def _entry(path: Path, block: _Block, entries: dict[str, _Line], key: str) -> _Line:
    if key not in entries or not entries[key][1]:
        raise _wrong(path, block[0], f"the block that begins here has no {key}", "must have one")
    return entries[key]


def _vector(path: Path, line: int, values: list[str]) -> list[float]:
    if len(values) != 3:
        raise _wrong(path, line, f"{len(values)} number(s) stand here", "must be three")
    return [_number(path, line, value) for value in values]


def _number(path: Path, line: int, word: str) -> float:
    number = _as_number(word)
    if number is None or not abs(number) < _HUGE:
        raise _wrong(path, line, f"{_shown(word)} stands for a number", f"must be a finite one, below {_HUGE:g}")
    return number


def _as_number(word: str) -> float | None:
    """The number that a word gives, or None; 1_0 is none here, though Python reads it as 10."""
    try:
        return None if "_" in word else float(word.encode())
    except ValueError:
        return None


def _wrong(path: Path, line: int, found: str, fix: str) -> InputError:
    return InputError(f"{path}, line {line}: {found}; it {fix}.")


def _shown(word: str | bytes) -> str:
    """A word of a file for an error message: quoted, without control characters, cut to 40 characters."""
    word = word.decode() if isinstance(word, bytes) else word
    return ascii(word if len(word) <= 40 else word[:40] + "...")
