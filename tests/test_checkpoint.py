"""What is written is what is read; what is no checkpoint is said to be none, in one sentence that names it."""

import dataclasses
import json
import sys
import types

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import flatvae
from baselines import vae, vhp_vae
from flatvae import checkpoint, flat_vae
from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.training import build_seeded

BUILDS = {
    "baselines.vae": (vae, {"latent_dim": 3, "hidden": [8, 5], "activation": "silu"}),
    "baselines.vhp_vae": (vhp_vae, {"latent_dim": 2, "hidden": [8], "prior_hidden": [4], "n_prior_samples": 3}),
    "flatvae.flat_vae": (flat_vae, {"latent_dim": 2, "hidden": [8], "prior": "normal"}),
}
SEEDS = [4, 0, 17]


def write(path, dataset: Dataset, builder: str = "baselines.vae", **changes) -> list:
    """A checkpoint of untrained models, one per seed; returns the models."""
    module, build = BUILDS[builder]
    models = [build_seeded(module, dataset, build, seed) for seed in SEEDS]
    state = {name: torch.stack([m.state_dict()[name] for m in models]) for name in models[0].state_dict()}
    seeds = [{"seed": s, "frozen_step": 5 if s == 0 else None, "beta": 0.1 * s} for s in SEEDS]
    description = {"builder": f"{builder}:build", "build": build, "dataset": dataset.description(), "seeds": seeds}
    checkpoint.save(path, state, description | changes)
    return models


def assert_one_sentence(error: pytest.ExceptionInfo, path) -> None:
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    assert ". " not in message.replace(str(path), "")


