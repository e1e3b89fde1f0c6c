"""Checks the config before anything is loaded or trained, and reports an error in one sentence."""

import ast
import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import yaml
from config_files import invisible
from fingerprint import ROOT, definition, keywords, source
from places import check_data
from resolution import (
    BOUND,
    accepted,
    bound,
    builder,
    dataset_options,
    distances,
    grid_size,
    hyperparameters,
    loader,
    methods,
    tasks,
)
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# positional parameters of the functions in a baseline's file; all others must be keywords with a default
CONTRACT = {
    "build": ("dataset",),
    "penalty": ("decode", "z", "noise"),
    "fit": ("dataset",),
    "distance": ("model", "dataset"),
    "descriptor": ("dataset",),
}
TRACKING_PACKAGES = ("deep_sort_realtime", "supervision", "trackeval", "trackers")  # of the extra `tracking`


def _check_search(config: dict) -> None:
    tried = config.get("search", {}).get("candidates", {})
    grids = {(f"search.candidates.{method}", method): grid for method, grid in tried.items()}
    for dataset, section in config["datasets"].items():
        grids |= {
            (f"datasets.{dataset}.search.{method}", method): grid for method, grid in section.get("search", {}).items()
        }
    for (place, method), grid in grids.items():
        _one_of(f"{place.rpartition('.')[0]}: the method", method, config["methods"])
        for name in grid:
            _one_of(f"{place}: the hyperparameter", name, accepted(builder(config, method)))
    run = config["run"]["methods"]
    if len({grid_size(grid) for method, grid in tried.items() if method in run}) > 1:
        raise ValueError(
            "config: search.candidates has more points for one method than for another; give all grids equally many points"
        )


def _readable(error: jsonschema.ValidationError) -> str:
    """A schema error as one sentence: «config: methods.flat_vae.eta is -1; it must be ≥ 0»."""
    where = ".".join(str(part) for part in error.absolute_path) or "the config"
    rule, wanted = error.validator, error.validator_value
    if rule == "type" and isinstance(error.instance, str) and _is_number(error.instance):
        return f"config: {where} is the text {error.instance!r}; write a number, such as 1.0e+4, in a file for --configfile"
    if "propertyNames" in error.absolute_schema_path:
        return f"config: {where} has the name {error.instance!r}; {error.schema['description']}"
    if rule == "additionalProperties":
        unknown = min(map(str, set(error.instance) - set(error.schema.get("properties", {}))))
        known = ", ".join(sorted(error.schema.get("properties", {})))
        place = "" if where == "the config" else f"{where}."
        if found := invisible(unknown):
            return f"config: {place}{unknown!r} holds {found}; replace it by spaces, or delete it"
        return f"config: {place}{unknown} is an unknown key; there are {known}"
    if rule == "not":
        return f"config: {where} has {wanted['required'][0]}, which does not belong there; leave it out"
    if rule == "required":
        missing = next(name for name in wanted if name not in error.instance)
        return f"config: {where} lacks {missing}; add it"
    must = {
        "type": f"of type {wanted}",
        "minimum": f"≥ {wanted}",
        "exclusiveMinimum": f"> {wanted}",
        "maximum": f"≤ {wanted}",
        "exclusiveMaximum": f"< {wanted}",
        "enum": f"one of {wanted}",
        "minLength": "a text that is not empty",
        "minItems": f"a list of at least {wanted}",
        "uniqueItems": "a list without repetitions",
        "pattern": f"of the form {wanted}",
    }
    return f"config: {where} is {error.instance!r}; it must be {must.get(rule, error.message)}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _leaves(value, path: str = "") -> Iterator[tuple[str, object]]:
    """(path, value) of everything in the config that is neither a dictionary nor a list."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, inner in items:
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))


def _check_finite(config: dict) -> None:
    for path, value in _leaves(config):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"config: {path} is {value}; it must be a finite number")


def _check_schema(config: dict, schema: Path) -> None:
    try:
        validate(config, str(schema))
    except WorkflowError:
        errors = jsonschema.Draft202012Validator(yaml.safe_load(schema.read_text())).iter_errors(config)
        error = jsonschema.exceptions.best_match(errors)
        raise ValueError(_readable(error)) from None


def _one_of(what: str, name: str, known) -> None:
    if name not in known:
        raise ValueError(f"config: {what} {name!r} does not exist; there are {', '.join(sorted(known))}")


def modules(package: str) -> list[str]:
    """Names of a package's modules, read from the folder."""
    return [p.stem for p in ROOT.joinpath(*package.split(".")).glob("*.py") if not p.stem.startswith("_")]


