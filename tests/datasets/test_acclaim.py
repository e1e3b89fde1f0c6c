"""The Acclaim reader against the files' own text, forward kinematics against another conversion of the same recordings."""

import csv
import os
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusal import refused
from scipy.spatial.transform import Rotation

from flatvae.datasets import _acclaim
from flatvae.errors import InputError

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data") / "cmu_mocap"
INDEX = list(csv.DictReader((ROOT / "INDEX.csv").open())) if (ROOT / "INDEX.csv").is_file() else []
SKELETONS = sorted(ROOT.glob("*/*.asf"))
needs_cmu = pytest.mark.skipif(
    not (INDEX and SKELETONS), reason="the CMU files are not there: set FLATVAE_DATA to a folder that holds cmu_mocap/"
)
CHANNELS = 62
BRIEF = settings(max_examples=150, deadline=timedelta(seconds=2))  # a broken file never takes long

# An arm of two bones and a rigid one, written by hand: what follows from it can be worked out on paper.
ASF = """:version 1.10
:name HAND   # a comment
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   begin here, (a text, with anything)
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 1 0 0
     length 2
     axis 0 0 90 XYZ
    dof rx ry
    limits (-160.0 20.0)
           (-inf inf)
  end
  begin
     id 2
     name lower
     direction 0 1 0
     length 3
     axis 0 0 0 XYZ
    dof rz
    limits (-1 1)
  end
  begin
     id 3
     name stump
     direction 0 0 1
     length 4
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root upper stump
    upper lower
  end
"""
AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
7
root 1 2 3 0 0 90
upper 10 20
lower -30.5
8
root 1 2 3.5 0 0 1e1
upper 11 21
lower -3.4e-015
9
root 1 2 4 0 0 -10
upper 12 22
lower +.5
"""


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def reread(content: bytes) -> list[tuple[int, dict[bytes, list[float]]]]:
    """Number, and values of each bone, of every frame: a second reader, which believes everything."""
    frames = []
    for line in content.replace(b"\r", b"\n").split(b"\n"):
        words = line.split(b"#")[0].split()
        if not words or words[0].startswith(b":"):
            continue
        if len(words) == 1:
            frames.append((int(words[0]), {}))
        else:
            frames[-1][1][words[0]] = [float(word) for word in words[1:]]
    return frames


def assert_as_in_text(motion: _acclaim.Motion, skeleton: _acclaim.Skeleton, content: bytes) -> None:
    frames = reread(content)
    assert motion.frames.tolist() == [number for number, _ in frames]
    moving = [joint.encode("latin-1") for joint, dofs in zip(skeleton.joints, skeleton.dofs, strict=True) if dofs]
    assert motion.channels.tolist() == [[value for bone in moving for value in bones[bone]] for _, bones in frames]


def reread_bones(content: bytes) -> dict[str, tuple[list[float], list[float], str, list[str]]]:
    """Offset, angles and order of the axes, and degrees of freedom, of every bone: a second reader."""
    bones = {}
    text = re.sub(rb"#[^\n]*", b"", content).translate(bytes.maketrans(b",()", b"   ")).decode("latin-1")
    data = re.search(r":bonedata(\s.*?)\n\s*:", text, re.DOTALL | re.ASCII)[1]
    for block in re.findall(r"\bbegin\s(.*?)\bend\b", data, re.DOTALL):
        lines = [line.encode("latin-1").split() for line in block.split("\n")]
        found = {words[0].decode(): [word.decode("latin-1") for word in words[1:]] for words in lines if words}
        offset = [float(found["length"][0]) * float(value) for value in found["direction"]]
        *angles, order = found["axis"]
        bones[found["name"][0]] = (offset, [float(angle) for angle in angles], order, found.get("dof", []))
    return bones


def assert_bones_as_in_text(skeleton: _acclaim.Skeleton, content: bytes) -> None:
    bones = reread_bones(content)
    assert set(bones) == set(skeleton.joints[1:])
    for joint, name in enumerate(skeleton.joints[1:], 1):
        offset, angles, order, dofs = bones[name]
        assert skeleton.offsets[joint].tolist() == offset
        assert skeleton.dofs[joint] == tuple(dof.lower() for dof in dofs)
        if max(map(abs, angles)) < 1e6:  # the cosine of more is a matter of rounding
            # small letters: about fixed axes, the first first
            axes = Rotation.from_euler(order.lower(), angles, degrees=True).as_matrix()
            assert skeleton.axes[joint] == pytest.approx(axes, abs=1e-9)


@pytest.fixture
def arm(tmp_path) -> _acclaim.Skeleton:
    return _acclaim.read_skeleton(written(tmp_path / "arm.asf", ASF))


@pytest.fixture(scope="module")
def cmu():
    """A function that reads skeleton and motion of a file of the database."""

    def read(file: str) -> tuple[_acclaim.Skeleton, _acclaim.Motion]:
        subject = file.split("/")[0]
        skeleton = _acclaim.read_skeleton(ROOT / subject / f"{subject}.asf")
        return skeleton, _acclaim.read_motion(ROOT / file, skeleton)

    return read


# The real files


@needs_cmu
@pytest.mark.parametrize("row", INDEX, ids=lambda row: row["file"])
def test_every_motion_of_the_database_is_read_as_its_text_says(cmu, row):
    skeleton, motion = cmu(row["file"])
    assert motion.channels.shape == (int(row["frames"]), CHANNELS)
    assert (motion.frames[0], motion.frames[-1]) == (int(row["first_frame"]), int(row["last_frame"]))
    assert_as_in_text(motion, skeleton, (ROOT / row["file"]).read_bytes())


@needs_cmu
@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_every_skeleton_of_the_database_is_read_as_its_text_says(path):
    skeleton = _acclaim.read_skeleton(path)
    assert len(skeleton.joints) == 31
    assert len(skeleton.channels) == CHANNELS
    assert_bones_as_in_text(skeleton, path.read_bytes())
    hierarchy = path.read_text().split(":hierarchy")[1].split("begin")[1].split("end")[0]
    wanted = {(line.split()[0], child) for line in hierarchy.splitlines() for child in line.split()[1:]}
    assert {(skeleton.joints[parent], skeleton.joints[child]) for parent, child in skeleton.bones} == wanted
    assert all(parent < child for parent, child in skeleton.bones)


@needs_cmu
@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("35/35_01.amc", "test_walking_1"),
        ("02/02_01.amc", "train_walking_1"),
        ("35/35_run_a_from_expmap.amc", "train_running_1"),
    ],
)
def test_bone_rotations_are_those_of_the_exponential_maps(cmu, file, source):
    """The text files come from a BVH conversion of the same recordings, by others: R = exp(−v) for every bone.

    Their joints are the bones in the order of the hierarchy, and an end site after each bone that ends a limb; the first
    frame is a T-pose. The root is left to the next test: their conversion read its angles in another order.
    """
    skeleton, motion = cmu(file)
    maps = np.loadtxt(ROOT / "expmap_source" / f"{source}.txt", delimiter=",")[1:, 3:].reshape(
        len(motion.frames), -1, 3
    )
    parents = {parent for parent, _ in skeleton.bones}
    column = np.cumsum([0, *(2 - (joint in parents) for joint in range(len(skeleton.joints)))])
    assert column[-1] == maps.shape[1] == 38
    rotations = _acclaim.bone_rotations(skeleton, motion.channels)
    for joint in range(1, len(skeleton.joints)):
        theirs = Rotation.from_rotvec(-maps[:, column[joint]])
        difference = theirs.inv() * Rotation.from_matrix(rotations[:, joint])
        assert difference.magnitude().max() < 1e-5, skeleton.joints[joint]
    # that other order, for what it is worth: the values are the same
    angles = motion.channels[:, [skeleton.channels.index(f"root.{dof}") for dof in ("ry", "rx", "rz")]]
    root = Rotation.from_euler("yxz", angles, degrees=True)
    assert (root * Rotation.from_rotvec(maps[:, 0])).magnitude().max() < 1e-5


@needs_cmu
@pytest.mark.parametrize("file", ["135/135_11.amc", "135/135_07.amc"])
def test_the_standing_foot_stays_where_it_is(cmu, file):
    """Of someone who kicks and turns, one foot stands still on a level floor: no other reading of the root's angles does that."""
    skeleton, motion = cmu(file)
    toes = [skeleton.joints.index("ltoes"), skeleton.joints.index("rtoes")]
    right = _acclaim.joint_positions(skeleton, motion.channels)[:, toes]  # (T, 2, 3)
    swapped = motion.channels.copy()
    x, y = skeleton.channels.index("root.rx"), skeleton.channels.index("root.ry")
    swapped[:, [x, y]] = swapped[:, [y, x]]
    wrong_order = _acclaim.Skeleton(
        skeleton.joints,
        skeleton.parents,
        skeleton.offsets,
        skeleton.axes,
        (("tx", "ty", "tz", "ry", "rx", "rz"), *skeleton.dofs[1:]),
    )
    wrong = _acclaim.joint_positions(wrong_order, swapped)[:, toes]

    def sliding(feet):
        return np.median(np.linalg.norm(np.diff(feet, axis=0), axis=-1).min(1))

    def floor(feet):
        return feet[..., 1].min(1).std()

    assert sliding(right) < 0.02  # units a frame, 0.1 m/s
    assert floor(right) < 0.5
    assert sliding(wrong) > 4 * sliding(right)
    assert floor(wrong) > 4 * floor(right)


