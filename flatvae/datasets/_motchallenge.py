"""MOTChallenge layout: videos of pedestrians, a folder a sequence, with ground truth and detections as text.

::

    <sequence>/seqinfo.ini        frame size and rate, length; the first release of MOT15 has none
    <sequence>/img1/000001.jpg    frames, numbered from 1
    <sequence>/gt/gt.txt          ground truth, one box a line
    <sequence>/det/det.txt        public detections, one box a line

A line is numbers between commas, see GROUND_TRUTH and DETECTIONS for what they are; the number of columns tells MOT15 from
MOT16/17. A box is left, top, width and height in pixels of the image, whose upper left pixel has left = top = 1; it may
reach beyond the image.

What the benchmark does with a line, and so this suite:

- flag 0, or in MOT16/17 a class other than 1 (pedestrian): the box is not to be found and is no miss; see counted().
- classes of DISTRACTORS (MOT16/17): they look like pedestrians, so a detection of one is taken away before anything is
  counted; see without_distractors(). MOT15 knows none.
- visibility (MOT16/17) is the share of a box that is neither hidden nor outside the image. The benchmark counts a
  pedestrian at any visibility, even one whose box lies outside the image, and so the tables keep all of them.
- What the benchmark does not accept is refused with the file and the line: a ground truth without identities, an
  identity twice in a frame, a box of no size, a frame before 1 or after the last, an unknown class.

Sources: Leal-Taixé et al. (2015), Milan et al. (2016), MOTChallenge; the rules are those of its evaluation, TrackEval.
"""

import configparser
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.optimize import linear_sum_assignment

from flatvae.errors import InputError

BOX = ("left", "top", "width", "height")
_WORLD = ("x", "y", "z")  # coordinates in the world, −1 where they are not known
GROUND_TRUTH = {
    9: ("frame", "identity", *BOX, "flag", "class", "visibility"),  # MOT16/17
    10: ("frame", "identity", *BOX, "flag", *_WORLD),  # MOT15
}
DETECTIONS = {
    7: ("frame", "identity", *BOX, "confidence"),
    10: ("frame", "identity", *BOX, "confidence", *_WORLD),
}
PEDESTRIAN = 1
DISTRACTORS = {2: "person on a vehicle", 7: "static person", 8: "distractor", 12: "reflection"}
CLASSES = range(1, 14)
SAME = 0.5  # least intersection over union at which the benchmark takes two boxes for one object
_WHOLE = ("frame", "identity", "flag", "class")
_LARGEST = 2**53  # up to here a float64 holds every whole number
_QUALITY = 92  # of the JPEG files that are written


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video.

    Attributes:
        name: that of its folder.
        folder: where it is.
        width, height: of a frame, in pixels.
        rate: frames a second, None where no seqinfo.ini tells it.
        length: number of frames of the video, of which some may not be there.
        frames: the files of the frames that are there, by number.
        ground_truth: a table with the columns GROUND_TRUTH[9] or [10], or None where there is no gt/gt.txt. Whole numbers
            are int64, others float64; the order is that of the file.
        detections: the same with the columns DETECTIONS[7] or [10], from det/det.txt.
    """

    name: str
    folder: Path
    width: int
    height: int
    rate: float | None
    length: int
    frames: dict[int, Path]
    ground_truth: pd.DataFrame | None
    detections: pd.DataFrame | None


def read_sequence(folder: Path) -> Sequence:
    """The sequence in a folder. Frames are listed, not read.

    Raises InputError with file and line for what breaks the format, see the module's description.
    """
    found = _information(folder)
    truth, detections = folder / "gt" / "gt.txt", folder / "det" / "det.txt"
    length = found["length"]
    return Sequence(
        name=folder.name,
        folder=folder,
        **found,
        ground_truth=read_ground_truth(truth, length) if truth.exists() else None,
        detections=read_detections(detections, length) if detections.exists() else None,
    )


def read_ground_truth(path: Path, length: int) -> pd.DataFrame:
    """The table of a gt.txt of a video of so many frames, see Sequence.ground_truth. Raises InputError."""
    table, lines = _read_boxes(path, GROUND_TRUTH, length)
    if table.empty:
        raise InputError(f"{path} has no line; give the ground truth, or take the file away.")
    identity, flag = table["identity"], table["flag"]
    _refuse(path, lines, identity < 0, lambda at: f"identity is {identity[at]}", "must be 0 or more in a ground truth")
    _refuse(path, lines, ~flag.isin((0, 1)), lambda at: f"flag is {flag[at]}", "must be 0 (ignore) or 1")
    _check_once(path, lines, table)
    if "class" in table:
        kind, visibility = table["class"], table["visibility"]
        wanted = f"must be {CLASSES[0]} to {CLASSES[-1]}"
        _refuse(path, lines, ~kind.isin(CLASSES), lambda at: f"class is {kind[at]}", wanted)
        outside = (visibility < 0) | (visibility > 1)
        _refuse(path, lines, outside, lambda at: f"visibility is {visibility[at]:g}", "must be between 0 and 1")
    return table


def read_detections(path: Path, length: int) -> pd.DataFrame:
    """The table of a det.txt of a video of so many frames, see Sequence.detections; may be empty. Raises InputError.

    What a tracker found is written in the same columns, with identities, and can be read with this.
    """
    return _read_boxes(path, DETECTIONS, length)[0]


def read_frame(sequence: Sequence, number: int) -> Image.Image:
    """A frame as an RGB image. Raises InputError where it is missing, damaged or not of the sequence's size."""
    path = sequence.frames.get(number)
    if path is None:
        raise missing_frames(sequence, [number])
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} is damaged or no image ({_line(error)}); give the frame as it was published."
        ) from error
    if image.size != (sequence.width, sequence.height):
        found = f"{path} has {image.width} × {image.height} pixels"
        raise InputError(f"{found}; it must have {sequence.width} × {sequence.height}, as the sequence has.")
    return image


