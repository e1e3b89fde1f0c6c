"""The methods of one data set by the most important numbers: which are compared, which is best, and which tie."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from flatvae.reporting.glossary import better
from flatvae.reporting.names import display_name
from flatvae.reporting.scales import logarithmic
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.tables import EXEMPT, FEWER, UNMET, number_cell
from flatvae.reporting.trained import seeds_on
from flatvae.reporting.verdicts import MIN_PAIRS

FLATNESS = "condition_number_median"


class Shown(NamedTuple):
    """A number on the leaderboards: its place in the tables, and the heading of its column."""

    task: str
    metric: str
    distance: str
    heading: str


SHOWN = (
    Shown("flatness", FLATNESS, "", "condition number k"),
    Shown("flatness", "metric_deviation", "", "metric deviation"),
    Shown("reconstruction", "train_error", "", "training error"),
    Shown("reconstruction", "test_error", "", "test error"),
    Shown("reconstruction", "kl", "", "KL, nats"),
    Shown("likelihood", "nll", "", "NLL, nats"),
    Shown("neighbours", "knn_accuracy", "euclidean", "k-NN accuracy"),
    Shown("neighbours", "true_neighbour_recall_at_10", "euclidean", "true neighbours"),
    Shown("neighbours", "mAP", "euclidean", "mAP"),
    Shown("neighbours", "trustworthiness_at_10", "euclidean", "trustworthiness"),
    Shown("tracking", "IDF1", "", "IDF1, %"),
    Shown("compute", "train_seconds", "", "training, s"),
)


@dataclass(frozen=True)
class Cell:
    """A number: its text as in the tables, mean and interval (None if missing), and whether it is best or ties with the best."""

    text: str
    mean: float | None
    low: float | None
    high: float | None
    best: bool = False


@dataclass(frozen=True)
class Column:
    """A column: metric, heading, better direction, scale, and the range of its bars."""

    task: str
    metric: str
    heading: str
    better: int
    logarithmic: bool
    low: float | None
    high: float | None

    def place(self, value: float | None) -> float | None:
        """The position of a value in the column's range, 0 to 100; None if the value is missing or off the scale."""
        if value is None or self.low is None or not math.isfinite(value) or (self.logarithmic and value <= 0):
            return None
        if self.high == self.low:
            return 50.0
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return 100 * (at - low) / (high - low)


@dataclass(frozen=True)
class Row:
    """A method or control.

    Attributes:
        method, name: identifier and display name.
        mark: † a seed missed the bound or had not settled, ‡ a seed became non-finite, § the method has no bound.
        bound: «4/5»: seeds at equal reconstruction that had settled; empty for a method without bound.
        kind: ``compared``, ``missed`` (too few seeds at the bound), ``exempt`` (no bound), or ``control``. Only compared rows
            can be best.
        cells: one for each column.
    """

    method: str
    name: str
    mark: str
    bound: str
    kind: str
    cells: list[Cell]


@dataclass(frozen=True)
class Leaderboard:
    """The leaderboard of one data set; ``bound`` is κ² as text, ``flattest`` the row with the smallest k and those that tie."""

    dataset: str
    bound: str
    columns: list[Column]
    rows: list[Row]
    flattest: list[Row]

    def text(self, row: Row, metric: str) -> str:
        """The number of a row in the column of a metric, as text; «–» if there is no such column."""
        return next((c.text for column, c in zip(self.columns, row.cells, strict=True) if column.metric == metric), "–")


def leaderboard(folder: RunFolder, dataset: str) -> Leaderboard:
    """The leaderboard: methods in the order of the run, then controls.

    A method is compared if at least 4 of its seeds, or all if fewer were trained, are at equal reconstruction and had settled;
    with fewer, the ledger's tests are «not testable: bound missed» too. In each column the best mean among the compared methods
    wins, and a number whose interval overlaps the winner's ties with it. A column without intervals has no best.
    """
    tables = {task: table[table["dataset"] == dataset] for task, table in folder.tables.items()}
    shown = [s for s in SHOWN if s.task in tables and s.metric in tables[s.task] and _rows(tables[s.task], s)]
    methods = [method for of, method in folder.trained if of == dataset]
    found = {s: _rows(tables[s.task], s) for s in shown}
    controls = [m for rows in found.values() for m in rows if m not in methods]
    methods += list(dict.fromkeys(controls))
    kinds = {method: _kind(folder, dataset, method) for method in methods}
    columns, cells = [], []
    for s in shown:
        own = [_cell(found[s].get(method), s, folder.tables[s.task].attrs) for method in methods]
        columns.append(_column(s, own))
        cells.append(_with_best(own, [kinds[method] for method in methods], better(s.metric)))
    rows = [
        Row(
            method,
            display_name(method),
            _mark(folder, dataset, method),
            _bound(folder, dataset, method),
            kind,
            [column[number] for column in cells],
        )
        for number, (method, kind) in enumerate(kinds.items())
    ]
    return Leaderboard(dataset, _kappa(folder, dataset), columns, rows, _flattest(columns, rows))


