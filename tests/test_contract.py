"""What a method's file must keep, and the sentence that says so where it does not."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from baselines import pca, vae
from flatvae import checkpoint, contract, datasets
from flatvae.errors import ContractError, InputError
from flatvae.training import Trainer, estimated_seconds, fit, hand_over

SETTINGS = {"bound": 1.0, "steps": 100, "batch_size": 8, "latent_dim": 2, "hidden": [6]}


@pytest.fixture(scope="module")
def pendulum():
    return datasets.load("pendulum", train=32, validation=4, test=4)


def method(build=vae.build, **functions) -> SimpleNamespace:
    """A module of a baseline."""
    return SimpleNamespace(__name__="baselines.own", build=build, **functions)


def changed(name: str, function):
    """A ``build`` whose model has another function."""

    def build(dataset, *, latent_dim: int = 2, hidden=(6,)):
        model = vae.build(dataset, latent_dim=latent_dim, hidden=hidden)
        setattr(model, name, function)
        return model

    return build


def raising(*_, **__):
    raise KeyError("nothing")


def with_buffer(dataset, *, latent_dim: int = 2):
    model = vae.build(dataset, latent_dim=latent_dim)
    model.register_buffer("constant", torch.zeros(1))
    return model


FORWARD = r"own\.py: the model that build makes, called with x and noise, in its term"
BROKEN = {
    "build raises": (raising, r"baselines/own\.py: build failed with KeyError: 'nothing'; fix it"),
    "a plain module": (lambda dataset: nn.Linear(2, 2), r"build returned a Linear; it must return a flatvae\.model"),
    "encode raises": (
        changed("encode", raising),
        r"own\.py: encode of the model that build makes failed with KeyError",
    ),
    "encode's shape": (
        changed("encode", lambda x: x),
        r"encode of .* returned the shape \(4, 256\); it must be \(4, 2\)",
    ),
    "decode's type": (
        changed("decode", lambda z: None),
        r"decode .* returned a NoneType; it must return a tensor of shape \(4, 256\)",
    ),
    "decode's values": (
        changed("decode", lambda z: torch.full((len(z), 256), torch.nan)),
        "decode of .* returned NaN or infinite",
    ),
    "averaged terms": (
        changed("forward", lambda x, e: (x.mean(), x.mean(), x)),
        rf"{FORWARD} error returned the shape \(\);",
    ),
    "a buffer": (with_buffer, r"own\.py: build returned a model with buffers; keep constants as attributes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_model_that_does_not_keep_it_is_refused_before_training(pendulum, case):
    build, sentence = BROKEN[case]
    with pytest.raises(ContractError, match=sentence):
        Trainer(method(build), pendulum, SETTINGS, [0])


PENALTIES = {
    "raises": (raising, r"own\.py: penalty failed with KeyError"),
    "a vector": (lambda decode, z, noise: decode(z).sum(-1), r"penalty returned the shape \(4,\); it must be \(\)"),
    "a number": (lambda decode, z, noise: 1.0, "penalty returned a float; it must return a tensor"),
    "infinite": (lambda decode, z, noise: decode(z).sum() / 0, "penalty returned NaN or infinite values"),
    "gradient": (
        lambda decode, z, noise: (decode(z) * 0).sum().abs().sqrt(),
        "penalty has a gradient with NaN or infinite",
    ),
}


@pytest.mark.parametrize("case", PENALTIES)
def test_a_penalty_that_does_not_keep_it_is_refused_before_training(pendulum, case):
    penalty, sentence = PENALTIES[case]
    with pytest.raises(ContractError, match=sentence):
        Trainer(method(penalty=penalty), pendulum, SETTINGS, [0])


def test_bad_hyperparameters_keep_their_own_sentence(pendulum):
    with pytest.raises(InputError, match="activation 'relu' is not among this suite's smooth ones") as caught:
        Trainer(vae, pendulum, SETTINGS | {"activation": "relu"}, [0])
    assert not isinstance(caught.value, ContractError)


def test_a_fit_must_make_what_build_makes(pendulum):
    def other(dataset, *, seed, latent_dim=2, hidden=(6,)):
        return vae.build(dataset, latent_dim=latent_dim, hidden=[7])

    where = {"device": torch.device("cpu"), "label": "own"}
    with pytest.raises(ContractError, match=r"the model that fit makes differs from build's in decoder\.0\.bias"):
        fit(method(fit=other), pendulum, SETTINGS, [0], **where)
    with pytest.raises(ContractError, match=r"own\.py: fit failed with KeyError"):
        fit(method(fit=raising), pendulum, SETTINGS, [0], **where)


def test_a_step_that_cannot_be_mapped_over_seeds_is_said_beforehand(pendulum, monkeypatch):
    def branching(decode, z, noise):
        return decode(z).sum() if z.sum() > 0 else decode(z).mean()

    own = SimpleNamespace(import_module=lambda name: method(penalty=branching))
    monkeypatch.setattr(
        "flatvae.training.results.importlib", own
    )  # and not Python's own, by which torch loads parts of itself
    with pytest.raises(
        ContractError, match=r"own\.py: a training step, all seeds at once by torch\.func\.vmap, failed with"
    ):
        estimated_seconds("baselines.own", pendulum, SETTINGS, 2)


def test_models_made_elsewhere_are_handed_over_whole(pendulum, tmp_path):
    """PCA's models, handed over as by a rule of its own, leave what its fit leaves."""
    from flatvae.training import train_and_save

    settings = {name: SETTINGS[name] for name in ("bound", "steps", "batch_size", "latent_dim")}
    names = {
        f"{name}_path": file for name, file in (("model", "m.safetensors"), ("history", "h.csv"), ("metrics", "t.csv"))
    }
    common = {"builder": "baselines.pca", "dataset": pendulum, "hyperparameters": settings, "label": "pca"}
    for folder in ("fit", "own"):
        (tmp_path / folder).mkdir()
    train_and_save(**common, seeds=[0, 4], device="cpu", **{k: tmp_path / "fit" / v for k, v in names.items()})
    models = {seed: pca.fit(pendulum, seed=seed) for seed in (0, 4)}
    hand_over(models, **common, **{k: tmp_path / "own" / v for k, v in names.items()})
    for file in names.values():
        assert (tmp_path / "own" / file).read_bytes() == (tmp_path / "fit" / file).read_bytes()
    assert [s["beta"] for s in checkpoint.metadata(tmp_path / "own" / "m.safetensors")["seeds"]] == [None, None]
    models[4].decoder[0].bias.data[0] = torch.nan
    with pytest.raises(
        ContractError, match=r"baselines/pca\.py: decode of the model that its own rule makes returned NaN"
    ):
        hand_over(models, **common, **{k: tmp_path / "own" / v for k, v in names.items()})


def test_the_contract_names_the_file():
    assert contract.file_of(vae) == "baselines/vae.py"
