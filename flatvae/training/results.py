"""A training's result files: checkpoint, history and metrics; also for models that this suite does not train by steps."""

import dataclasses
import importlib
import math
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from flatvae import checkpoint, contract
from flatvae.constraint import equal_reconstruction, settled
from flatvae.model import LatentVariableModel
from flatvae.training.devices import choose_device, device_record
from flatvae.training.loop import Course, Trained, train
from flatvae.training.resume import snapshots_at
from flatvae.training.settings import Settings, split_hyperparameters
from flatvae.training.step import Trainer

_BATCHES = 50  # on which Ĉ, KL and c² of models trained elsewhere are measured


class Files(NamedTuple):
    """Paths of a training's result files."""

    model: str | Path
    history: str | Path
    metrics: str | Path


def fit(
    module: ModuleType, dataset, hyperparameters: dict, seeds: list[int], *, device: torch.device, label: str
) -> Trained:
    """Makes every seed's model by the method's own ``fit(dataset, *, seed, …)``, for methods not trained by steps.

    Raises:
        ContractError: ``fit`` returned anything but a model with the parameters of ``build``'s.
    """
    build = split_hyperparameters(module, hyperparameters)[0]
    started = time.perf_counter()
    models = {seed: contract.called(module, "fit", dataset, seed=seed, **build) for seed in seeds}
    print(f"{label}: made by {module.__name__}.fit, not trained")
    return _measured(module, dataset, hyperparameters, models, "fit", device, started)


@torch.no_grad()
def _measured(
    module: ModuleType,
    dataset,
    hyperparameters: dict,
    models: dict[int, LatentVariableModel],
    maker: str,
    device: torch.device,
    started: float,
) -> Trained:
    """Measures Ĉ, KL and c² of models that this suite did not train, on some batches.

    The history has one row per seed, at step 0, with the β at which a training would start; the result has β = None.
    """
    trainer = Trainer(module, dataset, hyperparameters, list(models), device)
    for model in models.values():
        contract.check_model(module, maker, model, dataset)
        contract.check_form(module, maker, model, trainer.model)
    for name, value in trainer.params.items():
        value.copy_(torch.stack([model.state_dict()[name] for model in models.values()]))
    terms, scale = _mean_terms(trainer)
    course = Course(trainer, {})
    course.started = started
    course.gather(terms, scale, [False] * len(models))
    outcome = course.outcome()
    return dataclasses.replace(outcome, seeds=[seed | {"beta": None} for seed in outcome.seeds])


def _mean_terms(trainer: Trainer) -> tuple[Tensor, Tensor]:
    """Mean error, KL and penalty (3, S) and c² (S,) over some batches, without training; freezes seeds that are not finite."""
    total = 0.0
    for _ in range(_BATCHES):
        x, noise, uniform, probe = trainer._draw()
        *terms, z = trainer._mapped(
            trainer.objective_without_penalty, "model.", trainer.params, x, noise, uniform, probe
        )
        trainer.bound.update(terms[0], trainer.alive)
        total = total + torch.stack([*terms, trainer._mapped(trainer.scale_of, "model.", trainer.params, z, probe)])
    *terms, scale = total / _BATCHES
    trainer.alive = total.isfinite().all(0)
    trainer.frozen_step = torch.where(trainer.alive, -1, 0)
    return torch.stack(terms), scale


def train_and_save(
    builder: str,
    dataset,
    hyperparameters: dict,
    seeds: Iterable[int],
    *,
    device: str,
    label: str,
    model_path: str | Path,
    history_path: str | Path,
    metrics_path: str | Path,
    code: str = "",
    snapshot_seconds: float = math.inf,
) -> float:
    """Trains a method and writes its checkpoint, its history and the metrics of the task ``training``.

    A method that has ``fit`` makes its models by it and is not trained. A training writes a snapshot (see
    ``flatvae.training.resume``) every ``snapshot_seconds`` to the folder ``.checkpoint`` next to the model, and deletes it when
    the results are written. A snapshot is used only if it was made with the same ``code``.

    Metrics per seed: ``frozen`` (0/1, with ``frozen_step`` if 1), ``initial_phase_end`` (step), ``scale_average`` (moving
    average of c²). A warning names each seed that was frozen, whose Ĉ ended more than 2 % off the bound, or that has not
    settled. The task ``reconstruction`` measures error and KL after the training.

    Returns:
        Seconds of the steps, including those before an interruption.
    """
    module = method_module(builder)
    common = {"device": choose_device(device), "label": label}
    kept = Path(model_path).parent / ".checkpoint" / "training.safetensors"
    snapshots = snapshots_at(kept, builder, dataset, hyperparameters, seeds, device, code, snapshot_seconds)
    if hasattr(module, "fit"):
        trained = fit(module, dataset, hyperparameters, list(seeds), **common)
    else:
        trained = train(module, dataset, hyperparameters, list(seeds), **common, snapshots=snapshots)
    files = Files(model_path, history_path, metrics_path)
    _save(files, module, dataset, hyperparameters, trained, **common)
    snapshots.remove()
    print(f"{label}: trained {len(trained.seeds)} seeds in {trained.seconds:.1f} s", flush=True)
    return trained.seconds


