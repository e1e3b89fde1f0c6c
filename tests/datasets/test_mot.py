"""MOT: which boxes are in which part, their pictures, the cache, detections, and videos that are missing or broken."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image, ImageOps
from refusal import refused

from flatvae import datasets
from flatvae.datasets import PARTS, _pictures, mot
from flatvae.datasets._benchmark import counted, edges, iou
from flatvae.datasets._boxes import BOX, DETECTIONS, GROUND_TRUTH
from flatvae.datasets._motchallenge import read_frame, write_sequence

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
SEQUENCES = {"TUD-Campus": 71, "TUD-Stadtmitte": 179, "ETH-Sunnyday": 354}
needs_mot = pytest.mark.skipif(
    not all((ROOT / "mot" / name / "img1" / f"{last:06d}.jpg").is_file() for name, last in SEQUENCES.items()),
    reason="the MOTChallenge sequences are not there: set FLATVAE_DATA to a folder that holds mot/",
)
needs_mot17 = pytest.mark.skipif(
    not all((ROOT / "mot" / f"MOT17-{n}" / "gt" / "gt.txt").is_file() for n in ("02", "04", "10")),
    reason="the MOT17 ground truth is not there: set FLATVAE_DATA to a folder that holds mot/",
)
GREY = _pictures.PADDING


PEOPLE = 6


def walk(identity: int, frame: int) -> tuple[int, int, int, int]:
    """Box of a made-up person: they stand apart, except that the second stands half before the first."""
    return (1 + 30 * (identity - 1) - (20 if identity == 2 else 0) + frame % 5, 8, 24, 60)


def write(folder: Path, seed: int, frames: int = 15, truth_of=None) -> None:
    """A made-up sequence: noise in which each person is a block of one colour."""
    draw = np.random.default_rng(seed)
    colours = draw.integers(0, 256, (PEOPLE + 1, 3))
    pictures, truth, found = [], [], []
    for frame in range(1, frames + 1):
        picture = np.full((80, 200, 3), colours[0], dtype=np.uint8)
        for identity in range(1, PEOPLE + 1):
            left, top, width, height = walk(identity, frame)
            picture[top - 1 : top - 1 + height, left - 1 : left - 1 + width] = colours[identity]
            truth.append((frame, identity, left, top, width, height, 1, 1, 1.0))
            found.append((frame, -1, left + 1.5, top - 1, width, height, 0.9))
        found.append((frame, -1, 100, 70, 10, 10, 0.1))
        pictures.append(picture)
    truth = truth if truth_of is None else truth_of(truth)
    tables = pd.DataFrame(truth, columns=GROUND_TRUTH[len(truth[0])]), pd.DataFrame(found, columns=DETECTIONS[7])
    write_sequence(folder, pictures, *tables, 25)


@pytest.fixture
def made(tmp_path) -> Path:
    """A root with two made-up sequences, so that these tests need no data."""
    for seed, name in enumerate(("A", "B"), 1):
        write(tmp_path / "root" / "mot" / name, seed)
    return tmp_path / "root"


OPTIONS = {"train": ["A"], "test": ["B"]}


def load(root: Path, **options) -> datasets.Dataset:
    return datasets.load("mot", root, **{**OPTIONS, **options})


def boxes(root: Path, **options) -> pd.DataFrame:
    return mot.boxes(root, **{**OPTIONS, **options})


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def all_rows(data: datasets.Dataset) -> torch.Tensor:
    return torch.cat([getattr(data, part) for part in PARTS])


# The published videos


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The data set with its default options, and its table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLATVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return datasets.load("mot", ROOT), mot.boxes(ROOT)


@needs_mot
def test_parts_of_the_published_videos(original):
    data, table = original
    assert data.description() == {
        "name": "mot",
        "likelihood": "gaussian",
        "shape": [3, 64, 32],
        "sizes": {"train": 1_774, "validation": 397, "test": 1_156},
    }
    assert table["part"].tolist() == [part for part in PARTS for _ in range(len(getattr(data, part)))]
    assert set(table["sequence"][table["part"] == "test"]) == {"TUD-Stadtmitte"}
    for part in ("train", "validation"):
        assert set(table["sequence"][table["part"] == part]) == {"TUD-Campus", "ETH-Sunnyday"}
    # all that count: 359 and 1,858 for training and validation less those beside held-out people, 1,156 for test
    assert 2_217 - (table["part"] != "test").sum() == 46
    assert 0 <= all_rows(data).min() < all_rows(data).max() <= 1


@needs_mot
@pytest.mark.parametrize("test", SEQUENCES)
@pytest.mark.parametrize("source", ["ground_truth", "detections"])
def test_no_identity_is_in_two_parts(test, source):
    train = [name for name in SEQUENCES if name != test]
    table = mot.boxes(ROOT, train=train, test=[test], source=source)
    known = table[table["identity"] >= 0]
    parts = known.groupby(["sequence", "identity"])["part"].nunique()
    assert (parts == 1).all()
    # a label is an identity of a sequence, and an identity of a sequence a label
    pairs = known[["sequence", "identity", "label"]].drop_duplicates()
    assert len(pairs) == pairs["label"].nunique() == len(parts) == known["label"].max() + 1
    assert ((table["identity"] < 0) == (table["label"] < 0)).all()
    if source == "ground_truth":
        assert len(known) == len(table)


@needs_mot
@pytest.mark.parametrize("seed", range(4))
def test_training_pictures_do_not_show_held_out_people(seed):
    """No training box overlaps a held-out person's by as much as makes them look alike, in the video's own ground truth."""
    table = mot.boxes(ROOT, seed=seed)
    for video in mot.sequences(ROOT, "train"):
        here = table[table["sequence"] == video.name]
        held_out = set(here["identity"][here["part"] == "validation"])
        assert len(held_out) >= 2
        truth = video.ground_truth[counted(video.ground_truth)]
        share = truth["identity"].isin(held_out).mean()
        assert 0.1 < share < 0.5
        for frame, rows in here[here["part"] == "train"].groupby("frame"):
            hidden = truth[(truth["frame"] == frame) & truth["identity"].isin(held_out)]
            if len(hidden):
                assert iou(edges(rows)[:, None], edges(hidden)[None]).max() < 0.3


@needs_mot
def test_held_out_people_can_be_looked_for(original):
    """Most of their pictures have another ten frames apart or more, and there is someone else to be mistaken for."""
    held_out = original[1][original[1]["part"] == "validation"]
    assert (held_out.groupby("sequence")["identity"].nunique() >= 2).all()
    found = [
        (np.abs(rows["frame"].to_numpy() - frame) >= 10).any()
        for _, rows in held_out.groupby(["sequence", "identity"])
        for frame in rows["frame"]
    ]
    assert np.mean(found) > 0.9


@needs_mot
def test_held_out_pictures_have_no_near_duplicate_in_training(original):
    """The nearest picture is of the same person, and so is held out too; a random split would have it in training."""
    data, _ = original
    beside = torch.cdist(data.validation, data.validation)
    others = data.validation_labels[:, None] != data.validation_labels
    beside[others | torch.eye(len(beside), dtype=torch.bool)] = torch.inf
    nearest = torch.cdist(data.validation, data.train).min(1).values
    assert (nearest <= beside.min(1).values).float().mean() < 0.03


@needs_mot
def test_pictures_are_those_of_a_second_way(original):
    """Pillow's own letterbox, for all boxes inside the image; those across its border are looked at below."""
    data, table = original
    inside = (table[["left", "top"]] >= 1).all(axis=1)
    inside &= (table["left"] + table["width"] <= 641) & (table["top"] + table["height"] <= 481)
    videos = {video.name: video for part in ("train", "test") for video in mot.sequences(ROOT, part)}
    pictures, seen = all_rows(data), 0
    for (name, frame), rows in table[inside].groupby(["sequence", "frame"]):
        image = read_frame(videos[name], frame)
        for at, row in rows.iterrows():
            corners = (row.left - 1, row.top - 1, row.left - 1 + row.width, row.top - 1 + row.height)
            part = image.crop([round(corner) for corner in corners])
            wanted = ImageOps.pad(part, (32, 64), Image.Resampling.BILINEAR, color=(GREY, GREY, GREY))
            found = (pictures[at].view(3, 64, 32).permute(1, 2, 0) * 255).round().to(torch.uint8)
            assert np.array_equal(found.numpy(), np.asarray(wanted)), (name, frame)
            seen += 1
    assert seen > 3_000