def _check_dataset(config: dict, dataset: str) -> None:
    name = loader(config, dataset)
    _one_of(f"datasets.{dataset}: the loader", name, modules("flatvae.datasets"))
    known = keywords(f"flatvae.datasets.{name}", "load")
    for option in dataset_options(config, dataset):
        _one_of(f"datasets.{dataset}.options:", option, known)
    for task in config["datasets"][dataset].get("tasks", []):
        _one_of(f"datasets.{dataset}.tasks: the task", task, modules("flatvae.evaluation"))
    for key in ("methods", "only_methods"):
        for method in config["datasets"][dataset].get(key, {}):
            _one_of(f"datasets.{dataset}.{key}: the method", method, config["methods"])


def check_signatures(module: str) -> None:
    """Checks that the functions of a baseline's file have the signatures with which the suite calls them.

    Raises:
        ValueError: one has another signature.
    """
    for function, wanted in CONTRACT.items():
        found = definition(module, function)
        if found is None:
            continue
        own = found.args
        given = [*own.posonlyargs, *own.args]
        lacking = [a.arg for a, default in zip(own.kwonlyargs, own.kw_defaults, strict=True) if default is None]
        if len(given) != len(wanted) or own.defaults or own.vararg or set(lacking) - {"seed"}:
            raise ValueError(
                f"{source(module).relative_to(ROOT)}: {function}({ast.unparse(own)}) breaks the contract; write "
                f"{function}({', '.join(wanted)}, *, …) with a default for every parameter after the *"
            )
    fit = definition(module, "fit")
    if fit is not None and fit.args.kwarg is None:
        for name in sorted((keywords(module, "build") or set()) - keywords(module, "fit")):
            raise ValueError(
                f"{source(module).relative_to(ROOT)}: fit lacks the parameter {name}, which build has; both get the same "
                "hyperparameters: add it"
            )


def _check_method(config: dict, method: str) -> None:
    module = builder(config, method)
    if source(module) is None:
        raise ValueError(
            f"config: methods.{method}.builder is {module!r}, which is no module of this project; write "
            f"{module.replace('.', '/')}.py or name an existing one"
        )
    if keywords(module, "build") is None:
        raise ValueError(
            f"{source(module).relative_to(ROOT)} has no function build(dataset, *, …); every method needs one"
        )
    check_signatures(module)
    places = {f"methods.{method}": config["methods"][method]} | {
        f"datasets.{d}.methods.{method}": section.get("methods", {}).get(method, {})
        for d, section in config["datasets"].items()
    }
    for place, chosen in places.items():
        for name in sorted(set(BOUND) & set(chosen)):
            raise ValueError(
                f"config: {place} sets {name}; methods are compared under one bound: set it in the data set's training"
            )
        for name in set(chosen) - {"builder"}:
            _one_of(f"{place}: the hyperparameter", name, accepted(module))


def _check_distances(config: dict) -> None:
    _check_distance_tasks(config)
    for dataset, section in config["datasets"].items():
        own = section.get("distances", {})
        for name in own:
            _one_of(f"datasets.{dataset}.distances: the distance", name, config.get("distances", {}))
        for name, entry in distances(config, dataset).items():
            known = _options(f"distances.{name}", entry["builder"], "distance", "(model, dataset, *, …)")
            place = f"datasets.{dataset}.distances" if name in own else "distances"
            for option in entry["options"]:
                _one_of(f"{place}.{name}: the option", option, known)


def _check_distance_tasks(config: dict) -> None:
    """Checks that the tasks that need a distance have one."""
    for task in config["run"]["tasks"]:
        if task in ("distances", "efficiency") and not config.get("distances"):
            raise ValueError(f"config: run.tasks has {task}, which needs a distance; add distances: {{geodesic: {{}}}}")
    if "efficiency" in config["run"]["tasks"]:
        if "geodesic" not in config["distances"]:
            raise ValueError("config: the task efficiency times the distance geodesic; add distances: {geodesic: {}}")
        if "efficiency" not in config:
            raise ValueError(
                "config: run.tasks has efficiency, but the config lacks efficiency: {sizes, queries}; add it"
            )


def _options(entry: str, module: str, function: str, signature: str) -> set[str]:
    """Options of the function with which a module makes a distance or a descriptor."""
    known = keywords(module, function) if source(module) else None
    if known is None:
        raise ValueError(
            f"config: {entry} has the builder {module}, which has no function {function}{signature}; "
            f"write it in {module.replace('.', '/')}.py or name a module that has it"
        )
    check_signatures(module)
    return known


