"""Tables with named columns, .csv and .parquet, read so that whatever is no number is named."""

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
    """The numbers of a table, float64 (N, D), the names of their columns, and the label column where one is asked for."""

    values: np.ndarray
    columns: list[str]
    labels: pd.Series | None


def read_table(path: Path, label: str | None = None) -> Table:
    """A .csv file with a line of names and commas between values, or a .parquet file; ``label`` names the column of the labels.

    Raises InputError for a file that is missing, empty or no table, for a line of names that is missing, for a label column that
    is not there, and for a column with anything but finite numbers: it names the column and the first such row, counted from 1.
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
            f"{path} has {len(frame)} rows and {frame.shape[1]} columns of numbers; it must have some of both."
        )
    values = np.empty(frame.shape)
    for place, name in enumerate(frame.columns):
        values[:, place] = _numbers(path, frame[name])
    return Table(values, list(frame.columns), labels)


def _numbers(path: Path, column: pd.Series) -> np.ndarray:
    """A column as finite numbers, float64 (N,)."""
    where = f"column {column.name!r} in {path}"
    if not pd.api.types.is_numeric_dtype(column):  # whole numbers of many digits and decimals come as objects or text
        empty, column = column.isna(), column.astype("str")
        found = pd.to_numeric(column, errors="coerce")
        wrong = (found.isna() & ~empty).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"{where} holds {column.iloc[row][:40]!r} in row {row + 1}; all must be numbers, so leave the column out, or "
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
            raise InputError(
                f"{path} is no table ({error}); write lines of values with commas between them."
            ) from error
    raise InputError(f"{path} is damaged, or no text; save it as UTF-8.")


def _parsed(path: Path, encoding: str) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row that is longer than the line of names
            return pd.read_csv(path, encoding=encoding, index_col=False, skipinitialspace=True, low_memory=False)
    except pd.errors.ParserWarning as error:
        raise InputError(f"{path} has a line with more values than the first has names; name every column.") from error
    except pd.errors.ParserError as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error: ", "").split())
        raise InputError(f"{path} is no table ({reason}); every line must have as many values as the first.") from error


def _check_names(path: Path, encoding: str) -> None:
    """Raise InputError where the first line cannot be that of the columns' names."""
    with path.open(encoding=encoding, newline="") as file:
        names = next((line for line in csv.reader(file, skipinitialspace=True) if line), None)
    if names is None:
        raise InputError(f"{path} is empty; it must have a line with the names of the columns, and rows.")
    if not all(name.strip() for name in names):
        place = next(place for place, name in enumerate(names, 1) if not name.strip())
        raise InputError(
            f"{path} has no name for column {place}; name it, or, if it numbers the rows, save without it (pandas: index=False)."
        )
    if all(map(_is_number, names)) and names != [str(place) for place in range(len(names))]:
        raise InputError(
            f"{path} begins with numbers ({_listed(names)}); its first line must be the names of the columns, so add it."
        )


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
    except Exception as error:  # damage has no common error
        raise InputError(
            f"{path} is no .parquet file, or damaged; write it again, as with DataFrame.to_parquet."
        ) from error
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _listed(names) -> str:
    """The first of many names."""
    return ", ".join(map(str, names[:5])) + ", …" * (len(names) > 5)


def classes(labels: dict[str, pd.Series]) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """Label columns of one or more parts as integers, and the names of the classes where the columns hold text.

    Whole numbers stay what they are, names become 0, 1, … in alphabetical order over all parts, and empty cells −1.

    Args:
        labels: columns by what they are called in an error's sentence.

    Raises InputError for numbers that are not whole, and for numbers in one part and names in another.
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
            raise InputError(f"{called} holds names and {other} numbers; all parts must have the same.")
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        whole = np.where(np.isnan(numbers), -1, numbers)
        if (whole != whole.round()).any() or (np.abs(whole) > 2**53).any():
            bad = whole[(whole != whole.round()) | (np.abs(whole) > 2**53)][0]
            raise InputError(f"{called} holds {bad:g}; it must hold whole numbers from 0, or names.")
        found[called] = whole.astype(np.int64)
    return found, None
