"""Crowd: what is drawn is what the ground truth says, the detector errs as it should, the same seed gives the same bytes."""

import configparser
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from refusal import refused

from flatvae import datasets
from flatvae.datasets import PARTS, crowd, mot
from flatvae.datasets._benchmark import counted, edges, match
from flatvae.datasets._boxes import BOX
from flatvae.datasets._crowd_scene import LOWER, PATTERNS
from flatvae.datasets._motchallenge import read_frame

SMALL = {"sequences": 2, "frames": 12, "people": 6}


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def all_videos(**options) -> list:
    return crowd.sequences(part="train", **options) + crowd.sequences(part="test", **options)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    """The data set with its default options, its table and its videos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLATVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        data = datasets.load("crowd")
        yield data, crowd.boxes(), all_videos()


# The data set


def test_the_default_is_three_videos_of_ten_people(default):
    data, table, videos = default
    assert (data.name, data.likelihood, data.shape) == ("crowd", "gaussian", (3, 64, 32))
    assert [video.name for video in videos] == ["CROWD-01", "CROWD-02", "CROWD-03"]
    for video in videos:
        assert (video.width, video.height, video.rate, video.length, len(video.frames)) == (320, 240, 25, 120, 120)
        assert set(video.ground_truth["identity"]) == set(range(1, 11))
    assert table["part"].tolist() == [part for part in PARTS for _ in range(len(getattr(data, part)))]
    assert len(data.train) > 1_000
    assert len(data.test) > 700


def test_no_identity_is_in_two_parts(default):
    data, table, _ = default
    assert (table.groupby(["sequence", "identity"])["part"].nunique() == 1).all()
    assert set(table["sequence"][table["part"] == "test"]) == {"CROWD-03"}
    labels = [set(getattr(data, f"{part}_labels").tolist()) for part in PARTS]
    assert sum(map(len, labels)) == len(set.union(*labels))


def test_rows_are_the_pictures_of_the_boxes(default):
    data, table, videos = default
    pictures = torch.cat([getattr(data, part) for part in PARTS])
    for video in videos:
        for frame in (1, 60, 120):
            rows = table[(table["sequence"] == video.name) & (table["frame"] == frame)]
            assert torch.equal(mot.crops(video, frame, rows), pictures[rows.index])


def test_people_can_be_told_apart_but_not_by_pixels_alone(default):
    """Rank 1 by pixels, ten frames apart or more: far above chance, and with room for a better descriptor."""
    data, table, _ = default
    frames = table["frame"][table["part"] == "test"].to_numpy()
    distance = torch.cdist(data.test, data.test)
    distance[torch.from_numpy(np.abs(frames[:, None] - frames) < 10)] = torch.inf
    right = (data.test_labels[distance.argmin(1)] == data.test_labels).float().mean()
    assert 0.5 < right < 0.95


def test_detections_serve_as_boxes():
    table = crowd.boxes(source="detections", **SMALL)
    data = datasets.load("crowd", source="detections", **SMALL)
    assert sum(data.description()["sizes"].values()) == len(table)
    assert (table["identity"] >= 0).mean() > 0.5


# Seeds and the cache


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(monkeypatch, tmp_path):
    made = {}
    for folder, seed in (("one", 0), ("two", 0), ("three", 1)):
        monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path / folder))
        data = datasets.load("crowd", seed=seed, **SMALL)
        made[folder] = data.fingerprint(), files(tmp_path / folder)
    assert made["one"] == made["two"]
    contents = [set(made[folder][1].values()) for folder in ("one", "three")]
    same = contents[0] & contents[1]
    assert made["one"][0] != made["three"][0]
    assert all(content.startswith(b"[Sequence]") for content in same)


def test_loading_neither_uses_nor_moves_the_global_random_state():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  the global state is what this is about
    datasets.load("crowd", **SMALL)
    drawn = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert torch.equal(torch.rand(3), drawn[0])
    assert np.array_equal(np.random.rand(3), drawn[1])  # noqa: NPY002


def test_sequences_differ_and_do_not_depend_on_how_many_there_are():
    two, three = all_videos(**SMALL), all_videos(**{**SMALL, "sequences": 3})
    assert [video.folder for video in three[:2]] == [video.folder for video in two]
    contents = [files(video.folder)["img1/000001.jpg"] for video in three]
    assert len(set(contents)) == 3
    assert not three[0].ground_truth.equals(three[1].ground_truth)


def test_test_sequences_are_the_last_ones():
    names = [
        [v.name for v in crowd.sequences(part=p, **{**SMALL, "sequences": 3, "test": 2})] for p in ("train", "test")
    ]
    assert names == [["CROWD-01"], ["CROWD-02", "CROWD-03"]]


def test_a_second_load_draws_nothing(monkeypatch):
    first = datasets.load("crowd", **SMALL)
    monkeypatch.setattr(crowd, "draw_frame", None)
    assert datasets.load("crowd", **SMALL).fingerprint() == first.fingerprint()


@pytest.mark.parametrize("damage", ["lost frame", "lost list", "changed", "added"])
def test_a_damaged_sequence_is_drawn_again(cache, damage):
    wanted = datasets.load("crowd", **SMALL).fingerprint()
    folder = crowd.sequences(**SMALL)[0].folder
    before = files(folder)
    {
        "lost frame": (folder / "img1" / "000005.jpg").unlink,
        "lost list": (folder / "SHA256").unlink,
        "changed": lambda: (folder / "gt" / "gt.txt").write_text("1,1,1,1,5,5,1,1,1\n"),
        "added": lambda: (folder / "img1" / "000099.jpg").write_bytes(b""),
    }[damage]()
    assert datasets.load("crowd", **SMALL).fingerprint() == wanted
    assert files(folder) == before
    assert sorted(os.listdir(folder.parent)) == ["CROWD-01", "CROWD-02"]


def test_two_jobs_that_draw_the_same_do_not_hinder_each_other(monkeypatch):
    """The other one finishes while this one is writing."""
    write = crowd.write_sequence

    def while_another_finishes(folder, *rest):
        monkeypatch.setattr(crowd, "write_sequence", write)
        others.append(all_videos(**SMALL)[0].folder)
        write(folder, *rest)

    others = []
    monkeypatch.setattr(crowd, "write_sequence", while_another_finishes)
    assert all_videos(**SMALL)[0].folder == others[0]
    assert sorted(os.listdir(others[0].parent)) == ["CROWD-01", "CROWD-02"]


def test_other_code_draws_anew(monkeypatch):
    before = crowd.sequences(**SMALL)[0].folder
    monkeypatch.setattr(crowd, "_CODE", "other code")
    assert crowd.sequences(**SMALL)[0].folder != before


def test_a_cache_that_cannot_be_written_is_named(cache):
    cache.write_text("a file where the folder should be")
    sentence = refused(datasets.load, "crowd", **SMALL)
    assert "cannot be written" in sentence
    assert "FLATVAE_CACHE" in sentence


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"sequences": 1}, "option sequences is 1; it must be between 2 and 99"),
        ({"test": 2}, "option test is 2; it must be between 1 and 1"),
        ({"test": 0}, "option test is 0"),
        ({"frames": 1}, "option frames is 1"),
        ({"people": 3}, "option people is 3; it must be between 4 and 99"),
        ({"seed": -1}, "option seed is -1"),
        ({"visibility": -0.1}, "dataset crowd: option visibility is -0.1"),
        ({"size": [0, 1]}, "dataset crowd: option size is [0, 1]"),
    ],
)
def test_options_out_of_range_are_refused(options, why):
    assert why in refused(datasets.load, "crowd", **{**SMALL, **options})


# What is drawn


def test_the_files_are_as_the_benchmark_has_them(default):
    for video in default[2]:
        truth = np.loadtxt(video.folder / "gt" / "gt.txt", delimiter=",")
        found = np.loadtxt(video.folder / "det" / "det.txt", delimiter=",")
        assert truth.shape[1] == 9
        assert found.shape[1] == 7
        assert (truth[:, 6:8] == 1).all()
        assert (found[:, 1] == -1).all()
        assert np.array_equal(truth[:, :6], truth[:, :6].round())
        info = configparser.ConfigParser()
        info.read(video.folder / "seqinfo.ini")
        assert dict(info["Sequence"]) == {
            "name": video.name,
            "imdir": "img1",
            "framerate": "25",
            "seqlength": "120",
            "imwidth": "320",
            "imheight": "240",
            "imext": ".jpg",
        }


@pytest.fixture(scope="module")
def scene():
    """A scene of the default data, with some of its frames."""
    scene = crowd.make_scene(1, 120, 10, 0)
    return scene, {frame: crowd.draw_frame(scene, frame) for frame in (1, 25, 60, 61, 90, 120)}


def alone(scene, identity: int, frame: int) -> np.ndarray:
    """Which pixels of the frame (HEIGHT, WIDTH) a person covers when nobody else is there."""
    person = scene.people[identity - 1]
    return crowd.draw_frame(dataclasses.replace(scene, people=(person,)), frame).owners == 1


def inside(box, shape=(crowd.HEIGHT, crowd.WIDTH)) -> np.ndarray:
    """Pixels of the frame that lie in a box."""
    left, top, width, height = (int(value) for value in box)
    mask = np.zeros(shape, dtype=bool)
    mask[max(top - 1, 0) : max(top - 1 + height, 0), max(left - 1, 0) : max(left - 1 + width, 0)] = True
    return mask


def test_boxes_enclose_what_is_drawn_and_no_more(scene):
    scene, frames = scene
    whole = 0
    for frame, drawn in frames.items():
        for identity, *box, _ in drawn.people:
            covered = alone(scene, identity, frame)
            assert not (covered & ~inside(box)).any()
            assert not ((drawn.owners == identity) & ~covered).any()
            left, top, width, height = box
            if left > 1 and top > 1 and left + width <= crowd.WIDTH and top + height <= crowd.HEIGHT:
                rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
                assert (left, top) == (columns[0] + 1, rows[0] + 1)
                assert (left + width, top + height) == (columns[-1] + 2, rows[-1] + 2)
                whole += 1
    assert whole > 40


def test_visibility_is_the_share_of_a_person_s_pixels_that_is_seen(scene):
    scene, frames = scene
    hidden = 0
    for frame, drawn in frames.items():
        for identity, left, top, width, height, visibility in drawn.people:
            seen = (drawn.owners == identity).sum()
            if left >= 1 and top >= 1 and left + width <= crowd.WIDTH + 1 and top + height <= crowd.HEIGHT + 1:
                assert visibility == pytest.approx(seen / alone(scene, identity, frame).sum(), abs=1e-12)
                hidden += visibility < 0.9
            else:  # part of the person is outside the frame
                assert visibility < seen / alone(scene, identity, frame).sum() + 1e-12
                assert visibility < 1
    assert hidden > 5


def test_visibility_counts_what_is_outside_the_frame(scene):
    """A person moved to the frame's border shows half of what the same person shows in its middle."""
    scene, _ = scene
    middle = dataclasses.replace(scene.people[0], x=0.0, z=7.0, speed=(0.0, 0.0), moment=0.0)
    still = dataclasses.replace(scene, travel=0.0, pan=(0.0, 1.0, 0.0), sway=(0.0, 1.0, 0.0), people=(middle,))
    ((_, left, top, width, height, visibility),) = crowd.draw_frame(still, 1).people
    assert visibility == 1
    shift = round(crowd.WIDTH / 2)  # pixels, exactly: x = shift · z / focal length
    edge = dataclasses.replace(middle, x=shift * 7.0 / 300)
    ((_, *moved, cut),) = crowd.draw_frame(dataclasses.replace(still, people=(edge,)), 1).people
    assert moved == [left + shift, top, width, height]
    whole = crowd.draw_frame(still, 1).owners == 1
    assert cut == pytest.approx(whole[:, : crowd.WIDTH - shift].sum() / whole.sum(), abs=0.02)


