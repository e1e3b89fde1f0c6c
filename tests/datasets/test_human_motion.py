"""Human motion: the parts, the scaling and its inverse, the files when they are missing, altered or cut."""

import csv
import functools
import http.server
import json
import math
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from refusal import refused

from flatvae import datasets
from flatvae.datasets import PARTS, _cmu, human_motion

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
CMU = ROOT / "cmu_mocap"
INDEX = list(csv.DictReader((CMU / "INDEX.csv").open())) if (CMU / "INDEX.csv").is_file() else []
needs_cmu = pytest.mark.skipif(
    not INDEX or not all((CMU / file).is_file() for of_motion in human_motion.TRIALS.values() for file in of_motion),
    reason="the CMU files are not there: set FLATVAE_DATA to a folder that holds cmu_mocap/",
)
MOTIONS = ["walking", "jogging", "balancing", "punching", "kicking"]
ALL_PARTS = (*PARTS, "test_recordings")

# A body small enough to be written here: a root, a leg of two bones, and a finger, which is not observed.
SKELETON = """:units
  angle deg
:root
   order TX TY TZ RX RY RZ
   position 0 0 0
   orientation 0 0 0
:bonedata
""" + "".join(
    f"  begin\n name {name}\n direction 0 -1 0\n length {length}\n axis 0 0 0 XYZ\n dof {dof}\n  end\n"
    for name, length, dof in [("lfemur", 4, "rx ry rz"), ("ltibia", 3, "rx"), ("lfingers", 1, "rx")]
)
HIERARCHY = ":hierarchy\n  begin\n    root lfemur lfingers\n    lfemur ltibia\n  end\n"


def motion(frames: int, first: int = 1, phase: float = 0.0) -> str:
    """A made-up recording: each angle swings at a pace of its own."""
    text = ":FULLY-SPECIFIED\n:DEGREES\n"
    for number in range(first, first + frames):
        swing = [30 * math.sin(phase + number / pace) for pace in (7, 11, 13, 5)]
        text += f"{number}\nroot {number} 2 3 4 5 6\n"
        text += f"lfemur {swing[0]:.6g} {swing[1]:.6g} {swing[2]:.6g}\nltibia {swing[3]:.6g}\nlfingers 99\n"
    return text


TRIALS = {"one": ["77/77_01.amc", "77/77_02.amc", "77/77_03.amc"], "two": [f"77/77_0{n}.amc" for n in range(4, 8)]}
LENGTHS = {"77/77_01.amc": 200, "77/77_02.amc": 150, "77/77_03.amc": 90} | dict.fromkeys(TRIALS["two"], 63)


@pytest.fixture
def made(tmp_path) -> Path:
    """A root with made-up recordings, so that these tests need no data."""
    folder = tmp_path / "made" / "cmu_mocap" / "77"
    folder.mkdir(parents=True)
    (folder / "77.asf").write_text(SKELETON + HIERARCHY)
    for phase, (file, frames) in enumerate(LENGTHS.items()):
        (folder.parent / file).write_text(motion(frames, first=1 + 10 * phase, phase=phase))
    return tmp_path / "made"


def load(root: Path, **options) -> datasets.Dataset:
    return datasets.load("human_motion", root, **{"trials": TRIALS, **options})


def frames(root: Path, **options):
    return human_motion.frames(root, **{"trials": TRIALS, **options})


@functools.cache
def text_of(path: Path) -> dict[int, dict[str, list[float]]]:
    """Values of each bone of each frame, by a second reader."""
    found, number = {}, None
    for line in path.read_text().splitlines():
        words = line.split()
        if not words or words[0][0] in "#:":
            continue
        if len(words) == 1:
            number = int(words[0])
            found[number] = {}
        else:
            found[number][words[0]] = [float(word) for word in words[1:]]
    return found


