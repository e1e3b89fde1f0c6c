"""Data sets: one file each, found by its name; load() reads one and checks it.

To add a data set, add a file with a function ``load(root, *, option=default, ...) -> Dataset`` whose options carry type
hints. Nothing has to be registered.
"""

import hashlib
import importlib
import inspect
import json
import math
import os
import pkgutil
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from flatvae.errors import InputError

LIKELIHOODS = ("gaussian", "bernoulli")
MAX_SEED = 2**32 - 1  # numpy and scikit-learn take no larger seed
PARTS = ("train", "validation", "test")
UNLABELLED = -1  # as scikit-learn marks it
_TENSORS = (*PARTS, *(f"{part}_labels" for part in PARTS), "factors")
_RECORDINGS = ("test_recordings", "test_recordings_labels")

__all__ = [
    "LIKELIHOODS",
    "MAX_SEED",
    "PARTS",
    "UNLABELLED",
    "Dataset",
    "check_range",
    "data_root",
    "expanded",
    "load",
    "names",
    "split_rows",
]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Observations in three parts, with their labels and other known facts.

    Attributes:
        name: the data set's name, that of its file.
        train, validation, test: float32, (N, D) each, one flattened observation per row.
        likelihood: of an observation given its decoded mean, "gaussian" or "bernoulli".
        shape: of one observation, for example (16, 16); its product is D.
        train_labels, validation_labels, test_labels: int64, (N,), classes from 0 and -1 for unlabelled rows; or None.
        factors: (N_test,), the true generating factor of each row of test, or None.
        factor_period: period of the factor in its own units (2π for an angle in radians), None if it has none.
        render: maps values of the periodic factor to noise-free observations, (M,) -> (M, D), in the values' precision; or None.
        label_names: names of the classes 0, 1, …, for metrics that are reported per class; or None.
        test_recordings: float32, (M, D), a second, harder test part: whole recordings that no other part uses; or None.
        test_recordings_labels: int64, (M,), their classes, numbered as in the other parts; or None.
        boxes: for pictures cut out of videos, the source of each row of train, validation and test, in this order: a table
            with the columns of mot.boxes(); or None.
        videos: the videos of the parts "train" and "test", as mot.sequences() gives them; or None.
        crops: makes observations of any boxes in these videos: crops(video, frame, boxes) -> (N, D), see mot.crops(); or None.
    """

    name: str
    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    likelihood: str
    shape: tuple[int, ...]
    train_labels: torch.Tensor | None = None
    validation_labels: torch.Tensor | None = None
    test_labels: torch.Tensor | None = None
    factors: torch.Tensor | None = None
    factor_period: float | None = None
    render: Callable[[torch.Tensor], torch.Tensor] | None = None
    label_names: tuple[str, ...] | None = None
    test_recordings: torch.Tensor | None = None
    test_recordings_labels: torch.Tensor | None = None
    boxes: pd.DataFrame | None = None
    videos: dict[str, list] | None = None
    crops: Callable[..., torch.Tensor] | None = None

    @property
    def dim(self) -> int:
        """D, the number of values in one observation."""
        return math.prod(self.shape)

    def description(self) -> dict:
        """The facts about the data that a model needs, as a JSON-serialisable dict: name, likelihood, shape, sizes."""
        parts = (*PARTS, *["test_recordings"] * (self.test_recordings is not None))
        sizes = {part: len(getattr(self, part)) for part in parts}
        return {"name": self.name, "likelihood": self.likelihood, "shape": list(self.shape), "sizes": sizes}

    @classmethod
    def from_description(cls, description: dict) -> "Dataset":
        """A data set without rows: every part is (0, D). Stored models are rebuilt from it.

        Raises InputError where name, likelihood or shape is missing.
        """
        missing = [key for key in ("name", "likelihood", "shape") if key not in description]
        if missing:
            raise InputError(f"dataset description: {missing[0]} is missing; write it with Dataset.description().")
        shape = tuple(description["shape"])
        empty = {part: torch.empty(0, math.prod(shape)) for part in PARTS}
        return cls(name=description["name"], likelihood=description["likelihood"], shape=shape, **empty)

    def fingerprint(self) -> str:
        """sha256, in hexadecimal, over name, likelihood, shape, period, label names and every tensor."""
        known = [self.name, self.likelihood, list(self.shape), self.factor_period, self.label_names]
        digest = hashlib.sha256(json.dumps(known).encode())
        there = (field for field in _RECORDINGS if getattr(self, field) is not None)
        for field in (*_TENSORS, *there):
            tensor = getattr(self, field)
            # Hash type and shape too: else moving values from one part to the next would leave the hash unchanged.
            kind = None if tensor is None else (str(tensor.dtype), *tensor.shape)
            digest.update(f"{field}: {kind}\n".encode())
            if tensor is not None:
                digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()


def names() -> list[str]:
    """Names of all data sets: the modules of this package that do not begin with an underscore."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def data_root(root: str | Path | None = None) -> Path:
    """Folder of the data files: the argument, else the environment variable FLATVAE_DATA, else ``data``."""
    return expanded(root or os.environ.get("FLATVAE_DATA") or "data")