def hand_over(
    models: dict[int, LatentVariableModel],
    *,
    builder: str,
    dataset,
    hyperparameters: dict,
    label: str,
    model_path: str | Path,
    history_path: str | Path,
    metrics_path: str | Path,
) -> None:
    """Writes the files of ``train_and_save`` for models, by seed, that other code has trained (a baseline's own rule).

    Each is a model as the method's ``build`` makes it, with the other code's weights in encoder and decoder.

    Raises:
        ContractError: a model has other parameters than ``build``'s, or is not finite on the data.
    """
    module, device = method_module(builder), torch.device("cpu")
    trained = _measured(module, dataset, hyperparameters, models, "its own rule", device, time.perf_counter())
    files = Files(model_path, history_path, metrics_path)
    _save(files, module, dataset, hyperparameters, trained, device, label)


def _save(
    files: Files,
    module: ModuleType,
    dataset,
    hyperparameters: dict,
    trained: Trained,
    device: torch.device,
    label: str,
) -> None:
    """Writes the files of ``train_and_save`` and warns of seeds that froze, missed the bound or have not settled."""
    build, penalty, settings = split_hyperparameters(module, hyperparameters)
    _warn(trained, settings, label)
    trained.history.to_csv(files.history, index=False, float_format="%.7g")
    _metrics(trained).to_csv(files.metrics, index=False)
    metadata = {
        "builder": f"{module.__name__}:build",
        "build": build,
        "penalty": penalty,
        "training": dataclasses.asdict(settings),
        "dataset": dataset.description(),
        "seeds": trained.seeds,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device_record(device),
    }
    checkpoint.save(files.model, trained.state, metadata)


def _warn(trained: Trained, settings: Settings, label: str) -> None:
    """Prints warnings about seeds; the bound is checked only for seeds with ``settling``."""
    for seed in trained.seeds:
        name, moved = f"warning: {label} seed {seed['seed']}", seed["settling"]
        if seed["frozen_step"] is not None:
            print(f"{name} became non-finite at step {seed['frozen_step']} and was frozen")
        elif moved and not equal_reconstruction(seed["error"], settings.bound):
            print(f"{name} ended off its bound: error {seed['error']:.4g}, bound {settings.bound:.4g}")
        if moved and not settled(**moved):
            k = " → ".join("∞" if value is None else f"{value:.3g}" for value in moved["condition_number_active"])
            found = f"mean violation {100 * moved['violation']:.1f} %, SD of log β {moved['log_beta_sd']:.2f}, k (active) {k}"
            print(f"{name} has not settled in the last fifth: {found}, {moved['rows']} rows of history")


def _metrics(trained: Trained) -> pd.DataFrame:
    """The metrics of the task ``training``; see ``train_and_save``."""
    rows = []
    for seed in trained.seeds:
        frozen = seed["frozen_step"] is not None
        values = {
            "frozen": int(frozen),
            "initial_phase_end": seed["initial_phase_end"],
        }
        values |= {"frozen_step": seed["frozen_step"]} if frozen else {"scale_average": seed["scale"]}
        rows += [("", "training", name, seed["seed"], value) for name, value in values.items() if value is not None]
    return pd.DataFrame(rows, columns=["distance", "task", "metric", "seed", "value"])


def method_module(builder: str) -> ModuleType:
    """The module of a method.

    Raises:
        ContractError: it cannot be imported.
    """
    what = f"{builder.replace('.', '/')}.py: its import"
    return contract.tried(what, lambda: importlib.import_module(builder))
