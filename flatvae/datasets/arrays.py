"""Arrays: a user's own data, in one file or in one file per part."""

import math
import warnings
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from flatvae.datasets import MAX_SEED, PARTS, Dataset, check_range, expanded, split_rows
from flatvae.datasets._npz import read_npy, read_npz
from flatvae.datasets._tables import classes, read_table
from flatvae.errors import InputError

_LIMITS = {np.dtype(bool): 1, np.dtype(np.uint8): 255}  # greatest values of types that imply a scale
_LABELS = tuple(f"{part}_labels" for part in PARTS)
_ROWS = (".npy", ".csv", ".parquet")  # files that hold rows of one part, or all rows


def load(
    root: Path | None = None,
    *,
    path: str | Path | dict,
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    shape: tuple[int, ...] | list[int] | None = None,
    label: str | None = None,
    standardise: bool = False,
) -> Dataset:
    """A user's own arrays or tables.

    An ``.npz`` file holds ``train`` and ``test``, and may hold ``validation``, ``train_labels``, ``validation_labels`` and
    ``test_labels``. Observations are (N, ...) numbers and are flattened to (N, D); labels are (N,) integers, -1 where a
    row is unlabelled and classes from 0.

    An ``.npy`` file holds only observations (N, ...). A ``.csv`` or ``.parquet`` file holds one observation per row, in named
    columns of numbers, and may hold a column of labels. Either one such file has all rows, which are split at random into the
    three parts, or each part has its own file.

    All parts must store observations in the same shape. Axes of length 1 do not count, and a part may be flat, (N, D).
    Integers in one part and floats in another are refused, as most likely only one of them is scaled. Booleans go with both.
    Tables must have the same columns in the same order.

    Args:
        root: not used; relative paths start from the working directory.
        path: one file, or one per part: ``{"train": "a.csv", "test": "b.csv"}``, optionally with ``validation``. Pickled
            objects are refused, never run.
        likelihood: "gaussian" for any values, "bernoulli" for values in [0, 1]. For "bernoulli", validation and test are
            binarised once, with the value as the probability of 1 (0 and 1 stay unchanged).
        validation: fraction of the training rows, in (0, 1), held out at random where no ``validation`` is given.
        test: fraction of all rows, in (0, 1), held out at random where one file has all rows.
        seed: of these splits and of the binarisation.
        shape: of one observation; by default the shape in which ``train`` is stored. The parts must agree even if it is given.
        label: a table's column of labels: whole numbers as above, or names, which are numbered in alphabetical order.
            An empty cell marks an unlabelled row.
        standardise: subtract the training part's mean from each column and divide by its standard deviation. Columns that are
            constant there become 0. Only for likelihood "gaussian".

    Raises InputError, naming the array or column, for anything wrong with a file.
    """
    check_range("arrays", "seed", seed, 0, MAX_SEED)
    if standardise and likelihood != "gaussian":
        raise InputError(
            f"dataset arrays: option standardise does not go with likelihood {likelihood}; leave one of them out."
        )
    try:
        stored = _read(path, label)
    except InputError as error:
        raise InputError(f"dataset arrays: {error}") from error
    arrays, where = stored.arrays, stored.where
    trailing = arrays["train"].shape[1:]
    kind = np.float64 if standardise else np.float32
    values = {part: _observations(where, arrays, part, likelihood, kind) for part in PARTS if part in arrays}
    _check_widths(where, values)
    _check_alike(where, {part: arrays[part] for part in values})
    labels = {key: _labels(where, arrays, key) for key in _LABELS if key in arrays}
    _check_classes(where, labels)
    values |= labels
    for part, fraction in (("test", test), ("validation", validation)):
        if part not in values:
            values |= _held_out(where, values, part, fraction, seed)
    if standardise:
        values |= _standardised({part: values[part] for part in PARTS}, stored.columns)
    if likelihood == "bernoulli":  # as MNIST: training values are binarised again for each batch, the others once
        noise = torch.Generator().manual_seed(seed)
        for part in ("validation", "test"):
            values[part] = (torch.rand(values[part].shape, generator=noise) < values[part]).float()
    shape = _checked_shape(trailing if shape is None else shape, values["train"].shape[1])
    return Dataset(name="arrays", likelihood=likelihood, shape=shape, label_names=stored.label_names, **values)


class _Stored(NamedTuple):
    """Arrays, their names in error messages, and for tables the names of columns and classes."""

    arrays: dict[str, np.ndarray]
    where: dict[str, str]
    columns: list[str] | None = None
    label_names: tuple[str, ...] | None = None


