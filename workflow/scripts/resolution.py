"""What the config means for a data set, a method and a task. Imports neither torch nor Snakemake."""

import json
import math
import shutil
from pathlib import Path

from fingerprint import fields, has_penalty, keywords, source

from flatvae.errors import InputError

BOUND = ("bound", "unexplained")  # the two ways to give κ²: a number, or a share of the training part's total variance


def loader(config: dict, dataset: str) -> str:
    """Name of the module of ``flatvae.datasets`` that reads a data set: ``loader``, by default its own name."""
    return config["datasets"][dataset].get("loader", dataset)


def dataset_options(config: dict, dataset: str) -> dict:
    """Options of the data set's ``load``."""
    return config["datasets"][dataset].get("options", {})


def builder(config: dict, method: str) -> str:
    """Module of a method: ``builder``, by default ``baselines.<method>``."""
    return config["methods"][method].get("builder", f"baselines.{method}")


def own_rule(config: dict, method: str) -> Path | None:
    """The .smk file next to a method's module, with the rule that makes its models; None if there is none."""
    module = source(builder(config, method))
    path = module.with_suffix(".smk") if module else None
    return path if path and path.is_file() else None


def common(config: dict, dataset: str) -> dict:
    """The hyperparameters of all methods on a data set: training < datasets.<dataset>.training."""
    return {**config.get("training", {}), **config["datasets"][dataset].get("training", {})}


def bound(config: dict, dataset: str) -> dict:
    """A data set's bound as configured: ``{"bound": κ²}``, or ``{"unexplained": …}``, a share of the total variance."""
    return {name: value for name, value in common(config, dataset).items() if name in BOUND}


def summary_options(config: dict, dataset: str) -> dict:
    """Options of ``variance.summary`` for a data set: the number n of principal components, and the bound's share."""
    return {name: common(config, dataset).get(name) for name in ("latent_dim", "unexplained")}


def hyperparameters(config: dict, dataset: str, method: str) -> dict:
    """All configured hyperparameters of a method on a data set; the more specific place wins.

    training < datasets.<dataset>.training < methods.<method> < datasets.<dataset>.methods.<method>
    """
    own = config["datasets"][dataset].get("methods", {}).get(method, {})
    merged = {**common(config, dataset), **config["methods"][method], **own}
    return {name: value for name, value in merged.items() if name != "builder"}


def has_videos(config: dict, dataset: str) -> bool:
    """Whether a data set's loader has videos for tracking."""
    return keywords(f"flatvae.datasets.{loader(config, dataset)}", "sequences") is not None


def descriptor(config: dict, dataset: str, name: str) -> dict:
    """A descriptor's module, and those of the data set's common and its own hyperparameters that the module accepts."""
    own = config["descriptors"][name]
    module = own.get("builder", f"baselines.{name}")
    merged = {**common(config, dataset), **own}
    taken = (keywords(module, "descriptor") or set()) - {"seed"}
    return {"builder": module, "options": {option: value for option, value in merged.items() if option in taken}}


def accepted(module: str) -> set[str]:
    """Hyperparameters that a method's ``build`` and ``penalty`` accept, and those of the training."""
    own = keywords(module, "build") | (keywords(module, "penalty") or set())
    return own | fields("flatvae.training.settings", "Settings")


def specification(config: dict, dataset: str, method: str) -> dict:
    """The params of a training job: the builder and the hyperparameters that this method accepts."""
    module = builder(config, method)
    names = accepted(module) | {"unexplained"}  # with_bound turns it into a number
    if not has_penalty(module):
        names = names - {"alpha0"}  # mixup only places the penalty's points
    chosen = hyperparameters(config, dataset, method)
    return {"builder": module, "hyperparameters": {k: v for k, v in chosen.items() if k in names}}


def with_bound(chosen: dict, record: str | Path) -> dict:
    """Hyperparameters with a number for ``bound``; with ``unexplained``, the number comes from the data set's data.json.

    Raises:
        InputError: data.json was made with another ``unexplained``, or without one.
    """
    if "unexplained" not in chosen:
        return chosen
    found = json.loads(Path(record).read_text(encoding="utf-8"))
    if found.get("unexplained") != chosen["unexplained"]:
        raise InputError(f"{record} was made with another unexplained; delete it, so that it is made again.")
    return {**chosen, "bound": found["bound"]}


def distances(config: dict, dataset: str) -> dict[str, dict]:
    """Every distance except the Euclidean: its module, by default ``baselines.<name>``, and its options.

    distances.<name> < datasets.<dataset>.distances.<name>
    """
    own = config["datasets"][dataset].get("distances", {})
    return {
        name: {
            "builder": entry.get("builder", f"baselines.{name}"),
            "options": {k: v for k, v in {**entry, **own.get(name, {})}.items() if k != "builder"},
        }
        for name, entry in config.get("distances", {}).items()
    }


def tasks(config: dict, dataset: str) -> list[str]:
    """The run's tasks on a data set: those in its own ``tasks``, by default all; tracking only if it has videos."""
    own = config["datasets"][dataset].get("tasks", config["run"]["tasks"])
    return [t for t in config["run"]["tasks"] if t in own and (t != "tracking" or has_videos(config, dataset))]


def methods(config: dict, dataset: str) -> list[str]:
    """The run's methods on a data set: those in its own ``only_methods``, by default all."""
    own = config["datasets"][dataset].get("only_methods", config["run"]["methods"])
    return [method for method in config["run"]["methods"] if method in own]


def seeds(config: dict, dataset: str) -> int:
    """How often each method is trained on a data set: its own ``seeds``, by default the run's."""
    return config["datasets"][dataset].get("seeds", config["seeds"])


def takes_distances(task: str) -> bool:
    """Whether a task takes the distances as an argument."""
    return "distances" in (keywords(f"flatvae.evaluation.{task}", "evaluate") or set())


def sweep_values(config: dict, dataset: str, sweep: dict) -> dict[str, dict[str, float]]:
    """The value of the swept hyperparameter for each method of each curve of a sweep."""
    name = sweep["hyperparameter"]
    return {
        curve: {method: hyperparameters(config, dataset, method)[name] for method in methods}
        for curve, methods in sweep["curves"].items()
    }


def wants_gpu(device: str) -> bool:
    """Whether jobs on this device take a GPU: ``cuda``, or ``auto`` on a machine with one."""
    return device == "cuda" or (device == "auto" and shutil.which("nvidia-smi") is not None)


def searched(config: dict, dataset: str, method: str) -> dict:
    """The params of a search: a method's specification on a data set, and the first grid.

    search.candidates.<method> < datasets.<dataset>.search.<method>
    """
    own = config["datasets"][dataset].get("search", {})
    grid = {**config["search"]["candidates"][method], **own.get(method, {})}
    return {**specification(config, dataset, method), "grid": grid}


def grid_size(grid: dict) -> int:
    """Number of candidates of a grid."""
    return math.prod(len(values) for values in grid.values())
