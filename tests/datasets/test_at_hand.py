"""Which data sets are at hand: what the readers would find in a folder of data."""

from pathlib import Path

import pytest

from flatvae import datasets
from flatvae.datasets import _at_hand, _cmu, mnist
from flatvae.errors import InputError


def found(root: Path) -> dict[str, tuple[str, str]]:
    return {name: (state, where) for name, state, where in _at_hand.at_hand(root)}


def touched(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_of_an_empty_folder(tmp_path):
    told = found(tmp_path)
    assert list(told) == datasets.names()
    assert {name: state for name, (state, _) in told.items()} == {
        "arrays": "–",
        "crowd": "yes",
        "digits": "yes",
        "pendulum": "yes",
        "human_motion": "no",
        "mnist": "no",
        "mot": "no",
    }
    assert "downloads them from ossci-datasets.s3.amazonaws.com" in told["mnist"][1]
    assert "4 such as 35/35_24_from_expmap.amc: put these there" in told["human_motion"][1]
    assert "get TUD-Campus, ETH-Sunnyday, TUD-Stadtmitte from https://motchallenge.net" in told["mot"][1]


def test_mnist_under_each_of_the_names_that_its_reader_takes(tmp_path):
    first, second, third, fourth = mnist.SHA256
    touched(tmp_path / "mnist" / first)
    touched(tmp_path / "mnist" / second.removesuffix(".gz"))
    touched(tmp_path / "mnist" / third.removesuffix(".gz").replace("-idx", ".idx"))
    assert found(tmp_path)["mnist"][0] == "in part"
    assert found(tmp_path)["mnist"][1].startswith(f"1 of 4 files are not in {tmp_path / 'mnist'}: ")
    touched(tmp_path / "mnist" / fourth)
    assert found(tmp_path)["mnist"] == ("yes", f"4 files in {tmp_path / 'mnist'}")


def test_videos_that_are_missing_are_named(tmp_path):
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        (tmp_path / "mot" / name).mkdir(parents=True)
    state, where = found(tmp_path)["mot"]
    assert state == "in part"
    assert "get ETH-Sunnyday from" in where


def test_recordings_that_the_site_has_not_are_those_that_the_reader_refuses(tmp_path):
    """With these four in place a run downloads all others, and this says so."""
    for file in _cmu.TRIALS["jogging"]:
        touched(tmp_path / "cmu_mocap" / file)
    state, where = found(tmp_path)["human_motion"]
    assert (state, where.endswith("a run downloads them from mocap.cs.cmu.edu")) == ("in part", True)
    _cmu._check_can_be_had(tmp_path / "cmu_mocap", [file for of in _cmu.TRIALS.values() for file in of])
    (tmp_path / "cmu_mocap" / "35" / "35_24_from_expmap.amc").unlink()
    assert "but 1 such as 35/35_24_from_expmap.amc" in found(tmp_path)["human_motion"][1]
    with pytest.raises(InputError, match="35/35_24_from_expmap"):
        _cmu._check_can_be_had(tmp_path / "cmu_mocap", list(_cmu.TRIALS["jogging"]))