@needs_cmu
@pytest.mark.parametrize(
    ("file", "least", "most"),
    [("135/135_04.amc", 23, 28), ("135/135_07.amc", 23, 28), ("135/135_11.amc", 23, 28), ("135/135_09.amc", 0, 3)],
)
def test_toes_rise_to_the_hip_in_kicks_and_stay_low_in_a_punch(cmu, file, least, most):
    skeleton, motion = cmu(file)
    positions = _acclaim.joint_positions(skeleton, motion.channels)
    height = positions[:, [skeleton.joints.index("ltoes"), skeleton.joints.index("rtoes")], 1]
    assert least < height.max() - np.median(height.min(1)) < most


@needs_cmu
def test_one_foot_is_off_the_floor_in_balancing(cmu):
    skeleton, motion = cmu("49/49_18.amc")
    positions = _acclaim.joint_positions(skeleton, motion.channels)
    left, right = (positions[:, skeleton.joints.index(toes), 1] for toes in ("ltoes", "rtoes"))
    assert 0.6 < np.mean(abs(left - right) > 1.5) < 0.8


@needs_cmu
def test_positions_are_those_of_a_recursion_over_the_tree(cmu):
    skeleton, motion = cmu("135/135_07.amc")
    chosen = motion.channels[::100]
    positions = _acclaim.joint_positions(skeleton, chosen)
    for frame, found in zip(chosen, positions, strict=True):
        values = dict(zip(skeleton.channels, frame, strict=True))
        turns, places = {}, {}
        for joint, name in enumerate(skeleton.joints):
            c = Rotation.from_matrix(skeleton.axes[joint])
            angles = [values.get(f"{name}.{dof}", 0.0) for dof in ("rx", "ry", "rz")]
            local = c * Rotation.from_euler("xyz", angles, degrees=True) * c.inv()
            if name == "root":
                turns[joint], places[joint] = local, np.array([values[f"root.{dof}"] for dof in ("tx", "ty", "tz")])
            else:
                turns[joint] = turns[skeleton.parents[joint]] * local
                places[joint] = places[skeleton.parents[joint]] + turns[joint].apply(skeleton.offsets[joint])
        assert found == pytest.approx(np.stack(list(places.values())), abs=1e-9)