@needs_mot
def test_pictures_for_a_tracker_are_those_of_the_data_set(original):
    data, table = original
    (video,) = mot.sequences(ROOT, "test")
    here = (table["part"] == "test").to_numpy()
    for frame in (1, 90, 179):
        rows = table[here & (table["frame"] == frame).to_numpy()]
        wanted = data.test[torch.from_numpy((table["frame"] == frame).to_numpy()[here])]
        assert torch.equal(mot.crops(video, frame, rows), wanted)
        assert torch.equal(mot.crops(video, frame, rows[list(BOX)].to_numpy()), wanted)


@needs_mot
def test_every_detection_gets_a_picture():
    (video,) = mot.sequences(ROOT, "test")
    made = sum(len(mot.crops(video, frame, found)) for frame, found in video.detections.groupby("frame"))
    assert made == 1_129


@needs_mot
def test_detections_get_the_identity_of_the_person_they_are_of():
    table = mot.boxes(ROOT, source="detections")
    assert (table["part"] == "test").sum() == 1_129
    truth = mot.sequences(ROOT, "test")[0].ground_truth.set_index(["frame", "identity"])
    known = table[(table["part"] == "test") & (table["identity"] >= 0)]
    assert 700 < len(known) < 1_000
    assert not known.duplicated(["frame", "identity"]).any()
    theirs = truth.loc[list(zip(known["frame"], known["identity"], strict=True))]
    assert iou(edges(known), edges(theirs)).min() >= 0.5


