"""MOTChallenge layout: the published files in full, what is written and read again, the benchmark's rules, bad files."""

import itertools
import os
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from refusal import refused

from flatvae.datasets import _benchmark
from flatvae.datasets._boxes import BOX, DETECTIONS, GROUND_TRUTH, read_detections, read_ground_truth, write_boxes
from flatvae.datasets._motchallenge import read_frame, read_sequence, write_sequence
from flatvae.errors import InputError

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data") / "mot"
# As in the tables of SOURCE.md: frames there, length, rows, boxes that count, identities of these, detections.
PUBLISHED = {
    "TUD-Campus": (71, 71, 359, 359, 8, 322),
    "TUD-Stadtmitte": (179, 179, 1_156, 1_156, 10, 1_129),
    "ETH-Sunnyday": (354, 354, 1_901, 1_858, 30, 1_123),
    "MOT17-02": (0, 600, 30_003, 18_581, 62, 8_186),
    "MOT17-04": (8, 1_050, 108_005, 47_557, 83, 28_406),
    "MOT17-05": (6, 837, 8_013, 6_917, 133, 3_848),
    "MOT17-09": (0, 525, 10_411, 5_325, 26, 3_049),
    "MOT17-10": (0, 654, 17_450, 12_839, 57, 9_701),
    "MOT17-11": (7, 900, 10_617, 9_436, 75, 6_007),
    "MOT17-13": (5, 750, 20_202, 11_642, 110, 8_442),
}
needs_mot = pytest.mark.skipif(
    not all((ROOT / name / "gt" / "gt.txt").is_file() for name in PUBLISHED),
    reason="the MOTChallenge sequences are not there: set FLATVAE_DATA to a folder that holds mot/",
)


def ground_truth(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=GROUND_TRUTH[len(rows[0])])


def detections(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=DETECTIONS[7])


