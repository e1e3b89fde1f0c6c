"""Files in odd places, and text as editors save it, are the same data."""

import hashlib
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from refusal import refused

from flatvae import datasets
from flatvae.datasets import _acclaim, human_motion, mnist

DATA = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
CMU = DATA / "cmu_mocap"
needs_cmu = pytest.mark.skipif(
    not (CMU / "35" / "35_24_from_expmap.amc").is_file(), reason="the CMU files are not there"
)
TRIAL = "35/35_24_from_expmap.amc"
VALUES = {"train": np.arange(12.0).reshape(6, 2), "test": np.ones((2, 2))}
LABELS = "t10k-labels-idx1-ubyte.gz"
FOLDERS = ["a b", 'it\'s "q"', "{x}[1]*?", "größe_数据", "#%$&;", "~", "~no-such-user"]

MARKS = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "utf-32-le": b"\xff\xfe\0\0"}


def saved(text: str, way: str) -> bytes:
    """Text with \\n for line ends, as some editor saves it."""
    lines = text.split("\n")
    if way in MARKS:
        return MARKS[way] + text.encode(way.removesuffix("-sig"))
    changed = {
        "windows": "\r\n".join(lines),
        "macintosh": "\r".join(lines),
        "mixed": "".join(line + ("\n", "\r\n", "\r")[at % 3] for at, line in enumerate(lines)),
        "doubled": "\n\n".join(lines),
        "non-breaking": text.replace(" ", "\u00a0"),
        "narrow": text.replace(" ", " \u202f"),
        "latin-1": f"# Größe\n{text}",
        "utf-8": f"# Größe\n{text}",
        "trailing": f"{text}\n \n\t\n\n",
        "cut": text.rstrip("\n"),
        "tabs": text.replace(" ", "\t"),
    }[way]
    return changed.encode("latin-1" if way == "latin-1" else "utf-8")


WAYS = [
    *MARKS,
    "windows",
    "macintosh",
    "mixed",
    "doubled",
    "non-breaking",
    "narrow",
    "latin-1",
    "utf-8",
    "trailing",
    "cut",
    "tabs",
]


@pytest.fixture(scope="module")
def recording() -> tuple[_acclaim.Skeleton, _acclaim.Motion]:
    skeleton = _acclaim.read_skeleton(CMU / "35" / "35.asf")
    return skeleton, _acclaim.read_motion(CMU / TRIAL, skeleton)


@needs_cmu
@pytest.mark.parametrize("way", WAYS)
def test_a_real_recording_saved_by_an_editor_has_the_same_values(tmp_path, recording, way):
    for source in (CMU / "35" / "35.asf", CMU / TRIAL):
        text = source.read_bytes().decode("latin-1").replace("\r\n", "\n")
        (tmp_path / source.name).write_bytes(saved(text, way))
    skeleton = _acclaim.read_skeleton(tmp_path / "35.asf")
    assert skeleton.joints == recording[0].joints
    assert skeleton.dofs == recording[0].dofs
    assert np.array_equal(skeleton.offsets, recording[0].offsets)
    assert np.array_equal(skeleton.axes, recording[0].axes)
    found = _acclaim.read_motion(tmp_path / Path(TRIAL).name, skeleton)
    assert np.array_equal(found.channels, recording[1].channels)
    assert np.array_equal(found.frames, recording[1].frames)


def test_names_of_bones_match_across_encodings(tmp_path):
    """A skeleton in UTF-8 and a motion in Latin-1."""
    text = ":units\n angle deg\n:root\n order TX TY TZ RX RY RZ\n position 0 0 0\n orientation 0 0 0\n:bonedata\n"
    text += " begin\n name fuß\n direction 1 0 0\n length 1\n axis 0 0 0 XYZ\n dof rx\n end\n:hierarchy\n begin\n root fuß\n end\n"
    (tmp_path / "a.asf").write_bytes(text.encode())
    (tmp_path / "a.amc").write_bytes(":DEGREES\n1\nroot 0 0 0 0 0 0\nfuß 5\n".encode("latin-1"))
    skeleton = _acclaim.read_skeleton(tmp_path / "a.asf")
    assert skeleton.joints == ("root", "fuß")
    assert _acclaim.read_motion(tmp_path / "a.amc", skeleton).channels.tolist() == [[0, 0, 0, 0, 0, 0, 5]]


def idx(values) -> bytes:
    return struct.pack(">HBBI", 0, 8, 1, len(values)) + bytes(values)


@pytest.fixture
def content(monkeypatch) -> bytes:
    """Content that passes for MNIST's, and no network."""
    made = idx(range(10))
    monkeypatch.setitem(mnist.SHA256, LABELS, hashlib.sha256(made).hexdigest())
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: pytest.fail("the network was asked"))
    return made


