"""Reads arrays of .npz and .npy files so that damage is noticed."""

import io
import math
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from flatvae.errors import InputError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ENCRYPTED = 1  # bit of a member's flags
_END = 22 + 0xFFFF  # bytes of a zip file's end record and the longest comment
_ZIP64 = 0xFFFF  # means that the number of members is written elsewhere


def read_npz(path: Path, keys: Collection[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The file's arrays with these names, and the names of all other members.

    Each array is read to its end, because zipfile compares the checksum only there, and must have the size in its header.
    Pickled objects are refused, never run.

    Raises InputError for a file that is missing or no .npz file, and for members that are damaged, encrypted or no plain array.
    """
    check_there(path)
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile has no common error for damaged directories
        raise InputError(
            f"{path} is no .npz file; write it with numpy.savez, or save .npy, .csv or .parquet."
        ) from error
    with archive:
        if _entries(path) not in (len(archive.infolist()), _ZIP64):  # a damaged entry hides those after it
            raise InputError(f"{path} has a damaged directory; copy the file again, or write it with numpy.savez.")
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = {key: _array(f"{key} in {path}", archive, info) for key, info in members.items() if key in keys}
        others = sorted(members.keys() - arrays.keys())
        for key in others:
            _check_name(f"{key} in {path}", archive, members[key])
    return arrays, others


def read_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, read-only. Pickled objects are refused, never run.

    Raises InputError for a file that is missing, damaged or no plain array.
    """
    check_there(path)
    return _parsed(str(path), path.read_bytes(), "numpy.save")


def check_there(path: Path) -> None:
    """Raise InputError unless the path is a readable file."""
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{path} is missing, or a folder; give the path of a file.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it readable.") from error


def _entries(path: Path) -> int:
    """Number of members according to the record at the file's end."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _END), io.SEEK_END)
        end = file.read()
    return int.from_bytes(end[end.rfind(b"PK\5\6") :][10:12], "little")


def _check_name(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Raise InputError where a member's own header has another name: it may be a known array with a damaged name."""
    try:
        archive.open(info).close()
    except (RuntimeError, NotImplementedError):
        pass  # encrypted, or compressed in an unknown way: nothing reads it
    except Exception as error:
        raise _damaged(name) from error


def _array(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One member, read-only and without a copy."""
    if info.flag_bits & _ENCRYPTED:
        raise InputError(f"{name} is encrypted; it must be written without a password.")
    try:
        content = archive.read(info)
    except Exception as error:  # each compression method has its own errors
        raise _damaged(name) from error
    return _parsed(name, content, "numpy.savez")


def _parsed(name: str, content: bytes, writer: str) -> np.ndarray:
    """The array that these bytes store."""
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise InputError(f"{name} is not an array; it must be written with {writer}.")
    stream = io.BytesIO(content)
    try:
        shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
        start = stream.tell()
        if dtype.hasobject:
            raise InputError(f"{name} holds Python objects; it must be a plain array of numbers.")
        if math.prod(shape) * dtype.itemsize != len(content) - start:
            raise ValueError("the header gives another size")
        return np.ndarray(shape, dtype, content, start, order="F" if fortran else "C")
    except InputError:
        raise
    except Exception as error:  # the header is Python text, so parsing it may raise nearly anything
        raise InputError(f"{name} has a damaged header; write the file again with {writer}.") from error


def _damaged(name: str) -> InputError:
    return InputError(f"{name} is damaged; copy the file again, or write it with numpy.savez.")