def angles_of(root: Path, table, names: tuple[str, ...]) -> np.ndarray:
    """The angles that the files give for the rows of a table, (N, D)."""
    bones = dict.fromkeys(name.split(".")[0] for name in names)
    rows = []
    for trial, frame in zip(table["trial"], table["frame"], strict=True):
        text = text_of(root / "cmu_mocap" / trial)[frame]
        rows.append([value for bone in bones for value in text[bone]])
    return np.array(rows)


# The data set as the paper's motions


@pytest.fixture(scope="module")
def original():
    """The whole data set, its table and its scaling."""
    return (
        datasets.load("human_motion", ROOT),
        human_motion.frames(ROOT),
        human_motion.scaling(ROOT),
    )


@needs_cmu
def test_the_trials_are_those_of_the_index():
    motions = {row["file"]: row["motion"] for row in INDEX}
    lengths = {row["file"]: int(row["frames"]) for row in INDEX}
    assert list(human_motion.TRIALS) == MOTIONS
    counts = {name: (len(files), sum(map(lengths.get, files))) for name, files in human_motion.TRIALS.items()}
    # trials and frames of the table in SOURCE.md
    assert list(counts.values()) == [(20, 7900), (4, 644), (3, 2957), (2, 4004), (3, 5234)]
    for name, files in human_motion.TRIALS.items():
        assert {motions[file] for file in files} == {name}


@needs_cmu
def test_sizes_and_labels(original):
    data = datasets.load("human_motion", ROOT)
    assert data.fingerprint() == original[0].fingerprint()
    assert data.description() == {
        "name": "human_motion",
        "likelihood": "gaussian",
        "shape": [50],
        "sizes": {"train": 9_854, "validation": 1_626, "test": 2_445, "test_recordings": 415 + 165 + 898 + 1316},
    }
    for part in ALL_PARTS:
        table = original[1][original[1]["part"] == part]
        assert [MOTIONS[label] for label in getattr(data, f"{part}_labels")] == table["motion"].tolist()


@needs_cmu
def test_training_part_has_mean_zero_and_variance_one(original):
    train = original[0].train.double()
    assert train.mean(0).abs().max() < 1e-6
    assert train.square().mean().item() == pytest.approx(1, abs=1e-6)
    assert train.square().sum(1).mean().item() == pytest.approx(50, abs=1e-4)
    constant = [name for name, spread in zip(original[2].angles, train.std(0), strict=True) if spread < 1e-9]
    assert constant == ["lclavicle.ry", "lclavicle.rz", "rclavicle.ry", "rclavicle.rz"]


@needs_cmu
def test_the_inverse_of_the_scaling_gives_the_angles_of_the_files(original):
    data, table, scaling = original
    assert len(scaling.angles) == 50
    for part in ALL_PARTS:
        wanted = angles_of(ROOT, table[table["part"] == part], scaling.angles)
        assert np.abs(scaling.degrees(getattr(data, part)) - wanted).max() < 1e-4
        assert np.abs(scaling.observations(wanted) - getattr(data, part).numpy()).max() < 1e-6


@needs_cmu
def test_neighbouring_frames_are_alike_and_blocks_are_not(original):
    """Why the split is by blocks: the frame beside a frame tells it, the nearest training frame of its trial does not."""
    data, table, _ = original
    trial = {part: (table["trial"][table["part"] == part] == "135/135_07.amc").to_numpy(copy=True) for part in PARTS}
    frame = table["frame"][(table["part"] == "test") & (table["trial"] == "135/135_07.amc")].diff()[1:].to_numpy()
    test, train = (getattr(data, part)[torch.from_numpy(trial[part])] for part in ("test", "train"))
    beside = (test[1:] - test[:-1]).norm(dim=1)[torch.from_numpy(frame == 1)].median()
    nearest = torch.cdist(test, train).min(1).values.median()
    assert nearest > 3 * beside


