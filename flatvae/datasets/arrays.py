"""Arrays: a user's own data, in one file or in one for each part."""

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

_LIMITS = {np.dtype(bool): 1, np.dtype(np.uint8): 255}  # greatest values of types that are chosen for a scale
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

    An ``.npy`` file holds observations (N, ...) alone; a ``.csv`` or ``.parquet`` file holds one a row, in columns of numbers
    that have names, and may hold a column of labels. One such file has all rows, which are divided at random into the three
    parts; or each part has a file of its own.

    All parts must store an observation in one shape. Axes of length 1 do not count, and a part may be flat, (N, D). Integers
    in one part and floats in another are refused: most likely one of them is scaled and the other is not. Booleans go with
    both. Tables must have the same columns in the same order.

    Args:
        root: not used; a relative path is taken from the working directory.
        path: of the file, or of several: ``{"train": "a.csv", "test": "b.csv"}``, perhaps with ``validation``. Pickled objects
            in them are refused, never run.
        likelihood: "gaussian" for any values, "bernoulli" for values in [0, 1], of which validation and test are
            binarised once, 1 with the value as probability (0 and 1 stay what they are).
        validation: where no ``validation`` is given, the part of the training rows, in (0, 1), that is held out for it, at
            random.
        test: where one file has all rows, the part of them, in (0, 1), that is held out for ``test``, at random.
        seed: of these splits.
        shape: of one observation; by default that in which ``train`` is stored. The parts must agree also where it is given.
        label: column of a table that holds labels: whole numbers as above, or names, which are numbered in alphabetical order.
            An empty cell is an unlabelled row.
        standardise: subtract from each column the training part's mean and divide by its standard deviation. Columns that are
            constant there become 0. For likelihood "gaussian" alone.

    Raises InputError for whatever is wrong with a file, naming the array, or the column.
    """
    check_range("arrays", "seed", seed, 0, MAX_SEED)
    if standardise and likelihood != "gaussian":
        raise InputError(
            f"dataset arrays: option standardise gives values that are not {likelihood}; leave one of them out."
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
    if likelihood == "bernoulli":  # as MNIST: training values are binarised afresh for each batch, the others once
        noise = torch.Generator().manual_seed(seed)
        for part in ("validation", "test"):
            values[part] = (torch.rand(values[part].shape, generator=noise) < values[part]).float()
    shape = _checked_shape(trailing if shape is None else shape, values["train"].shape[1])
    return Dataset(name="arrays", likelihood=likelihood, shape=shape, label_names=stored.label_names, **values)


class _Stored(NamedTuple):
    """What files hold: arrays, what an error's sentence calls each, and of tables the names of columns and classes."""

    arrays: dict[str, np.ndarray]
    where: dict[str, str]
    columns: list[str] | None = None
    label_names: tuple[str, ...] | None = None


def _read(path: str | Path | dict, label: str | None) -> _Stored:
    """The known arrays; where one file has all rows, these are ``train``."""
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
    if others:  # most likely a misspelt name, but a file may well hold more than this suite reads
        warnings.warn(f"dataset arrays: {source} also holds {', '.join(others)}, not read.", stacklevel=2)
    for key in ("train", "test"):
        if key not in arrays:
            raise InputError(f"{source} has no array {key}; add it, shape (N, ...).")
    if "validation_labels" in arrays and "validation" not in arrays:
        raise InputError(f"{source} has validation_labels but no validation; add it or leave both out.")
    return _Stored(arrays, {key: f"{key} in {source}" for key in arrays})


def _read_parts(path: dict, label: str | None) -> _Stored:
    """The parts that have a file each."""
    if not {"train", "test"} <= path.keys() <= set(PARTS):
        raise InputError(
            f"option path names {', '.join(map(str, path))}; it must name train, test and perhaps validation."
        )
    for part, file in path.items():
        if not isinstance(file, str | Path) or Path(file).suffix.lower() not in _ROWS:
            raise InputError(f"option path gives {file!r} for {part}; it must be an .npy, .csv or .parquet file.")
    files = {part: expanded(path[part]) for part in PARTS if part in path}
    return _read_rows(files, {part: f"{part} in {file}" for part, file in files.items()}, label)


