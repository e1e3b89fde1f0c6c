"""Steps replayed as a graph against plain ones: on a GPU where there is one, and on a CPU by a graph made of its operations."""

import contextlib
import gc
import types
import weakref

import pytest
import torch
from test_training import HYPERPARAMETERS, METHODS, end_phase, methods, run_fifty
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flatvae.training import Trainer
from flatvae.training.replay import Replayed

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class _Graph:
    """What a CUDA graph does, on a CPU: the operations of the recording, done again in the same memory."""

    def __init__(self):
        self.operations, self.registered, self.replays = [], [], 0

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.registered.append(generator)

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for function, args, kwargs, before in self.operations:
            again = tree_leaves(function(*args, **kwargs))
            for place, value in zip(before, again, strict=True):
                if isinstance(place, torch.Tensor) and place.data_ptr() != value.data_ptr():
                    place.copy_(value)


class _Recording(TorchDispatchMode):
    def __init__(self, graph: _Graph):
        super().__init__()
        self.graph = graph

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("generator") is not None:
            assert kwargs["generator"].initial_seed() in [known.initial_seed() for known in self.graph.registered]
        result = function(*args, **kwargs)
        self.graph.operations.append((function, args, kwargs, tree_leaves(result)))
        return result


class _Stream:
    def wait_stream(self, other) -> None:
        pass


@pytest.fixture
def on_cpu(monkeypatch):
    """CUDA's graphs and streams replaced by what a CPU can do."""
    for name, value in {
        "CUDAGraph": _Graph,
        "graph": _Recording,
        "Stream": _Stream,
        "current_stream": _Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "device": lambda device: contextlib.nullcontext(),
        "get_sync_debug_mode": lambda: 0,
        "set_sync_debug_mode": lambda mode: None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)


def assert_same_training(first: Trainer, second: Trainer) -> None:
    """The same state but for the rounding of learning rates, which a graph reads in float32."""
    expected, found = first.snapshot(), second.snapshot()
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-4, atol=1e-5, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
        )


def both(module, data, options: dict, device: str = "cpu") -> list[Trainer]:
    """The same training without graphs and with them."""
    options = HYPERPARAMETERS | {"decay_fraction": 1.0, "steps": 70} | options
    return [Trainer(module, data, options, [3, 0, 7], device, graphs=graphs) for graphs in (False, True)]


def run(trainer: Trainer) -> None:
    """Fifty steps through all phases, ten of a block, and ten after one seed's weights turned NaN."""
    run_fifty(trainer)
    terms, scale = trainer.run_block(10)
    assert terms.isfinite().all()
    assert scale.isfinite().all()
    with torch.no_grad():
        trainer.params["decoder.0.weight"][1, 0, 0] = torch.nan
    for _ in range(10):
        trainer.step(trainer.objective)
    assert trainer.frozen_step.tolist() == [-1, 60, -1]


@methods
def test_replayed_steps_are_the_plain_ones(module, options, tiny, on_cpu):
    plain, replayed = both(module, tiny, options)
    for trainer in (plain, replayed):
        run(trainer)
    assert len(replayed.replayed) == 1 + hasattr(module, "penalty")  # with it and without
    assert sum(step.graph.replays for step in replayed.replayed.values()) == 70
    assert_same_training(plain, replayed)


def test_binarised_data_are_drawn_anew_in_every_replay(tiny_bernoulli, on_cpu):
    plain, replayed = both(
        *METHODS["flat_vae probe"][:1], tiny_bernoulli, METHODS["flat_vae probe"][1] | {"bound": 4.0}
    )
    for trainer in (plain, replayed):
        for _ in range(20):
            trainer.step(trainer.objective)
    assert_same_training(plain, replayed)


def test_a_replayed_training_goes_on_from_a_snapshot(tiny, on_cpu):
    """Also one whose graph was recorded before, and in the memory that the graph knows."""
    module, options = METHODS["flat_vae probe"]
    _, whole = both(module, tiny, options)
    _, resumed = both(module, tiny, options)
    for trainer in (whole, resumed):
        end_phase(trainer, lambda seed: True)
        trainer.run_block(7)
    kept = {name: tensor.clone() for name, tensor in whole.snapshot().items()}
    whole.run_block(9)
    resumed.run_block(30)
    resumed.restore(kept)
    resumed.run_block(9)
    for name, tensor in whole.snapshot().items():
        assert torch.equal(tensor, resumed.snapshot()[name]), name


def test_an_attribute_set_between_two_replays_is_followed(on_cpu):
    class Counter:
        value = torch.zeros(2)

    def step():
        counter.value = counter.value + 1
        return counter.value * 2

    counter = Counter()
    step_again = Replayed(step, [(counter, "value")], [])
    counter.value = torch.tensor([5.0, 7.0])
    assert step_again().tolist() == [12.0, 16.0]
    assert step_again().tolist() == [14.0, 18.0]
    assert counter.value.tolist() == [7.0, 9.0]


def test_a_step_that_no_graph_can_hold_runs_without(tiny, on_cpu, monkeypatch, capsys):
    def refused(graph):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refused)
    module, options = METHODS["flat_vae probe"]
    plain, refusing = both(module, tiny, options)
    for trainer in (plain, refusing):
        run(trainer)
    assert not refusing.replayed
    assert capsys.readouterr().out.count("warning: no CUDA graph of the training step could be recorded") == 1
    assert_same_training(plain, refusing)


def test_a_training_that_nobody_holds_is_gone(tiny, on_cpu):
    module, options = METHODS["vae"]
    _, trainer = both(module, tiny, options)
    trainer.step(trainer.objective)
    gone = weakref.ref(trainer)
    gc.disable()
    try:
        del trainer, _
        assert gone() is None
    finally:
        gc.enable()


@gpu
def test_a_step_that_waits_for_a_gpu_runs_without_a_graph(tiny, capsys):
    module, options = METHODS["flat_vae probe"]

    def penalty(decode, z, noise, **options):
        return module.penalty(decode, z, noise, **options) + 0 * torch.arange(3, device=z.device).float().cpu().sum()

    waiting = types.SimpleNamespace(__name__="waiting", build=module.build, penalty=penalty)
    plain, refused = both(waiting, tiny, options, "cuda")
    for trainer in (plain, refused):
        run(trainer)
    assert not refused.graphs
    assert "warning: no CUDA graph" in capsys.readouterr().out
    assert_same_training(plain, refused)
    _, after = both(module, tiny, options, "cuda")
    run(after)
    assert after.graphs


@gpu
@methods
def test_replayed_steps_are_the_plain_ones_on_a_gpu(module, options, tiny):
    plain, replayed = both(module, tiny, options, "cuda")
    for trainer in (plain, replayed):
        run(trainer)
    assert_same_training(plain, replayed)