@needs_cmu
def test_bones_keep_their_length_and_the_body_its_size(cmu):
    skeleton, motion = cmu("49/49_19.amc")
    positions = _acclaim.joint_positions(skeleton, motion.channels)
    for parent, child in skeleton.bones:
        length = np.linalg.norm(positions[:, child] - positions[:, parent], axis=-1)
        assert length == pytest.approx(np.linalg.norm(skeleton.offsets[child]), abs=1e-9)
    height = (positions[..., 1].max(1) - positions[..., 1].min(1)).max() / 0.45 * 0.0254  # metres
    assert 1.4 < height < 2.0


# The arm, by hand


def test_the_arm_is_read(arm):
    assert arm.joints == ("root", "upper", "lower", "stump")  # depth first
    assert arm.parents == (-1, 0, 1, 0)
    assert arm.bones == ((0, 1), (1, 2), (0, 3))
    assert arm.channels == (
        *(f"root.{dof}" for dof in ("tx", "ty", "tz", "rx", "ry", "rz")),
        "upper.rx",
        "upper.ry",
        "lower.rz",
    )
    assert arm.offsets.tolist() == [[0, 0, 0], [2, 0, 0], [0, 3, 0], [0, 0, 4]]
    assert_bones_as_in_text(arm, ASF.encode())