@needs_cmu
def test_distances_to_the_training_part_are_those_of_the_docstring():
    data = datasets.load("human_motion", ROOT, stride=2)
    nearest = torch.cdist(data.test, data.train).min(1).values.square()
    found = [nearest[data.test_labels == label].mean().item() for label in range(5)]
    assert found == pytest.approx([0.6, 2.5, 4.5, 1.9, 4.9], abs=0.06)


@needs_cmu
def test_stick_figures_of_observations_are_those_of_the_recording(original):
    """With the root at rest and the fingers straight, all other joints are where the recording's own channels put them."""
    data, table, scaling = original
    skeleton = human_motion.skeleton(ROOT, "35")
    assert len(skeleton.bones) == 30
    rows = np.flatnonzero((table["trial"] == "35/35_01.amc") & (table["part"] == "train"))
    observed = human_motion.pose(skeleton, scaling.degrees(data.train[rows]))
    channels = _cmu.recording(CMU, "35/35_01.amc", skeleton).channels[: len(rows)].copy()
    channels[:, :6] = 0
    found, wanted = (human_motion.joint_positions(skeleton, values) for values in (observed, channels))
    kept = [at for at, joint in enumerate(skeleton.joints) if not joint.endswith(("fingers", "thumb"))]
    assert len(kept) == 27
    assert np.abs(found - wanted)[:, kept].max() < 1e-4
    assert np.abs(found - wanted).max() > 0.1  # a thumb, which is not observed


# What holds of every split


@needs_cmu
def test_the_last_trial_of_every_motion_with_three_or_more_is_held_out(original):
    table = original[1]
    held_out = table[table["part"] == "test_recordings"]
    wanted = {"35/35_34.amc", "35/35_run_c_from_expmap.amc", "49/49_20.amc", "135/135_04.amc"}
    assert set(held_out["trial"]) == wanted
    assert not wanted & set(table["trial"][table["part"] != "test_recordings"])
    assert "punching" not in set(held_out["motion"])


@needs_cmu
def test_a_recording_of_another_subject_can_be_held_out():
    options = {"trials": {"walking": ["35/35_01.amc"]}, "held_out": {"walking": ["02/02_01.amc"]}}
    data, table = datasets.load("human_motion", ROOT, **options), human_motion.frames(ROOT, **options)
    held_out = table[table["part"] == "test_recordings"]
    assert set(held_out["trial"]) == {"02/02_01.amc"}
    wanted = angles_of(ROOT, held_out, human_motion.scaling(ROOT, **options).angles)
    found = human_motion.scaling(ROOT, **options).degrees(data.test_recordings)
    assert np.abs(found - wanted).max() < 1e-4
    without = datasets.load("human_motion", ROOT, **options | {"held_out": {}})
    assert without.test_recordings is None
    assert torch.equal(without.train, data.train)


def test_recordings_to_hold_out_may_be_named_in_trials_too(made):
    both, apart = (
        load(made, trials={"one": files}, held_out={"one": ["77/77_02.amc"]})
        for files in (TRIALS["one"], ["77/77_01.amc", "77/77_03.amc"])
    )
    assert both.fingerprint() == apart.fingerprint()
    assert len(both.test_recordings) == LENGTHS["77/77_02.amc"]


@needs_cmu
@pytest.mark.parametrize("stride", [1, 2])
def test_frames_of_two_parts_are_more_than_half_a_second_apart(stride):
    """And every motion has about the asked share of each part."""
    table = human_motion.frames(ROOT, stride=stride)
    assert not table.duplicated(["trial", "frame"]).any()
    cut = table[table["part"] != "test_recordings"]
    for _, rows in cut.groupby("trial"):
        frame, part = rows["frame"].to_numpy(), rows["part"].to_numpy()
        other = part[:, None] != part
        assert np.abs(frame[:, None] - frame)[other].min(initial=1000) > 60
    counts = cut.groupby("motion")["part"].value_counts().unstack()
    assert (counts > 0).all(axis=None)
    shares = counts.div(counts.sum(axis=1), axis=0)
    assert np.abs(shares - pd.Series({"train": 360, "validation": 60, "test": 90}) / 510).max(axis=None) < 0.03


