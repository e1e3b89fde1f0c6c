"""MOTChallenge's layout: videos of pedestrians, one folder per sequence, with ground truth and detections as text.

::

    <sequence>/seqinfo.ini        frame size and rate, length; the first release of MOT15 has none
    <sequence>/img1/000001.jpg    frames, numbered from 1
    <sequence>/gt/gt.txt          ground truth, one box per line
    <sequence>/det/det.txt        public detections, one box per line

See _boxes.py for the text files and _benchmark.py for the boxes that count. Pixels are those that OpenCV shows, as people draw
boxes with it: a frame with an EXIF orientation is turned.
"""

import configparser
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import ExifTags, Image, ImageOps

from flatvae.datasets._benchmark import edges
from flatvae.datasets._boxes import one_line, read_detections, read_ground_truth, write_boxes
from flatvae.datasets._text import read_text
from flatvae.errors import InputError

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
_LONGEST = 999_999  # frames have six digits
_WIDEST = 65_535  # pixels a side of a JPEG
_QUALITY = 92  # of the JPEG files that are written


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video.

    Attributes:
        name: the folder's name.
        folder: the path.
        width, height: of a frame, in pixels.
        rate: frames a second, None without a seqinfo.ini.
        length: number of frames of the video, some of which may be missing.
        frames: the files of the existing frames, by number.
        ground_truth: a table with the columns GROUND_TRUTH[9] or [10], or None where there is no gt/gt.txt. Whole numbers
            are int64, others float64; the order is that of the file.
        detections: the same with the columns DETECTIONS[7] or [10], from det/det.txt.
        images: folder of the frames.
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
    images: Path = Path("img1")


def read_sequence(folder: Path) -> Sequence:
    """The sequence in a folder. Frames are listed, not read.

    Raises InputError with file and line where the format is broken, and where no box of a file shows a pixel of the frame:
    its numbers are then fractions of the frame or belong to another video.
    """
    found = _information(folder)
    return Sequence(
        name=folder.name,
        folder=folder,
        **found,
        ground_truth=_boxes_of(folder / "gt" / "gt.txt", read_ground_truth, found),
        detections=_boxes_of(folder / "det" / "det.txt", read_detections, found),
    )


def read_frame(sequence: Sequence, number: int) -> Image.Image:
    """A frame as an RGB image. Raises InputError where it is missing, damaged or not of the sequence's size."""
    path = sequence.frames.get(number)
    if path is None:
        raise missing_frames(sequence, [number])
    return _image(path, (sequence.width, sequence.height))


def missing_frames(sequence: Sequence, numbers: Iterable[int]) -> InputError:
    """The error for needed frames that are missing."""
    numbers = sorted(numbers)
    lost = f"{len(numbers)} needed frame(s) of {sequence.length} are missing, number {numbers[0]} first"
    files, state = _listed(sequence.images), ""
    if files is None:
        state = ", which does not exist"
    elif not any(path.stem.isdecimal() for path in files):
        state = ", in which no file is named by a number"
    found = f"{sequence.folder}: {lost}, in the folder {sequence.images}{state}"
    return InputError(f"{found}; put them there, correct imDir and imExt in seqinfo.ini, or name another sequence.")


def mode(path: Path) -> int:
    """st_mode of a file or folder, 0 where there is none. Raises InputError where the system denies access."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a zero byte in the path
        return 0
    except OSError as error:
        raise _unreadable(path, error) from error


def write_sequence(
    folder: Path, frames: Iterable[np.ndarray], ground_truth: pd.DataFrame, detections: pd.DataFrame, rate: int
) -> None:
    """Write a sequence in the benchmark's layout.

    Args:
        folder: created; its name is the sequence's.
        frames: uint8 images (height, width, 3), from frame 1 on.
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


# Reading


def _information(folder: Path) -> dict:
    """Width, height, rate, length and frames of a sequence, from its seqinfo.ini or, without one, from its frames."""
    path = folder / "seqinfo.ini"
    if not mode(path):
        return _from_frames(folder)
    section = _section(path)
    width, height = (_whole(path, section, key, _WIDEST) for key in ("imWidth", "imHeight"))
    length, rate = _whole(path, section, "seqLength", _LONGEST), _positive(path, section, "frameRate", _LONGEST)
    images = folder / (section.get("imDir") or "img1")
    frames = _frames(images, section.get("imExt", ""), length)
    beyond = [number for number in frames if not 1 <= number <= length]
    if beyond:
        fix = "correct seqLength, or give the frames their numbers from 1"
        raise InputError(f"{path}: seqLength is {length}, but {frames[beyond[0]].name} exists; {fix}.")
    return {"width": width, "height": height, "rate": rate, "length": length, "frames": frames, "images": images}


def _from_frames(folder: Path) -> dict:
    frames = _frames(folder / "img1")
    if not frames:
        raise InputError(f"{folder} has neither seqinfo.ini nor frames img1/000001.jpg, …; put either there.")
    gap = next((number for number, there in enumerate(frames, 1) if number != there), None)
    if gap is not None:
        found = f"{folder} has no seqinfo.ini, and img1/{gap:06d}{next(iter(frames.values())).suffix} is missing"
        raise InputError(f"{found}; put the frame there, or a seqinfo.ini with the video's length.")
    width, height = _image(frames[1]).size
    found = {"width": width, "height": height, "rate": None, "length": len(frames), "frames": frames}
    return found | {"images": folder / "img1"}


