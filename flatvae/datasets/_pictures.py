"""Cuts out pictures of boxes in videos, once, and keeps them in the cache folder."""

import functools
import hashlib
import json
import math
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
import pooch
import torch
from PIL import Image

from flatvae.datasets import _motchallenge, expanded
from flatvae.datasets._boxes import BOX, one_line
from flatvae.datasets._motchallenge import Sequence, missing_frames, read_frame
from flatvae.errors import InputError

PADDING = 128  # grey level around a box, of 255
_DARK = 0.1  # sum of RGB values below which a pixel's chromaticity fades
_SPREAD, _LEAST_SPREAD = 0.1, 1e-3  # deviation of a chromaticity picture after scaling, and the least before it
# The pictures are cut out again when this code changes.
_CODE = hashlib.sha256(b"".join(Path(file).read_bytes() for file in (__file__, _motchallenge.__file__))).hexdigest()


def crops(
    sequence: Sequence,
    frame: int,
    boxes: pd.DataFrame | np.ndarray,
    size: tuple[int, int] = (64, 32),
    colour: str = "rgb",
) -> torch.Tensor:
    """Pictures of any boxes of a frame, as load() makes them: float32 (N, 3 · rows · columns).

    Args:
        sequence: the video.
        frame: number of the frame, from 1.
        boxes: (N, 4) left, top, width, height, or a table with these columns, such as detections. A box entirely outside the
            image gives a grey picture.
        size, colour: as in load().

    Raises InputError where the frame is missing or broken.
    """
    values = boxes[list(BOX)].to_numpy() if isinstance(boxes, pd.DataFrame) else np.asarray(boxes)
    return observations(_cut(read_frame(sequence, frame), values.reshape(-1, 4), tuple(size)), colour)


def cache_root() -> Path:
    """Folder of cached files: the environment variable FLATVAE_CACHE, else the user's cache folder."""
    return expanded(os.environ.get("FLATVAE_CACHE") or pooch.os_cache("flatvae"))


def outside(rows: pd.DataFrame, video: Sequence) -> np.ndarray:
    """Which rows (N,) have a box without any pixel of the image."""
    left, top, right, bottom = _pixels(rows[list(BOX)].to_numpy()).T
    return (right <= 0) | (bottom <= 0) | (left >= video.width) | (top >= video.height)


def observations(pictures: np.ndarray, colour: str) -> torch.Tensor:
    """uint8 (N, 3, rows, columns) -> float32 (N, D), RGB in [0, 1] or chromaticity as mot.load() defines it."""
    values = torch.from_numpy(pictures).float().div_(255)
    if colour == "chromaticity":
        values = values / (values.sum(1, keepdim=True) + _DARK)
        values -= values.mean((2, 3), keepdim=True)
        deviation = values.square().mean((1, 2, 3), keepdim=True).sqrt()
        values *= _SPREAD / deviation.clamp(min=_LEAST_SPREAD)
    return values.flatten(1)


def _pixels(boxes: np.ndarray) -> np.ndarray:
    """The benchmark's boxes (N, 4) -> left, top, right, bottom (N, 4) in whole pixels from 0, right and bottom excluded."""
    low = boxes[:, :2] - 1
    corners = np.rint(np.concatenate([low, low + boxes[:, 2:]], axis=1)).clip(-(2**31), 2**31).astype(np.int64)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    return corners


def _cut(image: Image.Image, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut boxes (N, 4) out of an image: pictures (N, 3, rows, columns), uint8."""
    pictures = np.full((len(boxes), *size, 3), PADDING, dtype=np.uint8)
    for picture, box in zip(pictures, _pixels(boxes).tolist(), strict=True):
        _letterbox(image, box, picture)
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def _letterbox(image: Image.Image, box: list[int], picture: np.ndarray) -> None:
    """Draw an image's box (left, top, right, bottom) into the middle of a grey picture (rows, columns, 3)."""
    left, top, right, bottom = box
    inside = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return
    rows, columns = picture.shape[:2]
    width, height = right - left, bottom - top
    if width * rows > height * columns:
        wide, high = columns, max(1, round(height / width * columns))
    else:
        wide, high = max(1, round(width / height * rows)), rows
    x, y = round((columns - wide) * 0.5), round((rows - high) * 0.5)
    # place of the part inside the image, at least one pixel
    x0, x1 = _between(x, inside[0] - left, inside[2] - left, wide / width)
    y0, y1 = _between(y, inside[1] - top, inside[3] - top, high / height)
    part = image.crop(inside).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
    picture[y0:y1, x0:x1] = np.asarray(part)


def _between(start: int, first: int, last: int, scale: float) -> tuple[int, int]:
    """The range of a picture's pixels for the pixels first to last of a box."""
    low = math.floor(first * scale + 0.5)
    high = max(math.floor(last * scale + 0.5), low + 1)
    return start + low, start + high


# Cache


def digests(video: Sequence, needed: pd.Series) -> dict[int, str]:
    """sha256 of each needed frame. Raises InputError where frames are missing."""
    numbers = sorted(set(needed.tolist()))
    lost = [number for number in numbers if number not in video.frames]
    if lost:
        raise missing_frames(video, lost)
    try:
        return {number: hashlib.sha256(video.frames[number].read_bytes()).hexdigest() for number in numbers}
    except OSError as error:
        raise InputError(f"{video.folder}: a frame cannot be read ({one_line(error)}); give readable files.") from error


def cached(video: Sequence, rows: pd.DataFrame, size: tuple[int, int], frames: dict[int, str]) -> np.ndarray:
    """Pictures (N, 3, rows, columns), uint8, of a sequence's boxes, read from the cache or made and put there.

    The file's name is a hash of everything that the pictures depend on, so another frame, box or option has another file.
    """
    content = [_CODE, PIL.__version__, size, frames, rows[["frame", *BOX]].to_numpy().tolist()]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]
    path = cache_root() / "crops" / f"{video.name}-{key}.npz"
    shape = (len(rows), 3, *size)
    try:
        with np.load(path, allow_pickle=False) as file:  # the zip's checksum reveals damage
            pictures = file["pictures"]
        if pictures.dtype == np.uint8 and pictures.shape == shape:
            return pictures
    except Exception:  # missing, or damaged: NumPy may then raise nearly anything
        pass
    pictures = np.empty(shape, dtype=np.uint8)
    for frame, at in rows.reset_index(drop=True).groupby("frame").indices.items():
        pictures[at] = _cut(read_frame(video, frame), rows[list(BOX)].to_numpy()[at], size)
    _keep(path, pictures)
    return pictures


def _keep(path: Path, pictures: np.ndarray) -> None:
    """Write pictures to disk atomically: several jobs may do so at once. A failure only warns."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
            np.savez(Path(scratch) / path.name, pictures=pictures)
            os.replace(Path(scratch) / path.name, path)
    except OSError as error:  # the file's name is left out, so that one warning serves all videos
        found = (
            f"{path.parent} cannot be written ({error.strerror or one_line(error)}), so pictures are cut out each time"
        )
        _warn_once(f"{found}; set the environment variable FLATVAE_CACHE to a writable folder to keep them.")


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=2)