@pytest.mark.parametrize(
    ("channels", "upper", "lower", "stump"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0], [2, 3, 0], [0, 0, 4]),
        ([5, 6, 7, 0, 0, 0, 0, 0, 0], [7, 6, 7], [7, 9, 7], [5, 6, 11]),
        # the body turned about the vertical: x -> −z, z -> x
        ([0, 0, 0, 0, 90, 0, 0, 0, 0], [0, 0, -2], [0, 3, -2], [4, 0, 0]),
        # first about x (y -> z), then about z (x -> y)
        ([0, 0, 0, 90, 0, 90, 0, 0, 0], [0, 2, 0], [0, 2, 3], [4, 0, 0]),
        # the lower arm about z: y -> −x
        ([0, 0, 0, 0, 0, 0, 0, 0, 90], [2, 0, 0], [-1, 0, 0], [0, 0, 4]),
        # the upper arm's x axis is turned by 90 degrees about z: it is y, which takes x to −z and leaves the lower arm
        ([0, 0, 0, 0, 0, 0, 90, 0, 0], [0, 0, -2], [0, 3, -2], [0, 0, 4]),
        # and its y axis is −x: the upper arm spins, the lower arm goes from y to −z
        ([0, 0, 0, 0, 0, 0, 0, 90, 0], [2, 0, 0], [2, 0, -3], [0, 0, 4]),
        # both: about y first, then about −x, so the upper arm goes from x to −z and from there to −y
        ([0, 0, 0, 0, 0, 0, 90, 90, 0], [0, -2, 0], [0, -2, -3], [0, 0, 4]),
    ],
)
def test_positions_of_the_arm(arm, channels, upper, lower, stump):
    found = _acclaim.joint_positions(arm, np.array(channels, float))
    assert found == pytest.approx(np.array([channels[:3], upper, lower, stump], float), abs=1e-12)
    stacked = _acclaim.joint_positions(arm, np.tile(np.array(channels, float), (2, 5, 1)))
    assert stacked.shape == (2, 5, 4, 3)
    assert stacked[1, 4] == pytest.approx(found)


@pytest.mark.parametrize("shape", [(8,), (3, 10), ()])
def test_channels_of_another_number_are_refused(arm, shape):
    for call in (_acclaim.joint_positions, _acclaim.bone_rotations):
        assert "must be 9" in refused(call, arm, np.zeros(shape))


def test_the_motion_of_the_arm_is_read(arm, tmp_path):
    motion = _acclaim.read_motion(written(tmp_path / "a.amc", AMC), arm)
    assert motion.frames.tolist() == [7, 8, 9]
    assert motion.channels.tolist() == [
        [1, 2, 3, 0, 0, 90, 10, 20, -30.5],
        [1, 2, 3.5, 0, 0, 10, 11, 21, -3.4e-15],
        [1, 2, 4, 0, 0, -10, 12, 22, 0.5],
    ]


