"""Reads tables with named columns, .csv and .parquet, and reports every value that is no number by its place."""

import csv
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from flatvae.datasets._npz import check_there
from flatvae.datasets._text import encodings
from flatvae.errors import InputError


class Table(NamedTuple):
    """A table's numbers, float64 (N, D), the names of their columns, and the label column if requested."""

    values: np.ndarray
    columns: list[str]
    labels: pd.Series | None


def read_table(path: Path, label: str | None = None) -> Table:
    """Read a .csv file with a header line and commas between values, or a .parquet file; ``label`` names the label column.

    Raises InputError for a file that is missing, empty or no table, for a missing header line or label column, and for a
    column with anything but finite numbers: it names the column and the first such row, counted from 1.
    """
    check_there(path)
    frame = (_parquet if path.suffix.lower() == ".parquet" else _csv)(path)
    labels = None
    if label is not None:
        if label not in frame.columns:
            raise InputError(f"{path} has no column {label!r} for label; it has {_listed(frame.columns)}.")
        labels = frame.pop(label)
    if not frame.size:
        raise InputError(
            f"{path} has {len(frame)} rows and {frame.shape[1]} columns of numbers; it must have at least one of each."
        )
    values = np.empty(frame.shape)
    for place, name in enumerate(frame.columns):
        values[:, place] = _numbers(path, frame[name])
    return Table(values, list(frame.columns), labels)


def _numbers(path: Path, column: pd.Series) -> np.ndarray:
    """A column as finite numbers, float64 (N,)."""
    where = f"column {column.name!r} in {path}"
    if not pd.api.types.is_numeric_dtype(column):  # long integers and decimals come as objects or text
        empty, column = column.isna(), column.astype("str")
        found = pd.to_numeric(column, errors="coerce")
        wrong = (found.isna() & ~empty).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"{where} holds {column.iloc[row][:40]!r} in row {row + 1}; all must be numbers: leave the column out, or "
                "name it as label."
            )
        column = found
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    missing, huge = np.isnan(numbers), np.abs(numbers) > np.finfo(np.float32).max
    for bad, what in ((missing, "no value"), (huge, "a value that is not finite in float32")):
        if bad.any():
            count = int(bad.sum())
            rows = f"row {bad.argmax() + 1}" + f" and {count - 1} more" * (count > 1)
            raise InputError(f"{where} has {what} in {rows}; fill it in, or leave these rows out.")
    return numbers


def _csv(path: Path) -> pd.DataFrame:
    for encoding in encodings(path):
        try:
            _check_names(path, encoding)
            return _parsed(path, encoding)
        except UnicodeError:
            continue
        except csv.Error as error:
            raise InputError(f"{path} is no table ({error}); write lines of comma-separated values.") from error
    raise InputError(f"{path} is damaged, or no text; save it as UTF-8.")


def _parsed(path: Path, encoding: str) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row longer than the header line
            return pd.read_csv(path, encoding=encoding, index_col=False, skipinitialspace=True, low_memory=False)
    except pd.errors.ParserWarning as error:
        raise InputError(f"{path} has a line with more values than the first has names; name every column.") from error
    except pd.errors.ParserError as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error: ", "").split())
        raise InputError(f"{path} is no table ({reason}); every line must have as many values as the first.") from error


def _check_names(path: Path, encoding: str) -> None:
    """Raise InputError where the first line cannot be the header."""
    with path.open(encoding=encoding, newline="") as file:
        names = next((line for line in csv.reader(file, skipinitialspace=True) if line), None)
    if names is None:
        raise InputError(f"{path} is empty; it must have a line with the columns' names, and rows.")
    if not all(name.strip() for name in names):
        place = next(place for place, name in enumerate(names, 1) if not name.strip())
        raise InputError(
            f"{path} has no name for column {place}; name it, or save without it if it numbers the rows (pandas: index=False)."
        )
    if all(map(_is_number, names)) and names != [str(place) for place in range(len(names))]:
        raise InputError(f"{path} begins with numbers ({_listed(names)}); add a first line with the columns' names.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise InputError(f"{path} needs the package pyarrow; pip install '.[parquet]', or save .csv.") from error
    except Exception as error:  # a damaged file may raise nearly anything
        raise InputError(
            f"{path} is no .parquet file, or damaged; write it again, for example with DataFrame.to_parquet."
        ) from error
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _listed(names) -> str:
    """The first five names."""
    return ", ".join(map(str, names[:5])) + ", …" * (len(names) > 5)


def classes(labels: dict[str, pd.Series]) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """Label columns of one or more parts as integers, and the classes' names where the columns hold text.

    Whole numbers are kept, names become 0, 1, … in alphabetical order over all parts, and empty cells become −1.

    Args:
        labels: columns by the names that error messages use for them.

    Raises InputError for numbers that are not whole, and for numbers in one part but names in another.
    """
    numeric = {called: pd.api.types.is_numeric_dtype(column) for called, column in labels.items()}
    if not any(numeric.values()):
        names = sorted({str(name) for column in labels.values() for name in column.dropna()})
        coded = {
            called: pd.Categorical(column.astype("str").where(column.notna()), categories=names).codes.astype(np.int64)
            for called, column in labels.items()
        }
        return coded, tuple(names)
    found = {}
    for called, column in labels.items():
        if not numeric[called]:
            other = next(name for name, known in numeric.items() if known)
            raise InputError(f"{called} holds names but {other} numbers; all parts must hold the same kind.")
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        whole = np.where(np.isnan(numbers), -1, numbers)
        if (whole != whole.round()).any() or (np.abs(whole) > 2**53).any():
            bad = whole[(whole != whole.round()) | (np.abs(whole) > 2**53)][0]
            raise InputError(f"{called} holds {bad:g}; it must hold whole numbers from 0, or names.")
        found[called] = whole.astype(np.int64)
    return found, None