def test_rows_are_the_frames_that_the_table_names(made):
    for options in ({}, {"stride": 3}, {"balance": True}, {"held_out": {}}, {"gap": 0}):
        data, table = load(made, **options), frames(made, **options)
        scaling = human_motion.scaling(made, trials=TRIALS, **options)
        assert scaling.angles == ("lfemur.rx", "lfemur.ry", "lfemur.rz", "ltibia.rx")
        assert data.shape == (4,)
        parts = [part for part in ALL_PARTS if getattr(data, part) is not None]
        assert table["part"].tolist() == [part for part in parts for _ in range(len(getattr(data, part)))]
        both = torch.cat([getattr(data, part) for part in parts])
        assert np.abs(scaling.degrees(both) - angles_of(made, table, scaling.angles)).max() < 1e-4
        labels = torch.cat([getattr(data, f"{part}_labels") for part in parts])
        assert [list(TRIALS)[label] for label in labels] == table["motion"].tolist()
        assert all(trial in TRIALS[name] for name, trial in zip(table["motion"], table["trial"], strict=True))


def test_balance_equalises_the_training_part_alone(made):
    plain, balanced = frames(made, held_out={}), frames(made, held_out={}, balance=True)
    rest = [table[table["part"] != "train"].reset_index(drop=True) for table in (plain, balanced)]
    assert rest[0].equals(rest[1])
    train = balanced[balanced["part"] == "train"]
    counts = train["motion"].value_counts()
    assert counts["one"] == counts["two"]
    assert abs(len(train) - (plain["part"] == "train").sum()) <= 1
    often = train.groupby(["motion", "trial", "frame"]).size()
    before = plain[plain["part"] == "train"]["motion"].value_counts()
    assert before["one"] > before["two"]
    assert often["one"].max() == 1  # some left out
    assert len(often["two"]) == before["two"]  # all there, some twice
    assert set(often["two"]) == {1, 2}
    # evenly: what is left out and what is repeated comes after as many others
    skipped = train[train["motion"] == "one"].groupby("trial")["frame"].diff().dropna()
    assert set(skipped) == {1, 2}


def test_stride_thins_every_trial(made):
    whole, thin = frames(made), frames(made, stride=5)
    kept = set(map(tuple, thin.to_numpy()))
    assert kept < set(map(tuple, whole.to_numpy()))
    for trial, rows in whole.groupby("trial"):
        first = 1 + 10 * list(LENGTHS).index(trial)
        wanted = {(r.part, r.motion, trial, r.frame) for r in rows.itertuples() if (r.frame - first) % 5 == 0}
        assert {row for row in kept if row[2] == trial} == wanted


def test_same_options_give_the_same_data_and_others_do_not(made):
    options = [
        {},
        {"gap": 3},
        {"test_block": 200},
        {"stride": 2},
        {"balance": True},
        {"held_out": {}},
        {"trials": {"one": TRIALS["one"]}},
    ]
    prints = [load(made, **choice).fingerprint() for choice in options]
    assert [load(made, **choice).fingerprint() for choice in options] == prints
    assert len(set(prints)) == len(options)


def test_options_pass_through_yaml_and_json(made):
    text = yaml.safe_dump(
        {"trials": TRIALS, "held_out": None, "train_block": 360, "gap": 60, "stride": 1, "balance": False},
        sort_keys=False,
    )
    for options in (yaml.safe_load(text), json.loads(json.dumps(yaml.safe_load(text)))):
        assert load(made, **options).fingerprint() == load(made).fingerprint()