@pytest.mark.parametrize(
    "same",
    [
        AMC.replace("\n", "\r\n"),
        AMC.replace(" ", "\t "),
        AMC.replace("\n", "\n\n"),
        AMC.replace("\n", " # said\n"),
        AMC[:-1],
        re.sub(r"(upper .*\n)(lower .*\n)", r"\2\1", AMC),
        AMC.replace(":DEGREES", ":degrees\n:SAMPLES-PER-SECOND 120"),
    ],
    ids=["line ends", "tabs", "blank lines", "comments", "no last line end", "other order", "header"],
)
def test_what_does_not_matter_changes_nothing(arm, tmp_path, same):
    first, second = (_acclaim.read_motion(written(tmp_path / "a.amc", text), arm) for text in (AMC, same))
    assert first.channels.tolist() == second.channels.tolist()
    assert first.frames.tolist() == second.frames.tolist()


def test_radians_become_degrees_and_positions_stay(arm, tmp_path):
    text = changed(changed(AMC, ":DEGREES", ":RADIANS"), "1 2 3 0 0 90", "1 2 3 0 0 1.5707963267948966")
    found = _acclaim.read_motion(written(tmp_path / "a.amc", text), arm).channels
    assert found[0] == pytest.approx([1, 2, 3, 0, 0, 90, *np.rad2deg([10, 20, -30.5])])
    in_radians = changed(changed(ASF, "angle deg", "angle rad"), "0 0 90 XYZ", "0 0 1.5707963267948966 XYZ")
    assert _acclaim.read_skeleton(written(tmp_path / "r.asf", in_radians)).axes == pytest.approx(arm.axes)


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        (":DEGREES\n", "", None, "neither :DEGREES nor :RADIANS"),
        (":DEGREES", ":DEGREES\n:RADIANS", None, "both :DEGREES and :RADIANS"),
        (AMC[AMC.index("7\n") :], "", None, "holds no frame"),
        (AMC, "", None, "neither"),
        ("upper 10 20\n", "", 4, "the frame lacks bone 'upper'"),
        ("upper 11 21\n", "", 10, "'lower' stands here; it must be 'upper'"),
        ("lower -3.4e-015\n", "", 11, "'9' stands here; it must be 'lower'"),
        ("lower +.5\n", "", 14, "the file ends within a frame"),
        ("lower -30.5\n", "lower -30.5\nlower 1\n", 8, "gives 'lower' twice"),
        ("lower -3.4e-015\n", "lower 1\nlower 1\n", 12, "'lower 1' stands here; it must be the number of a frame"),
        ("upper 10 20", "uper 10 20", 6, "'uper' is no moving bone"),
        ("upper 10 20", "stump 10 20", 6, "'stump' is no moving bone"),
        ("upper 10 20", "upper 10", 6, "'upper' has 1 value(s); it must have 2"),
        ("upper 11 21", "upper 11 21 31", 10, "'upper' has 3 value(s); it must have 2"),
        ("upper 11 21", "upper 11 nan", 10, "'nan' stands for a number; it must be a finite one"),
        ("upper 11 21", "upper 11 1e999", 10, "'1e999'"),
        ("upper 11 21", "upper 11 1_0", 10, "'1_0'"),
        ("upper 11 21", "upper 11 0x1", 10, "'0x1'"),
        ("upper 11 21", "upper 11 \x01é", 10, r"'\x01\xe9'"),
        ("upper 11 21", "upper 11 \0", None, "holds zero bytes"),
        ("upper 11 21", "upper 11 1e301", 10, "'1e301' stands for a number; it must be a finite one, below 1e+300"),
        ("8\n", "7\n", 8, "frame 7 follows frame 7; it must be frame 8"),
        ("8\n", "10\n", 8, "frame 10 follows frame 7; it must be frame 8"),
        ("8\n", "", 8, "the frame gives 'root' twice; it must give each bone once, after its number"),
        ("9\n", "", 12, "'root 1 2 4 0 0 -10' stands here; it must be the number of a frame, alone"),
        ("9\n", "9 10\n", 12, "'9 10' stands here; it must be the number of a frame, alone"),
        ("9\n", "-9\n", 12, "'-9' stands here"),
        ("9\n", "9" * 5000 + "\n", 12, "'9999999999999999999999999999999999999999...' stands here"),
        ("\n7\n", "\n", 4, "'root 1 2 3 0 0 90' stands here"),
    ],
)
def test_bad_motions_are_refused_with_file_and_line(arm, tmp_path, old, new, line, why):
    path = written(tmp_path / "bad.amc", changed(AMC, old, new))
    sentence = refused(_acclaim.read_motion, path, arm)
    assert why in sentence
    assert sentence.startswith(str(path) if line is None else f"{path}, line {line}: ")


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("angle deg", "angle grad", 6, "the unit of angle is 'grad'; it must be deg or rad"),
        ("  angle deg\n", "", 3, "has no angle"),
        (":units", ":unit", None, "no section :units"),
        (":hierarchy", ":bonedata", 41, "':bonedata' begins again"),
        (ASF[ASF.index(":hierarchy") :], "", None, "no section :hierarchy"),
        ("order TX TY TZ RX RY RZ", "order TX TY TZ RX RY", 10, "must hold TX TY TZ RX RY RZ"),
        ("position 0 0 0", "position 0 1 0", 12, "the root's position is 0 1 0"),
        ("orientation 0 0 0", "orientation 0 0", 13, "2 number(s) stand here; it must be three"),
        ("direction 1 0 0", "direction 1 0", 18, "2 number(s) stand here"),
        ("direction 1 0 0", "direction 1 0 none", 18, "'none' stands for a number"),
        ("direction 1 0 0", "direktion 1 0 0", 18, "'direktion' is unknown or repeated"),
        ("     length 2\n", "", 15, "the block that begins here has no length"),
        ("length 2", "length", 15, "the block that begins here has no length"),
        ("length 2", "length 2 3", 19, "the length has 2 values"),
        ("length 2", "length 1e999", 19, "'1e999'"),
        ("axis 0 0 90 XYZ", "axis 0 0 90", 20, "'90'; it must be a permutation of XYZ"),
        ("axis 0 0 90 XYZ", "axis 0 0 90 XYX", 20, "'XYX'"),
        ("dof rx ry", "dof rx rx", 21, "degrees of freedom are 'rx rx'"),
        ("dof rx ry", "dof rx l", 21, "degrees of freedom are 'rx l'"),
        ("    dof rx ry\n", "", 21, "there are 4 limits for 0 degree(s) of freedom"),
        ("           (-inf inf)\n", "", 22, "there are 2 limits for 2"),
        ("name lower", "name upper", 27, "the name is 'upper'"),
        ("name lower", "name root", 27, "the name is 'root'"),
        ("name lower", "name 12", 27, "the name is '12'"),
        ("(-1 1)\n  end\n", "(-1 1)\n", 33, "'begin' stands here"),
        ("    root upper stump", "    root upper", 41, "'stump' is not connected to the root"),
        ("    upper lower", "    upper lower\n    lower upper", 45, "'upper' is in the hierarchy twice"),
        ("    upper lower", "    upper lower root", 44, "'root' is in the hierarchy twice"),
        ("    upper lower", "    upper lower hand", 44, "'hand' is no bone of :bonedata"),
        ("    upper lower\n  end\n", "    upper lower\n", 42, "begin has no end"),
    ],
)
def test_bad_skeletons_are_refused_with_file_and_line(tmp_path, old, new, line, why):
    path = written(tmp_path / "bad.asf", changed(ASF, old, new))
    sentence = refused(_acclaim.read_skeleton, path)
    assert why in sentence
    assert sentence.startswith(str(path) if line is None else f"{path}, line {line}: ")