def stored(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the types that reading gives."""
    return table.astype({c: "int64" if c in ("frame", "identity", "flag", "class") else "float64" for c in table})


def picture(number: int) -> np.ndarray:
    """A smooth frame of 40 × 30 pixels, which JPEG keeps."""
    rows, columns = np.mgrid[:30, :40]
    return np.stack([6 * columns, 8 * rows, np.full_like(rows, 80 * number)], axis=-1).astype(np.uint8)


@pytest.fixture
def made(tmp_path) -> Path:
    """A sequence of three frames of 40 × 30 pixels."""
    frames = [picture(number) for number in (1, 2, 3)]
    truth = ground_truth([(f, i, 5 * i, 4, 6.5, 12, 1, 1, 0.5) for f in (1, 2, 3) for i in (1, 2)])
    found = detections([(f, -1, 5, 4, 6, 12, 0.9) for f in (1, 2, 3)])
    write_sequence(tmp_path / "MADE-01", frames, truth, found, 25)
    return tmp_path / "MADE-01"


# The published files


@needs_mot
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sequences_are_read_in_full(name):
    video = read_sequence(ROOT / name)
    used = video.ground_truth[_benchmark.counted(video.ground_truth)]
    counts = (len(video.frames), video.length, len(video.ground_truth), len(used), used["identity"].nunique())
    assert (*counts, len(video.detections)) == PUBLISHED[name]
    of_2015 = not name.startswith("MOT17")
    assert tuple(video.ground_truth) == GROUND_TRUTH[10 if of_2015 else 9]
    assert tuple(video.detections) == DETECTIONS[10 if of_2015 else 7]
    small = of_2015 or name == "MOT17-05"
    assert (video.width, video.height) == ((640, 480) if small else (1920, 1080))
    assert video.rate == {"ETH-Sunnyday": 14, "MOT17-05": 14}.get(name, 25 if of_2015 or name == "MOT17-13" else 30)
    assert video.name == name
    assert video.ground_truth["frame"].between(1, video.length).all()


@needs_mot
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_are_those_of_a_second_reader(name):
    video = read_sequence(ROOT / name)
    for table, file in ((video.ground_truth, "gt/gt.txt"), (video.detections, "det/det.txt")):
        assert np.array_equal(table.to_numpy(dtype=float), np.loadtxt(ROOT / name / file, delimiter=","))
        assert table["frame"].dtype == table["identity"].dtype == np.int64
    assert video.ground_truth["flag"].dtype == np.int64


@needs_mot
@pytest.mark.parametrize("name", [name for name, counts in PUBLISHED.items() if counts[0]])
def test_published_frames_are_images_of_the_stated_size(name):
    video = read_sequence(ROOT / name)
    for number in {min(video.frames), max(video.frames)}:
        image = read_frame(video, number)
        assert (image.mode, image.size) == ("RGB", (video.width, video.height))
    assert list(video.frames) == list(range(1, len(video.frames) + 1))


@needs_mot
def test_published_files_pass_through_writer_and_reader(tmp_path):
    for name in ("TUD-Stadtmitte", "MOT17-05"):
        video = read_sequence(ROOT / name)
        write_boxes(tmp_path / "gt.txt", video.ground_truth)
        assert read_ground_truth(tmp_path / "gt.txt", video.length).equals(video.ground_truth)
    # MOT17's own text has whole numbers without a point, and so has what is written
    assert (tmp_path / "gt.txt").read_text() == (ROOT / "MOT17-05" / "gt" / "gt.txt").read_text()


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


def test_a_written_sequence_is_read_again(made):
    video = read_sequence(made)
    assert (video.name, video.width, video.height, video.rate, video.length) == ("MADE-01", 40, 30, 25, 3)
    assert [path.name for path in video.frames.values()] == ["000001.jpg", "000002.jpg", "000003.jpg"]
    assert video.ground_truth["visibility"].tolist() == [0.5] * 6
    assert video.detections["confidence"].tolist() == [0.9] * 3
    assert (made / "gt" / "gt.txt").read_text().splitlines()[1] == "1,2,10,4,6.5,12,1,1,0.5"
    for number in (1, 2, 3):
        read = np.asarray(read_frame(video, number), dtype=float)
        assert np.abs(read - picture(number)).max() < 12


def test_without_seqinfo_the_frames_tell(made):
    told = read_sequence(made)
    (made / "seqinfo.ini").unlink()
    found = read_sequence(made)
    assert (found.width, found.height, found.length, found.rate) == (40, 30, 3, None)
    assert found.frames == told.frames
    assert found.ground_truth.equals(told.ground_truth)


def test_ground_truth_and_detections_may_be_absent(made):
    (made / "gt" / "gt.txt").unlink()
    (made / "det" / "det.txt").unlink()
    video = read_sequence(made)
    assert video.ground_truth is None
    assert video.detections is None


def test_no_detections_is_a_table_without_rows(made):
    (made / "det" / "det.txt").write_text("\n")
    assert read_sequence(made).detections.empty
    assert tuple(read_sequence(made).detections) == DETECTIONS[7]


def test_line_ends_spaces_and_empty_lines_do_not_matter(made):
    path = made / "gt" / "gt.txt"
    wanted = read_sequence(made).ground_truth
    path.write_text("\r\n" + path.read_text().replace(",", " , ").replace("\n", "\r\n") + "\r\n\r\n", newline="")
    assert read_sequence(made).ground_truth.equals(wanted)


# The benchmark's rules


def test_pedestrians_with_the_flag_count():
    kinds = ground_truth([(1, i, 1, 1, 2, 2, flag, kind, 1) for i, (flag, kind) in enumerate([(1, 1), (0, 1), (1, 7)])])
    assert _benchmark.counted(kinds).tolist() == [True, False, False]
    of_2015 = ground_truth([(1, i, 1, 1, 2, 2, flag, -1, -1, -1) for i, flag in enumerate([1, 0])])
    assert _benchmark.counted(of_2015).tolist() == [True, False]


def test_intersection_over_union_of_known_boxes():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 2, 1], [5, 5, 6, 6]], dtype=float)
    assert _benchmark.iou(boxes[:1], boxes) == pytest.approx([1, 1 / 7, 0, 0.5, 0])


def test_detections_of_distractors_are_taken_away():
    kinds = [1, 2, 3, 7, 8, 12, 9]
    truth = ground_truth([(1, i, 100 * i, 1, 20, 40, int(k == 1), k, 1) for i, k in enumerate(kinds)])
    on_them = detections([(1, -1, 100 * i, 5, 20, 40, 0.9) for i in range(len(kinds))])
    kept = _benchmark.without_distractors(on_them, truth)
    assert kept.tolist() == [kind in (1, 3, 9) for kind in kinds]
    # too far off to be of the distractor, in another frame, and in MOT15, which knows none
    assert _benchmark.without_distractors(on_them.assign(top=20), truth).all()
    assert _benchmark.without_distractors(on_them.assign(frame=2), truth).all()
    of_2015 = ground_truth([(1, i, 100 * i, 1, 20, 40, 1, -1, -1, -1) for i in range(len(kinds))])
    assert _benchmark.without_distractors(on_them, of_2015).all()


small = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(3, 8), st.integers(3, 8)), max_size=4)


@settings(max_examples=80)
@given(st.lists(st.tuples(small, small), min_size=1, max_size=2))
def test_match_is_the_best_of_all_assignments(frames):
    """By trying every assignment, with areas counted in unit squares."""
    truth = [(f, i, *b, 1, 1, 1) for f, (_, boxes) in enumerate(frames, 1) for i, b in enumerate(boxes)]
    seen = [(f, -1, *b, 1) for f, (boxes, _) in enumerate(frames, 1) for b in boxes]
    truth, seen = (pd.DataFrame(r, columns=c) for r, c in ((truth, GROUND_TRUTH[9]), (seen, DETECTIONS[7])))
    matched = _benchmark.match(seen, truth)

    def squares(row):
        return set(itertools.product(range(row.left, row.left + row.width), range(row.top, row.top + row.height)))

    def overlap(a, b):
        shared = len(squares(a) & squares(b)) / len(squares(a) | squares(b))
        return shared if a.frame == b.frame and shared >= 0.5 else 0.0

    table = [[overlap(a, b) for b in truth.itertuples()] for a in seen.itertuples()]

    def best(at, free):
        if at == len(table):
            return 0.0
        taken = [table[at][j] + best(at + 1, free - {j}) for j in free if table[at][j]]
        return max([best(at + 1, free), *taken])

    chosen = [(i, j) for i, j in enumerate(matched.tolist()) if j >= 0]
    assert len({j for _, j in chosen}) == len(chosen)
    assert all(table[i][j] >= 0.5 for i, j in chosen)
    assert sum(table[i][j] for i, j in chosen) == pytest.approx(best(0, frozenset(range(len(truth)))))


# What is refused

GOOD = ["1,1,5,4,6,12,1,1,0.5", "1,2,9,4,6,12,1,1,0.5", "2,1,5,4,6,12,1,1,0.5"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2,2,9,4,6,12,1", "it has 7 column(s); it must have 9, as the first line has"),
        ("2,2,9,4,6,12,1,1,0.5,9", "it has 10 column(s)"),
        ("2,2,9,4,6,twelve,1,1,0.5", "'twelve' is no number"),
        ("2,2,9,4,6,,1,1,0.5", "'' is no number"),
        ("2 2 9 4 6 12 1 1 0.5", "it has 1 column(s)"),
        ("2,2,9,4,nan,12,1,1,0.5", "a number is NaN or infinite"),
        ("2,2,9,4,6,inf,1,1,0.5", "a number is NaN or infinite"),
        ("2,2,9,4,0,12,1,1,0.5", "width is 0; it must be greater than 0"),
        ("2,2,9,4,6,-12,1,1,0.5", "height is -12; it must be greater than 0"),
        ("0,2,9,4,6,12,1,1,0.5", "frame is 0; it must be 1 to 3"),
        ("4,2,9,4,6,12,1,1,0.5", "frame is 4; it must be 1 to 3"),
        ("2.5,2,9,4,6,12,1,1,0.5", "frame is 2.5; it must be a whole number"),
        ("2,1.5,9,4,6,12,1,1,0.5", "identity is 1.5; it must be a whole number"),
        ("2,1e300,9,4,6,12,1,1,0.5", "identity is 1e+300"),
        ("2,-1,9,4,6,12,1,1,0.5", "identity is -1; it must be 0 or more in a ground truth"),
        ("1,2,9,4,6,12,1,1,0.5", "identity 2 is in frame 1 already, in line 2"),
        ("2,2,9,4,6,12,0.7,1,0.5", "flag is 0.7; it must be a whole number"),
        ("2,2,9,4,6,12,2,1,0.5", "flag is 2; it must be 0 (ignore) or 1"),
        ("2,2,9,4,6,12,1,0,0.5", "class is 0; it must be 1 to 13"),
        ("2,2,9,4,6,12,1,14,0.5", "class is 14"),
        ("2,2,9,4,6,12,1,1,1.5", "visibility is 1.5; it must be between 0 and 1"),
    ],
)
def test_bad_lines_of_a_ground_truth_are_named(made, line, why):
    path = made / "gt" / "gt.txt"
    path.write_text("\n".join([*GOOD, "", line, "3,1,5,4,6,12,1,1,0.5"]) + "\n")
    sentence = refused(read_sequence, made)
    assert sentence.startswith(f"{path}, line 5: ")
    assert why in sentence


@pytest.mark.parametrize("columns", [1, 6, 7, 8, 11])
def test_a_ground_truth_with_a_wrong_number_of_columns_is_refused(made, columns):
    (made / "gt" / "gt.txt").write_text(",".join(["1"] * columns) + "\n")
    assert f"line 1: it has {columns} column(s); it must have 9 or 10." in refused(read_sequence, made)


def test_a_ground_truth_that_is_really_of_detections_is_refused(made):
    """A file without identities: −1 in every line."""
    (made / "gt" / "gt.txt").write_text("1,-1,5,4,6,12,1,-1,-1,-1\n1,-1,9,4,6,12,1,-1,-1,-1\n")
    assert "line 1: identity is -1" in refused(read_sequence, made)


def test_an_empty_ground_truth_is_refused(made):
    (made / "gt" / "gt.txt").write_text("\n\n")
    assert "gt.txt has no line" in refused(read_sequence, made)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,-1,5,4,6,12", "it has 6 column(s); it must have 7 or 10"),
        ("1,-1,5,4,6,12,1,1,1", "it has 9 column(s)"),
        ("1,-1,5,4,6,12,high", "'high' is no number"),
        ("1,-1,5,4,6,0,0.5", "height is 0"),
        ("9,-1,5,4,6,12,0.5", "frame is 9; it must be 1 to 3"),
        ("1,-1,5,4,6,12,-inf", "a number is NaN or infinite"),
    ],
)
def test_bad_lines_of_detections_are_named(made, line, why):
    path = made / "det" / "det.txt"
    path.write_text(line + "\n")
    sentence = refused(read_sequence, made)
    assert sentence.startswith(f"{path}, line 1: ")
    assert why in sentence


def test_bytes_that_are_no_text_are_refused(made):
    (made / "gt" / "gt.txt").write_bytes(b"\xff\xfe1,1\n")
    assert "gt.txt, line 1" in refused(read_sequence, made)


def test_a_folder_in_place_of_a_file_is_refused(made):
    (made / "gt" / "gt.txt").unlink()
    (made / "gt" / "gt.txt").mkdir()
    assert "gt.txt cannot be read" in refused(read_sequence, made)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("imWidth=40", "", "imWidth is missing; it must be a positive number"),
        ("imHeight=30", "imHeight=0", "imHeight is 0; it must be a positive number"),
        ("frameRate=25", "frameRate=fast", "frameRate is fast; it must be a positive number"),
        ("seqLength=3", "seqLength=2.5", "seqLength is 2.5; it must be a whole number"),
        ("seqLength=3", "seqLength=2", "seqLength is 2, and there is 000003.jpg"),
        ("[Sequence]", "[Movie]", "must have a section [Sequence]"),
        ("[Sequence]", "", "must have a section [Sequence]"),
    ],
)
def test_a_bad_seqinfo_is_refused(made, before, after, why):
    path = made / "seqinfo.ini"
    path.write_text(path.read_text().replace(before, after))
    sentence = refused(read_sequence, made)
    assert sentence.startswith(str(path))
    assert why in sentence


def test_frames_start_at_one(made):
    (made / "img1" / "000003.jpg").rename(made / "img1" / "000000.jpg")
    assert "there is 000000.jpg" in refused(read_sequence, made)


def test_a_gap_without_seqinfo_is_refused(made):
    (made / "seqinfo.ini").unlink()
    (made / "img1" / "000002.jpg").unlink()
    assert "has no seqinfo.ini, and img1/000002.jpg is missing" in refused(read_sequence, made)


def test_neither_frames_nor_seqinfo_is_refused(tmp_path):
    (tmp_path / "EMPTY").mkdir()
    assert "neither seqinfo.ini nor frames" in refused(read_sequence, tmp_path / "EMPTY")


def test_a_missing_frame_is_named_when_it_is_needed(made):
    (made / "img1" / "000002.jpg").unlink()
    video = read_sequence(made)
    assert read_frame(video, 1).size == (40, 30)
    assert "1 needed frame(s) of 3 are missing, number 2 first" in refused(read_frame, video, 2)


@pytest.mark.parametrize("damage", ["cut", "html", "empty"])
def test_a_broken_frame_is_named(made, damage):
    path = made / "img1" / "000002.jpg"
    content = {"cut": path.read_bytes()[:400], "html": b"<html>moved</html>", "empty": b""}[damage]
    path.write_bytes(content)
    sentence = refused(read_frame, read_sequence(made), 2)
    assert sentence.startswith(f"{path} is damaged or no image (")


def test_a_frame_of_another_size_is_refused(made):
    path = made / "img1" / "000002.jpg"
    Image.new("RGB", (30, 40)).save(path)
    assert f"{path} has 30 × 40 pixels; it must have 40 × 30" in refused(read_frame, read_sequence(made), 2)


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
        assert (table[list(BOX[2:])] > 0).all(axis=None)