@needs_mot17
def test_boxes_of_mot17_that_do_not_count_are_left_out():
    """As published, 12,839 boxes of MOT17-10 count, of which 3 lie outside the image; visibility leaves out more."""
    options = {"train": ["MOT17-02"], "test": ["MOT17-10"]}
    every = mot.boxes(ROOT, visibility=0, **options)
    assert (every["part"] == "test").sum() == 12_839 - 3
    truth = mot.sequences(ROOT, "test", **options)[0].ground_truth
    seen = (truth["class"] == 1) & (truth["visibility"] >= 0.25)
    assert (mot.boxes(ROOT, **options)["part"] == "test").sum() == seen.sum()


@needs_mot17
def test_videos_without_their_frames_are_refused():
    sentence = refused(datasets.load, "mot", ROOT, train=["MOT17-04"], test=["MOT17-02"])
    assert f"{ROOT / 'mot' / 'MOT17-04'}: 1042 needed frame(s) of 1050 are missing, number 9 first" in sentence


# Which boxes, in which part


def test_rows_are_the_boxes_that_the_table_names(made):
    for options in (
        {},
        {"source": "detections"},
        {"size": [20, 16]},
        {"colour": "chromaticity"},
        {"validation": 0.4, "seed": 3},
    ):
        data, table = load(made, **options), boxes(made, **options)
        size = tuple(options.get("size", (64, 32)))
        assert tuple(table) == mot.COLUMNS
        assert data.boxes.equals(table)
        assert data.shape == (3, *size)
        assert torch.cat([getattr(data, f"{p}_labels") for p in PARTS]).tolist() == table["label"].tolist()
        assert table["part"].tolist() == [part for part in PARTS for _ in range(len(getattr(data, part)))]
        for video in mot.sequences(made, "train", **OPTIONS) + mot.sequences(made, "test", **OPTIONS):
            assert video.name in {held.name for held in data.videos["train"] + data.videos["test"]}
            for frame, rows in table[table["sequence"] == video.name].groupby("frame"):
                assert torch.equal(data.crops(video, frame, rows), all_rows(data)[rows.index])


def test_chromaticity_by_its_formula(made):
    """Pixel by pixel in float64, and on one picture in half the light, whose values move by a tenth of their spread at most."""
    rgb, found = (all_rows(load(made, colour=name)).view(-1, 3, 64, 32).double() for name in mot.COLOURS)
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