def test_labels_follow_the_order_of_the_option(made):
    turned = load(made, trials={"two": TRIALS["two"], "one": TRIALS["one"]})
    plain = load(made)
    assert turned.test_labels.bincount().tolist() == plain.test_labels.bincount().tolist()[::-1]
    assert (plain.label_names, turned.label_names) == (("one", "two"), ("two", "one"))


def test_poses_of_the_made_up_body(made):
    skeleton = human_motion.skeleton(made, "77")
    positions = human_motion.joint_positions(
        skeleton, human_motion.pose(skeleton, np.array([[0, 0, 0, 0], [90, 0, 0, 0]]))
    )
    assert positions[0] == pytest.approx(np.array([[0, 0, 0], [0, -4, 0], [0, -7, 0], [0, -1, 0]]))
    assert positions[1] == pytest.approx(np.array([[0, 0, 0], [0, 0, -4], [0, 0, -7], [0, -1, 0]]))
    assert "must be 4" in refused(human_motion.pose, skeleton, np.zeros((2, 9)))


# What is refused


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"trials": {}}, "option trials is {}"),
        ({"trials": {"flying": None}}, "leaves out the files of 'flying'; it must name them, or be walking, jogging"),
        ({"trials": {"one": []}}, "option trials has [] for 'one'"),
        ({"trials": {"one": "77/77_01.amc"}}, "must be a list"),
        ({"trials": {"one": [3501]}}, "option trials names 3501; it must be SUBJECT/NAME.amc"),  # YAML's 35_01
        ({"trials": {"one": ["77_01"]}}, "names '77_01'"),
        ({"trials": {"one": ["../77/77_01.amc"]}}, "names '../77/77_01.amc'"),
        ({"trials": {"one": ["/77/77_01.amc"]}}, "names '/77/77_01.amc'"),
        ({"trials": {True: ["77/77_01.amc"]}}, "has the motion True"),  # YAML's on, yes, true
        ({"trials": {"one": TRIALS["one"], "two": TRIALS["one"][:1]}}, "names 77/77_01.amc twice"),
        ({"trials": ["77/77_01.amc"]}, "it must be dict or None"),
        (
            {"held_out": {"three": ["77/77_01.amc"]}},
            "option held_out has the motion 'three'; it must be one of trials: one, two",
        ),
        (
            {"held_out": {"one": TRIALS["one"]}},
            "option held_out leaves no trial of 'one' for training; it must name fewer",
        ),
        ({"held_out": {"one": []}}, "option held_out has [] for 'one'"),
        ({"held_out": {"one": TRIALS["two"][:1]}}, "option held_out names 77/77_04.amc twice"),
        ({"held_out": ["77/77_01.amc"]}, "it must be dict or None"),
        ({"train_block": 0}, "option train_block is 0"),
        ({"validation_block": 0}, "option validation_block is 0"),
        ({"test_block": 1.5}, "option test_block is 1.5 (float)"),
        ({"gap": -1}, "option gap is -1"),
        ({"gap": 1.5}, "option gap is 1.5 (float)"),
        (
            {"gap": 94},
            "the recordings of 'two' have 189 frame(s), too few for three parts with gaps of 94 between them",
        ),
        ({"gap": 10**30}, "too few for three parts"),
        ({"stride": 0}, "option stride is 0"),
        ({"stride": 121}, "option stride is 121; it must be between 1 and 120"),
        ({"stride": 120}, "option stride is 120 and leaves no frame of 'one' in validation"),
        ({"balance": 1}, "option balance is 1 (int)"),
        ({"trials": {"one": ["77/77_walk.amc"]}}, "77/77_walk.amc: missing, and not on the database's site"),
        ({"trials": {"one": ["mine/walk.amc"]}}, "mine/walk.amc, mine/mine.asf: missing"),
    ],
)
def test_bad_options_are_refused(made, options, why):
    assert why in refused(load, made, **options)