def _rows(rows: pd.DataFrame, shown: Shown) -> dict[str, pd.Series]:
    """Method -> its row with this number; raw data keep their own distance."""
    chosen = rows[rows[shown.metric].notna()]
    chosen = chosen[(chosen["distance"] == shown.distance) | (chosen["method"] == "")]
    return {row["method"]: row for _, row in chosen.iterrows()}


def _cell(row: pd.Series | None, shown: Shown, attrs: dict) -> Cell:
    if row is None:
        return Cell("–", None, None, None)
    ends = (row[shown.metric], row[f"{shown.metric}_low"], row[f"{shown.metric}_high"])
    return Cell(number_cell(row, shown.metric, attrs), *(None if math.isnan(end) else float(end) for end in ends))


def _column(shown: Shown, cells: list[Cell]) -> Column:
    in_logarithms = logarithmic(shown.metric)
    ends = [end for cell in cells for end in (cell.mean, cell.low, cell.high) if end is not None and math.isfinite(end)]
    ends = [end for end in ends if end > 0 or not in_logarithms]
    limits = (min(ends), max(ends)) if ends else (None, None)
    return Column(shown.task, shown.metric, shown.heading, better(shown.metric), in_logarithms, *limits)


def _with_best(cells: list[Cell], kinds: list[str], direction: int) -> list[Cell]:
    """The cells with the best of the compared ones, and those that tie with it, marked.

    None is marked if fewer than two are compared, or if the best has no interval, since ties are then unknown.
    """
    compared = [c for c, kind in zip(cells, kinds, strict=True) if kind == "compared" and c.mean is not None]
    if not direction or len(compared) < 2:
        return cells
    best = max(compared, key=lambda cell: direction * cell.mean)
    if best.low is None:
        return cells
    return [
        replace(cell, best=kind == "compared" and cell.mean is not None and _overlap(cell, best))
        for cell, kind in zip(cells, kinds, strict=True)
    ]


def _overlap(one: Cell, other: Cell) -> bool:
    low, high = zip(*((c.mean, c.mean) if c.low is None else (c.low, c.high) for c in (one, other)), strict=True)
    return max(low) <= min(high)


def _kind(folder: RunFolder, dataset: str, method: str) -> str:
    if (dataset, method) not in folder.trained:
        return "control"
    if (dataset, method) in folder.equal:
        passed, _ = folder.equal[dataset, method]
        return "compared" if passed >= min(MIN_PAIRS, seeds_on(folder.n_seeds, dataset)) else "missed"
    return "exempt" if any(of == dataset for of, _ in folder.equal) else "compared"


def _mark(folder: RunFolder, dataset: str, method: str) -> str:
    passed, of = folder.equal.get((dataset, method), (0, 0))
    exempt = _kind(folder, dataset, method) == "exempt"
    return UNMET * (passed < of) + FEWER * bool(folder.frozen.get((dataset, method))) + EXEMPT * exempt


def _bound(folder: RunFolder, dataset: str, method: str) -> str:
    passed, of = folder.equal.get((dataset, method), (0, 0))
    return f"{passed}/{of}" if of else ""


def _kappa(folder: RunFolder, dataset: str) -> str:
    """κ² as in the table of reconstruction; empty if methods have none or different ones."""
    table = folder.tables.get("reconstruction")
    if table is None or "bound" not in table:
        return ""
    rows = table[(table["dataset"] == dataset) & table["bound"].notna()]
    texts = {number_cell(row, "bound", table.attrs) for _, row in rows.iterrows()}
    return texts.pop() if len(texts) == 1 else ""


def _flattest(columns: list[Column], rows: list[Row]) -> list[Row]:
    """The compared row with the smallest k, then those that tie with it; empty if nothing is compared."""
    at = next((i for i, column in enumerate(columns) if column.metric == FLATNESS), None)
    compared = [row for row in rows if row.kind == "compared" and at is not None and row.cells[at].mean is not None]
    if not compared:
        return []
    compared.sort(key=lambda row: row.cells[at].mean)
    return [row for row in compared if row is compared[0] or _overlap(row.cells[at], compared[0].cells[at])]