@pytest.mark.parametrize("builder", BUILDS)
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_round_trip(builder, likelihood, tiny, tmp_path):
    dataset = dataclasses.replace(tiny, likelihood=likelihood)
    path = tmp_path / "model.safetensors"
    models = write(path, dataset, builder, penalty={"eta": 2.5})
    random_state = torch.get_rng_state()
    z = torch.randn(5, models[0].latent_dim, generator=torch.Generator().manual_seed(0))
    for seed, model in zip(SEEDS, models, strict=True):
        loaded = flatvae.load(path, seed)
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
        # to rounding: products of weights that require gradients need not round as those of weights that do not
        torch.testing.assert_close(loaded.decode(z), model.decode(z))
        torch.testing.assert_close(loaded.encode(tiny.test), model.encode(tiny.test))
        noise = torch.randn(24, model.noise_size, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(loaded(tiny.test, noise).kl, model(tiny.test, noise).kl, rtol=1e-5, atol=1e-5)
        assert loaded.config["seed"] == seed
        assert loaded.config["penalty"] == {"eta": 2.5}
        assert not any(p.requires_grad for p in loaded.parameters())
        assert not loaded.training
    assert torch.equal(torch.get_rng_state(), random_state)
    assert checkpoint.finite_seeds(str(path)) == [4, 17]


def test_loads_in_another_folder_without_config_or_data(tiny, tmp_path, monkeypatch):
    """The data set's file is gone and the working folder is empty: the header alone rebuilds the model."""
    path = tmp_path / "model.safetensors"
    (model, *_) = write(path, dataclasses.replace(tiny, name="a_data_set_that_is_no_more"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    moved = path.rename(elsewhere / "renamed.safetensors")
    torch.testing.assert_close(flatvae.load(moved.name, 4).encode(tiny.test), model.encode(tiny.test))


def test_metadata_is_json_in_the_header(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    write(path, tiny)
    with safe_open(path, framework="pt") as file:
        assert list(file.metadata()) == ["flatvae"]  # several entries would stand in no fixed order
        header = json.loads(file.metadata()["flatvae"])
    assert header == checkpoint.metadata(path)
    assert header["version"] == checkpoint.VERSION
    assert header["dataset"] == tiny.description()


def test_views_and_transposed_parameters_are_written_as_they_read(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    values = torch.arange(12.0).view(3, 4)
    checkpoint.save(path, {"transposed": values.T, "view": values[:, 1:3]}, {})
    stored = load_file(path)
    assert torch.equal(stored["transposed"], values.T)
    assert torch.equal(stored["view"], values[:, 1:3])


class TestErrors:
    @pytest.fixture
    def path(self, tiny, tmp_path):
        path = tmp_path / "model.safetensors"
        write(path, tiny)
        return path

    def check(self, path, match: str, seed: int = 4) -> None:
        with pytest.raises(InputError, match=match) as error:
            flatvae.load(path, seed)
        assert_one_sentence(error, path)

    def test_missing(self, tmp_path):
        self.check(tmp_path / "nothing.safetensors", "does not exist")

    @pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
    def test_truncated(self, path, kept):
        content = path.read_bytes()
        path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
        self.check(path, "truncated")

    @pytest.mark.parametrize("place", [None, b"8, 5", b"latent_dim", b": {"])
    def test_one_bit_is_another(self, path, place):
        """In the last parameter; in a value and a key of the header; and so that this is JSON no more."""
        content = bytearray(path.read_bytes())
        content[content.index(place) if place else -1] ^= 1
        path.write_bytes(content)
        self.check(path, "damaged")

    def test_not_safetensors(self, path):
        path.write_bytes(b"\x80\x02}q\x00." * 100)
        self.check(path, "not a safetensors file")

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
    def test_of_something_else(self, path, metadata):
        save_file({"weight": torch.ones(3)}, path, metadata=metadata)
        self.check(path, "not written by flatvae")

    def test_of_another_version(self, path, tiny, monkeypatch):
        monkeypatch.setattr(checkpoint, "VERSION", 7)
        write(path, tiny)
        monkeypatch.undo()
        self.check(path, "format version 7")

    def test_without_the_seed(self, path):
        self.check(path, "no seed 3; it holds 4, 0, 17", seed=3)

    @pytest.mark.parametrize("builder", ["baselines.gone:build", "baselines.vae:gone"])
    def test_builder_is_missing(self, path, tiny, builder):
        write(path, tiny)
        content = checkpoint.metadata(path) | {"builder": builder}
        checkpoint.save(path, load_file(path), content)
        self.check(path, builder)

    def test_builder_takes_other_hyperparameters(self, path, tiny):
        write(path, tiny, build={"latent_dim": 3, "depth": 2})
        self.check(path, "hyperparameters")

    @pytest.mark.parametrize("build", [{"hidden": [9, 5]}, {"hidden": [8]}, {"latent_dim": 2}])
    def test_network_has_changed(self, path, tiny, build):
        write(path, tiny, build=BUILDS["baselines.vae"][1] | build)
        self.check(path, "does not fit the model that baselines.vae:build builds now")

    def test_builder_now_refuses_its_hyperparameters(self, path, tiny):
        """An activation or data description that the code of today rejects: the message names the checkpoint too."""
        write(path, tiny, build=BUILDS["baselines.vae"][1] | {"activation": "relu"})
        self.check(path, "relu")

    def test_a_defect_of_the_builder_is_not_blamed_on_the_file(self, path, tiny, monkeypatch):
        module = types.ModuleType("broken_builder")
        module.build = lambda dataset, **_: 1 / 0
        monkeypatch.setitem(sys.modules, "broken_builder", module)
        write(path, tiny)
        content = checkpoint.metadata(path) | {"builder": "broken_builder:build"}
        checkpoint.save(path, load_file(path), content)
        with pytest.raises(ZeroDivisionError):
            flatvae.load(path, 4)


class TestAtomic:
    def test_an_exception_while_writing_leaves_the_old_file(self, tiny, tmp_path, monkeypatch):
        path = tmp_path / "model.safetensors"
        write(path, tiny)
        before = path.read_bytes()

        def interrupted(tensors, beside, metadata):
            beside.write_bytes(b"half a file")
            raise OSError("no space left on device")

        monkeypatch.setattr(checkpoint, "save_file", interrupted)
        with pytest.raises(OSError, match="no space"):
            write(path, tiny, "baselines.vhp_vae")
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]  # nor is half a file left beside it

    def test_metadata_that_json_cannot_hold_leave_the_old_file(self, tiny, tmp_path):
        path = tmp_path / "model.safetensors"
        write(path, tiny)
        before = path.read_bytes()
        with pytest.raises(TypeError):
            write(path, tiny, penalty={"eta": object()})
        assert path.read_bytes() == before

    def test_success_leaves_one_file(self, tiny, tmp_path):
        for _ in range(2):
            write(tmp_path / "model.safetensors", tiny)
        assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