def _section(path: Path) -> configparser.SectionProxy:
    """The section [Sequence]; neither its case nor that of its keys matters, and comments may end a line."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(read_text(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    except configparser.Error as error:
        raise InputError(
            f"{path} cannot be read ({one_line(error)}); give it a section [Sequence] with each key once."
        ) from error
    for name in parser.sections():
        if name.strip().lower() == "sequence":
            return parser[name]
    raise InputError(f"{path} has no section [Sequence]; give it one.")


def _positive(path: Path, section: configparser.SectionProxy, key: str, most: int) -> float:
    try:
        value = 0.0 if "_" in section[key] else float(section[key])  # only Python reads 1_0 as a number
    except (KeyError, ValueError):
        value = 0.0
    if not 0 < value <= most:
        found = " ".join((section.get(key) or "missing").split())[:40]
        raise InputError(f"{path}: {key} is {found}; it must be a positive number, {most:,} at most.")
    return value


def _whole(path: Path, section: configparser.SectionProxy, key: str, most: int) -> int:
    value = _positive(path, section, key, most)
    if value != int(value):
        raise InputError(f"{path}: {key} is {section[key]}; it must be a whole number.")
    return int(value)


def _frames(folder: Path, asked: str = "", length: int | None = None) -> dict[int, Path]:
    """Files of the frames by number, in order.

    ``asked`` is imExt as people write it: ``.jpg``, ``JPG``, ``*.jpg``, ``%06d.jpg``; case and quotes do not matter. If it is
    "", any image will do, but where frames have .jpg files, images of another kind with the same numbers are skipped.
    """
    kind = asked.strip("\"'").rsplit(".", 1)[-1].strip("*").lower()
    extension = kind and f".{kind}"
    files = sorted(_listed(folder) or [])
    images = [path for path in files if path.stem.isdecimal() and path.suffix.lower() in (*_IMAGES, extension)]
    best = extension or ".jpg"
    wanted = [path for path in images if path.suffix.lower() == best] or ([] if extension else images)
    numbers = {int(path.stem) for path in wanted}
    needed = range(1, (length or max(numbers, default=0)) + 1)
    others = [path for path in images if path.suffix.lower() != best and int(path.stem) in needed]
    lost = [path for path in others if int(path.stem) not in numbers]
    if lost and extension:
        found = f"{folder}: imExt of seqinfo.ini is {asked}, but {int(lost[0].stem):06d}{extension} is missing"
        fix = f"correct imExt in seqinfo.ini, or give the frame as {extension}"
        raise InputError(f"{found} and {lost[0].name} exists; {fix}.")
    frames = {}
    for path in wanted + (others if lost == others else []):  # else the others are masks or the like
        first = frames.setdefault(int(path.stem), path)
        if first is not path:
            found = f"{folder} has two files of frame {int(path.stem)}, {first.name} and {path.name}"
            raise InputError(f"{found}; keep one of them.")
    return dict(sorted(frames.items()))


def _listed(folder: Path) -> list[Path] | None:
    """The content of a folder, None where it does not exist. Raises InputError where it cannot be listed."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    found = f"{path} cannot be read ({error.strerror or one_line(error)})"
    return InputError(f"{found}; make it and its parent folders readable, or give another path.")


def _image(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """An image file in RGB, turned by its EXIF orientation. Raises InputError where its size differs from ``size``."""
    try:
        with Image.open(path) as file:
            for xmp in ("xmp", "XML:com.adobe.xmp"):
                file.info.pop(xmp, None)  # Pillow would take an orientation from it, OpenCV does not
            stored = file.size
            shown = stored[::-1] if file.getexif().get(ExifTags.Base.Orientation) in range(5, 9) else stored
            deep = file.mode if file.mode.startswith(("I", "F")) else None  # Pillow would clip all levels at 255
            if size in (None, shown) and not deep:  # checked before decoding: a damaged header may claim any size
                return ImageOps.exif_transpose(file).convert("RGB")
    except PermissionError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise InputError(
            f"{path} is damaged or no image ({one_line(error)}); give the frame as it was published."
        ) from error
    if deep:
        raise InputError(f"{path} has more than 8 bits a channel (mode {deep}); save frames with 8 bits a channel.")
    turned, untagged = ("", "") if stored != size else (", turned by its EXIF orientation", " and no such tag")
    found = f"{path} has {shown[0]} × {shown[1]} pixels{turned}"
    raise InputError(f"{found}; it must have {size[0]} × {size[1]}, as the sequence has{untagged}.")


def _boxes_of(path: Path, read: Callable[[Path, int], pd.DataFrame], video: dict) -> pd.DataFrame | None:
    """The table of a file, None where the file does not exist."""
    if not mode(path):
        return None
    table = read(path, video["length"])
    low, high = np.split(edges(table).clip(1, np.tile((video["width"] + 1, video["height"] + 1), 2)), 2, axis=1)
    if len(table) and not (high - low >= 1).all(1).any():
        found = (
            f"{path}: none of its {len(table)} boxes shows a pixel of the {video['width']} × {video['height']} frame"
        )
        raise InputError(f"{found}; give left, top, width and height in pixels.")
    return table