def test_the_nearer_hides_the_further(scene):
    scene, frames = scene
    contested = 0
    for frame, drawn in frames.items():
        covered = {identity: alone(scene, identity, frame) for identity, *_ in drawn.people}
        distance = {identity: scene.people[identity - 1].at((frame - 1) / crowd.RATE)[1] for identity in covered}
        for one in covered:
            for other in covered:
                both = covered[one] & covered[other]
                if distance[one] > distance[other] and both.any():
                    assert not (drawn.owners[both] == one).any()
                    contested += 1
        assert ((drawn.owners > 0) == np.any(list(covered.values()), axis=0)).all()
    assert contested > 10


def test_people_are_as_tall_as_their_distance_makes_them(scene):
    scene, frames = scene
    for frame, drawn in frames.items():
        for identity, _, _, _, height, _ in drawn.people:
            person = scene.people[identity - 1]
            wanted = 300 * person.height / person.at((frame - 1) / crowd.RATE)[1]
            assert height == pytest.approx(wanted, rel=0.08, abs=2)


def test_the_gait_changes_the_outline(scene):
    scene, _ = scene
    widths = {box[3] for frame in range(1, 26) for box in crowd.draw_frame(scene, frame).people if box[0] == 1}
    assert max(widths) > 1.4 * min(widths)


