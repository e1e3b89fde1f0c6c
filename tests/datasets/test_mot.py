"""MOT: which boxes are in which part, their pictures, the cache, detections, and videos that are missing or broken."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image, ImageOps
from refusal import refused
from small_video import OPTIONS, PEOPLE, all_rows, listing, load, write

from flatvae import datasets
from flatvae.datasets import PARTS, _pictures, mot
from flatvae.datasets._benchmark import counted, edges, iou
from flatvae.datasets._boxes import BOX, GROUND_TRUTH
from flatvae.datasets._motchallenge import read_frame

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


def boxes(root: Path, **options) -> pd.DataFrame:
    return mot.boxes(root, **{**OPTIONS, **options})


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
    pictures = sum(len(mot.crops(video, frame, found)) for frame, found in video.detections.groupby("frame"))
    assert pictures == 1_129


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


def test_rows_are_the_boxes_that_the_table_names(root):
    for options in (
        {},
        {"source": "detections"},
        {"size": [20, 16]},
        {"colour": "chromaticity"},
        {"validation": 0.4, "seed": 3},
    ):
        data, table = load(root, **options), boxes(root, **options)
        size = tuple(options.get("size", (64, 32)))
        assert tuple(table) == mot.COLUMNS
        assert data.boxes.equals(table)
        assert data.shape == (3, *size)
        assert torch.cat([getattr(data, f"{p}_labels") for p in PARTS]).tolist() == table["label"].tolist()
        assert table["part"].tolist() == [part for part in PARTS for _ in range(len(getattr(data, part)))]
        for video in mot.sequences(root, "train", **OPTIONS) + mot.sequences(root, "test", **OPTIONS):
            assert video.name in {held.name for held in data.videos["train"] + data.videos["test"]}
            for frame, rows in table[table["sequence"] == video.name].groupby("frame"):
                assert torch.equal(data.crops(video, frame, rows), all_rows(data)[rows.index])


def test_copies_are_of_training_boxes_and_near_them(root):
    plain, table = boxes(root), boxes(root, copies=3)
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
    assert boxes(root, copies=3).equals(table)


def test_rows_of_a_sequence_are_in_the_order_of_frames(root):
    for _, rows in boxes(root).groupby(["part", "sequence"]):
        assert rows["frame"].is_monotonic_increasing


def test_the_person_who_stands_before_a_held_out_one_is_not_trained_on(root):
    """The first two overlap, with an intersection over union of 14 / 34: if one is held out, the other is in no part."""
    seen = set()
    for seed in range(20):
        table = boxes(root, seed=seed)
        held_out = set(table["identity"][table["part"] == "validation"])
        train = set(table["identity"][table["part"] == "train"])
        if len(held_out & {1, 2}) == 1:
            assert not train & {1, 2}
        assert held_out | train | {1, 2} == set(range(1, PEOPLE + 1))
        seen.add(len(held_out & {1, 2}))
    assert seen >= {0, 1}


def test_flags_classes_visibility_and_the_image_decide_what_is_left_out(root, capsys):
    changed = {(4, "flag"): 0, (5, "class"): 7, (6, "visibility"): 0.2}

    def some_do_not_count(rows):
        table = pd.DataFrame(rows, columns=GROUND_TRUTH[9])
        for (identity, column), value in changed.items():
            table.loc[(table["identity"] == identity) & (table["frame"] <= 2), column] = value
        outside = [(1, 7, -30, 1, 30, 9, 1, 1, 1), (1, 8, 201, 1, 9, 9, 1, 1, 1), (1, 9, 1, 81, 9, 9, 1, 1, 1)]
        return [*table.itertuples(index=False, name=None), *outside, (1, 10, -30, 1, 32, 9, 1, 1, 1)]

    write(root / "mot" / "C", 3, truth_of=some_do_not_count)
    table = boxes(root, test=["C"])
    test = table[table["part"] == "test"]
    assert len(test) == 15 * PEOPLE - 6 + 1
    assert sorted(set(test["identity"])) == [1, 2, 3, 4, 5, 6, 10]
    assert test["identity"].value_counts()[[4, 5, 6, 10]].tolist() == [13, 13, 13, 1]
    low = boxes(root, test=["C"], visibility=0.2)
    assert (low["part"] == "test").sum() == len(test) + 2
    capsys.readouterr()
    load(root, test=["C"])
    said = capsys.readouterr().out
    assert f"{len(test)} test boxes" in said
    for reason in ("4 not counted (flag 0, another class)", "2 less than 0.25 visible", "3 outside the image"):
        assert reason in said


def test_mot15_does_not_tell_visibility_and_nothing_is_left_out(root):
    write(root / "mot" / "C", 3, truth_of=lambda rows: [(*row[:7], -1, -1, -1) for row in rows])
    assert (boxes(root, test=["C"], visibility=1.0)["part"] == "test").sum() == 15 * PEOPLE


def test_detections_of_distractors_and_of_nobody(root):
    def one_is_a_reflection(rows):
        return [(*row[:6], 0, 12, 1.0) if row[1] == 3 else row for row in rows]

    write(root / "mot" / "C", 3, truth_of=one_is_a_reflection)
    test = boxes(root, test=["C"], source="detections")
    test = test[test["part"] == "test"]
    assert len(test) == 15 * PEOPLE  # 15 of the reflection are gone, 15 of nobody are there
    assert test["identity"].value_counts().to_dict() == dict.fromkeys([-1, 1, 2, 4, 5, 6], 15)


def test_same_options_give_the_same_data_and_others_do_not(root):
    choices = [
        {},
        {"seed": 1},
        {"size": [64, 48]},
        {"source": "detections"},
        {"validation": 0.5},
        {"train": ["B"], "test": ["A"]},
    ]
    prints = [load(root, **choice).fingerprint() for choice in choices]
    assert [load(root, **choice).fingerprint() for choice in choices] == prints
    assert len(set(prints)) == len(choices)


def test_options_pass_through_yaml_and_json(root):
    options = {**OPTIONS, "source": "ground_truth", "visibility": 0.25, "size": [64, 32], "validation": 0.15, "seed": 0}
    for read in (yaml.safe_load(yaml.safe_dump(options)), json.loads(json.dumps(options))):
        assert load(root, **read).fingerprint() == load(root).fingerprint()


# What is refused


def test_where_to_get_what_is_missing(tmp_path):
    sentence = refused(datasets.load, "mot", tmp_path)
    assert f"sequence TUD-Campus, ETH-Sunnyday, TUD-Stadtmitte is missing in {tmp_path / 'mot'}" in sentence
    assert "https://motchallenge.net" in sentence
    assert "CC BY-NC-SA 3.0, does not let this project ship it" in sentence
    assert "put its folder with img1, gt and det there" in sentence


@pytest.fixture
def seen_by_nobody(root):
    """A copy of the videos in folders that every user may enter; the rest of the test runs without root's rights."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(root, Path(folder) / "root", dirs_exist_ok=True)
        user = os.geteuid()
        yield Path(folder) / "root"
        os.seteuid(user)
        for path in ("", "mot", "mot/B", "mot/B/gt", "mot/B/det", "mot/B/img1"):
            os.chmod(Path(folder) / "root" / path, 0o755)