def test_copies_are_of_training_boxes_and_near_them(made):
    plain, table = boxes(made), boxes(made, copies=3)
    for part in ("validation", "test"):
        assert (
            plain[plain["part"] == part]
            .reset_index(drop=True)
            .equals(table[table["part"] == part].reset_index(drop=True))
        )
    keys = ["sequence", "frame", "identity"]
    first, all_of = plain[plain["part"] == "train"], table[table["part"] == "train"]
    assert all_of[keys + ["label"]].drop_duplicates().merge(first[keys + ["label"]]).shape[0] == len(first)
    pairs = all_of.merge(first, on=keys, suffixes=("", "_first"))
    assert len(all_of) > 3.5 * len(first)  # what leaves the image is left out
    assert (pairs.groupby(keys).size() <= 4).all()
    zoom = np.log(pairs["width"] / pairs["width_first"])
    np.testing.assert_allclose(zoom, np.log(pairs["height"] / pairs["height_first"]), atol=1e-12)
    assert 0.08 < zoom.abs().max() <= 0.1
    for low, side, most in (("left", "width", 0.1), ("top", "height", 0.05)):
        moved = pairs[low] + pairs[side] / 2 - pairs[f"{low}_first"] - pairs[f"{side}_first"] / 2
        assert 0.8 * most < (moved.abs() / pairs[f"{side}_first"]).max() <= most + 1e-12
    assert boxes(made, copies=3).equals(table)


def test_rows_of_a_sequence_are_in_the_order_of_frames(made):
    for _, rows in boxes(made).groupby(["part", "sequence"]):
        assert rows["frame"].is_monotonic_increasing


def test_the_person_who_stands_before_a_held_out_one_is_not_trained_on(made):
    """The first two overlap, with an intersection over union of 14 / 34: if one is held out, the other is in no part."""
    seen = set()
    for seed in range(20):
        table = boxes(made, seed=seed)
        held_out = set(table["identity"][table["part"] == "validation"])
        train = set(table["identity"][table["part"] == "train"])
        if len(held_out & {1, 2}) == 1:
            assert not train & {1, 2}
        assert held_out | train | {1, 2} == set(range(1, PEOPLE + 1))
        seen.add(len(held_out & {1, 2}))
    assert seen >= {0, 1}


def test_flags_classes_visibility_and_the_image_decide_what_is_left_out(made, capsys):
    changed = {(4, "flag"): 0, (5, "class"): 7, (6, "visibility"): 0.2}

    def some_do_not_count(rows):
        table = pd.DataFrame(rows, columns=GROUND_TRUTH[9])
        for (identity, column), value in changed.items():
            table.loc[(table["identity"] == identity) & (table["frame"] <= 2), column] = value
        outside = [(1, 7, -30, 1, 30, 9, 1, 1, 1), (1, 8, 201, 1, 9, 9, 1, 1, 1), (1, 9, 1, 81, 9, 9, 1, 1, 1)]
        return [*table.itertuples(index=False, name=None), *outside, (1, 10, -30, 1, 32, 9, 1, 1, 1)]

    write(made / "mot" / "C", 3, truth_of=some_do_not_count)
    table = boxes(made, test=["C"])
    test = table[table["part"] == "test"]
    assert len(test) == 15 * PEOPLE - 6 + 1
    assert sorted(set(test["identity"])) == [1, 2, 3, 4, 5, 6, 10]
    assert test["identity"].value_counts()[[4, 5, 6, 10]].tolist() == [13, 13, 13, 1]
    low = boxes(made, test=["C"], visibility=0.2)
    assert (low["part"] == "test").sum() == len(test) + 2
    capsys.readouterr()
    load(made, test=["C"])
    said = capsys.readouterr().out
    assert f"{len(test)} test boxes" in said
    for reason in ("4 not to be counted (flag 0, another class)", "2 less than 0.25 visible", "3 outside the image"):
        assert reason in said


def test_mot15_does_not_tell_visibility_and_nothing_is_left_out(made):
    write(made / "mot" / "C", 3, truth_of=lambda rows: [(*row[:7], -1, -1, -1) for row in rows])
    assert (boxes(made, test=["C"], visibility=1.0)["part"] == "test").sum() == 15 * PEOPLE


