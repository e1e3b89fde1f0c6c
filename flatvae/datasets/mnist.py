"""MNIST: 28×28 handwritten digits, read from the four IDX files, which are downloaded where missing."""

import gzip
import hashlib
import math
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pooch
import torch

from flatvae.datasets import MAX_SEED, Dataset, check_range, data_root, split_rows
from flatvae.errors import InputError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# Hashes of the uncompressed content: mirrors compress differently.
SHA256 = {
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
TRAIN_ROWS, TEST_ROWS = 60_000, 10_000
_VALIDATION_NOISE, _TEST_NOISE = 1, 2  # binarisation seeds, fixed so that all likelihoods use the same bits
_UNSIGNED_BYTE = 0x08
_GZIP = b"\x1f\x8b"
_MOST_DIMENSIONS = 64  # NumPy's limit


def load(
    root: Path | None = None,
    *,
    train: int | None = None,
    validation: int = 5_000,
    test: int | None = None,
    seed: int = 0,
) -> Dataset:
    """MNIST in [0, 1] from ``root/mnist``, packed (.gz) or unpacked.

    The 60,000 training images are split: 5,000 random ones (``validation``) are held out for model selection, the other
    55,000 form the training part, in their original order. The 10,000 test images are the test part.

    The training part stays grey (value / 255): the trainer binarises it again for each batch. Validation and test are
    binarised once, P(x = 1) = value / 255, with fixed seeds.

    Args:
        root: folder of the data; the files lie in, or are downloaded to, its folder ``mnist``.
        train: number of training images to keep, the first ones (for quick tests); None keeps all.
        validation: number of images held out of the 60,000.
        test: number of test images to keep, the first ones; None keeps all.
        seed: of the split into training and validation part.

    Raises InputError where a file is damaged, not MNIST's, or missing while no mirror answers.

    Source: LeCun, Cortes and Burges; binarised after Salakhutdinov and Murray (2008).
    """
    check_range("mnist", "validation", validation, 1, TRAIN_ROWS - 1)
    for option, rows, most in (("train", train, TRAIN_ROWS - validation), ("test", test, TEST_ROWS)):
        if rows is not None:
            check_range("mnist", option, rows, 1, most)
    check_range("mnist", "seed", seed, 0, MAX_SEED)
    folder = data_root(root) / "mnist"
    images, labels, test_images, test_labels = (torch.from_numpy(read(folder, name)) for name in SHA256)
    kept, held_out = split_rows(TRAIN_ROWS, validation, seed)
    kept = kept[:train]
    return Dataset(
        name="mnist",
        train=_grey(images[kept]),
        validation=_binarised(images[held_out], _VALIDATION_NOISE),
        test=_binarised(test_images, _TEST_NOISE)[:test],  # cut afterwards, so that the bits do not depend on ``test``
        likelihood="bernoulli",
        shape=tuple(images.shape[1:]),
        train_labels=labels[kept].long(),
        validation_labels=labels[held_out].long(),
        test_labels=test_labels[:test].long(),
    )


def read(folder: Path, name: str) -> np.ndarray:
    """The array of one of the four files, uint8.

    Tries the .gz file, the unpacked file without ``.gz`` and the unpacked file with a dot, ``train-images.idx3-ubyte``, and
    uses the first with the right content. Downloads the .gz file if none exists.

    Raises InputError where no file has MNIST's content, or the download fails.
    """
    unpacked = name.removesuffix(".gz")
    places = [folder / file for file in (name, unpacked, unpacked.replace("-idx", ".idx"))]
    found = [path for path in places if os.path.exists(path)]
    if not found:
        _download(folder, name)
        found = places[:1]
    faults = []
    for path in found:
        try:
            content = _checked(path, SHA256[name])
        except (OSError, ValueError) as error:
            faults.append(f"{path} is not usable ({_line(error)})")
        else:
            return parse_idx(content)
    raise InputError(f"dataset mnist: {', '.join(faults)}; delete it to have it downloaded again.")


def parse_idx(content: bytes) -> np.ndarray:
    """The array in an IDX file of unsigned bytes.

    The header is two zero bytes, the type (0x08: unsigned byte), the number of dimensions, and each dimension as a
    big-endian 32-bit number; the values follow, last dimension fastest.

    Raises InputError for another type, and where the length does not match the header.
    """
    if len(content) < 4 or content[:3] != bytes((0, 0, _UNSIGNED_BYTE)):
        raise InputError("IDX content does not begin with the bytes 0, 0, 8; give an IDX file of unsigned bytes.")
    if content[3] > _MOST_DIMENSIONS:
        raise InputError(f"IDX content has {content[3]} dimensions; it must have at most {_MOST_DIMENSIONS}.")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise InputError("IDX content ends within its header; give the whole file.")
    shape = tuple(np.frombuffer(content, ">u4", count=content[3], offset=4).tolist())
    if len(content) - start != math.prod(shape):
        raise InputError(
            f"IDX content has {len(content) - start} values but its header says {shape}; give the whole file."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # torch wants it writable


def _checked(path: Path, sha256: str) -> bytes:
    """Content of a file, uncompressed if it is a gz file. Raises OSError or ValueError where it is unusable."""
    content = path.read_bytes()
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error) as error:
            raise OSError(f"damaged gzip: {error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("its content is not MNIST's: the sha256 of the uncompressed bytes differs")
    return content


def _download(folder: Path, name: str) -> None:
    """Fetch a file from the first mirror with the right content; it gets its name only after the check."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
            checked = _from_mirrors(Path(scratch), folder, name)
            # Copied, as pooch's file is readable by its owner only; the rename is atomic.
            os.replace(shutil.copyfile(checked, Path(scratch) / "copy"), folder / name)
    except OSError as error:
        fix = "make the folder writable or put the file there yourself"
        raise InputError(f"dataset mnist: {folder / name} cannot be written ({_line(error)}); {fix}.") from error


def _from_mirrors(scratch: Path, folder: Path, name: str) -> Path:
    reasons = []
    for number, mirror in enumerate(MIRRORS):
        try:
            path = Path(pooch.retrieve(mirror + name, known_hash=None, fname=f"{number}-{name}", path=scratch))
            _checked(path, SHA256[name])
            return path
        except Exception as error:  # after any failure the next mirror may work; the reasons are reported
            reasons.append(f"{mirror}: {_line(error)}")
    fix = f"put the file into {folder}"
    raise InputError(f"dataset mnist: {name} is missing and no mirror gave it; {fix} ({'; '.join(reasons)}).")


def _line(error: Exception) -> str:
    """An error's text on one line, cut to 120 characters."""
    return " ".join((str(error) or type(error).__name__).split())[:120]


def _grey(images: torch.Tensor) -> torch.Tensor:
    """(N, 28, 28) uint8 -> (N, 784) float32 in [0, 1]."""
    return images.flatten(1).float().div_(255)


def _binarised(images: torch.Tensor, seed: int) -> torch.Tensor:
    """(N, 28, 28) uint8 -> (N, 784) float32, each value 1 with probability grey / 255, else 0."""
    grey = _grey(images)
    return (torch.rand(grey.shape, generator=torch.Generator().manual_seed(seed)) < grey).float()
