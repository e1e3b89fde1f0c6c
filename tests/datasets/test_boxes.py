"""Text files of boxes: what is written is read again to the last bit, and what is refused."""

import codecs
import os
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from damage import flipped
from hypothesis import given, settings
from hypothesis import strategies as st
from refusal import refused
from small_video import detections, ground_truth

from flatvae.datasets._boxes import BOX, DETECTIONS, read_detections, read_ground_truth, write_boxes
from flatvae.datasets._motchallenge import read_sequence
from flatvae.errors import InputError


def stored(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the types that reading gives."""
    return table.astype({c: "int64" if c in ("frame", "identity", "flag", "class") else "float64" for c in table})


# Written and read again

numbers = st.floats(-1e6, 1e6)
sides = st.floats(1e-3, 1e6)
whole = st.integers(0, 2**40)
box = st.tuples(numbers, numbers, sides, sides)
frame_and_identity = st.tuples(st.integers(1, 50), whole)
share = st.floats(0, 1)


def unique(rest):
    rows = st.tuples(frame_and_identity, box, rest).map(lambda row: (*row[0], *row[1], *row[2]))
    return st.lists(rows, min_size=1, max_size=8, unique_by=lambda row: row[:2])


truths = st.one_of(
    unique(st.tuples(st.integers(0, 1), st.integers(1, 13), share)),
    unique(st.tuples(st.integers(0, 1), numbers, numbers, numbers)),
)
found = st.one_of(unique(st.tuples(numbers)), unique(st.tuples(numbers, numbers, numbers, numbers)))


@settings(max_examples=60)
@given(truths)
def test_ground_truth_is_read_as_it_was_written(tmp_path_factory, rows):
    path, table = tmp_path_factory.mktemp("written") / "gt" / "gt.txt", stored(ground_truth(rows))
    write_boxes(path, table)
    assert read_ground_truth(path, 50).equals(table)


@settings(max_examples=60)
@given(found)
def test_detections_and_results_are_read_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("written") / "det.txt"
    table = stored(pd.DataFrame(rows, columns=DETECTIONS[len(rows[0])]))
    write_boxes(path, table)
    assert read_detections(path, 50).equals(table)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "det.txt"
    write_boxes(path, detections([(1, -1, 1, 1, 2, 2, 0.5)]))
    before = path.read_text()

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_boxes(path, detections([(2, -1, 1, 1, 2, 2, 0.5)]))
    assert path.read_text() == before == "1,-1,1,1,2,2,0.5\n"
    assert os.listdir(tmp_path) == ["det.txt"]


def test_tables_with_other_columns_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="columns"):
        write_boxes(tmp_path / "gt.txt", pd.DataFrame({"frame": [1]}))


# What is refused

GOOD = ["1,1,5,4,6,12,1,1,0.5", "1,2,9,4,6,12,1,1,0.5", "2,1,5,4,6,12,1,1,0.5"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2,2,9,4,6,12,1", "it has 7 column(s) ('2,2,9,4,6,12,1'); it must have 9, as the first line has"),
        ("2,2,9,4,6,12,1,1,0.5,9", "it has 10 column(s)"),
        ("2,2,9,4,6,twelve,1,1,0.5", "'twelve' is no number"),
        ("2,2,9,4,6,,1,1,0.5", "'' is no number"),
        ("2 2 9 4 6 12 1 1 0.5", "it has 1 column(s) ('2 2 9 4 6 12 1 1 0.5'); it must have 9"),
        (
            "2\t2\t9\t4\t6\t12\t1\t1\t0.5",
            r"('2\t2\t9\t4\t6\t12\t1\t1\t0.5'); it must have 9, as the first line has, with commas",
        ),
        ("2;2;9;4;6;12;1;1;0.5", "('2;2;9;4;6;12;1;1;0.5'); it must have 9"),
        ("2;2;9,5;4;6;12;1;1;0,5", "it has 3 column(s) ('2;2;9,5;4;6;12;1;1;0,5')"),
        ("2,2,9,4,6,12,1,1,0.5,", "it has 10 column(s) ('2,2,9,4,6,12,1,1,0.5,')"),
        ("2,2,9,4,6,12,1,1,", "'' is no number"),
        ("2,2,9,4,6,1_2,1,1,0.5", "'1_2' is no number"),
        ("2,2,9,4,6,0x10,1,1,0.5", "'0x10' is no number"),
        ("2,2,1e80,4,6,12,1,1,0.5", "left is 1e+80; it must be between -1e+06 and 1e+06 pixels"),
        ("2,2,9,-1e300,6,12,1,1,0.5", "top is -1e+300; it must be"),
        ("2,2,9,4,1e300,12,1,1,0.5", "width is 1e+300; it must be between 0.001 and 1e+06 pixels"),
        ("2,2,9,4,6,1e-300,1,1,0.5", "height is 1e-300; it must be"),
        ("2,2,9,4,6,1e999,1,1,0.5", "a number is NaN or infinite"),
        ("2,2,9,4,nan,12,1,1,0.5", "a number is NaN or infinite"),
        ("2,2,9,4,6,inf,1,1,0.5", "a number is NaN or infinite"),
        ("2,2,9,4,0,12,1,1,0.5", "width is 0; it must be between 0.001 and 1e+06 pixels"),
        ("2,2,9,4,6,-12,1,1,0.5", "height is -12; it must be between 0.001 and 1e+06 pixels"),
        ("0,2,9,4,6,12,1,1,0.5", "frame is 0; it must be 1 to 3"),
        ("4,2,9,4,6,12,1,1,0.5", "frame is 4; it must be 1 to 3"),
        ("2.5,2,9,4,6,12,1,1,0.5", "frame is 2.5; it must be a whole number"),
        ("2,1.5,9,4,6,12,1,1,0.5", "identity is 1.5; it must be a whole number"),
        ("2,1e300,9,4,6,12,1,1,0.5", "identity is 1e+300"),
        ("2,-1,9,4,6,12,1,1,0.5", "identity is -1; it must be 0 or more in a ground truth"),
        ("1,2,9,4,6,12,1,1,0.5", "identity 2 is already in frame 1, in line 2"),
        ("2,2,9,4,6,12,0.7,1,0.5", "flag is 0.7; it must be a whole number"),
        ("2,2,9,4,6,12,2,1,0.5", "flag is 2; it must be 0 (ignore) or 1"),
        ("2,2,9,4,6,12,1,0,0.5", "class is 0; it must be 1 to 13"),
        ("2,2,9,4,6,12,1,14,0.5", "class is 14"),
        ("2,2,9,4,6,12,1,1,1.5", "visibility is 1.5; it must be between 0 and 1"),
    ],
)
def test_bad_lines_of_a_ground_truth_are_named(sequence, line, why):
    path = sequence / "gt" / "gt.txt"
    path.write_text("\n".join([*GOOD, "", line, "3,1,5,4,6,12,1,1,0.5"]) + "\n")
    sentence = refused(read_sequence, sequence)
    assert sentence.startswith(f"{path}, line 5: ")
    assert why in sentence


@pytest.mark.parametrize("columns", [1, 6, 7, 8, 11])
def test_a_ground_truth_with_a_wrong_number_of_columns_is_refused(sequence, columns):
    line = ",".join(["1"] * columns)
    (sequence / "gt" / "gt.txt").write_text(line + "\n")
    assert f"line 1: it has {columns} column(s) ('{line}'); it must have 9 or 10, with commas between them." in refused(
        read_sequence, sequence
    )


def test_a_ground_truth_that_is_really_of_detections_is_refused(sequence):
    """A file without identities: −1 in every line."""
    (sequence / "gt" / "gt.txt").write_text("1,-1,5,4,6,12,1,-1,-1,-1\n1,-1,9,4,6,12,1,-1,-1,-1\n")
    assert "line 1: identity is -1" in refused(read_sequence, sequence)


def test_an_empty_ground_truth_is_refused(sequence):
    (sequence / "gt" / "gt.txt").write_text("\n\n")
    assert "gt.txt has no line" in refused(read_sequence, sequence)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,-1,5,4,6,12", "it has 6 column(s) ('1,-1,5,4,6,12'); it must have 7 or 10"),
        ("1,-1,5,4,6,12,1,1,1", "it has 9 column(s)"),
        ("1,-1,5,4,6,12,high", "'high' is no number"),
        ("1,-1,5,4,6,0,0.5", "height is 0"),
        ("1,-1,5,4,6,-3,0.5", "height is -3"),
        ("1,-1,1e7,4,6,12,0.5", "left is 1e+07; it must be between -1e+06 and 1e+06 pixels"),
        ("1,-1,5,4,1e-9,12,0.5", "width is 1e-09; it must be between 0.001 and 1e+06 pixels"),
        ("1,-1,nan,4,6,12,0.5", "a number is NaN or infinite"),
        ("1,-1,5,4,6,12,0.5,", "it has 8 column(s) ('1,-1,5,4,6,12,0.5,'); it must have 7 or 10"),
        (
            "1 -1 5 4 6 12 0.5",
            "it has 1 column(s) ('1 -1 5 4 6 12 0.5'); it must have 7 or 10, with commas between them",
        ),
        ("9,-1,5,4,6,12,0.5", "frame is 9; it must be 1 to 3"),
        ("1,-1,5,4,6,12,-inf", "a number is NaN or infinite"),
    ],
)
def test_bad_lines_of_detections_are_named(sequence, line, why):
    path = sequence / "det" / "det.txt"
    path.write_text(line + "\n")
    sentence = refused(read_sequence, sequence)
    assert sentence.startswith(f"{path}, line 1: ")
    assert why in sentence


def test_bytes_that_are_no_text_are_refused(sequence):
    (sequence / "gt" / "gt.txt").write_bytes(b"\xff\xfe1,1\n")
    assert "gt.txt, line 1" in refused(read_sequence, sequence)


def test_a_folder_in_place_of_a_file_is_refused(sequence):
    (sequence / "gt" / "gt.txt").unlink()
    (sequence / "gt" / "gt.txt").mkdir()
    assert "gt.txt cannot be read" in refused(read_sequence, sequence)


# As editors save them

SAVED = {
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big end first": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "old Macintosh": lambda text: text.replace("\n", "\r").encode(),
    "mixed line ends": lambda text: text.replace("\n", "\r\n", 2).replace("\n", "\r", 1).encode(),
    "no last line end": lambda text: text.rstrip().encode(),
    "blank lines": lambda text: ("\n \n" + text.replace("\n", "\n\n\t\n") + "  \n").encode(),
    "non-breaking spaces": lambda text: text.replace(",", ",\u00a0").encode(),
    "non-breaking spaces in Latin-1": lambda text: text.replace(",", "\u00a0,").encode("latin-1"),
    "tabs next to commas": lambda text: text.replace(",", "\t,\t").encode(),
    "signs and exponents": lambda text: text.replace("12,", "+1.2e1,").encode(),
}


@pytest.mark.parametrize("saved", SAVED)
def test_files_as_editors_save_them_hold_the_same_numbers(sequence, saved):
    wanted = read_sequence(sequence)
    for name in ("gt/gt.txt", "det/det.txt"):
        text = (sequence / name).read_text()
        assert SAVED[saved](text) != text.encode()
        (sequence / name).write_bytes(SAVED[saved](text))
    found = read_sequence(sequence)
    assert found.ground_truth.equals(wanted.ground_truth)
    assert found.detections.equals(wanted.detections)


def test_a_line_is_counted_as_editors_count_it(sequence):
    """A form feed within a line does not begin a new one."""
    path = sequence / "gt" / "gt.txt"
    path.write_bytes(b"1,1,5,4,6,12,1,1,0.5\x0c\r\n\r\n1,2,5,4,6,12,1,1,two")
    assert "line 3: 'two' is no number" in refused(read_sequence, sequence)


def by_hand(raw: bytes) -> np.ndarray:
    """The numbers of a file of boxes."""
    return np.array([[float(w) for w in line.split(b",")] for line in raw.split(b"\n") if line.strip()])


@pytest.mark.parametrize("lines", [3, 4_000])
def test_a_damaged_bit_is_refused_or_read_as_it_stands(tmp_path, lines):
    rows = [(frame, who, 5.5, 4, 6, 12, 1, 1, 0.5) for frame in range(1, lines // 2 + 2) for who in (1, 2)][:lines]
    path = tmp_path / "gt.txt"
    write_boxes(path, ground_truth(rows))
    read = 0
    for raw in flipped(path.read_bytes(), 500 if lines < 10 else 40):
        path.write_bytes(raw)
        try:
            table = read_ground_truth(path, lines)
        except InputError as error:
            assert str(error).startswith(f"{path}")  # noqa: PT017
        else:
            read += 1
            assert np.array_equal(table.to_numpy(dtype=float), by_hand(raw))
    assert 0 < read < (500 if lines < 10 else 40)


@settings(max_examples=60)
@given(st.text(alphabet=string.digits + ",.-e\n x", max_size=60))
def test_any_text_is_read_or_refused_in_one_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "gt.txt"
    path.write_text(text)
    for read in (read_ground_truth, read_detections):
        try:
            table, sentence = read(path, 9), str(path)
        except InputError as error:
            table, sentence = pd.DataFrame(columns=BOX), str(error)
        assert sentence.startswith(str(path))
        assert table[list(BOX[2:])].map(lambda side: 1e-3 <= side <= 1e6).all(axis=None)