def _read(path: str | Path | dict, label: str | None) -> _Stored:
    """The known arrays; a file with all rows gives ``train`` alone."""
    if isinstance(path, dict):
        return _read_parts(path, label)
    source = expanded(path)
    if source.suffix.lower() in _ROWS:
        return _read_rows({"train": source}, {"train": str(source)}, label)
    if label is not None:
        raise InputError(
            f"option label names a column, and {source} has none; leave it out, and save train_labels there."
        )
    arrays, others = read_npz(source, (*PARTS, *_LABELS))
    if others:  # most likely a misspelt name, but a file may hold more than this suite reads
        warnings.warn(f"dataset arrays: {source} also holds {', '.join(others)}, not read.", stacklevel=2)
    for key in ("train", "test"):
        if key not in arrays:
            raise InputError(f"{source} has no array {key}; add it, shape (N, ...).")
    if "validation_labels" in arrays and "validation" not in arrays:
        raise InputError(f"{source} has validation_labels but no validation; add it or leave both out.")
    return _Stored(arrays, {key: f"{key} in {source}" for key in arrays})


def _read_parts(path: dict, label: str | None) -> _Stored:
    """The parts, each from its own file."""
    if not {"train", "test"} <= path.keys() <= set(PARTS):
        raise InputError(
            f"option path names {', '.join(map(str, path))}; it must name train, test and optionally validation."
        )
    for part, file in path.items():
        if not isinstance(file, str | Path) or Path(file).suffix.lower() not in _ROWS:
            raise InputError(f"option path gives {file!r} for {part}; it must be an .npy, .csv or .parquet file.")
    files = {part: expanded(path[part]) for part in PARTS if part in path}
    return _read_rows(files, {part: f"{part} in {file}" for part, file in files.items()}, label)


def _read_rows(files: dict[str, Path], where: dict[str, str], label: str | None) -> _Stored:
    """Files that each hold the rows of one part."""
    arrays, columns, labels = {}, None, {}
    for part, file in files.items():
        if file.suffix.lower() == ".npy":
            if label is not None:
                raise InputError(
                    f"option label names a column, and {file} has none; save train_labels in an .npz file."
                )
            arrays[part] = read_npy(file)
            continue
        table = read_table(file, label)
        arrays[part] = table.values
        if columns not in (None, table.columns):
            raise InputError(f"{where[part]} has other columns than train, or in another order; they must be the same.")
        columns = table.columns
        if label is not None:
            labels[f"{part}_labels"] = table.labels
    called = {key: f"column {label!r} in {files[key.removesuffix('_labels')]}" for key in labels}
    coded, names = classes({called[key]: column for key, column in labels.items()}) if labels else ({}, None)
    arrays |= {key: coded[name] for key, name in called.items()}
    return _Stored(arrays, where | called, columns, names)


def _observations(
    where: dict[str, str], arrays: dict[str, np.ndarray], key: str, likelihood: str, kind: type
) -> torch.Tensor:
    """One part, (N, D), of this floating-point type."""
    array = arrays[key]
    if array.dtype.kind not in "biuf":
        raise _wrong(where, key, f"holds {array.dtype}", "must hold real numbers")
    if array.ndim < 2:
        raise _wrong(where, key, f"has {array.ndim} dimension(s)", "must be (N, ...), one observation a row")
    if array.size == 0:
        raise _wrong(where, key, f"has the shape {array.shape}", "must have at least one row and one column")
    with np.errstate(over="ignore"):  # values too large for float32 become infinite and are counted next
        values = array.reshape(len(array), -1).astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise _wrong(where, key, f"holds {bad} value(s) that are NaN or infinite", "must be finite in float32")
    outside = np.count_nonzero((values < 0) | (values > 1))
    if likelihood == "bernoulli" and outside:
        fix = "must lie in [0, 1] for likelihood bernoulli"
        raise _wrong(where, key, f"holds {outside} value(s) outside [0, 1]", fix)
    return torch.from_numpy(values if kind is np.float32 else array.reshape(values.shape).astype(kind))


def _check_widths(where: dict[str, str], parts: dict[str, torch.Tensor]) -> None:
    width = parts["train"].shape[1]
    for key, values in parts.items():
        if values.shape[1] != width:
            raise _wrong(where, key, f"has {values.shape[1]} values a row", f"must have {width}, as train has")


