"""MOTChallenge's text files of boxes: ground truth, detections, and trackers' results.

A line holds numbers with commas between them; GROUND_TRUTH and DETECTIONS name the columns, and their number tells MOT15
from MOT16/17. A box is left, top, width and height in pixels of the image, whose upper left pixel has left = top = 1; it
may reach beyond the image.

The readers refuse, with the file and the line, what the benchmark does not accept: a ground truth without identities, an
identity twice in a frame, a frame before 1 or after the last, an unknown class. They also refuse boxes that no camera gives
(see LARGEST), separators other than commas, and a comma at the end of a line, where a number may be missing.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from flatvae.datasets._text import read_text
from flatvae.errors import InputError

BOX = ("left", "top", "width", "height")
_WORLD = ("x", "y", "z")  # world coordinates, −1 where unknown
GROUND_TRUTH = {
    9: ("frame", "identity", *BOX, "flag", "class", "visibility"),  # MOT16/17
    10: ("frame", "identity", *BOX, "flag", *_WORLD),  # MOT15
}
DETECTIONS = {
    7: ("frame", "identity", *BOX, "confidence"),
    10: ("frame", "identity", *BOX, "confidence", *_WORLD),
}
CLASSES = range(1, 14)
# Pixels. A JPEG has at most 65,535 a side, so a box beyond 1e6 is a mistake. Between these bounds areas, ratios of sides and
# the trackers' squares stay far from overflow and from 0.
SMALLEST, LARGEST = 1e-3, 1e6
_WHOLE = ("frame", "identity", "flag", "class")
_EXACT = 2**53  # up to here a float64 holds every whole number


def read_ground_truth(path: Path, length: int) -> pd.DataFrame:
    """The table of a gt.txt, see Sequence.ground_truth; ``length`` is the video's number of frames. Raises InputError."""
    table, where = _read_boxes(path, GROUND_TRUTH, length)
    if table.empty:
        raise InputError(f"{path} has no line; give the ground truth, or delete the file.")
    identity, flag = table["identity"], table["flag"]
    _refuse(where, identity < 0, lambda at: f"identity is {identity[at]}", "must be 0 or more in a ground truth")
    _refuse(where, ~flag.isin((0, 1)), lambda at: f"flag is {flag[at]}", "must be 0 (ignore) or 1")
    _check_once(where, table)
    if "class" in table:
        kind, visibility = table["class"], table["visibility"]
        wanted = f"must be {CLASSES[0]} to {CLASSES[-1]}"
        _refuse(where, ~kind.isin(CLASSES), lambda at: f"class is {kind[at]}", wanted)
        outside = (visibility < 0) | (visibility > 1)
        _refuse(where, outside, lambda at: f"visibility is {visibility[at]:g}", "must be between 0 and 1")
    return table


def read_detections(path: Path, length: int) -> pd.DataFrame:
    """The table of a det.txt, see Sequence.detections; may be empty. Raises InputError.

    ``length`` is the video's number of frames. A tracker's results have the same columns, with identities, so this reads
    them too.
    """
    return _read_boxes(path, DETECTIONS, length)[0]


def write_boxes(path: Path, table: pd.DataFrame) -> None:
    """Write a ground truth, detections or a tracker's results atomically; reading the file gives exactly the same numbers.

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


def check_boxes(table: pd.DataFrame, where: Callable[[int], str]) -> None:
    """Raise InputError for the first box that no camera gives; ``where`` names the row at an index."""
    for name in BOX:
        values, low = table[name].to_numpy(dtype=np.float64), SMALLEST if name in ("width", "height") else -LARGEST
        bad = ~((values >= low) & (values <= LARGEST))  # NaN is bad as well
        wanted = f"must be between {low:g} and {LARGEST:g} pixels"
        _refuse(where, bad, lambda at, name=name, values=values: f"{name} is {values[at]:g}", wanted)


def one_line(error: Exception) -> str:
    """An error's text on one line, cut to 120 characters."""
    return " ".join((str(error) or type(error).__name__).split())[:120]


def _number(value: float) -> str:
    """Shortest text that reads back as the same number; whole numbers without a point, as in the benchmark's files."""
    return str(int(value)) if abs(value) < _EXACT and value == int(value) else repr(value)


def _read_boxes(path: Path, columns: dict[int, tuple], length: int) -> tuple[pd.DataFrame, Callable[[int], str]]:
    """The table of a file of boxes, and a function that names the file and line of a row."""
    values, where = _read_numbers(path, columns)
    table = pd.DataFrame(values, columns=columns[values.shape[1]])
    for name in table.columns.intersection(_WHOLE):
        column = table[name]
        broken = (column != column.round()) | (column.abs() >= _EXACT)
        _refuse(where, broken, lambda at, c=column: f"{c.name} is {c[at]:g}", "must be a whole number")
        table[name] = column.astype(np.int64)
    frame = table["frame"]
    outside = (frame < 1) | (frame > length)
    _refuse(where, outside, lambda at: f"frame is {frame[at]}", f"must be 1 to {length}, the video's length")
    check_boxes(table, where)
    return table, where


def _read_numbers(path: Path, columns: dict[int, tuple]) -> tuple[np.ndarray, Callable[[int], str]]:
    """The numbers (N, columns) of a file, and a function that names a row's line; empty lines are skipped."""
    try:
        text = read_text(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); give a readable file.") from error
    rows, lines, width = [], [], None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        words = line.split(",")
        width = width or len(words)
        if len(words) != width or width not in columns:
            wanted = " or ".join(map(str, columns)) if width not in columns else f"{width}, as the first line has"
            found = f"{path}, line {number}: it has {len(words)} column(s) ({line.strip()[:80]!r})"
            raise InputError(f"{found}; it must have {wanted}, with commas between them.")
        try:
            rows.append([float(word) for word in words])
            if "_" in line:
                raise ValueError("only Python reads 1_0 as a number")
        except ValueError as error:
            found = next(word for word in words if not _is_number(word)).strip()[:40]
            raise InputError(f"{path}, line {number}: {found!r} is no number; give numbers between commas.") from error
        lines.append(number)
    values = np.array(rows, dtype=np.float64).reshape(len(rows), width or next(iter(columns)))

    def where(at: int) -> str:
        return f"{path}, line {lines[at]}"

    _refuse(where, ~np.isfinite(values).all(1), lambda at: "a number is NaN or infinite", "must be finite")
    return values, where


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def _check_once(where: Callable[[int], str], table: pd.DataFrame) -> None:
    """Raise InputError where an identity occurs twice in a frame."""
    again = table.duplicated(["frame", "identity"]).to_numpy()
    if not again.any():
        return
    row = table.iloc[again.argmax()]
    first = ((table["frame"] == row["frame"]) & (table["identity"] == row["identity"])).to_numpy().argmax()
    line = where(first).rsplit(", ", 1)[1]
    found = f"identity {row['identity']:.0f} is already in frame {row['frame']:.0f}, in {line}"
    raise InputError(f"{where(again.argmax())}: {found}; give it one box per frame.")


def _refuse(where: Callable[[int], str], bad, found: Callable[[int], str], wanted: str) -> None:
    """Raise InputError for the first of the bad rows."""
    bad = np.asarray(bad)
    if bad.any():
        at = int(bad.argmax())
        raise InputError(f"{where(at)}: {found(at)}; it {wanted}.")
