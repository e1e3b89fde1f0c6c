"""Compiled steps against plain ones: by inductor once, and for every method as the list of operations that it is given."""

import os
import re
import shutil
import sysconfig

import pytest
import torch
from test_replay import assert_same_training, gpu, on_cpu, run  # noqa: F401  on_cpu is a fixture
from test_resume import Interrupting, assert_same
from test_training import HYPERPARAMETERS, METHODS, end_phase, methods
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.utils import clear_caches, fresh_cache

from flatvae.errors import InputError
from flatvae.training import Settings, Trainer, keep_cache, snapshots_at, step_timer, train
from flatvae.training.compiled import CACHE, compiles, lacking
from flatvae.training.resume import Interrupted, Snapshots

OPTIONS = HYPERPARAMETERS | {"decay_fraction": 1.0, "steps": 130}
needs_compiler = pytest.mark.skipif(lacking("cpu") is not None, reason="needs a C++ compiler and Python's headers")


def replace_compiler(monkeypatch, compiler) -> None:
    """``compiler`` in the place of torch.compile, and none is missing."""
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiler(function))
    monkeypatch.setattr("flatvae.training.compiled.lacking", lambda kind: None)


@pytest.fixture
def unfused(monkeypatch):
    """The step's list of operations, not fused: seconds in place of half a minute."""
    replace_compiler(monkeypatch, lambda function: function)


def trainer(module, data, options: dict, compiling: str = "always", device: str = "cpu", **how) -> Trainer:
    return Trainer(module, data, OPTIONS | options | {"compile": compiling}, [3, 0, 7], device, **how)


@methods
def test_compiled_steps_are_the_plain_ones(module, options, tiny, unfused):
    """Through the phases, and where a seed turns NaN; the whole step, as on a GPU."""
    plain, compiled = (trainer(module, tiny, options, choice) for choice in ("never", "always"))
    compiled.stacked = True
    for one in (plain, compiled):
        run(one)
    assert len(compiled.fused) == 1 + hasattr(module, "penalty")
    assert not plain.fused
    compiled.compiled = False
    assert_same_training(plain, compiled)


@needs_compiler
def test_a_hundred_compiled_steps_by_inductor_also_from_a_snapshot_with_an_empty_cache(tiny, tmp_path, monkeypatch):
    module, options = METHODS["vae"]

    def keep_in(folder: str) -> None:
        monkeypatch.setenv(CACHE, str(tmp_path / folder))
        clear_caches()

    def started(compiling: str = "always") -> Trainer:
        one = trainer(module, tiny, options, compiling)
        end_phase(one, lambda seed: True)
        return one

    plain, compiled = started("never"), started()
    keep_in("first")
    compiled.run_block(30)
    kept = {name: tensor.clone() for name, tensor in compiled.snapshot().items()}
    compiled.run_block(70)
    made = set((tmp_path / "first").rglob("*.so"))
    plain.run_block(30)
    plain.run_block(70)
    for name, tensor in plain.snapshot().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(compiled.snapshot()[name], tensor, rtol=1e-4, atol=1e-4)
    for folder, new in (("first", False), ("second", True)):
        keep_in(folder)
        resumed = started()
        resumed.prepare()
        resumed.restore(kept)
        resumed.run_block(70)
        assert bool(set((tmp_path / folder).rglob("*.so")) - made) == new
        for name, tensor in compiled.snapshot().items():
            assert torch.equal(resumed.snapshot()[name], tensor), name


@gpu
@methods
def test_compiled_steps_as_graphs_are_the_plain_ones_on_a_gpu(module, options, tiny):
    plain = trainer(module, tiny, options, "never", "cuda", graphs=False)
    compiled = trainer(module, tiny, options, "always", "cuda")
    for one in (plain, compiled):
        run(one)
        one.run_block(30)
    assert compiled.graphs
    assert compiled.compiled
    compiled.compiled = False
    assert_same_training(plain, compiled)


@gpu
def test_a_compiled_training_on_a_gpu_goes_on_from_a_snapshot_with_an_empty_cache(tiny, tmp_path):
    whole, resumed = (
        trainer(*METHODS["flat_vae probe"][:1], tiny, METHODS["flat_vae probe"][1], device="cuda") for _ in range(2)
    )
    with fresh_cache(dir=str(tmp_path)):
        whole.run_block(20)
        kept = {name: tensor.clone() for name, tensor in whole.snapshot().items()}
        whole.run_block(30)
    with fresh_cache(dir=str(tmp_path)):
        resumed.restore(kept)
        resumed.run_block(30)
    for name, tensor in whole.snapshot().items():
        assert torch.equal(resumed.snapshot()[name], tensor), name


