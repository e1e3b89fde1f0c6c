"""Results of tasks that outlive their job: given back only where they are whole and made from the same things."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from kept import Kept

IDENTITY = {"model": "a", "distances": {"geodesic": {"n_neighbours": 20}}}


@pytest.fixture
def made(tmp_path) -> tuple[Path, list[str]]:
    """A folder in which the two files of the task flatness are kept."""
    outputs = [str(tmp_path / name) for name in ("flatness.csv", "flatness.npz")]
    for output, content in zip(outputs, (b"numbers", b"arrays"), strict=True):
        Path(output).write_bytes(content)
    Kept(tmp_path / ".evaluated", "flatness", IDENTITY).keep(outputs, {"seconds": 2.5})
    return tmp_path / ".evaluated", outputs


def test_files_come_back_after_their_names_have_gone(made):
    folder, outputs = made
    for output in outputs:
        Path(output).unlink()
    assert Kept(folder, "flatness", dict(IDENTITY)).restore(outputs) == {"seconds": 2.5}
    assert [Path(output).read_bytes() for output in outputs] == [b"numbers", b"arrays"]


@pytest.mark.parametrize("change", [{"model": "b"}, {"distances": {"geodesic": {"n_neighbours": 40}}}, {"code": "new"}])
def test_what_was_made_from_other_things_is_not_given(made, change):
    folder, outputs = made
    assert Kept(folder, "flatness", IDENTITY | change).restore(outputs) is None


def test_another_task_is_not_given(made):
    assert Kept(made[0], "likelihood", IDENTITY).restore(made[1]) is None


@pytest.mark.parametrize("file", ["flatness.0", "flatness.1", "flatness.json"])
@pytest.mark.parametrize("damage", [b"", b"numb", b"[]", b'{"identity": 1}', b"\xff\xfe"])
def test_damaged_files_are_not_given(made, file, damage):
    folder, outputs = made
    (folder / file).write_bytes(damage)
    assert Kept(folder, "flatness", IDENTITY).restore(outputs) is None


def test_an_output_changed_in_place_is_not_given_back(made):
    """The names are of one file, so that it takes no space twice."""
    folder, outputs = made
    Path(outputs[0]).write_bytes(b"by hand")
    assert Kept(folder, "flatness", IDENTITY).restore(outputs) is None


def test_without_hard_links_files_are_copied(made, monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError("not supported")

    monkeypatch.setattr("os.link", refuse)
    folder, outputs = made
    Kept(folder, "flatness", {"model": "c"}).keep(outputs, {})
    Path(outputs[1]).write_bytes(b"by hand")
    assert Kept(folder, "flatness", {"model": "c"}).restore(outputs) == {}
    assert Path(outputs[1]).read_bytes() == b"arrays"