def test_detections_of_distractors_and_of_nobody(made):
    def one_is_a_reflection(rows):
        return [(*row[:6], 0, 12, 1.0) if row[1] == 3 else row for row in rows]

    write(made / "mot" / "C", 3, truth_of=one_is_a_reflection)
    test = boxes(made, test=["C"], source="detections")
    test = test[test["part"] == "test"]
    assert len(test) == 15 * PEOPLE  # 15 of the reflection are gone, 15 of nobody are there
    assert test["identity"].value_counts().to_dict() == dict.fromkeys([-1, 1, 2, 4, 5, 6], 15)


def test_same_options_give_the_same_data_and_others_do_not(made):
    choices = [
        {},
        {"seed": 1},
        {"size": [64, 48]},
        {"source": "detections"},
        {"validation": 0.5},
        {"train": ["B"], "test": ["A"]},
    ]
    prints = [load(made, **choice).fingerprint() for choice in choices]
    assert [load(made, **choice).fingerprint() for choice in choices] == prints
    assert len(set(prints)) == len(choices)


def test_options_pass_through_yaml_and_json(made):
    options = {**OPTIONS, "source": "ground_truth", "visibility": 0.25, "size": [64, 32], "validation": 0.15, "seed": 0}
    for read in (yaml.safe_load(yaml.safe_dump(options)), json.loads(json.dumps(options))):
        assert load(made, **read).fingerprint() == load(made).fingerprint()


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


def test_a_second_load_opens_no_frame(made, monkeypatch):
    first = load(made)
    monkeypatch.setattr(_pictures, "read_frame", None)
    assert load(made).fingerprint() == first.fingerprint()


def test_the_cache_is_where_the_variable_says_and_nothing_else_is_written(made, cache):
    before = listing(made)
    load(made)
    assert listing(made) == before
    names = listing(cache)
    assert names[0] == "crops"
    assert sorted(name.split("-")[0] for name in names[1:]) == ["crops/A", "crops/B"]


def test_without_the_variable_the_cache_is_the_user_s(monkeypatch):
    monkeypatch.delenv("FLATVAE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert mot.cache_root().name == "flatvae"
    assert not mot.cache_root().is_relative_to(Path(__file__).parents[2])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "folder"])
def test_a_damaged_cache_is_made_anew(made, cache, damage):
    wanted = load(made).fingerprint()
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
    assert load(made).fingerprint() == wanted
    after = {path.name: path.stat().st_mtime_ns for path in (cache / "crops").iterdir()}
    assert len(after) == 2
    assert not set(before.items()) & set(after.items())
    assert load(made).fingerprint() == wanted


def test_what_pictures_depend_on_makes_new_ones(made, cache, monkeypatch):
    """A frame, a box, the size, the boxes that are chosen, and the code; what they do not depend on does not."""
    prints, files = [load(made).fingerprint()], [set(listing(cache))]

    def again(new: int, **options) -> None:
        prints.append(load(made, **options).fingerprint())
        files.append(set(listing(cache)))
        assert len(files[-1] - files[-2]) == new

    again(0)
    again(0, train=["A"], test=["B"], visibility=0.3)
    again(2, size=[32, 32])
    again(2, source="detections")
    path = made / "mot" / "B" / "img1" / "000007.jpg"
    Image.new("RGB", (200, 80), (9, 9, 9)).save(path)
    again(1)
    truth = made / "mot" / "B" / "gt" / "gt.txt"
    truth.write_text(truth.read_text().replace("7,3,63,8,24,60,", "7,3,63,8,24,40,"))
    again(1)
    monkeypatch.setattr(_pictures, "_CODE", "other code")
    again(2)
    assert prints[0] == prints[1] == prints[2]
    assert prints[-1] == prints[-2]
    assert len(set(prints)) == 5


def test_a_cache_that_cannot_be_written_is_named(made, cache):
    cache.write_text("a file where the folder should be")
    sentence = refused(load, made)
    assert "cannot be written" in sentence
    assert "FLATVAE_CACHE" in sentence


# What is refused