@pytest.mark.parametrize(
    ("locked", "named"),
    [
        ("", "mot/A"),
        ("mot", "mot/A"),
        ("mot/B", "mot/B/seqinfo.ini"),
        ("mot/B/seqinfo.ini", "mot/B/seqinfo.ini"),
        ("mot/B/gt", "mot/B/gt/gt.txt"),
        ("mot/B/det", "mot/B/det/det.txt"),
        ("mot/B/img1", "mot/B/img1"),
    ],
)
def test_what_may_not_be_read_is_not_said_to_be_missing(seen_by_nobody, locked, named):
    os.chmod(seen_by_nobody / locked, 0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    assert refused(load, seen_by_nobody) == (
        f"{seen_by_nobody / named} cannot be read (Permission denied); make it and its parent folders readable, or give "
        "another path."
    )


def test_a_path_too_long_for_the_system_is_refused(tmp_path):
    assert "cannot be read (File name too long)" in refused(load, tmp_path / ("x" * 300))


def test_only_what_is_missing_is_named(root):
    assert "sequence C is missing" in refused(load, root, test=["B", "C"])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"train": []}, "option train is []; it must name one or more sequences"),
        ({"test": ["../B"]}, "option test is ['../B']; it must name one or more sequences"),
        (
            {"train": ["B/"]},
            "option train is ['B/']; it must name one or more sequences, each by its folder's name without a slash.",
        ),
        ({"test": [".."]}, "option test is ['..']; it must name one or more sequences"),
        ({"test": [""]}, "option test is ['']; it must name one or more sequences"),
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
def test_bad_options_are_refused(root, options, why):
    assert why in refused(load, root, **options)