@pytest.mark.parametrize("name", ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", LABELS])
def test_an_unpacked_file_of_mnist_is_used(tmp_path, content, name):
    """Also one that kept the name of the packed one, as browsers leave it."""
    (tmp_path / name).write_bytes(content)
    assert mnist.read(tmp_path, LABELS).tolist() == list(range(10))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("damaged", [b"\x1f\x8bnonsense", b"", b"<html>", None], ids=["gz", "empty", "html", "folder"])
def test_a_good_unpacked_file_is_used_instead_of_a_damaged_one(tmp_path, content, damaged):
    for name in (LABELS, "t10k-labels-idx1-ubyte"):
        (tmp_path / name).mkdir() if damaged is None else (tmp_path / name).write_bytes(damaged)
    (tmp_path / "t10k-labels.idx1-ubyte").write_bytes(content)
    assert mnist.read(tmp_path, LABELS).tolist() == list(range(10))


def test_every_unusable_file_of_mnist_is_named(tmp_path, content):
    for name in (LABELS, "t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"):
        (tmp_path / name).write_bytes(content[:-1])
    sentence = refused(mnist.read, tmp_path, LABELS)
    for name in (LABELS, "t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"):
        assert f"{tmp_path / name} is not usable (its content is not MNIST's" in sentence


def put(folder: Path) -> None:
    """The data of three data sets in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "mine.npz", **VALUES)
    (folder / "mnist").mkdir()
    (folder / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(idx(range(10)))


def check(folder: str | Path, path: str | Path) -> None:
    """All three loaders find their data."""
    assert datasets.load("arrays", path=path).test.tolist() == VALUES["test"].tolist()
    assert mnist.read(datasets.data_root(folder) / "mnist", LABELS).tolist() == list(range(10))
    if (datasets.data_root(folder) / "cmu_mocap").exists():
        assert human_motion.skeleton(folder, "35").joints[0] == "root"


@pytest.mark.parametrize("name", FOLDERS)
def test_odd_names_of_folders(tmp_path, content, monkeypatch, name):
    put(tmp_path / name)
    check(tmp_path / name, f"{tmp_path / name}/mine.npz")
    check(f"{tmp_path / name}/", f"{tmp_path / name}//mine.npz/")
    monkeypatch.chdir(tmp_path)
    if name != "~":  # that is the user's folder
        check(name, f"{name}/mine.npz")


def test_the_folder_of_the_user(tmp_path, content, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "data")
    if CMU.is_dir():
        (tmp_path / "data" / "cmu_mocap" / "35").mkdir(parents=True)
        shutil.copyfile(CMU / "35" / "35.asf", tmp_path / "data" / "cmu_mocap" / "35" / "35.asf")
    check("~/data", "~/data/mine.npz")
    monkeypatch.setenv("FLATVAE_DATA", "~/data")
    assert datasets.data_root() == tmp_path / "data"
    assert "~no-such-user/mine.npz is missing" in refused(datasets.load, "arrays", path="~no-such-user/mine.npz")


def test_links_to_files_and_to_folders(tmp_path, content):
    put(tmp_path / "real")
    (tmp_path / "folder").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "file.npz").symlink_to(tmp_path / "real" / "mine.npz")
    check(tmp_path / "folder", tmp_path / "file.npz")
    (tmp_path / "dangling.npz").symlink_to(tmp_path / "gone")
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    assert "is missing, or a folder" in refused(datasets.load, "arrays", path=tmp_path / "dangling.npz")
    assert "cannot be read" in refused(datasets.load, "arrays", path=tmp_path / "loop.npz")


def denied(*_, **__):
    raise PermissionError(13, "Permission denied")


def test_nothing_is_written_where_the_data_are(tmp_path, content, monkeypatch):
    """A folder that can only be read: root may write everywhere, so what writes is replaced."""
    put(tmp_path / "data")
    for name in ("os.mkdir", "os.rename", "os.replace", "os.unlink", "tempfile.mkdtemp"):
        monkeypatch.setattr(name, denied)
    check(tmp_path / "data", tmp_path / "data" / "mine.npz")


@pytest.mark.parametrize("name", ["os.mkdir", "tempfile.mkdtemp"])
def test_a_download_into_a_folder_that_can_only_be_read_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: pytest.fail("the network was asked"))
    if name == "tempfile.mkdtemp":
        (tmp_path / "mnist").mkdir()
    monkeypatch.setattr(name, denied)
    assert "cannot be written ([Errno 13] Permission denied); make the folder writable" in refused(
        datasets.load, "mnist", tmp_path
    )


def test_files_and_folders_that_may_not_be_read_are_refused(tmp_path, content, monkeypatch):
    put(tmp_path)
    real_open, real_stat = Path.open, os.stat
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: denied() if tmp_path in path.parents else real_open(path, *a, **k)
    )
    assert "mine.npz cannot be read (Permission denied)" in refused(datasets.load, "arrays", path=tmp_path / "mine.npz")
    assert "Permission denied" in refused(mnist.read, tmp_path / "mnist", LABELS)
    locked = tmp_path / "locked"
    monkeypatch.setattr(
        os, "stat", lambda path, *a, **k: denied() if str(path).startswith(str(locked)) else real_stat(path, *a, **k)
    )
    monkeypatch.setattr("os.mkdir", denied)
    assert "Permission denied" in refused(mnist.read, locked, LABELS)
    assert "Permission denied" in refused(human_motion.skeleton, locked, "35")