def test_where_to_get_what_is_missing(tmp_path):
    sentence = refused(datasets.load, "mot", tmp_path)
    assert f"sequence TUD-Campus, ETH-Sunnyday, TUD-Stadtmitte is missing in {tmp_path / 'mot'}" in sentence
    assert "https://motchallenge.net" in sentence
    assert "CC BY-NC-SA 3.0, does not let this project ship it" in sentence
    assert "put its folder with img1, gt and det there" in sentence


def test_only_what_is_missing_is_named(made):
    assert "sequence C is missing" in refused(load, made, test=["B", "C"])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"train": []}, "option train is []; it must name one or more sequences"),
        ({"test": ["../B"]}, "option test is ['../B']; it must name one or more sequences"),
        ({"test": [3]}, "option test is [3]"),
        ({"train": "A"}, "option train is 'A' (str); it must be tuple or list"),
        ({"train": ["A", "A"]}, "sequence A is named twice"),
        ({"test": ["B", "A"]}, "sequence A is named twice; name each once, in train or in test"),
        ({"source": "tracks"}, "it must be 'ground_truth' or 'detections'"),
        ({"visibility": 1.5}, "option visibility is 1.5; it must be between 0 and 1"),
        ({"validation": 0.0}, "option validation is 0.0; it must be between 0.01 and 0.5"),
        ({"seed": -1}, "option seed is -1"),
        ({"size": [64]}, "option size is [64]; it must be rows and columns, 1 to 512"),
        ({"size": [64, 0]}, "option size is [64, 0]"),
        ({"size": [64.0, 32.0]}, "option size is [64.0, 32.0]"),
        ({"size": [64, 513]}, "option size is [64, 513]"),
    ],
)
def test_bad_options_are_refused(made, options, why):
    assert why in refused(load, made, **options)


def test_a_sequence_with_too_few_people_is_refused(made):
    write(made / "mot" / "C", 3, truth_of=lambda rows: [row for row in rows if row[1] <= 3])
    assert "sequence C has 3 identities to be used; name one for training that has 4 or more" in refused(
        load, made, train=["C"]
    )


def test_a_part_without_boxes_is_refused(made):
    write(made / "mot" / "C", 3, truth_of=lambda rows: [(*row[:8], 0.1) for row in rows])
    assert "no box is left for the test part" in refused(load, made, test=["C"])


def test_the_same_video_under_two_names_is_refused(made):
    shutil.copytree(made / "mot" / "A", made / "mot" / "A-again")
    shutil.rmtree(made / "mot" / "A-again" / "det")
    sentence = refused(load, made, test=["B", "A-again"])
    assert "sequences A (train) and A-again (test) have a frame in common; they are the same video" in sentence


@pytest.mark.parametrize(
    ("part", "source"), [("gt/gt.txt", "ground_truth"), ("gt/gt.txt", "detections"), ("det/det.txt", "detections")]
)
def test_missing_boxes_are_named(made, part, source):
    (made / "mot" / "B" / part).unlink()
    assert f"sequence B has no {part}; put it into {made / 'mot' / 'B'}" in refused(load, made, source=source)


def test_detections_are_not_needed_for_ground_truth(made):
    wanted = load(made).fingerprint()
    (made / "mot" / "B" / "det" / "det.txt").unlink()
    assert load(made).fingerprint() == wanted


def test_missing_and_broken_frames_are_named(made, cache):
    path = made / "mot" / "B" / "img1" / "000007.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:300])
    assert f"{path} is damaged or no image" in refused(load, made)
    assert not [name for name in listing(cache) if "B-" in name]
    path.unlink()
    assert "1 needed frame(s) of 15 are missing, number 7 first" in refused(load, made)
    path.write_bytes(content)
    assert load(made).description()["sizes"]["test"] == 15 * PEOPLE


def test_bad_ground_truth_is_named_with_its_line(made):
    path = made / "mot" / "B" / "gt" / "gt.txt"
    path.write_text(path.read_text() + "3,1,5,5,5,5,1,1,1\n")
    assert f"{path}, line {15 * PEOPLE + 1}: identity 1 is in frame 3 already, in line 13" in refused(load, made)
