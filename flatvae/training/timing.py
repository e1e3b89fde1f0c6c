"""Estimates a training's time, and checks a method's file against its contract, from a few steps."""

import contextlib
import importlib
import io
import time
from collections.abc import Callable
from types import ModuleType

from flatvae import contract
from flatvae.training.devices import choose_device
from flatvae.training.results import fit, method_module
from flatvae.training.settings import split_hyperparameters
from flatvae.training.step import Trainer, build_seeded


def check_build(builder: str, dataset, hyperparameters: dict) -> None:
    """Checks the model that the method's ``build`` makes.

    Raises:
        ContractError: the method's file does not keep its contract.
    """
    module = method_module(builder)
    model = build_seeded(module, dataset, split_hyperparameters(module, hyperparameters)[0], 0)
    contract.check_model(module, "build", model, dataset)


def estimated_seconds(builder: str, dataset, hyperparameters: dict, n_seeds: int) -> float:
    """Estimated seconds of a training on one core: from one step, or, if the method has ``fit``, from one seed's fit.

    The step is not traced, because tracing takes longer than a whole plan should. A traced step takes 0.75 to 1 of the untraced
    step's time, a compiled one less.

    Raises:
        ContractError: the method's file does not keep its contract.
    """
    module = method_module(builder)
    if not hasattr(module, "fit"):
        what = f"{contract.file_of(module)}: a training step, all seeds at once by torch.func.vmap,"
        return hyperparameters["steps"] * contract.tried(
            what, lambda: _plain_step_seconds(module, dataset, hyperparameters, n_seeds)
        )
    with contextlib.redirect_stdout(io.StringIO()):
        made = fit(module, dataset, hyperparameters, [0], device=choose_device("cpu"), label=builder)
    return made.seconds * n_seeds


def _plain_step_seconds(module: ModuleType, dataset, hyperparameters: dict, n_seeds: int) -> float:
    """Wall time of one step of all seeds on the CPU, penalty included; the faster of two."""
    trainer = Trainer(module, dataset, hyperparameters, list(range(n_seeds)))
    trainer.bound.end_initial_phase(force=True)
    seconds = []
    for _ in range(2):  # the first is slow
        started = time.perf_counter()
        _plain_step(trainer)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _plain_step(trainer: Trainer) -> None:
    """One step of all seeds, penalty included, neither traced nor recorded as a CUDA graph."""
    on = ~trainer.bound.initial
    arguments = trainer.params, trainer.bound.beta, on, *trainer._draw()
    terms, loss, _, gradients = trainer._differentiated(trainer.objective)(*arguments)
    trainer._descend(terms, loss, gradients, on, trainer._learning_rate())


def step_timer(
    builder: str, dataset, hyperparameters: dict, n_seeds: int, device: str = "cpu"
) -> Callable[[int], float]:
    """A function that measures, over a given number of steps, the wall time of one step of all seeds, penalty included.

    The step is not compiled.
    """
    settings = hyperparameters | {"compile": "never"}
    trainer = Trainer(importlib.import_module(builder), dataset, settings, list(range(n_seeds)), choose_device(device))
    trainer.bound.end_initial_phase(force=True)
    trainer.step(trainer.objective)  # the first is slow

    def measure(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            terms, _, _ = trainer.step(trainer.objective)
        terms.tolist()  # waits for the device
        return (time.perf_counter() - started) / steps

    return measure