def missing_frames(sequence: Sequence, numbers: Iterable[int]) -> InputError:
    """The error of frames that are needed and not there."""
    numbers = sorted(numbers)
    found = (
        f"{sequence.folder}: {len(numbers)} needed frame(s) of {sequence.length} are missing, number {numbers[0]} first"
    )
    return InputError(f"{found}; put them there, or name another sequence.")


# The benchmark's rules


def counted(ground_truth: pd.DataFrame) -> pd.Series:
    """Which rows (N,) of a ground truth are pedestrians to be found, bool."""
    found = ground_truth["flag"] == 1
    return found & (ground_truth["class"] == PEDESTRIAN) if "class" in ground_truth else found


def without_distractors(detections: pd.DataFrame, ground_truth: pd.DataFrame) -> pd.Series:
    """Which rows (N,) of the detections the benchmark leaves: those that it does not take for a distractor, bool."""
    if "class" not in ground_truth:
        return pd.Series(True, index=detections.index)
    matched = match(detections, ground_truth)
    of_match = ground_truth["class"].to_numpy()[matched]
    return pd.Series((matched < 0) | ~np.isin(of_match, list(DISTRACTORS)), index=detections.index)


def match(detections: pd.DataFrame, ground_truth: pd.DataFrame) -> np.ndarray:
    """Row of the ground truth that each detection is of, (N,) int64, −1 for none.

    Frame by frame the assignment of greatest summed intersection over union, among pairs of at least SAME.
    """
    matched = np.full(len(detections), -1)
    truth_of = ground_truth.groupby("frame").indices  # positions of each frame's rows
    for frame, rows in detections.groupby("frame").indices.items():
        if frame in truth_of:
            others = truth_of[frame]
            overlap = iou(edges(detections.iloc[rows])[:, None], edges(ground_truth.iloc[others])[None])  # (n, m)
            overlap[overlap < SAME - np.finfo(float).eps] = 0
            chosen, theirs = linear_sum_assignment(-overlap)
            real = overlap[chosen, theirs] > 0
            matched[rows[chosen[real]]] = others[theirs[real]]
    return matched


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4) and (..., 4), each left, top, right, bottom; shapes broadcast."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)