def test_frames_and_scaling_refuse_as_load_does(made):
    for call in (human_motion.frames, human_motion.scaling):
        assert "option gap is -1" in refused(call, made, gap=-1)
        assert "option trials is 3" in refused(call, made, trials=3)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda text: text.replace(":DEGREES", ":RADIANS"), "the largest joint angle would be 1.72e+03 degrees"),
        (lambda text: "\n".join(to_radians(text)), "the largest joint angle would be 0.52"),
        (lambda text: text.replace(":DEGREES\n", ""), "neither :DEGREES nor :RADIANS"),
        (lambda text: text[: text.index("\n50\n")] + "\n50\nroot 1 2 3 4 5 6", "the file ends within a frame"),
        (lambda text: text[: len(text) // 2], "77_02.amc, line "),
        (lambda text: ":DEGREES\n", "holds no frame"),
        (lambda text: "", "neither"),
        (lambda text: "<html>404</html>", "neither"),
        (lambda text: text.replace("ltibia", "rtibia"), "'rtibia' is no moving bone"),
        (lambda text: text.replace("lfingers 99", "lfingers nan", 1), "'nan' stands for a number"),
        (lambda text: text.replace("lfingers 99", "lfingers", 1), "'lfingers' has 0 value(s)"),
    ],
)
def test_bad_recordings_are_refused_with_their_file(made, edit, why):
    path = made / "cmu_mocap" / "77" / "77_02.amc"
    path.write_text(edit(path.read_text()))
    sentence = refused(load, made)
    assert why in sentence
    assert str(path) in sentence


def to_radians(text: str) -> list[str]:
    """Lines of a motion with its angles in radians, under the header as it was."""
    lines = []
    for line in text.splitlines():
        name, *values = line.split()
        is_bone = values and name != "root"
        lines.append(" ".join([name, *(f"{math.radians(float(v)):.9g}" for v in values)]) if is_bone else line)
    return lines


def test_declared_radians_are_read(made):
    before = load(made).train
    for file in LENGTHS:
        path = made / "cmu_mocap" / file
        path.write_text("\n".join(to_radians(path.read_text().replace(":DEGREES", ":RADIANS"))))
    assert load(made).train.numpy() == pytest.approx(before.numpy(), abs=1e-5)


def test_a_body_that_does_not_move_is_refused(made):
    for file in LENGTHS:
        path = made / "cmu_mocap" / file
        lines = path.read_text().splitlines()
        still = {"lfemur": "lfemur 10 20 30.1", "ltibia": "ltibia 5"}
        path.write_text("\n".join(still.get(line.split()[0], line) for line in lines))
    assert "no joint moves in the training part" in refused(load, made)


def test_bodies_with_other_channels_are_refused(made):
    other = made / "cmu_mocap" / "88"
    other.mkdir()
    (other / "88.asf").write_text((SKELETON + HIERARCHY).replace("dof rx ry rz", "dof rx rz ry"))
    (other / "88_01.amc").write_text(motion(90))
    sentence = refused(load, made, trials={"one": ["77/77_01.amc", "88/88_01.amc"]})
    assert "the skeleton of subject 88 has other channels than that of 77" in sentence


@needs_cmu
def test_altered_recordings_are_refused_unless_they_have_a_name_of_their_own(tmp_path):
    folder = tmp_path / "cmu_mocap" / "35"
    shutil.copytree(CMU / "35", folder)
    folder.chmod(0o755)
    altered = folder / "35_01.amc"
    altered.chmod(0o644)
    text = altered.read_text()
    assert text.count("ltibia 22.5608\n") == 1
    altered.write_text(text.replace("ltibia 22.5608\n", "ltibia 22.5609\n"))
    sentence = refused(datasets.load, "human_motion", tmp_path, trials={"walking": ["35/35_01.amc"]})
    assert f"{altered}: its frames 1 to 358 are not those of the recording; delete it" in sentence
    altered.rename(folder / "35_01_mine.amc")
    data = datasets.load("human_motion", tmp_path, trials={"walking": ["35/35_01_mine.amc"]})
    assert sum(data.description()["sizes"].values()) == 358 - 2 * 60