def expanded(path: str | Path) -> Path:
    """The path with ``~`` replaced by the user's home folder; ``~name`` of an unknown user is left unchanged."""
    return Path(os.path.expanduser(path))


def load(name: str, root: str | Path | None = None, **options) -> Dataset:
    """Load a data set by its name and check it.

    Args:
        name: one of names().
        root: folder of the data files, see data_root().
        options: those of the data set's own load(), for example ``noise`` for the pendulum.

    Raises InputError for an unknown name or option, an option of a wrong type, and data that break the contract of
    Dataset.
    """
    if name not in names():
        raise InputError(f"dataset {name!r} is unknown; it must be one of: {', '.join(names())}.")
    loader = importlib.import_module(f"flatvae.datasets.{name}").load
    _check_options(name, loader, options)
    dataset = loader(data_root(root), **options)
    _check_dataset(dataset)
    return dataset


def split_rows(rows: int, held_out: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices (rows − held_out,) and (held_out,) of a seeded random split, each in increasing order."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return order[held_out:].sort().values, order[:held_out].sort().values


def check_range(dataset: str, option: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise InputError unless low ≤ value ≤ high and value is finite."""
    if math.isfinite(value) and low <= value <= high:
        return
    wanted = f"at least {low}" if math.isinf(high) else f"between {low} and {high}"
    raise InputError(f"dataset {dataset}: option {option} is {value}; it must be {wanted}.")


def _check_options(name: str, loader, options: dict) -> None:
    """Raise InputError for options that are unknown, missing or of a wrong type, by the loader's signature."""
    parameters = inspect.signature(loader).parameters.values()
    known = {parameter.name: parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    hints = typing.get_type_hints(loader)
    for option, value in options.items():
        if option not in known:
            raise InputError(f"dataset {name}: option {option} is unknown; there are: {', '.join(known)}.")
        if not _is_a(value, hints.get(option, object)):
            got = f"{value!r} ({type(value).__name__})"
            raise InputError(f"dataset {name}: option {option} is {got}; it must be {_in_words(hints[option])}.")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise InputError(f"dataset {name}: option {option} is missing and has no default; give it.")


def _is_a(value, hint) -> bool:
    """Whether value fits the type hint; an int counts as a float, a bool is no number."""
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, types.UnionType):
        return any(_is_a(value, choice) for choice in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if isinstance(value, bool):
        return origin in (bool, object)
    return isinstance(value, (int, float) if origin is float else origin)


def _in_words(hint) -> str:
    """A type hint in the words of an error message: «int or None», «'gaussian' or 'bernoulli'»."""
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_in_words(choice) for choice in typing.get_args(hint))
    if origin is typing.Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return "None" if origin is types.NoneType else origin.__name__


def _check_dataset(dataset: Dataset) -> None:
    """Raise InputError where a loaded data set breaks the contract of Dataset."""
    if dataset.likelihood not in LIKELIHOODS:
        raise _broken(dataset, f"likelihood is {dataset.likelihood!r}", f"must be {' or '.join(LIKELIHOODS)}")
    if dataset.test_recordings is None and dataset.test_recordings_labels is not None:
        raise _broken(dataset, "test_recordings_labels is given without test_recordings", "must have both, or neither")
    for part in (*PARTS, *["test_recordings"] * (dataset.test_recordings is not None)):
        _check_part(dataset, part)
        _check_labels(dataset, part)
    _check_factors(dataset)
    _check_label_names(dataset)
    rows = sum(len(getattr(dataset, part)) for part in PARTS)
    if dataset.boxes is not None and len(dataset.boxes) != rows:
        raise _broken(dataset, f"boxes has {len(dataset.boxes)} rows", f"must have {rows}, one for each observation")


def _check_part(dataset: Dataset, part: str) -> None:
    values = getattr(dataset, part)
    if values.dtype != torch.float32 or values.ndim != 2:
        raise _broken(dataset, f"{part} is {values.ndim}-D {values.dtype}", "must be 2-D torch.float32, (N, D)")
    if values.shape[1] != dataset.dim:
        fix = f"must have {dataset.dim}, the product of its shape {dataset.shape}"
        raise _broken(dataset, f"{part} has {values.shape[1]} columns", fix)
    if values.numel() == 0:
        raise _broken(dataset, f"{part} is empty", "must have at least one row and one column")
    low, high = (bound.item() for bound in values.aminmax())  # both NaN if any value is, so one pass is enough
    if not (math.isfinite(low) and math.isfinite(high)):
        count = (~values.isfinite()).sum().item()
        raise _broken(dataset, f"{part} holds {count} values that are NaN or infinite", "must be finite in float32")
    if dataset.likelihood == "bernoulli" and (low < 0 or high > 1):
        raise _broken(dataset, f"{part} ranges from {low:g} to {high:g}", "must lie in [0, 1] for likelihood bernoulli")


def _check_labels(dataset: Dataset, part: str) -> None:
    labels, rows = getattr(dataset, f"{part}_labels"), len(getattr(dataset, part))
    if labels is None:
        return
    if labels.dtype != torch.int64 or labels.shape != (rows,):
        found = f"{part}_labels is {labels.dtype} of shape {tuple(labels.shape)}"
        raise _broken(dataset, found, f"must be torch.int64 of shape ({rows},)")
    lowest = int(labels.min())
    if lowest < UNLABELLED:
        found = f"{part}_labels holds {lowest}"
        raise _broken(dataset, found, f"must hold classes from 0, and {UNLABELLED} where a row is unlabelled")


def _check_label_names(dataset: Dataset) -> None:
    names = dataset.label_names
    if names is None:
        return
    labels = [getattr(dataset, f"{part}_labels") for part in (*PARTS, "test_recordings")]
    highest = max((int(of_part.max()) for of_part in labels if of_part is not None), default=-1)
    if len(set(names)) < len(names) or highest >= len(names):
        found = f"label_names holds {len(set(names))} different names and the highest label is {highest}"
        raise _broken(dataset, found, "must have one name for each class from 0")


def _check_factors(dataset: Dataset) -> None:
    factors, rows = dataset.factors, len(dataset.test)
    if dataset.render is not None and dataset.factor_period is None:
        raise _broken(dataset, "render is given without factor_period", "must have both, or no render")
    if factors is None:
        return
    if not factors.is_floating_point() or factors.shape != (rows,) or not factors.isfinite().all():
        found = f"factors is {factors.dtype} of shape {tuple(factors.shape)}"
        raise _broken(dataset, found, f"must be finite floating-point numbers of shape ({rows},)")


def _broken(dataset: Dataset, found: str, fix: str) -> InputError:
    return InputError(f"dataset {dataset.name}: {found}; it {fix}.")
