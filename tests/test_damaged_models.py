"""Checkpoints and snapshots with a bit changed, and in odd places: what was written, or one sentence."""

import os
from pathlib import Path

import pytest
import torch
from damage import flipped
from refusal import refused
from safetensors.torch import save_file

import flatvae
from baselines import vae
from flatvae import checkpoint
from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.training import build_seeded
from flatvae.training.resume import Snapshots

IDENTITY = {"code": "1", "seeds": [3, 0]}


def write(path: str | Path, dataset: Dataset, hidden: int = 8) -> dict[str, torch.Tensor]:
    """A checkpoint of an untrained model with seed 3; returns its parameters."""
    build = {"latent_dim": 2, "hidden": [hidden]}
    state = build_seeded(vae, dataset, build, 3).state_dict()
    seeds = [{"seed": 3, "frozen_step": None}, {"seed": 4, "frozen_step": 5}]
    described = {"builder": "baselines.vae:build", "build": build, "dataset": dataset.description(), "seeds": seeds}
    checkpoint.save(path, {name: torch.stack([value, value]) for name, value in state.items()}, described)
    return state


def check_checkpoint(path: Path, state: dict[str, torch.Tensor]) -> None:
    try:
        seeds, model = checkpoint.finite_seeds(path), flatvae.load(path, 3)
    except InputError as error:
        sentence = str(error)
        assert sentence.startswith(f"checkpoint {path} ")
        assert "\n" not in sentence
        assert sentence.endswith(".")
        return
    assert seeds == [3]
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())


def test_every_byte_of_a_small_checkpoint(tiny, tmp_path):
    """Its header, and some of its parameters."""
    path = tmp_path / "model.safetensors"
    state = write(path, tiny, hidden=4)
    raw = path.read_bytes()
    header = 8 + int.from_bytes(raw[:8], "little")
    for place in (*range(header), *range(header, len(raw), 11)):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        check_checkpoint(path, state)


def test_bits_of_a_large_checkpoint(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    state = write(path, tiny, hidden=60_000)
    raw = path.read_bytes()
    assert len(raw) > 9_000_000
    for damaged in (*flipped(raw, 4, len(raw) // 2), *flipped(raw, 2, len(raw) - 3)):
        path.write_bytes(damaged)
        assert "is damaged: its content does not match its hash" in refused(flatvae.load, path, 3)
        assert "is damaged: its content does not match its hash" in refused(checkpoint.metadata, path)
    path.write_bytes(raw)
    check_checkpoint(path, state)


@pytest.mark.parametrize(
    "text", ["[]", "3", '"a"', "{}", "null", "[" * 100_000, "{", '{"version": 2}', '{"version": 2, "sha256": 1}']
)
def test_headers_that_others_wrote_are_refused(tmp_path, text):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors", {"flatvae": text})
    assert "is damaged: its content does not match its hash" in refused(checkpoint.metadata, tmp_path / "a.safetensors")


@pytest.mark.parametrize("size", [5, 300_000], ids=["small", "large"])
def test_bits_of_a_snapshot(tmp_path, capsys, size):
    """The tensors as they were written, or none and a line that says so."""
    snapshots = Snapshots(tmp_path / "s.safetensors", IDENTITY, 0)
    tensors = {"a": torch.arange(float(size)), "count": torch.tensor([7, 0]), "alive": torch.tensor([True, False])}
    snapshots.write(tensors)
    raw = snapshots.path.read_bytes()
    if size == 5:
        places = ((place, 1 << (place % 8)) for place in range(len(raw)))
        copies = (raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :] for place, bit in places)
    else:
        copies = flipped(raw, 20, len(raw) // 2)
    for damaged in copies:
        snapshots.path.write_bytes(damaged)
        assert snapshots.read() is None
        assert capsys.readouterr().out == f"{snapshots.path} is damaged; the training starts anew\n"
    snapshots.path.write_bytes(raw)
    found = snapshots.read()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_a_snapshot_of_another_type_or_that_may_not_be_read(tmp_path, monkeypatch, capsys):
    snapshots = Snapshots(tmp_path / "s.safetensors", IDENTITY, 0)
    save_file({"a": torch.ones(4, dtype=torch.bfloat16)}, snapshots.path, {"identity": snapshots.identity})
    assert snapshots.read() is None
    assert "s.safetensors is damaged; the training starts anew" in capsys.readouterr().out
    monkeypatch.setattr("flatvae.training.resume.safe_open", denied)
    assert snapshots.read() is None
    assert "s.safetensors cannot be read (Permission denied); the training starts anew" in capsys.readouterr().out


FOLDERS = ["a b", 'it\'s "q"', "{x}[1]*?", "größe_数据", "#%$&;"]


@pytest.mark.parametrize("name", FOLDERS)
def test_odd_names(tiny, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    state = write(f"{folder}/{name}.safetensors", tiny)
    check = flatvae.load(f"{folder}//{name}.safetensors/", 3).state_dict()
    assert all(torch.equal(value, check[key]) for key, value in state.items())
    snapshots = Snapshots(f"{folder}/sub/{name}.safetensors", IDENTITY, 0)
    snapshots.write({"a": torch.ones(2)})
    assert Snapshots(snapshots.path, IDENTITY, 0).read()["a"].tolist() == [1, 1]
    (snapshots.path.parent / f".{name}.safetensors.123").touch()  # what a killed process left
    snapshots.remove()
    assert [path.name for path in folder.iterdir()] == [f"{name}.safetensors"]


def test_the_folder_of_the_user_and_links(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    state = write("~/model.safetensors", tiny)
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "model.safetensors")
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    for path in ("~/model.safetensors", "~/link.safetensors", "~/folder/model.safetensors"):
        found = flatvae.load(path, 3).state_dict()
        assert all(torch.equal(value, found[name]) for name, value in state.items())
        assert checkpoint.finite_seeds(path) == [3]
    Snapshots("~/s/s.safetensors", IDENTITY, 0).write({"a": torch.ones(2)})
    assert (tmp_path / "s" / "s.safetensors").is_file()
    assert "~no-such-user/m.safetensors does not exist" in refused(flatvae.load, "~no-such-user/m.safetensors", 0)


def denied(*_, **__):
    raise PermissionError(13, "Permission denied")


def test_a_training_goes_on_in_a_folder_that_can_only_be_read(tmp_path, monkeypatch, capsys):
    """root may write everywhere, so the calls that write are replaced."""
    snapshots = Snapshots(tmp_path / "new" / "s.safetensors", IDENTITY, 0)
    monkeypatch.setattr(os, "mkdir", denied)
    monkeypatch.setattr(os, "unlink", denied)
    snapshots.write({"a": torch.ones(2)})
    snapshots.remove()
    assert capsys.readouterr().out == (
        f"warning: {snapshots.path} could not be written ([Errno 13] Permission denied); the training goes on\n"
    )


def test_a_checkpoint_that_may_not_be_read_is_refused(tiny, tmp_path, monkeypatch):
    write(tmp_path / "model.safetensors", tiny)
    monkeypatch.setattr(checkpoint, "safe_open", denied)
    assert "model.safetensors cannot be read ([Errno 13] Permission denied); make it readable." in refused(
        flatvae.load, tmp_path / "model.safetensors", 3
    )