@needs_cmu
def test_a_known_recording_is_the_same_in_a_longer_file(tmp_path):
    """The copies of some recordings are cut: of the whole ones, which the database has, the same frames are used."""
    folder = tmp_path / "cmu_mocap" / "35"
    folder.mkdir(parents=True)
    shutil.copy(CMU / "35" / "35.asf", folder)
    text = (CMU / "35" / "35_02.amc").read_text()
    header, frame = text[: text.index("\n20\n") + 1], text[text.index("\n20\n") + 4 : text.index("\n21\n") + 1]
    longer = header + "".join(f"{number}\n{frame}" for number in range(1, 20)) + text[len(header) :]
    (folder / "35_02.amc").write_bytes(longer.replace("\n", "\r\n").encode())
    options = {"trials": {"walking": ["35/35_02.amc"]}}
    ours, theirs = (datasets.load("human_motion", root, **options) for root in (ROOT, tmp_path))
    assert ours.fingerprint() == theirs.fingerprint()
    assert human_motion.frames(tmp_path, **options)["frame"].min() == 20


def test_a_body_of_root_and_fingers_alone_is_refused(made):
    path = made / "cmu_mocap" / "77" / "77.asf"
    fingers = SKELETON[: SKELETON.index("  begin")] + SKELETON[SKELETON.rindex("  begin") :]
    path.write_text(fingers + ":hierarchy\n  begin\n    root lfingers\n  end\n")
    assert "the skeleton of subject 77 has no observed joint" in refused(load, made)


def test_a_skeleton_of_nobody_is_refused(made):
    assert "mine/mine.asf: missing" in refused(human_motion.skeleton, made, "mine")


