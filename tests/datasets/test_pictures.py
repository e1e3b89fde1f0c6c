"""Pictures of boxes, pixel by pixel, and the cache that keeps them."""

import errno
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from damage import flipped
from PIL import Image
from refusal import refused
from small_video import all_rows, listing, load

from flatvae.datasets import _pictures, mot
from flatvae.datasets._boxes import DETECTIONS, GROUND_TRUTH
from flatvae.datasets._motchallenge import write_sequence

GREY = _pictures.PADDING

# Pictures


@pytest.fixture
def striped(tmp_path) -> mot.Sequence:
    """One frame of 100 × 60 pixels: red on the left, blue on the right of column 50."""
    frame = np.zeros((60, 100, 3), dtype=np.uint8)
    frame[:, :50, 0], frame[:, 50:, 2] = 255, 255
    truth = pd.DataFrame([(1, 1, 1, 1, 9, 9, 1, 1, 1.0)], columns=GROUND_TRUTH[9])
    write_sequence(tmp_path / "S", [frame], truth, pd.DataFrame([], columns=DETECTIONS[7]), 25)
    Image.fromarray(frame).save(tmp_path / "S" / "img1" / "000001.png")
    path = tmp_path / "S" / "seqinfo.ini"
    path.write_text(path.read_text().replace(".jpg", ".png"))
    return mot.read_sequence(tmp_path / "S")


def crop(video: mot.Sequence, *box: float, size=(64, 32)) -> np.ndarray:
    """Levels (rows, columns, 3) of one box's picture."""
    picture = mot.crops(video, 1, np.array([box]), size)
    return (picture.view(3, *size).permute(1, 2, 0) * 255).round().int().numpy()


def is_all(part: np.ndarray, *colour: int) -> bool:
    return bool(len(part)) and (part == np.array(colour)).all()


def test_the_upper_left_pixel_is_1_1(striped):
    """Columns 49 to 52, counted from 1, are two red and two blue ones."""
    picture = crop(striped, 49, 1, 4, 8, size=(8, 4))
    assert is_all(picture[:, :2], 255, 0, 0)
    assert is_all(picture[:, 2:], 0, 0, 255)


def test_a_wide_and_a_narrow_box_are_padded_to_the_middle(striped):
    wide = crop(striped, 11, 1, 32, 16)
    assert is_all(wide[24:40], 255, 0, 0)
    assert is_all(wide[:24], GREY, GREY, GREY)
    assert is_all(wide[40:], GREY, GREY, GREY)
    narrow = crop(striped, 11, 1, 8, 32)
    assert is_all(narrow[:, 8:24], 255, 0, 0)
    assert is_all(narrow[:, :8], GREY, GREY, GREY)
    assert is_all(narrow[:, 24:], GREY, GREY, GREY)


def test_what_lies_outside_the_image_is_grey(striped):
    left = crop(striped, -15, 1, 32, 60)  # 16 of its 32 columns are inside, at 60 rows
    assert is_all(left[2:62, :16], GREY, GREY, GREY)
    assert is_all(left[2:62, 16:], 255, 0, 0)
    low = crop(striped, 61, 31, 30, 60)  # 30 of its 60 rows are inside
    assert is_all(low[:32, 2:30], 0, 0, 255)
    assert is_all(low[32:, 2:30], GREY, GREY, GREY)


@pytest.mark.parametrize(
    "box", [(-40, 1, 40, 60), (101, 1, 9, 9), (1, -9, 9, 9), (1, 61, 9, 9), (1e9, 1e9, 1e9, 1e9), (-1e18, 1, 2, 2)]
)
def test_a_box_outside_the_image_is_a_grey_picture(striped, box):
    assert is_all(crop(striped, *box), GREY, GREY, GREY)


@pytest.mark.parametrize(
    "box", [(5, 5, 0.2, 0.2), (5, 5, 0.1, 40), (5, 5, 40, 0.1), (-1e6, -1e6, 2e6, 2e6), (0.6, 1, 0.4, 60)]
)
def test_boxes_of_any_shape_have_a_picture(striped, box):
    picture = crop(striped, *box)
    assert not is_all(picture, GREY, GREY, GREY)


