"""Reads text files as editors and spreadsheet programs save them."""

import codecs
from pathlib import Path

from flatvae.errors import InputError

_MARKS = (  # byte-order marks; UTF-32's little-endian mark begins with UTF-16's, so it comes first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u202f\ufeff"), " ")  # non-breaking spaces; the last has no width


def encodings(path: Path) -> list[str]:
    """Encodings to try for a text file, as ``read_text`` does, for readers that decode a file themselves."""
    with path.open("rb") as file:
        start = file.read(4)
    marked = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "utf-8")
    return ["utf-8-sig", "latin-1"] if marked == "utf-8" else [marked[: len("utf-16")]]  # these drop the mark


def read_text(path: Path) -> str:
    r"""The text of a file, with ``\n`` as line ending and plain spaces.

    The byte-order mark gives the encoding. Without a mark it is UTF-8, or Latin-1 where the bytes are not UTF-8: digits and
    ASCII letters are the same in both. Windows' and old Macintosh's line endings become ``\n``, also where they are mixed,
    and non-breaking spaces become spaces.

    Raises:
        OSError: the file cannot be read.
        InputError: it holds no text.
    """
    raw = path.read_bytes()
    mark, encoding = next(((m, e) for m, e in _MARKS if raw.startswith(m)), (b"", "utf-8"))
    try:
        text = raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        text = raw[len(mark) :].decode("latin-1")
    if "\0" in text:
        raise InputError(f"{path} holds zero bytes: it is no text, or UTF-16 without a mark; save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_SPACES)