def _check_packages(config: dict) -> None:
    if any("tracking" in tasks(config, dataset) for dataset in config["run"]["datasets"]):
        lost = [name for name in TRACKING_PACKAGES if importlib.util.find_spec(name) is None]
        if lost:
            names = f"{lost[0]} is" if len(lost) == 1 else f"{', '.join(lost)} are"
            raise ValueError(
                f"config: run.tasks has tracking, but {names} not installed; pip install '.[tracking]', or leave it out"
            )


def _check_descriptors(config: dict) -> None:
    for name, own in config.get("descriptors", {}).items():
        module = own.get("builder", f"baselines.{name}")
        known = _options(f"descriptors.{name}", module, "descriptor", "(dataset, *, …)")
        for option in set(own) - {"builder"}:
            _one_of(f"descriptors.{name}: the option", option, known - {"seed"})
        if name == "sort":
            raise ValueError("config: descriptors.sort has the name of a tracker; give it another")


def _check_claims(config: dict) -> None:
    known = [*config["methods"], *config.get("descriptors", {})]
    for name, claim in config.get("claims", {}).items():
        conditions = {f"requires.{place}.": condition for place, condition in enumerate(claim.get("requires", []))}
        for place, test in ({"": claim} | conditions).items():
            for side in ("subject", "versus"):
                method = test.get(side, {}).get("method")
                if method:
                    _one_of(f"claims.{name}.{place}{side}: the method", method, known)


def _check_controls(config: dict) -> None:
    for name, control in config.get("controls", {}).items():
        known = [*config["methods"], *config.get("descriptors", {})]
        for method in (control["method"], *control.get("against", [])):
            _one_of(f"controls.{name}: the method", method, known)
        for dataset in control.get("datasets", []):
            _one_of(f"controls.{name}: the data set", dataset, config["datasets"])
        _one_of(f"controls.{name}: the task", control["task"], modules("flatvae.evaluation"))


def _check_sweeps(config: dict) -> None:
    for name, sweep in config.get("sweeps", {}).items():
        if "baseline" in sweep:
            _one_of(f"sweeps.{name}.baseline: the method", sweep["baseline"], config["methods"])
        for curve, swept in sweep["curves"].items():
            for method in swept:
                _one_of(f"sweeps.{name}.curves.{curve}: the method", method, config["methods"])
                for dataset in sweep.get("datasets", config["run"]["datasets"]):
                    _one_of(f"sweeps.{name}: the data set", dataset, config["datasets"])
                    value = hyperparameters(config, dataset, method).get(sweep["hyperparameter"])
                    if not isinstance(value, int | float) or isinstance(value, bool):
                        raise ValueError(
                            f"config: sweeps.{name} is over {sweep['hyperparameter']}, which is {value!r} for {method} on "
                            f"{dataset}; give it a number there, or remove the method from the sweep"
                        )


def _check_common(config: dict) -> None:
    known = {"unexplained"}.union(*(accepted(builder(config, m)) for m in config["methods"]))
    places = {"training": config.get("training", {})} | {
        f"datasets.{d}.training": section.get("training", {}) for d, section in config["datasets"].items()
    }
    for place, chosen in places.items():
        for name in chosen:
            _one_of(f"{place}: the hyperparameter", name, known)
    for dataset in config["run"]["datasets"]:
        given = bound(config, dataset)
        if not given:
            raise ValueError(f"config: datasets.{dataset}.training lacks bound or unexplained; add one of them")
        if len(given) == 2:
            raise ValueError(f"config: datasets.{dataset}.training has bound and unexplained; leave one of them out")
        if not methods(config, dataset):
            raise ValueError(
                f"config: datasets.{dataset}.only_methods has none of the run's methods; add one, or leave {dataset} out of run"
            )
        for method in methods(config, dataset):
            if "steps" not in hyperparameters(config, dataset, method):
                raise ValueError(f"config: datasets.{dataset}.training lacks steps; add it")


def check(config: dict, schema: Path) -> None:
    """Checks the whole config.

    Raises:
        ValueError: one sentence that names the culprit and the fix.
    """
    _check_schema(config, schema)
    _check_finite(config)
    run = config["run"]
    for kind, known in (("datasets", config["datasets"]), ("methods", config["methods"])):
        for name in run[kind]:
            _one_of(f"run.{kind}: the {kind[:-1]}", name, known)
    for task in run["tasks"]:
        _one_of("run.tasks: the task", task, modules("flatvae.evaluation"))
    for method in config["methods"]:
        _check_method(config, method)
    for dataset in config["datasets"]:
        _check_dataset(config, dataset)
    check_data(config)
    _check_common(config)
    _check_search(config)
    _check_distances(config)
    _check_packages(config)
    _check_descriptors(config)
    _check_claims(config)
    _check_controls(config)
    _check_sweeps(config)