def test_people_look_different_from_one_another():
    looks = [person.look for number in (1, 2, 3) for person in crowd.make_scene(number, 120, 10, 0).people]
    seen = np.array([np.concatenate([look.top, look.below, look.hair, look.second]) for look in looks])
    apart = np.abs(seen[:, None] - seen).max(-1) + 9 * np.eye(len(seen))
    assert apart.min() > 0.15
    assert {look.pattern for look in looks} == set(PATTERNS)
    assert {look.lower for look in looks} == set(LOWER)


def test_an_identity_is_one_person_all_the_time(default):
    """Boxes move by steps, and the picture of a box is nearer to that of the frame before than to anyone else's."""
    data, table, videos = default
    for video in videos:
        for _, rows in video.ground_truth.groupby("identity"):
            steps = rows.assign(centre=rows["left"] + rows["width"] / 2).diff().iloc[1:]
            assert (steps["frame"] == 1).mean() > 0.95  # at the border the camera may lose someone for a while
            steps = steps[steps["frame"] == 1]
            assert steps["centre"].abs().max() < 14
            assert steps["top"].abs().max() < 7
    rows = table[table["part"] == "test"].reset_index(drop=True)
    seen = videos[2].ground_truth.set_index(["frame", "identity"])["visibility"]
    clear = np.array(
        [seen[frame, identity] > 0.95 for frame, identity in zip(rows["frame"], rows["identity"], strict=True)]
    )
    distance = torch.cdist(data.test, data.test)
    frames = torch.tensor(rows["frame"].to_numpy().copy())
    distance[(frames[:, None] - frames).abs() != 1] = torch.inf
    same = data.test_labels[distance.argmin(1)] == data.test_labels
    assert same[torch.from_numpy(clear)].float().mean() > 0.97


