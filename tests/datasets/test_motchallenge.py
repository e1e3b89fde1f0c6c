"""MOTChallenge layout: the published videos in full, what is written and read again, and videos that are broken."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from damage import flipped
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from refusal import refused
from small_video import picture

from flatvae.datasets import _benchmark
from flatvae.datasets._boxes import DETECTIONS, GROUND_TRUTH, read_ground_truth, write_boxes
from flatvae.datasets._motchallenge import read_frame, read_sequence
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


# The published files
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


def test_a_written_sequence_is_read_again(sequence):
    video = read_sequence(sequence)
    assert (video.name, video.width, video.height, video.rate, video.length) == ("MADE-01", 40, 30, 25, 3)
    assert [path.name for path in video.frames.values()] == ["000001.jpg", "000002.jpg", "000003.jpg"]
    assert video.ground_truth["visibility"].tolist() == [0.5] * 6
    assert video.detections["confidence"].tolist() == [0.9] * 3
    assert (sequence / "gt" / "gt.txt").read_text().splitlines()[1] == "1,2,10,4,6.5,12,1,1,0.5"
    for number in (1, 2, 3):
        read = np.asarray(read_frame(video, number), dtype=float)
        assert np.abs(read - picture(number)).max() < 12


def test_without_seqinfo_the_frames_tell(sequence):
    told = read_sequence(sequence)
    (sequence / "seqinfo.ini").unlink()
    found = read_sequence(sequence)
    assert (found.width, found.height, found.length, found.rate) == (40, 30, 3, None)
    assert found.frames == told.frames
    assert found.ground_truth.equals(told.ground_truth)


def test_ground_truth_and_detections_may_be_absent(sequence):
    (sequence / "gt" / "gt.txt").unlink()
    (sequence / "det" / "det.txt").unlink()
    video = read_sequence(sequence)
    assert video.ground_truth is None
    assert video.detections is None


def test_no_detections_is_a_table_without_rows(sequence):
    (sequence / "det" / "det.txt").write_text("\n")
    assert read_sequence(sequence).detections.empty
    assert tuple(read_sequence(sequence).detections) == DETECTIONS[7]


def test_line_ends_spaces_and_empty_lines_do_not_matter(sequence):
    path = sequence / "gt" / "gt.txt"
    wanted = read_sequence(sequence).ground_truth
    path.write_text("\r\n" + path.read_text().replace(",", " , ").replace("\n", "\r\n") + "\r\n\r\n", newline="")
    assert read_sequence(sequence).ground_truth.equals(wanted)


# What is refused


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("imWidth=40", "", "imWidth is missing; it must be a positive number"),
        ("imHeight=30", "imHeight=0", "imHeight is 0; it must be a positive number"),
        ("frameRate=25", "frameRate=fast", "frameRate is fast; it must be a positive number"),
        ("seqLength=3", "seqLength=2.5", "seqLength is 2.5; it must be a whole number"),
        ("seqLength=3", "seqLength=2", "seqLength is 2, but 000003.jpg exists"),
        ("[Sequence]", "[Movie]", "has no section [Sequence]; give it one."),
        ("[Sequence]", "", "give it a section [Sequence]"),
    ],
)
def test_a_bad_seqinfo_is_refused(sequence, before, after, why):
    path = sequence / "seqinfo.ini"
    path.write_text(path.read_text().replace(before, after))
    sentence = refused(read_sequence, sequence)
    assert sentence.startswith(str(path))
    assert why in sentence


def test_frames_start_at_one(sequence):
    (sequence / "img1" / "000003.jpg").rename(sequence / "img1" / "000000.jpg")
    assert "but 000000.jpg exists" in refused(read_sequence, sequence)


def test_a_gap_without_seqinfo_is_refused(sequence):
    (sequence / "seqinfo.ini").unlink()
    (sequence / "img1" / "000002.jpg").unlink()
    assert "has no seqinfo.ini, and img1/000002.jpg is missing" in refused(read_sequence, sequence)


def test_neither_frames_nor_seqinfo_is_refused(tmp_path):
    (tmp_path / "EMPTY").mkdir()
    assert "neither seqinfo.ini nor frames" in refused(read_sequence, tmp_path / "EMPTY")


def test_a_missing_frame_is_named_when_it_is_needed(sequence):
    (sequence / "img1" / "000002.jpg").unlink()
    video = read_sequence(sequence)
    assert read_frame(video, 1).size == (40, 30)
    mend = "put them there, correct imDir and imExt in seqinfo.ini, or name another sequence."
    found = f"{sequence}: 1 needed frame(s) of 3 are missing, number 2 first, in the folder {sequence / 'img1'}"
    assert refused(read_frame, video, 2) == f"{found}; {mend}"
    for path in (sequence / "img1").iterdir():
        path.rename(path.with_name(f"frame {path.name}"))
    assert "img1, in which no file is named by a number; put" in refused(read_frame, read_sequence(sequence), 2)
    (sequence / "img1").rename(sequence / "images")
    assert f"{sequence / 'img1'}, which does not exist; put" in refused(read_frame, read_sequence(sequence), 2)


@pytest.mark.parametrize("damage", ["cut", "html", "empty"])
def test_a_broken_frame_is_named(sequence, damage):
    path = sequence / "img1" / "000002.jpg"
    content = {"cut": path.read_bytes()[:400], "html": b"<html>moved</html>", "empty": b""}[damage]
    path.write_bytes(content)
    sentence = refused(read_frame, read_sequence(sequence), 2)
    assert sentence.startswith(f"{path} is damaged or no image (")


@pytest.mark.parametrize(("kind", "suffix"), [("I;16", ".png"), ("I", ".tif"), ("F", ".tif")])
def test_frames_of_more_than_8_bits_are_refused(sequence, kind, suffix):
    without_imext(sequence)
    (sequence / "img1" / "000002.jpg").unlink()
    path = sequence / "img1" / f"000002{suffix}"
    Image.new(kind, (40, 30), 300).save(path)
    wanted = f"{path} has more than 8 bits a channel (mode {kind}); save frames with 8 bits a channel."
    assert refused(read_frame, read_sequence(sequence), 2) == wanted


def test_a_frame_of_another_size_is_refused(sequence):
    path = sequence / "img1" / "000002.jpg"
    Image.new("RGB", (30, 40)).save(path)
    assert f"{path} has 30 × 40 pixels; it must have 40 × 30" in refused(read_frame, read_sequence(sequence), 2)


# seqinfo.ini as people and tools write it

INFO = "[Sequence]\nname=MADE-01\nimDir=img1\nframeRate=25\nseqLength=3\nimWidth=40\nimHeight=30\nimExt=.jpg\n"
WRITTEN = {
    "as the benchmark has it": INFO,
    "keys in capitals": INFO.upper().replace("IMG1", "img1"),
    "section in small letters": INFO.replace("[Sequence]", "[sequence]"),
    "spaces": INFO.replace("=", "  =\u00a0 ").replace("\n", "  \n"),
    "colons": INFO.replace("=", ": "),
    "comments": "# by hand\n" + INFO.replace("\n", " ; gemäß Kamera\n").replace("imWidth", "; wide\nimWidth"),
    "Latin-1": (INFO + "# Größe\n").encode("latin-1"),
    "UTF-8 with a mark": INFO.encode("utf-8-sig"),
    "UTF-16": INFO.encode("utf-16"),
    "old Macintosh": INFO.replace("\n", "\r").encode(),
    "another section": INFO + "[Camera]\nimWidth=1\n",
    "whole numbers with a point": INFO.replace("40", "40.0").replace("=3\n", "=3.\n"),
    "no folder of frames": INFO.replace("imDir=img1\n", ""),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_seqinfo_is_read_however_it_is_written(sequence, written):
    content = WRITTEN[written]
    (sequence / "seqinfo.ini").write_bytes(content if isinstance(content, bytes) else content.encode())
    video = read_sequence(sequence)
    assert (video.width, video.height, video.rate, video.length, len(video.frames)) == (40, 30, 25.0, 3, 3)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("imWidth=40", "imWidth=40\nimWidth=50", "option 'imwidth' in section 'Sequence' already exists); give it a"),
        ("imWidth=40", "imWidth=40\nimwidth=40", "already exists); give it a section [Sequence] with each key once."),
        ("imWidth=40", "imWidth", "cannot be read (Source contains parsing errors"),
        ("imWidth=40", "imWidth=", "imWidth is missing; it must be a positive number"),
        ("imWidth=40", "imWidth=40,0", "imWidth is 40,0; it must be a positive number, 65,535 at most."),
        ("imWidth=40", "imWidth=70000", "imWidth is 70000; it must be a positive number, 65,535 at most."),
        ("imHeight=30", "imHeight=nan", "imHeight is nan; it must be"),
        ("imHeight=30", "imHeight=-30", "imHeight is -30; it must be"),
        ("seqLength=3", "seqLength=1e300", "seqLength is 1e300; it must be a positive number, 999,999 at most."),
        ("frameRate=25", "frameRate=inf", "frameRate is inf; it must be"),
        ("imWidth=40", "imWidth=4_0", "imWidth is 4_0; it must be a positive number"),
        ("imWidth=40", "imWidth=40\n  50", "imWidth is 40 50; it must be"),
    ],
)
def test_what_seqinfo_leaves_open_is_refused(sequence, before, after, why):
    path = sequence / "seqinfo.ini"
    path.write_text(path.read_text().replace(before, after))
    sentence = refused(read_sequence, sequence)
    assert sentence.startswith(str(path))
    assert why in sentence


def test_a_damaged_bit_of_seqinfo_is_refused_or_read_as_it_stands(sequence):
    path, read = sequence / "seqinfo.ini", 0
    for raw in flipped(path.read_bytes(), 400):
        path.write_bytes(raw)
        try:
            video = read_sequence(sequence)
        except InputError:
            continue
        read += 1
        values = {"imWidth": video.width, "imHeight": video.height, "seqLength": video.length, "frameRate": video.rate}
        text = raw.decode("latin-1").lower()
        assert all(re.search(rf"{key.lower()}=0*{value:g}\s", text) for key, value in values.items())
        assert list(video.frames) in ([1, 2, 3], [])
    assert 0 < read < 400


# Frames as cameras and tools write them


@pytest.mark.parametrize("asked", [".jpg", "jpg", "JPG", ".JPG", "*.jpg", '".jpg"', "'jpg'", "%06d.jpg", "", None])
@pytest.mark.parametrize("there", [".jpg", ".JPG"])
def test_case_dot_and_glob_of_imext_do_not_matter(sequence, asked, there):
    path = sequence / "seqinfo.ini"
    path.write_text(path.read_text().replace("imExt=.jpg\n", "" if asked is None else f"imExt={asked}\n"))
    for frame in list((sequence / "img1").iterdir()):
        frame.rename(frame.with_suffix(there))
    names = [path.name for path in read_sequence(sequence).frames.values()]
    assert names == [f"00000{number}{there}" for number in (1, 2, 3)]


@pytest.mark.parametrize("asked", [".png", "PNG", "*.png"])
def test_frames_of_another_extension_are_named(sequence, asked):
    path = sequence / "seqinfo.ini"
    path.write_text(path.read_text().replace(".jpg", asked))
    sentence = refused(read_sequence, sequence)
    found = f"imExt of seqinfo.ini is {asked}, but 000001.png is missing and 000001.jpg exists; correct imExt in seqinfo.ini"
    assert sentence.startswith(f"{sequence / 'img1'}: {found}")


def test_frames_of_which_some_have_another_extension_are_named(sequence):
    Image.fromarray(picture(2)).save(sequence / "img1" / "000002.png")
    assert len(read_sequence(sequence).frames) == 3  # imExt tells which of the two is meant
    (sequence / "img1" / "000002.jpg").unlink()
    assert "imExt of seqinfo.ini is .jpg, but 000002.jpg is missing" in refused(read_sequence, sequence)


@pytest.mark.parametrize(("twin", "told"), [("1.jpg", True), ("000001.JPG", True), ("1.JPG", False), ("1.jpg", False)])
def test_two_files_of_a_frame_are_named(sequence, twin, told):
    Image.fromarray(picture(2)).save(sequence / "img1" / twin)
    if not told:
        (sequence / "seqinfo.ini").unlink()
    sentence = refused(read_sequence, sequence)
    names = " and ".join(sorted(["000001.jpg", twin]))
    assert sentence == f"{sequence / 'img1'} has two files of frame 1, {names}; keep one of them."


def without_imext(sequence: Path) -> None:
    path = sequence / "seqinfo.ini"
    path.write_text(path.read_text().replace("imExt=.jpg\n", ""))


@pytest.mark.parametrize("prepare", [without_imext, lambda sequence: (sequence / "seqinfo.ini").unlink()])
def test_where_frames_are_jpeg_images_of_another_kind_are_passed_over(sequence, prepare):
    """Masks next to the frames, also where a frame is missing, and pictures that are numbered otherwise."""
    prepare(sequence)
    for number in (0, 1, 2, 3, 7):
        Image.new("L", (40, 30)).save(sequence / "img1" / f"{number}.png")
    assert [path.name for path in read_sequence(sequence).frames.values()] == [f"00000{n}.jpg" for n in (1, 2, 3)]
    if (sequence / "seqinfo.ini").exists():
        (sequence / "img1" / "000002.jpg").unlink()
        assert list(read_sequence(sequence).frames) == [1, 3]


def test_without_imext_two_files_of_another_kind_are_named(sequence):
    without_imext(sequence)
    (sequence / "img1" / "000002.jpg").unlink()
    for name in ("2.bmp", "2.png"):
        Image.new("RGB", (40, 30)).save(sequence / "img1" / name)
    assert "has two files of frame 2, 2.bmp and 2.png; keep one" in refused(read_sequence, sequence)


@pytest.mark.parametrize("stray", ["000007.png", "0.png"])
def test_only_frames_of_the_video_need_the_extension_that_is_asked_for(sequence, stray):
    Image.new("RGB", (40, 30)).save(sequence / "img1" / stray)
    assert list(read_sequence(sequence).frames) == [1, 2, 3]


def test_what_is_no_frame_is_passed_over(sequence):
    for name in ("._000001.jpg", "Thumbs.db", "000001.txt", "cover.jpg", "².jpg"):
        (sequence / "img1" / name).write_bytes(b"")
    assert len(read_sequence(sequence).frames) == 3


def test_without_seqinfo_frames_of_any_kind_will_do(sequence):
    (sequence / "seqinfo.ini").unlink()
    for number in (1, 2, 3):
        (sequence / "img1" / f"00000{number}.jpg").unlink()
        Image.fromarray(picture(number)).save(sequence / "img1" / f"{number}.png")
    assert np.array_equal(read_frame(read_sequence(sequence), 2), picture(2))


TURNED = {  # what a picture stored with an EXIF orientation looks like, by the standard's table
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}


def with_orientation(sequence: Path, orientation: int, suffix: str) -> tuple[np.ndarray, Path]:
    """Frame 1 stored so that its orientation turns it into 40 × 30 pixels, without loss where it is PNG."""
    stored = picture(1) if orientation < 5 else picture(1).swapaxes(0, 1)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    (sequence / "img1" / "000001.jpg").unlink()
    path = sequence / "img1" / f"000001{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    info = sequence / "seqinfo.ini"
    info.write_text(info.read_text().replace("imExt=.jpg\n", ""))
    return stored, path


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("orientation", TURNED)
def test_frames_are_turned_as_their_exif_orientation_says(sequence, orientation, suffix):
    """And as OpenCV turns them, in whose pixels people draw boxes; half a turn keeps the size, so only pixels tell."""
    cv2 = pytest.importorskip("cv2")
    stored, path = with_orientation(sequence, orientation, suffix)
    found = np.asarray(read_frame(read_sequence(sequence), 1), dtype=int)
    assert found.shape == (30, 40, 3)
    loss = 0 if suffix == ".png" else 12
    assert np.abs(found - TURNED[orientation](stored)).max() <= loss
    assert np.abs(found - cv2.imread(str(path))[..., ::-1]).max() <= loss


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_orientation_in_xmp_alone_turns_nothing(sequence, suffix):
    """Pillow would turn the frame, OpenCV does not."""
    cv2 = pytest.importorskip("cv2")
    _, path = with_orientation(sequence, 1, suffix)
    description = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3"/>'
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", description.decode())
    Image.open(path).save(path, exif=b"", **({"pnginfo": text} if suffix == ".png" else {"xmp": description}))
    assert Image.open(path).getexif()[ExifTags.Base.Orientation] == 3
    found = np.asarray(read_frame(read_sequence(sequence), 1), dtype=int)
    assert np.abs(found - picture(1)).max() <= 16
    assert np.abs(found - cv2.imread(str(path))[..., ::-1]).max() <= 16


def test_boxes_of_a_picture_as_it_is_stored_are_told_apart(sequence):
    """seqinfo.ini has the size before the frame is turned."""
    _, path = with_orientation(sequence, 6, ".png")
    info = sequence / "seqinfo.ini"
    info.write_text(info.read_text().replace("imWidth=40\nimHeight=30", "imWidth=30\nimHeight=40"))
    sentence = refused(read_frame, read_sequence(sequence), 1)
    found = f"{path} has 40 × 30 pixels, turned by its EXIF orientation"
    assert sentence == f"{found}; it must have 30 × 40, as the sequence has and no such tag."


def test_the_size_without_seqinfo_is_that_of_the_turned_frame(sequence):
    with_orientation(sequence, 8, ".jpg")
    (sequence / "seqinfo.ini").unlink()
    video = read_sequence(sequence)
    assert (video.width, video.height) == (40, 30)


@pytest.mark.filterwarnings("ignore")  # Pillow's own, about damaged EXIF
def test_a_damaged_bit_of_a_frame_is_refused_or_gives_a_picture_of_its_size(sequence):
    _, path = with_orientation(sequence, 3, ".jpg")
    video, read = read_sequence(sequence), 0
    for raw in flipped(path.read_bytes(), 500):
        path.write_bytes(raw)
        try:
            image = read_frame(video, 1)
        except InputError as error:
            assert str(error).startswith(f"{path} ")  # noqa: PT017
        else:
            read += 1
            assert (image.mode, image.size) == ("RGB", (40, 30))
    assert 0 < read < 500


# Boxes in other units


@pytest.mark.parametrize("name", ["gt/gt.txt", "det/det.txt"])
@pytest.mark.parametrize(
    "box", ["0.1,0.2,0.3,0.5", "41,4,6,12", "5,-12,6,12", "3000,400,60,120"], ids=["shares", "right", "above", "far"]
)
def test_boxes_of_which_none_is_on_the_frame_are_refused(sequence, name, box):
    rest = {"gt/gt.txt": "1,1,0.5", "det/det.txt": "0.9"}[name]
    path = sequence / name
    path.write_text(f"1,1,{box},{rest}\n2,1,{box},{rest}\n")
    assert refused(read_sequence, sequence) == (
        f"{path}: none of its 2 boxes shows a pixel of the 40 × 30 frame; give left, top, width and height in pixels."
    )
    path.write_text(path.read_text() + f"3,1,40,30,9,9,{rest}\n")  # its upper left pixel is the frame's last
    read_sequence(sequence)