def test_interruptions_leave_no_trace(tiny, unfused, tmp_path, capsys):
    module, options = METHODS["flat_vae probe"]
    settings = OPTIONS | options | {"compile": "always", "bound": 0.3}
    expected = train(module, tiny, settings, [3, 0], label="tiny")
    assert len(re.findall(r"tiny: compiled the training step in \d+ s", capsys.readouterr().out)) == 1
    for steps in (0, 33, 60):
        snapshots = Interrupting(tmp_path / "s.safetensors", {}, 1e9)
        snapshots.after = steps
        with pytest.raises(Interrupted):
            train(module, tiny, settings, [3, 0], snapshots=snapshots)
    assert_same(
        train(module, tiny, settings, [3, 0], snapshots=Snapshots(tmp_path / "s.safetensors", {}, 1e9)), expected
    )


@pytest.mark.parametrize(
    ("compile", "steps", "widths", "device", "expected"),
    [
        ("auto", 9_999, [128], "cpu", False),
        ("auto", 10_000, [128, 256], "cpu", True),
        ("auto", 10_000, [128, 257], "cpu", False),
        ("auto", 4_999, [128], "cuda", False),
        ("auto", 5_000, [1024], "cuda", True),
        ("never", 10**6, [], "cuda", False),
        ("always", 1, [1024], "cpu", True),
    ],
)
def test_the_choice_follows_from_the_config(compile, steps, widths, device, expected, monkeypatch):
    monkeypatch.setattr("flatvae.training.compiled.lacking", lambda kind: None)
    assert compiles(Settings(bound=1.0, steps=steps, compile=compile), widths, device) == expected


def test_another_choice_is_named():
    with pytest.raises(InputError, match="compile is 'sometimes'; it must be auto, always or never"):
        Settings(bound=1.0, steps=1, compile="sometimes")


@pytest.mark.parametrize("missing", ["compiler", "header"])
def test_what_the_compiler_lacks_is_said_in_a_sentence(missing, tiny, monkeypatch, tmp_path, capsys):
    if missing == "compiler":
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setattr(shutil, "which", lambda name: None)
    else:
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    text = "a C\\+\\+ compiler" if missing == "compiler" else "Python's header .*Python.h"
    module, options = METHODS["vae"]
    with pytest.raises(InputError, match=f"compile is always, but {text} .*is missing here; install it"):
        trainer(module, tiny, options)
    one = trainer(module, tiny, {"steps": 10_000}, "auto")
    assert not one.compiled
    assert re.search(f"warning: the training step is not compiled: {text}", capsys.readouterr().out)
    one.step(one.objective)


def test_a_training_whose_compiler_fails_goes_on_without(tiny, monkeypatch, capsys):
    def failing(function):
        def call(*arguments):
            raise TorchDynamoException("no space left\non device")

        return call

    replace_compiler(monkeypatch, failing)
    module, options = METHODS["flat_vae probe"]
    plain = trainer(module, tiny, options | {"steps": 10_000}, "never")
    failed = trainer(module, tiny, options | {"steps": 10_000}, "auto")
    assert failed.compiled
    for one in (plain, failed):
        one.prepare()
        one.run_block(20)
    assert capsys.readouterr().out.count("not compiled: torch's compiler failed (no space left on device)") == 1
    for name, tensor in plain.snapshot().items():
        assert torch.equal(failed.snapshot()[name], tensor), name
    resumed = trainer(module, tiny, options | {"steps": 10_000}, "auto")
    resumed.restore(failed.snapshot())
    assert not resumed.compiled
    with pytest.raises(InputError, match="compile is always, but torch's compiler failed"):
        trainer(module, tiny, options).prepare()


def test_replayed_compiled_steps_are_the_plain_ones(tiny, unfused, on_cpu):  # noqa: F811
    module, options = METHODS["flat_vae probe"]
    plain = trainer(module, tiny, options, "never", graphs=False)
    compiled = trainer(module, tiny, options, graphs=True)
    compiled.stacked = True
    for one in (plain, compiled):
        run(one)
    assert len(compiled.fused) == len(compiled.replayed) == 2
    compiled.compiled = False
    assert_same_training(plain, compiled)


def test_timing_a_step_does_not_compile_it(tiny, monkeypatch):
    replace_compiler(monkeypatch, None)
    assert step_timer("baselines.vae", tiny, OPTIONS | {"compile": "always"}, 2)(2) > 0


def test_a_snapshot_is_of_a_machine_with_a_compiler_or_without(tiny, monkeypatch, tmp_path):
    def identity() -> str:
        return snapshots_at(tmp_path, "baselines.vae", tiny, OPTIONS, [0], "cpu", "", 1.0).identity

    before = identity()
    monkeypatch.setattr("flatvae.training.resume.lacking", lambda kind: "everything")
    assert identity() != before


def test_the_cache_is_where_the_user_says_or_the_run(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE, "elsewhere")
    keep_cache(tmp_path)
    assert os.environ[CACHE] == "elsewhere"
    monkeypatch.delenv(CACHE)
    keep_cache(tmp_path)
    assert os.environ[CACHE].startswith(f"{tmp_path}/")
    monkeypatch.delenv(CACHE)