def _check_alike(where: dict[str, str], parts: dict[str, np.ndarray]) -> None:
    """Raise InputError where parts of the same width differ in their axes or in the scale of their values."""
    shapes = {key: tuple(length for length in array.shape[1:] if length > 1) for key, array in parts.items()}
    shapes = {key: shape for key, shape in shapes.items() if len(shape) > 1}  # flat parts go with any shape
    types = {key: array.dtype for key, array in parts.items() if array.dtype.kind != "b"}
    for key, shape in shapes.items():
        first = next(iter(shapes))
        if shape != shapes[first]:
            found = f"has observations of shape {parts[key].shape[1:]}, but {first} of {parts[first].shape[1:]}"
            raise _wrong(where, key, found, "must have the same axes in the same order")
    for key, dtype in types.items():
        first = next(iter(types))
        if (dtype.kind == "f") != (types[first].kind == "f"):
            found = f"holds {dtype}, but {first} {types[first]}, so most likely only one of them is scaled"
            raise _wrong(where, key, found, "must be scaled alike and saved with the same type")
    for key, array in parts.items():
        limit = _LIMITS.get(array.dtype)
        for other, values in parts.items():
            if limit and values.dtype.kind in "iu" and values.size and values.max() > limit:
                found = f"holds {array.dtype}, but {other} the value {values.max()}, so most likely they are scaled differently"
                raise _wrong(where, key, found, "must be scaled alike and saved with the same type")


def _labels(where: dict[str, str], arrays: dict[str, np.ndarray], key: str) -> torch.Tensor:
    """Labels, int64 (N,)."""
    labels, rows = arrays[key], len(arrays[key.removesuffix("_labels")])
    if labels.dtype.kind not in "iu" or not np.can_cast(labels.dtype, np.int64):
        raise _wrong(where, key, f"holds {labels.dtype}", "must hold integers that fit in int64")
    if labels.shape != (rows,):
        raise _wrong(where, key, f"has the shape {labels.shape}", f"must have ({rows},), a label for each row")
    return torch.from_numpy(labels.astype(np.int64))


def _check_classes(where: dict[str, str], labels: dict[str, torch.Tensor]) -> None:
    """Raise InputError for the classes -1 and 1, which some classifiers use: -1 would count as unlabelled."""
    found = {label for values in labels.values() for label in values.unique().tolist()}
    if found == {-1, 1}:
        raise _wrong(
            where, next(iter(labels)), "holds only -1 and 1, and -1 means unlabelled", "must number classes from 0"
        )


def _held_out(where: dict[str, str], values: dict[str, torch.Tensor], part: str, fraction: float, seed: int) -> dict:
    """Move a random fraction of the training rows to another part, with their labels."""
    if not 0 < fraction < 1:
        raise InputError(f"dataset arrays: option {part} is {fraction}; it must lie between 0 and 1.")
    rows = len(values["train"])
    if rows < 2:
        raise _wrong(where, "train", "has one row for training", f"must have more, to hold out {part}")
    kept, held_out = split_rows(rows, min(max(1, round(fraction * rows)), rows - 1), seed)
    split = {}
    for key in values.keys() & {"train", "train_labels"}:
        split[key] = values[key][kept]
        split[key.replace("train", part)] = values[key][held_out]
    return split


def _standardised(parts: dict[str, torch.Tensor], columns: list[str] | None) -> dict[str, torch.Tensor]:
    """(x − m) / s of all parts (N, D), float32, with mean m and standard deviation s of each column of the training part.

    Computed in double precision, so that small variations around a large value keep their digits.
    """
    train = parts["train"]
    mean, deviation = train.mean(0), train.std(0, correction=0)
    constant = (train.amin(0) == train.amax(0)) | (deviation == 0)  # rounding can give equal values a deviation
    if constant.any():
        places = constant.nonzero().flatten().tolist()
        named = [repr(columns[place]) if columns else str(place) for place in places[:5]] + ["…"] * (len(places) > 5)
        warnings.warn(
            f"dataset arrays: {len(places)} of {len(mean)} columns are constant in the training part and become 0: "
            f"{', '.join(named)}.",
            stacklevel=2,
        )
    return {part: torch.where(constant, 0, (rows - mean) / deviation).float() for part, rows in parts.items()}


def _checked_shape(shape: tuple | list, width: int) -> tuple[int, ...]:
    whole = all(type(length) is int and length > 0 for length in shape)
    if not whole or math.prod(shape) != width:
        raise InputError(f"dataset arrays: option shape is {list(shape)}; it must be whole numbers of product {width}.")
    return tuple(shape)


def _wrong(where: dict[str, str], key: str, found: str, fix: str) -> InputError:
    return InputError(f"dataset arrays: {where[key]} {found}; it {fix}.")
