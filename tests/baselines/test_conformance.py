"""What every method must hold, the paper's included: found by listing the folder, so that a new file is tested as it is.

On Gaussian and Bernoulli data, with n = 2 and n = 8, vectorised over two seeds.
"""

import functools
import importlib
import inspect
import tempfile
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import flatvae
from flatvae import training
from flatvae.datasets import Dataset
from flatvae.evaluation.likelihood import log_marginal
from flatvae.training import Trainer, split_hyperparameters

ROOT = Path(__file__).resolve().parents[2]
SEEDS = [3, 8]
STEPS = 100  # the first in the initial phase, the others after it, with the penalty
COMMON = {"bound": 0.5, "steps": STEPS, "batch_size": 16, "initial_fraction": 0.0, "initial_beta": 0.05}
NETWORK = {"hidden": [12, 10], "prior_hidden": [8], "n_prior_samples": 3}


def discovered() -> list[str]:
    """Modules of methods: every file of baselines/ with a ``build``, the template of a new one, and the paper's method."""
    files = sorted((ROOT / "baselines").glob("[!_]*.py"))
    names = [f"baselines.{file.stem}" for file in files]
    return [name for name in names if hasattr(importlib.import_module(name), "build")] + [
        "baselines._template",
        "flatvae.flat_vae",
    ]


@functools.cache
def data(likelihood: str) -> Dataset:
    """64 + 24 + 24 observations in R^12, a curved image of R^8."""
    source = torch.Generator().manual_seed(7)
    values = torch.tanh(torch.randn(112, 8, generator=source) @ torch.randn(8, 12, generator=source) / 2)
    values = (values + 1) / 2 if likelihood == "bernoulli" else values
    return Dataset("curved", *values.split([64, 24, 24]), likelihood, (3, 4))


class Case:
    """A method on a kind of data, trained once for all tests."""

    def __init__(self, name: str, likelihood: str, latent_dim: int):
        self.name, self.dataset, self.latent_dim = name, data(likelihood), latent_dim
        self.module: ModuleType = importlib.import_module(name)
        self.hyperparameters = COMMON | NETWORK | {"latent_dim": latent_dim}
        self.fitted = hasattr(self.module, "fit")

    def make(self, seeds: list[int], folder: Path) -> Path:
        """The folder with what a training writes."""
        training.train_and_save(
            self.name,
            self.dataset,
            self.hyperparameters,
            seeds,
            device="cpu",
            label=self.name,
            model_path=folder / "model.safetensors",
            history_path=folder / "history.csv",
            metrics_path=folder / "training.csv",
        )
        return folder

    @functools.cached_property
    def folder(self) -> Path:
        self.kept = tempfile.TemporaryDirectory(prefix="conformance")  # deleted with this case
        return self.make(SEEDS, Path(self.kept.name))

    def load(self, seed: int = SEEDS[1]):
        return flatvae.load(self.folder / "model.safetensors", seed)

    def trainer(self, **options) -> Trainer:
        return Trainer(self.module, self.dataset, self.hyperparameters, SEEDS, **options)


@functools.cache
def the_case(name: str, likelihood: str, latent_dim: int) -> Case:
    return Case(name, likelihood, latent_dim)


@pytest.fixture(params=[2, 8], ids="n={}".format)
def latent_dim(request) -> int:
    return request.param


@pytest.fixture(params=["gaussian", "bernoulli"])
def likelihood(request) -> str:
    return request.param


@pytest.fixture(params=discovered())
def case(request, likelihood, latent_dim) -> Case:
    return the_case(request.param, likelihood, latent_dim)


def only_trained(case: Case) -> None:
    if case.fitted:
        pytest.skip("has fit: is not trained by gradients")


def errors(case: Case, model) -> float:
    """Mean reconstruction error of the training data with fixed noise."""
    noise = torch.randn(64, model.noise_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(case.dataset.train, noise).error.mean().item()


def test_losses_and_parameters_stay_finite_and_the_error_falls(case):
    history = pd.read_csv(case.folder / "history.csv")
    assert history.notna().all(axis=None)
    assert history["seed"].tolist() == SEEDS * (1 if case.fitted else STEPS)  # a row for every step
    assert history["initial"].tolist() == ([0, 0] if case.fitted else [1, 1] + [0, 0] * (STEPS - 1))
    rows = pd.read_csv(case.folder / "training.csv")
    assert rows[rows["metric"] == "frozen"]["value"].tolist() == [0, 0]
    assert all(value.isfinite().all() for value in load_file(case.folder / "model.safetensors").values())
    if not case.fitted:
        for seed in SEEDS:
            build = split_hyperparameters(case.module, case.hyperparameters)[0]
            fresh = training.build_seeded(case.module, case.dataset, build, seed)
            assert errors(case, case.load(seed)) < errors(case, fresh)


def test_encodes_and_decodes_every_row_by_itself_within_range(case):
    model, x = case.load(), case.dataset.test
    z = model.encode(x)
    assert z.shape == (24, case.latent_dim)
    decoded = model.decode(5 * z)
    assert decoded.shape == x.shape
    torch.testing.assert_close(torch.cat([model.encode(row) for row in x.split(1)]), z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.cat([model.decode(5 * row) for row in z.split(5)]), decoded, rtol=1e-4, atol=1e-5)
    if case.dataset.likelihood == "bernoulli":
        assert decoded.min() >= 0
        assert decoded.max() <= 1


def test_is_the_same_again_and_what_is_loaded_is_what_was_trained(case, tmp_path):
    again = case.make(SEEDS, tmp_path)
    for name in ("model.safetensors", "history.csv", "training.csv"):
        assert (again / name).read_bytes() == (case.folder / name).read_bytes()
    state = load_file(again / "model.safetensors")
    for index, seed in enumerate(SEEDS):
        loaded = case.load(seed).state_dict()
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[name], value[index]) for name, value in state.items())
    assert not torch.equal(case.load(3).encoder.network[0].weight, case.load(8).encoder.network[0].weight) or (
        case.fitted  # a closed form has no seed
    )