def edges(table: pd.DataFrame) -> np.ndarray:
    """Left, top, right, bottom (N, 4) of a table's boxes."""
    boxes = table[list(BOX)].to_numpy(dtype=np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


# Writing


def write_sequence(
    folder: Path, frames: Iterable[np.ndarray], ground_truth: pd.DataFrame, detections: pd.DataFrame, rate: int
) -> None:
    """Write a sequence in the benchmark's layout.

    Args:
        folder: it is made; its name is the sequence's.
        frames: uint8 images (height, width, 3), the first being frame 1.
        ground_truth, detections: tables with the columns GROUND_TRUTH[9] or [10], and DETECTIONS[7] or [10].
        rate: frames a second.
    """
    (folder / "img1").mkdir(parents=True)
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(folder / "img1" / f"{number:06d}.jpg", quality=_QUALITY)
    height, width = frame.shape[:2]
    write_boxes(folder / "gt" / "gt.txt", ground_truth)
    write_boxes(folder / "det" / "det.txt", detections)
    sizes = f"frameRate={rate}\nseqLength={number}\nimWidth={width}\nimHeight={height}\n"
    text = f"[Sequence]\nname={folder.name}\nimDir=img1\n{sizes}imExt=.jpg\n"
    (folder / "seqinfo.ini").write_text(text, encoding="utf-8")


def write_boxes(path: Path, table: pd.DataFrame) -> None:
    """Write a ground truth, detections or a tracker's results, whole or not at all; what is read is equal to the last bit.

    Raises ValueError where the columns are none of GROUND_TRUTH and DETECTIONS.
    """
    known = [*GROUND_TRUTH.values(), *DETECTIONS.values()]
    if tuple(table.columns) not in known:
        raise ValueError(f"columns are {list(table.columns)}; they must be one of {known}")
    text = "".join(",".join(map(_number, row)) + "\n" for row in zip(*(table[c].tolist() for c in table), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
        copy = Path(scratch) / path.name
        copy.write_text(text, encoding="utf-8")
        os.replace(copy, path)


def _number(value: float) -> str:
    """Shortest text that gives the same number again; whole numbers without a point, as the benchmark has them."""
    return str(int(value)) if abs(value) < _LARGEST and value == int(value) else repr(value)


# Reading


def _information(folder: Path) -> dict:
    """Width, height, rate, length and frames of a sequence, from its seqinfo.ini or, without one, from its frames."""
    path = folder / "seqinfo.ini"
    if not path.exists():
        return _from_frames(folder)
    section = _section(path)
    numbers = {key: _positive(path, section, key) for key in ("imWidth", "imHeight", "seqLength", "frameRate")}
    for key in ("imWidth", "imHeight", "seqLength"):
        if numbers[key] != int(numbers[key]):
            raise InputError(f"{path}: {key} is {section[key]}; it must be a whole number.")
    frames = _frames(folder / section.get("imDir", "img1"), section.get("imExt", ".jpg"))
    length = int(numbers["seqLength"])
    beyond = [number for number in frames if not 1 <= number <= length]
    if beyond:
        mend = "correct seqLength, or give the frames their numbers from 1"
        raise InputError(f"{path}: seqLength is {length}, and there is {frames[beyond[0]].name}; {mend}.")
    size = {"width": int(numbers["imWidth"]), "height": int(numbers["imHeight"])}
    return {**size, "rate": numbers["frameRate"], "length": length, "frames": frames}


def _from_frames(folder: Path) -> dict:
    frames = _frames(folder / "img1", ".jpg")
    if not frames:
        raise InputError(f"{folder} has neither seqinfo.ini nor frames img1/000001.jpg, …; put one of them there.")
    gap = next((number for number, there in enumerate(frames, 1) if number != there), None)
    if gap is not None:
        found = f"{folder} has no seqinfo.ini, and img1/{gap:06d}.jpg is missing"
        raise InputError(f"{found}; put the frame there, or a seqinfo.ini that tells how long the video is.")
    width, height = _image(frames[1]).size
    return {"width": width, "height": height, "rate": None, "length": len(frames), "frames": frames}


def _section(path: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        return parser["Sequence"]
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        raise InputError(f"{path} cannot be read ({_line(error)}); it must have a section [Sequence].") from error


def _positive(path: Path, section: configparser.SectionProxy, key: str) -> float:
    try:
        value = float(section[key])
    except (KeyError, ValueError):
        value = 0.0
    if not 0 < value < _LARGEST:
        raise InputError(f"{path}: {key} is {section.get(key, 'missing')}; it must be a positive number.")
    return value


def _frames(folder: Path, extension: str) -> dict[int, Path]:
    """Files of the frames by number, in order."""
    if not folder.is_dir():
        return {}
    paths = (path for path in folder.iterdir() if path.suffix == extension and path.stem.isdecimal())
    return dict(sorted((int(path.stem), path) for path in paths))


def _image(path: Path) -> Image.Image:
    """An image file in RGB."""
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} is damaged or no image ({_line(error)}); give the frame as it was published."
        ) from error


def _read_boxes(path: Path, columns: dict[int, tuple], length: int) -> tuple[pd.DataFrame, list[int]]:
    """Table of a file of boxes, and the line of each of its rows."""
    values, lines = _read_numbers(path, columns)
    table = pd.DataFrame(values, columns=columns[values.shape[1]])
    for name in table.columns.intersection(_WHOLE):
        column = table[name]
        broken = (column != column.round()) | (column.abs() >= _LARGEST)
        _refuse(path, lines, broken, lambda at, c=column: f"{c.name} is {c[at]:g}", "must be a whole number")
        table[name] = column.astype(np.int64)
    frame = table["frame"]
    outside = (frame < 1) | (frame > length)
    _refuse(path, lines, outside, lambda at: f"frame is {frame[at]}", f"must be 1 to {length}, the video's length")
    for name in ("width", "height"):
        side = table[name]
        _refuse(path, lines, side <= 0, lambda at, s=side: f"{s.name} is {s[at]:g}", "must be greater than 0")
    return table, lines


def _read_numbers(path: Path, columns: dict[int, tuple]) -> tuple[np.ndarray, list[int]]:
    """Numbers (N, columns) of a file, and the line of each row; empty lines do not count."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({_line(error)}); give a file that can be.") from error
    rows, lines, width = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        words = line.split(",")
        width = width or len(words)
        if len(words) != width or width not in columns:
            wanted = " or ".join(map(str, columns)) if width not in columns else f"{width}, as the first line has"
            raise InputError(f"{path}, line {number}: it has {len(words)} column(s); it must have {wanted}.")
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            found = next(word for word in words if not _is_number(word)).strip()[:40]
            raise InputError(f"{path}, line {number}: {found!r} is no number; give numbers between commas.") from error
        lines.append(number)
    values = np.array(rows, dtype=np.float64).reshape(len(rows), width or next(iter(columns)))
    bad = ~np.isfinite(values).all(1)
    _refuse(path, lines, bad, lambda at: "a number is NaN or infinite", "must be finite")
    return values, lines


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_once(path: Path, lines: list[int], table: pd.DataFrame) -> None:
    """Raise InputError where an identity is twice in a frame."""
    again = table.duplicated(["frame", "identity"]).to_numpy()
    if not again.any():
        return
    row = table.iloc[again.argmax()]
    first = ((table["frame"] == row["frame"]) & (table["identity"] == row["identity"])).to_numpy().argmax()
    found = f"identity {row['identity']:.0f} is in frame {row['frame']:.0f} already, in line {lines[first]}"
    raise InputError(f"{path}, line {lines[again.argmax()]}: {found}; give it one box a frame.")


def _refuse(path: Path, lines: list[int], bad, found: Callable[[int], str], wanted: str) -> None:
    """Raise InputError for the first of the bad rows."""
    bad = np.asarray(bad)
    if bad.any():
        at = int(bad.argmax())
        raise InputError(f"{path}, line {lines[at]}: {found(at)}; it {wanted}.")


def _line(error: Exception) -> str:
    """An error's text on one line, cut to a bearable length."""
    return " ".join((str(error) or type(error).__name__).split())[:120]
