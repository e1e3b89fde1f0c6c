"""Arrays: a user's own data in one NumPy ``.npz`` file."""

import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from flatvae.datasets import MAX_SEED, PARTS, Dataset, check_range, expanded, split_rows
from flatvae.datasets._npz import read_npz
from flatvae.errors import InputError

_LIMITS = {np.dtype(bool): 1, np.dtype(np.uint8): 255}  # greatest values of types that are chosen for a scale
_LABELS = tuple(f"{part}_labels" for part in PARTS)


def load(
    root: Path | None = None,
    *,
    path: str | Path,
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
    validation: float = 0.1,
    seed: int = 0,
    shape: tuple[int, ...] | list[int] | None = None,
) -> Dataset:
    """A user's own arrays.

    The file holds ``train`` and ``test``, and may hold ``validation``, ``train_labels``, ``validation_labels`` and
    ``test_labels``. Observations are (N, ...) numbers and are flattened to (N, D); labels are (N,) integers, -1 where a
    row is unlabelled and classes from 0.

    All parts must store an observation in one shape. Axes of length 1 do not count, and a part may be flat, (N, D). Integers
    in one part and floats in another are refused: most likely one of them is scaled and the other is not. Booleans go with
    both.

    Args:
        root: not used; a relative path is taken from the working directory.
        path: of the .npz file. Pickled objects in it are refused, never run.
        likelihood: "gaussian" for any values, "bernoulli" for values in [0, 1], of which validation and test are
            binarised once, 1 with the value as probability (0 and 1 stay what they are).
        validation: where the file has no ``validation``, the part of the training rows, in (0, 1), that is held out
            for it, at random.
        seed: of that split.
        shape: of one observation; by default that in which ``train`` is stored. The parts must agree also where it is given.

    Raises InputError for whatever is wrong with the file, naming the array.
    """
    check_range("arrays", "seed", seed, 0, MAX_SEED)
    source = expanded(path)
    arrays = _read(source)
    _check_names(source, arrays)
    trailing = arrays["train"].shape[1:]
    values = {part: _observations(source, arrays, part, likelihood) for part in PARTS if part in arrays}
    _check_widths(source, values)
    _check_alike(source, {part: arrays[part] for part in values})
    labels = {key: _labels(source, arrays, key) for key in _LABELS if key in arrays}
    _check_classes(source, labels)
    values |= labels
    if "validation" not in values:
        values |= _held_out(source, values, validation, seed)
    if likelihood == "bernoulli":  # as MNIST: training values are binarised afresh for each batch, the others once
        noise = torch.Generator().manual_seed(seed)
        for part in ("validation", "test"):
            values[part] = (torch.rand(values[part].shape, generator=noise) < values[part]).float()
    shape = _checked_shape(trailing if shape is None else shape, values["train"].shape[1])
    return Dataset(name="arrays", likelihood=likelihood, shape=shape, **values)


def _read(source: Path) -> dict[str, np.ndarray]:
    """The known arrays of the file, as they are stored."""
    try:
        arrays, others = read_npz(source, (*PARTS, *_LABELS))
    except InputError as error:
        raise InputError(f"dataset arrays: {error}") from error
    if others:  # most likely a misspelt name, but a file may well hold more than this suite reads
        warnings.warn(f"dataset arrays: {source} also holds {', '.join(others)}, not read.", stacklevel=2)
    return arrays


def _check_names(source: Path, arrays: dict[str, np.ndarray]) -> None:
    for key in ("train", "test"):
        if key not in arrays:
            raise InputError(f"dataset arrays: {source} has no array {key}; add it, shape (N, ...).")
    if "validation_labels" in arrays and "validation" not in arrays:
        raise InputError(f"dataset arrays: {source} has validation_labels but no validation; add it or leave both out.")


def _observations(source: Path, arrays: dict[str, np.ndarray], key: str, likelihood: str) -> torch.Tensor:
    """One part, float32 (N, D)."""
    array = arrays[key]
    if array.dtype.kind not in "biuf":
        raise _wrong(source, key, f"holds {array.dtype}", "must hold real numbers")
    if array.ndim < 2:
        raise _wrong(source, key, f"has {array.ndim} dimension(s)", "must be (N, ...), one observation a row")
    if array.size == 0:
        raise _wrong(source, key, f"has the shape {array.shape}", "must have at least one row and one column")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite and is counted next
        values = array.reshape(len(array), -1).astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise _wrong(source, key, f"holds {bad} value(s) that are NaN or infinite", "must be finite in float32")
    outside = np.count_nonzero((values < 0) | (values > 1))
    if likelihood == "bernoulli" and outside:
        mend = "must lie in [0, 1] for likelihood bernoulli"
        raise _wrong(source, key, f"holds {outside} value(s) outside [0, 1]", mend)
    return torch.from_numpy(values)


