"""Prints the results of a run in a terminal: verdicts, leaderboards, and the numbers of a task, as on its page."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatvae.errors import InputError
from flatvae.reporting.claims import EXPLORATORY, PENALTY
from flatvae.reporting.overview import SIGNS
from flatvae.reporting.summary import Board, Leaderboard, NumberTable, Summary
from flatvae.reporting.summary.board import Test
from flatvae.reporting.summary.leaderboard import Row
from flatvae.reporting.tables import EXEMPT, FEWER, UNMET
from flatvae.reporting.verdicts import MIN_PAIRS, NOT_RUN, NOT_SUPPORTED, NOT_TESTABLE, SUPPORTED, UNDECIDED

COLOURS = {SUPPORTED: "green", NOT_SUPPORTED: "red", UNDECIDED: "yellow", NOT_TESTABLE: "dim", NOT_RUN: "dim"}
FACTS = ("Seeds", "Device", "Cost", "Date", "Commit")
BEST, NOTHING = "*", "–"
MARKS = {
    UNMET: f"how many of the seeds met the bound and settled; a method is compared if at least {MIN_PAIRS}, or all, of them did",
    FEWER: "a seed became non-finite and is left out",
    EXEMPT: "the method has no bound and is not compared",
}


class _Column(NamedTuple):
    heading: str
    cells: list[Text]


def show(run: Summary, console: Console, dataset: str | None = None, task: str | None = None) -> None:
    """Prints a run: its setting, verdicts and leaderboards.

    Args:
        run: its summary.
        console: where to print; no table is wider. Columns that do not fit are printed below; without ``dataset``, leaderboards
            drop them.
        dataset: shows this data set only, with each of its tests.
        task: shows all numbers of this task instead of verdicts and leaderboards.

    Raises:
        InputError: the run has no such data set, or no numbers of this task there.
    """
    if dataset is not None and dataset not in run.datasets:
        raise InputError(f"{run.name} has no data set {dataset}; there are: {', '.join(run.datasets)}.")
    datasets = run.datasets if dataset is None else [dataset]
    if task is not None:
        _numbers(run, console, datasets, task)
        return
    _setting(run, console)
    if run.board is None:
        console.print("\nNo claims were tested.")
    elif dataset is None:
        _board(run.board, console)
    else:
        _tests(run.board, console, dataset)
    for name in datasets:
        _leaderboard(run.leaderboards[name], console, whole=dataset is not None)
    _legend([row for name in datasets for row in run.leaderboards[name].rows], console)
    if dataset is None:
        console.print(Text("--dataset NAME shows all columns and every test, --task NAME all numbers of a task", "dim"))


def _setting(run: Summary, console: Console) -> None:
    facts = Table.grid(padding=(0, 2))
    for label in FACTS:
        if label in run.setting.facts:
            facts.add_row(Text(label, "dim"), Text(run.setting.facts[label]))
    console.print(Text(run.name, "bold"), facts)
    for warning in run.setting.warnings:
        console.print(Text(f"! {warning}", "yellow"))


# ---------------------------------------------------------------------------------------------------------------- verdicts


def _board(board: Board, console: Console) -> None:
    """Prints a row for each topic: one sign per test on each data set, in the order of the ledger."""
    topics = [Text(topic) for topic in board.topics]
    columns = [
        _Column(
            name,
            [_signs(claim.tests[name] for claim in claims if name in claim.tests) for claims in board.topics.values()],
        )
        for name in board.datasets
    ]
    _tables("claim", topics, columns, console, "Verdicts")
    counts = [Text(f"{SIGNS[verdict]} {count} {verdict}", COLOURS[verdict]) for verdict, count in board.counts.items()]
    console.print(Text(", ").join(counts))
    console.print(Text(board.standing))


def _signs(tests: Iterable[Test]) -> Text:
    return Text.assemble(*((test.sign, COLOURS[test.verdict]) for test in tests))


def _tests(board: Board, console: Console, dataset: str) -> None:
    """Prints each test: verdict and effect, and below them claim and notes."""
    console.print(Text(f"\nVerdicts on {dataset}", "bold"))
    for claim in (claim for claims in board.topics.values() for claim in claims if dataset in claim.tests):
        test = claim.tests[dataset]
        line = Text.assemble(f"{claim.name:<4}", (f"{test.sign} {test.verdict}", COLOURS[test.verdict]))
        if test.verdict != NOT_RUN:
            line.pad_right(20 - line.cell_len)
            line.append(f"{test.effect} {test.threshold}, n = {test.n}, p {test.p}")
        console.print(line)
        marks = [PENALTY] * claim.restates_penalty + [EXPLORATORY] * test.exploratory
        notes = "; ".join(filter(None, [*marks, test.note]))
        for text in (claim.statement, f"({notes})" if notes else ""):
            console.print(
                Text("\n").join(Text(f"    {part}", "dim") for part in textwrap.wrap(text, console.width - 4)),
                end="\n" * bool(text),
            )


# ------------------------------------------------------------------------------------------------------------ leaderboards


def _leaderboard(leaders: Leaderboard, console: Console, whole: bool) -> None:
    """Prints a row for each method; without ``whole``, only the columns that fit the console."""
    styles = ["" if row.kind == "compared" else "dim" for row in leaders.rows]
    methods = [Text(_name(row), style) for row, style in zip(leaders.rows, styles, strict=True)]
    columns = []
    for at, column in enumerate(leaders.columns):
        cells = zip((row.cells[at] for row in leaders.rows), styles, strict=True)
        texts = [Text(f"{cell.text}{BEST}", "bold") if cell.best else Text(cell.text, style) for cell, style in cells]
        columns.append(_Column(column.heading, texts))
    bound = f", bound {leaders.bound}" if leaders.bound else ""
    _tables("method", methods, columns, console, f"{leaders.dataset}{bound}", whole)


def _name(row: Row) -> str:
    """«Flat VAE † 4/5»."""
    passed, _, of = row.bound.partition("/")
    return " ".join(filter(None, (row.name, row.mark, row.bound if passed != of else "")))


def _legend(rows: Sequence[Row], console: Console) -> None:
    marks = "".join(row.mark for row in rows)
    found = [
        f"{BEST} best of the compared methods, or its interval overlaps the best one's",
        *(f"{m} {MARKS[m]}" for m in MARKS if m in marks),
    ]
    console.print()
    for line in found:
        console.print(Text(line, "dim"))


# ----------------------------------------------------------------------------------------------------------------- numbers


def _numbers(run: Summary, console: Console, datasets: Sequence[str], task: str) -> None:
    tables = {name: table for name in datasets for table in run.numbers[name] if table.task == task}
    if not tables:
        known = dict.fromkeys(table.task for name in datasets for table in run.numbers[name])
        where = f"on {datasets[0]} " if len(datasets) == 1 else ""
        raise InputError(f"{run.name} has no numbers {where}of the task {task}; there are: {', '.join(known)}.")
    for name, table in tables.items():
        columns = [
            _Column(f"{method} {distance}".strip(), [Text(cells[at]) for cells in table.rows.values()])
            for at, (method, distance) in enumerate(table.columns)
        ]
        _tables("metric", [Text(metric) for metric in table.rows], columns, console, f"{task} on {name}")
    _caption(next(iter(tables.values())), console)


def _caption(table: NumberTable, console: Console) -> None:
    console.print()
    console.print(Text(table.caption, "dim"))


# ------------------------------------------------------------------------------------------------------------------ tables


def _tables(
    heading: str, names: Sequence[Text], columns: Sequence[_Column], console: Console, title: str, whole: bool = True
) -> None:
    """Prints a title and as many columns as fit; with ``whole``, prints the other columns below them."""
    console.print(Text(f"\n{title}", "bold"))
    waiting = list(columns)
    while waiting:
        count, table = 1, _table(heading, names, waiting[:1])
        while (
            count < len(waiting)
            and _width(wider := _table(heading, names, waiting[: count + 1]), console) <= console.width
        ):
            count, table = count + 1, wider
        console.print(table)
        waiting = waiting[count:] if whole else []
        if waiting:
            console.print()


def _width(table: Table, console: Console) -> int:
    return table.__rich_measure__(console, console.options.update(width=10_000)).maximum


def _table(heading: str, names: Sequence[Text], columns: Sequence[_Column]) -> Table:
    """A table without the rows that are empty in these columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(heading, no_wrap=True)
    for column in columns:
        widest = max([cell.cell_len for cell in column.cells] + [len(word) for word in column.heading.split()])
        table.add_column("\n".join(textwrap.wrap(column.heading, widest)), no_wrap=True)
    for at, name in enumerate(names):
        cells = [column.cells[at] for column in columns]
        if any(cell.plain != NOTHING for cell in cells):
            table.add_row(name, *cells)
    return table