def _read_rows(files: dict[str, Path], where: dict[str, str], label: str | None) -> _Stored:
    """Files that hold rows of one part each."""
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
            raise InputError(f"{where[part]} has other columns than train, or another order; it must have the same.")
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
    """One part, (N, D) of this kind."""
    array = arrays[key]
    if array.dtype.kind not in "biuf":
        raise _wrong(where, key, f"holds {array.dtype}", "must hold real numbers")
    if array.ndim < 2:
        raise _wrong(where, key, f"has {array.ndim} dimension(s)", "must be (N, ...), one observation a row")
    if array.size == 0:
        raise _wrong(where, key, f"has the shape {array.shape}", "must have at least one row and one column")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite and is counted next
        values = array.reshape(len(array), -1).astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise _wrong(where, key, f"holds {bad} value(s) that are NaN or infinite", "must be finite in float32")
    outside = np.count_nonzero((values < 0) | (values > 1))
    if likelihood == "bernoulli" and outside:
        mend = "must lie in [0, 1] for likelihood bernoulli"
        raise _wrong(where, key, f"holds {outside} value(s) outside [0, 1]", mend)
    return torch.from_numpy(values if kind is np.float32 else array.reshape(values.shape).astype(kind))


def _check_widths(where: dict[str, str], parts: dict[str, torch.Tensor]) -> None:
    width = parts["train"].shape[1]
    for key, values in parts.items():
        if values.shape[1] != width:
            raise _wrong(where, key, f"has {values.shape[1]} values a row", f"must have {width}, as train has")


def _check_alike(where: dict[str, str], parts: dict[str, np.ndarray]) -> None:
    """Raise InputError where parts of one width hold different things: other axes, or values on different scales."""
    shapes = {key: tuple(length for length in array.shape[1:] if length > 1) for key, array in parts.items()}
    shapes = {key: shape for key, shape in shapes.items() if len(shape) > 1}  # flat ones go with any
    types = {key: array.dtype for key, array in parts.items() if array.dtype.kind != "b"}
    for key, shape in shapes.items():
        first = next(iter(shapes))
        if shape != shapes[first]:
            found = f"has observations of shape {parts[key].shape[1:]} and {first} of {parts[first].shape[1:]}"
            raise _wrong(where, key, found, "must have the same axes in the same order")
    for key, dtype in types.items():
        first = next(iter(types))
        if (dtype.kind == "f") != (types[first].kind == "f"):
            found = f"holds {dtype} and {first} {types[first]}, so most likely only one of them is scaled"
            raise _wrong(where, key, found, "must be scaled alike and saved with the same type")
    for key, array in parts.items():
        limit = _LIMITS.get(array.dtype)
        for other, values in parts.items():
            if limit and values.dtype.kind in "iu" and values.size and values.max() > limit:
                found = f"holds {array.dtype} and {other} the value {values.max()}, so most likely they are scaled differently"
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
    """Raise InputError where the classes are -1 and 1, as some classifiers have them: half of the rows would be unlabelled."""
    found = {label for values in labels.values() for label in values.unique().tolist()}
    if found == {-1, 1}:
        raise _wrong(
            where, next(iter(labels)), "holds only -1 and 1, and -1 means unlabelled", "must number classes from 0"
        )


def _held_out(where: dict[str, str], values: dict[str, torch.Tensor], part: str, fraction: float, seed: int) -> dict:
    """The training rows without a fraction of them, and these as another part, with the labels of both."""
    if not 0 < fraction < 1:
        raise InputError(f"dataset arrays: option {part} is {fraction}; it must lie between 0 and 1.")
    rows = len(values["train"])
    if rows < 2:
        raise _wrong(where, "train", "has one row for training", f"must have more, so that {part} can be held out")
    kept, held_out = split_rows(rows, min(max(1, round(fraction * rows)), rows - 1), seed)
    split = {}
    for key in values.keys() & {"train", "train_labels"}:
        split[key] = values[key][kept]
        split[key.replace("train", part)] = values[key][held_out]
    return split


def _standardised(parts: dict[str, torch.Tensor], columns: list[str] | None) -> dict[str, torch.Tensor]:
    """(x − m) / s of all parts (N, D), float32, with mean m and standard deviation s of each column of the training part.

    Computed in double precision, so that what varies little about a large value keeps its digits.
    """
    train = parts["train"]
    mean, deviation = train.mean(0), train.std(0, correction=0)
    constant = (train.amin(0) == train.amax(0)) | (deviation == 0)  # rounding can give a deviation to equal values
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


def _wrong(where: dict[str, str], key: str, found: str, mend: str) -> InputError:
    return InputError(f"dataset arrays: {where[key]} {found}; it {mend}.")