def _check_widths(source: Path, parts: dict[str, torch.Tensor]) -> None:
    width = parts["train"].shape[1]
    for key, values in parts.items():
        if values.shape[1] != width:
            raise _wrong(source, key, f"has {values.shape[1]} values a row", f"must have {width}, as train has")


def _check_alike(source: Path, parts: dict[str, np.ndarray]) -> None:
    """Raise InputError where parts of one width hold different things: other axes, or values on different scales."""
    shapes = {key: tuple(length for length in array.shape[1:] if length > 1) for key, array in parts.items()}
    shapes = {key: shape for key, shape in shapes.items() if len(shape) > 1}  # flat ones go with any
    types = {key: array.dtype for key, array in parts.items() if array.dtype.kind != "b"}
    for key, shape in shapes.items():
        first = next(iter(shapes))
        if shape != shapes[first]:
            found = f"has observations of shape {parts[key].shape[1:]} and {first} of {parts[first].shape[1:]}"
            raise _wrong(source, key, found, "must have the same axes in the same order")
    for key, dtype in types.items():
        first = next(iter(types))
        if (dtype.kind == "f") != (types[first].kind == "f"):
            found = f"holds {dtype} and {first} {types[first]}, so most likely only one of them is scaled"
            raise _wrong(source, key, found, "must be scaled alike and saved with the same type")
    for key, array in parts.items():
        limit = _LIMITS.get(array.dtype)
        for other, values in parts.items():
            if limit and values.dtype.kind in "iu" and values.size and values.max() > limit:
                found = f"holds {array.dtype} and {other} the value {values.max()}, so most likely they are scaled differently"
                raise _wrong(source, key, found, "must be scaled alike and saved with the same type")


def _labels(source: Path, arrays: dict[str, np.ndarray], key: str) -> torch.Tensor:
    """Labels, int64 (N,)."""
    labels, rows = arrays[key], len(arrays[key.removesuffix("_labels")])
    if labels.dtype.kind not in "iu" or not np.can_cast(labels.dtype, np.int64):
        raise _wrong(source, key, f"holds {labels.dtype}", "must hold integers that fit in int64")
    if labels.shape != (rows,):
        raise _wrong(source, key, f"has the shape {labels.shape}", f"must have ({rows},), a label for each row")
    return torch.from_numpy(labels.astype(np.int64))


def _check_classes(source: Path, labels: dict[str, torch.Tensor]) -> None:
    """Raise InputError where the classes are -1 and 1, as some classifiers have them: half of the rows would be unlabelled."""
    found = {label for values in labels.values() for label in values.unique().tolist()}
    if found == {-1, 1}:
        raise _wrong(
            source, next(iter(labels)), "holds only -1 and 1, and -1 means unlabelled", "must number classes from 0"
        )


def _held_out(source: Path, values: dict[str, torch.Tensor], fraction: float, seed: int) -> dict[str, torch.Tensor]:
    """Training and validation part, with their labels, from the training rows."""
    if not 0 < fraction < 1:
        raise InputError(f"dataset arrays: option validation is {fraction}; it must lie between 0 and 1.")
    rows = len(values["train"])
    if rows < 2:
        raise _wrong(source, "train", "has one row", "must have two or more, or validation must be given beside it")
    kept, held_out = split_rows(rows, min(max(1, round(fraction * rows)), rows - 1), seed)
    split = {}
    for key in values.keys() & {"train", "train_labels"}:
        split[key] = values[key][kept]
        split[key.replace("train", "validation")] = values[key][held_out]
    return split


def _checked_shape(shape: tuple | list, width: int) -> tuple[int, ...]:
    whole = all(type(length) is int and length > 0 for length in shape)
    if not whole or math.prod(shape) != width:
        raise InputError(f"dataset arrays: option shape is {list(shape)}; it must be whole numbers of product {width}.")
    return tuple(shape)


def _wrong(source: Path, key: str, found: str, mend: str) -> InputError:
    return InputError(f"dataset arrays: {key} in {source} {found}; it {mend}.")