# Downloads


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A site on this machine: its folder, and the list of what was asked of it; ``fail`` makes the next answers bad."""
    folder = tmp_path / "site"
    folder.mkdir()
    asked, bad = [], []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if not bad:
                return super().do_GET()
            answer = bad.pop(0)
            if answer == "cut":  # as many bytes announced as there are, half of them sent
                content = (folder / self.path[1:]).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
            else:
                self.send_error(answer)
            return None

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(_cmu, "SITE", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(_cmu, "_PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield folder, asked, bad
    server.shutdown()
    server.server_close()


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_addresses_are_those_of_the_database():
    assert _cmu.SITE == "http://mocap.cs.cmu.edu/subjects/"


def test_missing_files_are_downloaded_once(made, site, tmp_path):
    folder, asked, _ = site
    shutil.copytree(made / "cmu_mocap", folder, dirs_exist_ok=True)
    data = load(tmp_path / "new")
    assert data.fingerprint() == load(made).fingerprint()
    assert sorted(asked) == sorted(["/77/77.asf", *(f"/{file}" for file in LENGTHS)])
    assert listing(tmp_path / "new" / "cmu_mocap") == sorted(["77", "77/77.asf", *LENGTHS])
    load(tmp_path / "new")
    assert len(asked) == 1 + len(LENGTHS)
    (tmp_path / "other").touch()
    assert (tmp_path / "new" / "cmu_mocap" / "77" / "77.asf").stat().st_mode == (tmp_path / "other").stat().st_mode


@needs_cmu
def test_missing_recordings_of_the_default_are_downloaded(site, tmp_path):
    """With the runs that the site does not have in place, the rest comes from there, whatever its line ends."""
    folder, asked, _ = site
    new = tmp_path / "new" / "cmu_mocap"
    for source in CMU.glob("*/*.a[sm][cf]"):
        target = (new if "expmap" in source.name else folder) / source.relative_to(CMU)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    data = datasets.load("human_motion", tmp_path / "new")
    assert data.fingerprint() == datasets.load("human_motion", ROOT).fingerprint()
    assert len(asked) == 28 + 4


@pytest.mark.parametrize("bad", [[503], [404, 500], ["cut"], ["cut", 503]])
def test_a_failed_download_is_tried_again(made, site, bad):
    folder, asked, answers = site
    shutil.copytree(made / "cmu_mocap", folder, dirs_exist_ok=True)
    lost = made / "cmu_mocap" / "77" / "77_03.amc"
    wanted = load(made).fingerprint()
    lost.unlink()
    answers += bad
    assert load(made).fingerprint() == wanted
    assert asked == ["/77/77_03.amc"] * (len(bad) + 1)


@pytest.mark.parametrize(
    ("bad", "content", "why"),
    [
        ([404] * 3, None, "404"),
        (["cut"] * 3, None, ""),
        ([], b"<html>moved</html>", "neither :DEGREES nor :RADIANS"),
        ([], motion(90)[: -len("lfingers 99\n")].encode(), "ends within a frame"),
        ([], b"", "neither"),
    ],
    ids=["absent", "cut", "html", "half", "empty"],
)
def test_a_download_that_fails_leaves_nothing(made, site, bad, content, why):
    folder, asked, answers = site
    shutil.copytree(made / "cmu_mocap", folder, dirs_exist_ok=True)
    if content is not None:
        (folder / "77" / "77_03.amc").write_bytes(content)
    answers += bad
    lost = made / "cmu_mocap" / "77" / "77_03.amc"
    lost.unlink()
    before = listing(made)
    sentence = refused(load, made)
    assert f"77/77_03.amc is missing and {_cmu.SITE} did not give it; put it into {lost.parent} (" in sentence
    assert why in sentence
    assert ".download-" not in sentence
    assert asked == ["/77/77_03.amc"] * 3
    assert listing(made) == before


@needs_cmu
def test_a_download_with_other_values_is_refused(site, tmp_path):
    folder, _, _ = site
    (folder / "35").mkdir()
    shutil.copy(CMU / "35" / "35.asf", folder / "35")
    shutil.copy(CMU / "35" / "35_07.amc", folder / "35" / "35_08.amc")
    sentence = refused(datasets.load, "human_motion", tmp_path / "new", trials={"walking": ["35/35_08.amc"]})
    assert "frames 1 to 445 are not those of the recording" in sentence
    assert listing(tmp_path / "new" / "cmu_mocap") == ["35", "35/35.asf"]


def test_runs_that_the_site_does_not_have_are_named_before_anything_is_asked(site, tmp_path):
    _, asked, _ = site
    sentence = refused(datasets.load, "human_motion", tmp_path)
    for name in ("24", "run_a", "run_b", "run_c"):
        assert f"35/35_{name}_from_expmap.amc" in sentence
    assert "not on the database's site; put the missing files into" in sentence
    assert asked == []


def test_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(_cmu, "SITE", "http://127.0.0.1:9/")  # nobody answers there
    monkeypatch.setattr(_cmu, "_PAUSE", 0.0)
    sentence = refused(datasets.load, "human_motion", tmp_path, trials={"walking": ["35/35_01.amc"]})
    assert "35/35.asf is missing and http://127.0.0.1:9/ did not give it" in sentence
    assert listing(tmp_path) == ["cmu_mocap", "cmu_mocap/35"]


def test_a_folder_that_cannot_be_made_is_named(site, tmp_path):
    (tmp_path / "cmu_mocap").write_text("a file where the folder should be")
    sentence = refused(datasets.load, "human_motion", tmp_path, trials={"walking": ["35/35_01.amc"]})
    assert "cannot be written" in sentence


def test_a_folder_in_place_of_a_file_is_refused(made):
    path = made / "cmu_mocap" / "77" / "77_01.amc"
    path.unlink()
    path.mkdir()
    assert f"{path} cannot be read" in refused(load, made)