def test_a_seed_among_others_equals_the_seed_alone(case):
    make = training.fit if case.fitted else functools.partial(training.train, dtype=torch.float64)
    states = [
        make(case.module, case.dataset, case.hyperparameters, seeds, device="cpu", label="").state
        for seeds in (SEEDS, SEEDS[1:])
    ]
    for name, together in states[0].items():
        torch.testing.assert_close(
            together[1], states[1][name][0], rtol=0, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_gradient_reaches_every_parameter_of_every_seed(case):
    only_trained(case)
    trainer = case.trainer(dtype=torch.float64)
    x, noise, uniform, probe = trainer._draw()
    error, kl, penalty, _ = trainer._mapped(trainer.objective, "model.", trainer.params, x, noise, uniform, probe)
    loss = error + 0.05 * (kl + penalty)
    gradients = torch.autograd.grad(loss.sum(), list(trainer.params.values()), materialize_grads=True)
    for name, gradient in zip(trainer.params, gradients, strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.flatten(1).abs().amax(1).min() > 0, name


def test_the_penalty_trains_the_decoder_alone_and_is_a_scalar_not_below_zero(case):
    only_trained(case)
    if not hasattr(case.module, "penalty"):
        pytest.skip("has no penalty")
    model = case.trainer(dtype=torch.float64).model
    source = torch.Generator().manual_seed(0)
    z, noise = torch.randn(2, 16, case.latent_dim, dtype=torch.float64, generator=source)
    value = case.module.penalty(model.decode, z, noise)
    assert value.shape == ()
    assert value.item() >= 0
    gradients = torch.autograd.grad(value, list(model.parameters()), materialize_grads=True)
    moved = {name for (name, _), g in zip(model.named_parameters(), gradients, strict=True) if g.any()}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)


def test_a_step_reads_nothing_on_the_host(case, monkeypatch):
    only_trained(case)
    trainer = case.trainer()
    trainer.bound.end_initial_phase(force=True)
    trainer.step(trainer.objective)

    def forbidden(*_):
        raise AssertionError(f"{case.name}: a step of the training reads a tensor on the host")

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__"):
        monkeypatch.setattr(torch.Tensor, name, forbidden)
    trainer.step(trainer.objective)


def test_the_tasks_that_need_the_prior_can_use_it(case):
    """log p(x) is finite; and the prior's samples are where its density says: E_p[r/p] = 1 for a narrow density r."""
    model = case.load().double()
    estimate = log_marginal(model, case.dataset.test[:3], 0.1, 16, 3, torch.Generator().manual_seed(0))
    assert estimate.log_density.isfinite().all()
    if case.latent_dim > 2:
        return  # there the weights vary too much for a quick average
    noise = torch.randn(40_000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    z = model.prior.sample(noise)
    assert z.shape == (40_000, 2)
    narrow = torch.distributions.MultivariateNormal(z.mean(0), 0.5 * torch.cov(z.T))
    width = model.prior.noise_size and 20 * case.latent_dim
    log_p = model.prior.log_density(z, torch.randn(40_000, width, dtype=torch.float64, generator=torch.Generator()))
    assert torch.exp(narrow.log_prob(z) - log_p).mean().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", discovered())
def test_hyperparameters_are_keywords_with_defaults_and_others_are_refused(name):
    """The config is checked by these names; and a method with nothing in its entry runs."""
    module = importlib.import_module(name)
    for function, first in (("build", 1), ("penalty", 3), ("fit", 1)):
        if not hasattr(module, function):
            continue
        parameters = list(inspect.signature(getattr(module, function)).parameters.values())
        own = [p for p in parameters[first:] if p.name != "seed" and p.kind is not p.VAR_KEYWORD]
        assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in own)
    with pytest.raises(TypeError, match="no_such"):
        module.build(data("gaussian"), no_such=1)
    if hasattr(module, "penalty"):
        with pytest.raises(TypeError, match="no_such"):
            module.penalty(lambda z: z, torch.ones(4, 2), torch.ones(4, 2), no_such=1)
    if hasattr(module, "fit"):
        with pytest.raises(TypeError, match="no_such"):
            module.fit(data("gaussian"), seed=0, no_such=1)