def test_no_boxes_are_no_pictures(striped):
    assert mot.crops(striped, 1, striped.detections).shape == (0, 3 * 64 * 32)


def test_a_frame_that_is_not_there_has_no_pictures(striped):
    assert "number 2 first" in refused(mot.crops, striped, 2, np.ones((1, 4)))


# Cache


def test_a_second_load_opens_no_frame(root, monkeypatch):
    first = load(root)
    monkeypatch.setattr(_pictures, "read_frame", None)
    assert load(root).fingerprint() == first.fingerprint()


def test_the_cache_is_where_the_variable_says_and_nothing_else_is_written(root, cache):
    before = listing(root)
    load(root)
    assert listing(root) == before
    names = listing(cache)
    assert names[0] == "crops"
    assert sorted(name.split("-")[0] for name in names[1:]) == ["crops/A", "crops/B"]


def test_without_the_variable_the_cache_is_the_user_s(monkeypatch):
    monkeypatch.delenv("FLATVAE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert mot.cache_root().name == "flatvae"
    assert not mot.cache_root().is_relative_to(Path(__file__).parents[2])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "folder"])
def test_a_damaged_cache_is_made_anew(root, cache, damage):
    wanted = load(root).fingerprint()
    for path in (cache / "crops").iterdir():
        content = path.read_bytes()
        middle = len(content) // 2
        if damage == "other":
            np.savez(path, pictures=np.zeros((2, 2), dtype=np.uint8))
        elif damage == "folder":
            path.unlink()
        else:
            flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
            path.write_bytes({"cut": content[:middle], "flipped": flipped, "empty": b""}[damage])
    before = {path.name: path.stat().st_mtime_ns for path in (cache / "crops").iterdir()}
    assert load(root).fingerprint() == wanted
    after = {path.name: path.stat().st_mtime_ns for path in (cache / "crops").iterdir()}
    assert len(after) == 2
    assert not set(before.items()) & set(after.items())
    assert load(root).fingerprint() == wanted


def test_what_pictures_depend_on_makes_new_ones(root, cache, monkeypatch):
    """A frame, a box, the size, the boxes that are chosen, and the code; what they do not depend on does not."""
    prints, files = [load(root).fingerprint()], [set(listing(cache))]

    def again(new: int, **options) -> None:
        prints.append(load(root, **options).fingerprint())
        files.append(set(listing(cache)))
        assert len(files[-1] - files[-2]) == new

    again(0)
    again(0, train=["A"], test=["B"], visibility=0.3)
    again(2, size=[32, 32])
    again(2, source="detections")
    path = root / "mot" / "B" / "img1" / "000007.jpg"
    Image.new("RGB", (200, 80), (9, 9, 9)).save(path)
    again(1)
    truth = root / "mot" / "B" / "gt" / "gt.txt"
    truth.write_text(truth.read_text().replace("7,3,63,8,24,60,", "7,3,63,8,24,40,"))
    again(1)
    monkeypatch.setattr(_pictures, "_CODE", "other code")
    again(2)
    assert prints[0] == prints[1] == prints[2]
    assert prints[-1] == prints[-2]
    assert len(set(prints)) == 5


@pytest.fixture
def kept(root, cache):
    """The pictures of a video's boxes in a small and in a large file, and a function that reads them again."""
    video = mot.read_sequence(root / "mot" / "A")

    def read(size: tuple[int, int]) -> np.ndarray:
        rows = video.ground_truth[video.ground_truth["frame"] == 1]
        return _pictures.cached(video, rows, size, {1: ""})

    return read, lambda: next((cache / "crops").glob("*.npz"))