def test_what_is_no_file_is_refused(arm, tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        assert f"{path} cannot be read" in refused(_acclaim.read_skeleton, path)
        assert f"{path} cannot be read" in refused(_acclaim.read_motion, path, arm)


# Mutated files: refused, or read as a second reader reads them


GARBAGE = (b"nan", b"inf", b"1e999", b"-1e308", b"1_0", b"9" * 400, b"root", b"begin", b":DEGREES", b"#", b"(", b"\xff")


def in_pieces(content: bytes, unit: str) -> list[bytes]:
    """Bytes, words with the space behind them, or lines."""
    if unit == "bytes":
        return [content[at : at + 1] for at in range(len(content))]
    return re.split(rb"(?<=\s)(?=\S)", content) if unit == "words" else content.splitlines(keepends=True)


@st.composite
def mutations(draw, content: bytes):
    """The content after one to three edits of its bytes, words or lines."""
    garbage = st.sampled_from(GARBAGE) | st.binary(max_size=4)
    for _ in range(draw(st.integers(1, 3))):
        edit = draw(st.sampled_from(["cut", "delete", "double", "swap", "replace", "insert"]))
        pieces = in_pieces(content, draw(st.sampled_from(["bytes", "words", "lines"])))
        one, other = (draw(st.integers(0, len(pieces) - 1)) for _ in range(2)) if pieces else (0, 0)
        if edit == "insert" or not pieces:
            pieces.insert(one, draw(garbage))
        elif edit == "cut":
            del pieces[one:]
        elif edit == "delete":
            del pieces[one]
        elif edit == "double":
            pieces.insert(one, pieces[one])
        elif edit == "swap":
            pieces[one], pieces[other] = pieces[other], pieces[one]
        else:
            pieces[one] = draw(garbage) + pieces[one][len(pieces[one].rstrip()) :]
        content = b"".join(pieces)
    return content


def outcome(call, path: Path, *arguments):
    """What a call returns, or the sentence with which it refuses the file."""
    try:
        return call(path, *arguments)
    except InputError as error:
        return str(error)


def is_refusal(outcome, path: Path) -> bool:
    if not isinstance(outcome, str):
        return False
    assert outcome.startswith(str(path))
    assert "\n" not in outcome
    assert len(outcome) < len(str(path)) + 300
    return True


def check_motion(path: Path, skeleton: _acclaim.Skeleton, content: bytes) -> None:
    motion = outcome(_acclaim.read_motion, written(path, content), skeleton)
    if not is_refusal(motion, path):
        assert_as_in_text(motion, skeleton, content)


def check_skeleton(path: Path, content: bytes) -> None:
    skeleton = outcome(_acclaim.read_skeleton, written(path, content))
    if not is_refusal(skeleton, path):
        assert_bones_as_in_text(skeleton, content)


@BRIEF
@given(st.data())
def test_a_mutated_motion_of_the_arm_is_refused_or_right(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    skeleton = _acclaim.read_skeleton(written(folder / "arm.asf", ASF))
    check_motion(folder / "fuzz.amc", skeleton, data.draw(mutations(AMC.encode())))


@BRIEF
@given(st.data())
def test_a_mutated_skeleton_of_the_arm_is_refused_or_right(tmp_path_factory, data):
    check_skeleton(tmp_path_factory.getbasetemp() / "fuzz.asf", data.draw(mutations(ASF.encode())))


@needs_cmu
@BRIEF
@given(st.data())
def test_a_mutated_motion_of_the_database_is_refused_or_right(tmp_path_factory, data):
    content = b"".join((ROOT / "35" / "35_01.amc").read_bytes().splitlines(keepends=True)[: 3 + 5 * 30])
    skeleton = _acclaim.read_skeleton(ROOT / "35" / "35.asf")
    check_motion(tmp_path_factory.getbasetemp() / "fuzz.amc", skeleton, data.draw(mutations(content)))


@needs_cmu
@BRIEF
@given(st.data())
def test_a_mutated_skeleton_of_the_database_is_refused_or_right(tmp_path_factory, data):
    content = (ROOT / "35" / "35.asf").read_bytes()
    check_skeleton(tmp_path_factory.getbasetemp() / "fuzz.asf", data.draw(mutations(content)))