def test_a_sequence_with_too_few_people_is_refused(root):
    write(root / "mot" / "C", 3, truth_of=lambda rows: [row for row in rows if row[1] <= 3])
    found = "sequence C has 3 usable identities (45 boxes in ground_truth, left out: none)"
    sentence = refused(load, root, train=["C"])
    assert sentence == f"dataset mot: {found}; name one for training that has 4 or more."


def test_a_part_without_boxes_is_refused(root):
    write(root / "mot" / "C", 3, truth_of=lambda rows: [(*row[:8], 0.1) for row in rows])
    found = "no box is left for the test part from C (90 boxes in ground_truth, left out: 90 less than 0.25 visible)"
    sentence = refused(load, root, test=["C"])
    assert sentence == f"dataset mot: {found}; name other sequences, or set visibility lower."


@pytest.mark.parametrize(("flag", "kind"), [(0, 1), (1, 3)])
def test_visibility_is_not_advised_where_it_is_not_the_reason(root, flag, kind):
    write(root / "mot" / "C", 3, truth_of=lambda rows: [(*row[:6], flag, kind, 1.0) for row in rows])
    why = "(90 boxes in ground_truth, left out: 90 not counted (flag 0, another class)); name o"
    assert f"no box is left for the test part from C {why}ther sequences." in refused(load, root, test=["C"])
    assert f"sequence C has 0 usable identities {why}ne for" in refused(load, root, train=["C"])
    (root / "mot" / "B" / "det" / "det.txt").write_text("")
    why = "from B (0 boxes in detections, left out: none); name other sequences."
    assert why in refused(load, root, source="detections")


def test_the_same_video_under_two_names_is_refused(root):
    shutil.copytree(root / "mot" / "A", root / "mot" / "A-again")
    shutil.rmtree(root / "mot" / "A-again" / "det")
    sentence = refused(load, root, test=["B", "A-again"])
    assert "sequences A (train) and A-again (test) have a frame in common; they are the same video" in sentence


@pytest.mark.parametrize(
    ("part", "source"), [("gt/gt.txt", "ground_truth"), ("gt/gt.txt", "detections"), ("det/det.txt", "detections")]
)
def test_missing_boxes_are_named(root, part, source):
    (root / "mot" / "B" / part).unlink()
    assert f"sequence B has no {part}; put it into {root / 'mot' / 'B'}" in refused(load, root, source=source)


def test_detections_are_not_needed_for_ground_truth(root):
    wanted = load(root).fingerprint()
    (root / "mot" / "B" / "det" / "det.txt").unlink()
    assert load(root).fingerprint() == wanted


def test_missing_and_broken_frames_are_named(root, cache):
    path = root / "mot" / "B" / "img1" / "000007.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:300])
    assert f"{path} is damaged or no image" in refused(load, root)
    assert not [name for name in listing(cache) if "B-" in name]
    path.unlink()
    assert "1 needed frame(s) of 15 are missing, number 7 first" in refused(load, root)
    path.write_bytes(content)
    assert load(root).description()["sizes"]["test"] == 15 * PEOPLE


def test_bad_ground_truth_is_named_with_its_line(root):
    path = root / "mot" / "B" / "gt" / "gt.txt"
    path.write_text(path.read_text() + "3,1,5,5,5,5,1,1,1\n")
    assert f"{path}, line {15 * PEOPLE + 1}: identity 1 is already in frame 3, in line 13" in refused(load, root)
