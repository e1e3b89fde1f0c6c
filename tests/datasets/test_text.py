"""Text is the same text however an editor has saved it."""

import pytest

from flatvae.datasets._text import read_text
from flatvae.errors import InputError

TEXT = "[Sequence]\nname=Café\n1, 2 ,3\n\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding, end, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert read_text(path) == TEXT


def test_big_endian_with_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be"))
    assert read_text(path) == TEXT


def test_mixed_line_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"1\r\n2\r3\n\r\n4")
    assert read_text(path) == "1\n2\n3\n\n4"


@pytest.mark.parametrize("space", ["\u00a0", "\u2007", "\u202f", "\ufeff"])
def test_non_breaking_spaces_are_spaces(space, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(f"1,{space}2\n".encode())
    assert read_text(path) == "1, 2\n"


@pytest.mark.parametrize("raw", [b"\x89PNG\r\n\x1a\n\0\0", "1,2".encode("utf-16-le")])
def test_what_is_no_text_is_refused(raw, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"a\.txt holds zero bytes"):
        read_text(path)