def test_camera_and_light_change(default):
    for video in default[2]:
        frames = [np.asarray(read_frame(video, number), dtype=float) for number in range(1, 121, 7)]
        light = np.array([frame[:80].mean() for frame in frames])  # of the houses, where nobody walks
        assert light.max() > 1.05 * light.min()
        flat = np.array([frame[40:80].mean((0, 2)) / frame[40:80].mean() for frame in frames])  # (frames, columns)
        assert np.abs(flat - flat[0]).mean(1).max() > 0.005


def test_frames_show_the_people_where_the_boxes_are(default):
    """What is written to disk: in a box there is more than ground, whose pixels are nearly of one colour."""
    video = default[2][0]
    boxes = video.ground_truth[(video.ground_truth["frame"] == 60) & (video.ground_truth["visibility"] > 0.9)]
    assert len(boxes) > 2
    frame = np.asarray(read_frame(video, 60), dtype=float)
    drawn = crowd.draw_frame(crowd.make_scene(1, 120, 10, 0), 60)
    ground = (drawn.owners == 0) & (np.arange(240) > 110)[:, None]
    for box in boxes[list(BOX)].to_numpy():
        assert frame[inside(box)].std(0).mean() > 1.5 * frame[ground].std(0).mean()
    assert np.abs(frame - drawn.image).mean() < 4  # what JPEG changes


# The detector


def test_the_detector_misses_and_errs_and_imagines(default):
    for video in default[2]:
        found, truth = video.detections, video.ground_truth
        assert counted(truth).all()
        of = match(found, truth)
        recall = (of >= 0).sum() / len(truth)
        assert 0.65 < recall < 0.95
        assert 15 < (of < 0).sum() < 120
        clear = set(np.flatnonzero(truth["visibility"] > 0.8))
        assert len(clear & set(of)) > 0.85 * len(clear)
        hidden = set(np.flatnonzero(truth["visibility"] < 0.15))
        assert len(hidden & set(of)) < 0.3 * max(len(hidden), 1)
        error = (edges(found)[of >= 0] - edges(truth)[of[of >= 0]])[:, 0]
        assert 1 < error.std() < 6  # pixels


def test_detections_are_inside_the_frame_the_surest_first(default):
    for video in default[2]:
        left, top, right, bottom = edges(video.detections).T
        assert min(left.min(), top.min()) >= 1
        assert right.max() <= crowd.WIDTH + 1.05  # rounded to tenths
        assert bottom.max() <= crowd.HEIGHT + 1.05
        assert video.detections["confidence"].between(0.05, 1).all()
        for _, rows in video.detections.groupby("frame"):
            assert rows["confidence"].is_monotonic_decreasing
