"""How long a training takes, and whether a method's file keeps its contract, from a few steps."""

import contextlib
import importlib
import io
import time
from collections.abc import Callable

from flatvae import contract
from flatvae.training.devices import choose_device
from flatvae.training.results import fit, method_module
from flatvae.training.settings import split_hyperparameters
from flatvae.training.step import Trainer, build_seeded

_FEW = 3  # steps that a training's time is estimated from


def check_build(builder: str, dataset, hyperparameters: dict) -> None:
    """Tries what the method's ``build`` makes.

    Raises:
        ContractError: the method's file does not keep its contract.
    """
    module = method_module(builder)
    model = build_seeded(module, dataset, split_hyperparameters(module, hyperparameters)[0], 0)
    contract.check_model(module, "build", model, dataset)


def estimated_seconds(builder: str, dataset, hyperparameters: dict, n_seeds: int, device: str = "cpu") -> float:
    """About how long a training takes here, from a few steps of it; of a method that has ``fit``, from one seed's.

    The steps are not compiled, which would take longer than all they measure: a training that will be takes less than this.

    Raises:
        ContractError: the method's file does not keep its contract.
    """
    module = method_module(builder)
    if not hasattr(module, "fit"):
        what = f"{contract.file_of(module)}: a training step, all seeds at once by torch.func.vmap,"
        measured = contract.tried(what, lambda: step_timer(builder, dataset, hyperparameters, n_seeds, device)(_FEW))
        return hyperparameters["steps"] * measured
    with contextlib.redirect_stdout(io.StringIO()):
        made = fit(module, dataset, hyperparameters, [0], device=choose_device(device), label=builder)
    return made.seconds * n_seeds


def step_timer(
    builder: str, dataset, hyperparameters: dict, n_seeds: int, device: str = "cpu"
) -> Callable[[int], float]:
    """A function of a number of steps: wall time of one training step of all seeds, penalty included, measured over so many.

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