@pytest.mark.parametrize(("size", "least"), [((8, 4), 0), ((256, 128), 500_000)])
def test_a_damaged_bit_of_the_cache_changes_no_picture(kept, size, least):
    """Also in a file that NumPy reads in several pieces."""
    read, file = kept
    wanted, raw = read(size).copy(), file().read_bytes()
    assert len(raw) > least
    places = [
        (0, 250),
        (len(raw) - 250, len(raw)),
        (len(raw) // 2, len(raw)),
    ]  # what NumPy and the zip say, and pictures
    for start, stop in places:
        for damaged in flipped(raw, 12 if least else 60, start, stop):
            file().write_bytes(damaged)
            assert np.array_equal(read(size), wanted)


def unwritable(monkeypatch, cache):
    """The folder cannot be made, as on a file system that is mounted read-only or belongs to someone else."""
    make = Path.mkdir

    def denied(path, *arguments, **options):
        if path.is_relative_to(cache):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        make(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", denied)


def filled(monkeypatch, cache):
    """The disk is full once the file is written."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)


def occupied(monkeypatch, cache):
    cache.write_text("a file where the folder should be")


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [(unwritable, "Permission denied"), (filled, "No space left on device"), (occupied, "Not a directory")],
)
def test_without_a_cache_the_pictures_are_the_same_and_one_warning_says_why(root, cache, monkeypatch, obstacle, reason):
    wanted = load(root).fingerprint()
    shutil.rmtree(cache)
    obstacle(monkeypatch, cache)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        assert load(root).fingerprint() == wanted
    assert [str(warning.message) for warning in said] == [
        f"{cache / 'crops'} cannot be written ({reason}), so pictures are cut out each time; set the environment variable "
        "FLATVAE_CACHE to a writable folder to keep them."
    ]


@pytest.mark.parametrize("name", ["two words", "it's", 'a "quote"', "{braces} %s $HOME", "größe-видео", "~tilde"])
def test_data_and_cache_may_lie_in_any_folder(root, tmp_path, monkeypatch, name):
    wanted = load(root).fingerprint()
    root.rename(tmp_path / name)
    monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path / name / "cache"))
    assert load(f"{tmp_path / name}/").fingerprint() == wanted
    assert len(list((tmp_path / name / "cache" / "crops").glob("*.npz"))) == 2


def test_the_cache_may_be_named_after_an_unknown_user(monkeypatch):
    monkeypatch.setenv("FLATVAE_CACHE", "~nosuchuser/x")
    assert mot.cache_root() == Path("~nosuchuser/x")


def test_data_and_cache_below_the_home_folder_and_behind_a_link(root, tmp_path, monkeypatch):
    wanted = load(root).fingerprint()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FLATVAE_CACHE", "~/kept here")
    (tmp_path / "link").symlink_to(root)
    for place in ("~/root", tmp_path / "link"):
        assert load(place).fingerprint() == wanted
        assert len(list((tmp_path / "kept here" / "crops").glob("*.npz"))) == 2


def test_chromaticity_by_its_formula(root):
    """Pixel by pixel in float64, and on one picture in half the light, whose values move by a tenth of their spread at most."""
    rgb, found = (all_rows(load(root, colour=name)).view(-1, 3, 64, 32).double() for name in mot.COLOURS)
    for picture, expected in zip(rgb[:5], found[:5], strict=True):
        c = torch.stack([channel / (picture[0] + picture[1] + picture[2] + 0.1) for channel in picture])
        c = torch.stack([channel - channel.mean() for channel in c])
        torch.testing.assert_close(0.1 * c / (c**2).mean().sqrt(), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        found.square().sum((1, 2, 3)), torch.full((len(found),), 61.44).double(), rtol=1e-5, atol=0
    )
    bright = (255 * rgb[:1]).round().numpy().astype(np.uint8)
    day, dusk = (_pictures.observations(values, "chromaticity") for values in (bright, bright // 2))
    assert (day - dusk).abs().max() < 0.01 * day.abs().max() / 0.1


def test_a_picture_of_one_colour_has_no_chromaticity():
    assert not _pictures.observations(np.full((1, 3, 4, 4), 128, np.uint8), "chromaticity").abs().max() > 1e-3
