"""One table for each task: raw numbers as CSV, formatted ones as Markdown and LaTeX."""

import math
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.captions import HIDDEN, SUPERVISION, TASK_METRICS, table_caption
from flatvae.reporting.equality import CHECKS, counts
from flatvae.reporting.formatting import escape_latex, format_cell, format_interval, format_share
from flatvae.reporting.scales import ANY, POSITIVE, bounds, logarithmic
from flatvae.reporting.statistics import summarise
from flatvae.reporting.trained import Trained, seeds_on, seeds_text

KEYS = ["dataset", "method", "distance"]
CONTROL = "(raw data)"
UNMET, FEWER, EXEMPT = "†", "‡", "§"


def task_table(
    metrics: pd.DataFrame, task: str, dataset_order: Sequence[str], method_order: Sequence[str], n_seeds: Trained
) -> pd.DataFrame:
    """Numbers of one task: columns dataset, method, distance, n, then for each metric `m` the columns m, m_low, m_high.

    Numbers are means and 95 % t-intervals over seeds as in `summarise`, on each metric's scale, and NaN if a metric does not
    apply. n is the least number of seeds behind any number of the row. Datasets, methods and metrics without a given order come
    last; the control (empty method) is the last row of its dataset. A method that was trained on the dataset but has no row in
    this task gets n = 0. Numbers of single videos (metrics with a /) get rows of their own. `n_seeds`: how many seeds were
    trained for each method, one number or one per data set. `.attrs` holds what the formatted tables need in addition: seeds
    at equal reconstruction, frozen seeds, and cells that no mean describes. Raises InputError if metrics have no row of the task.
    """
    metrics = _by_sequence(metrics)
    of_task = metrics[(metrics["task"] == task) & ~metrics["metric"].isin(HIDDEN)]
    if of_task.empty:
        raise InputError(f"metrics: no row has the task '{task}'; evaluate it or leave its table out")
    summary = summarise(of_task)
    names = _ordered(summary["metric"], TASK_METRICS.get(task, ()))
    cells = {key: group.set_index("metric") for key, group in summary.groupby(KEYS, sort=False)}
    rows = [
        _row(key, cells.get(key), names)
        for dataset in _ordered(summary["dataset"], dataset_order)
        for method in _methods(metrics, of_task, dataset, method_order)
        for key in _keys(cells, dataset, method)
    ]
    table = annotated(pd.DataFrame(rows), metrics, task, n_seeds, caption(task, names, n_seeds))
    table.attrs["cells"] = _special_cells(summary)
    return table


def caption(task: str, names: Sequence[str], n_seeds: Trained) -> str:
    """The caption of a task's table with these metrics."""
    if task == "compute":  # of each training as a whole
        return f"{table_caption(task, names)} One number per method and data set; –: does not apply."
    repetitions = f"n seeds ({seeds_text(n_seeds, 'trained')})"
    return f"{table_caption(task, names)} {explained(names, repetitions)}"


def explained(names: Sequence[str], repetitions: str) -> str:
    """A sentence for a caption: how these metrics' numbers summarise the repetitions («n seeds»)."""
    kinds = {logarithmic(name) for name in names}
    linear = f"Mean ± half-width of the 95 % Student t-interval over {repetitions}"
    geometric = "geometric mean [95 % t-interval of the logarithms]"
    if kinds == {True}:
        linear = f"{geometric[0].upper()}{geometric[1:]} over {repetitions}"
    elif kinds == {True, False}:
        linear += f", or {geometric} for positive and skewed metrics"
    if any(bounds(name) != (POSITIVE if logarithmic(name) else ANY) for name in names):
        linear += "; intervals end at the bounds of their metric"
    return f"{linear}; a number without interval is a single value or the same in every seed; –: does not apply."


def annotated(table: pd.DataFrame, metrics: pd.DataFrame, task: str, n_seeds: Trained, caption: str) -> pd.DataFrame:
    """Adds `.attrs` to a table with the columns of `task_table`: its caption, and what its marks † and ‡ need."""
    table.attrs = {
        "task": task,
        "n_seeds": n_seeds,
        "caption": caption,
        "trained": _trained(metrics),
        "equal": counts(metrics),
        "frozen": frozen_seeds(metrics),
        "cells": {},
    }
    return table


def _special_cells(summary: pd.DataFrame) -> dict[tuple, str]:
    """(dataset, method, distance, metric) -> text for cells whose mean says little: counts of seeds, and medians."""
    cells = {}
    for row in summary.itertuples():
        key = (row.dataset, row.method, row.distance, row.metric)
        if row.metric in CHECKS:  # 0 or 1 in each seed: a count says more than a mean
            cells[key] = f"{row.mean * row.n:.0f}/{row.n}"
        elif row.off_scale:
            cells[key] = f"median {format_cell(row.mean, math.nan, math.nan)} ({row.off_scale})"
    return cells


def _by_sequence(metrics: pd.DataFrame) -> pd.DataFrame:
    """Moves metrics of one video, such as HOTA/CROWD-03, to a data set of their own, such as crowd/CROWD-03."""
    parts = metrics["metric"].str.partition("/")
    return metrics.assign(metric=parts[0], dataset=metrics["dataset"] + parts[1] + parts[2])


def _ordered(found: Iterable[str], order: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(found))
    return [name for name in order if name in found] + [name for name in found if name not in order]


def _methods(metrics: pd.DataFrame, of_task: pd.DataFrame, dataset: str, order: Sequence[str]) -> list[str]:
    trained = {method for of, method in _trained(metrics) if of == dataset}
    here = metrics["dataset"] == dataset
    # descriptors have rows in a few tasks only; a trained method is listed even without a row
    rows = here & ((metrics["task"] == of_task["task"].iloc[0]) | metrics["method"].isin(trained))
    found = _ordered(metrics.loc[rows, "method"], order)
    control = "" in set(of_task.loc[of_task["dataset"] == dataset, "method"])
    return [method for method in found if method] + [""] * control


def _keys(cells: dict, dataset: str, method: str) -> list[tuple[str, str, str]]:
    return [key for key in cells if key[:2] == (dataset, method)] or [(dataset, method, "")]


def _row(key: tuple[str, str, str], cells: pd.DataFrame | None, names: Sequence[str]) -> dict:
    row = dict(zip(KEYS, key, strict=True)) | {"n": 0 if cells is None else int(cells["n"].min())}
    for name in names:
        known = cells is not None and name in cells.index
        for column, suffix in (("mean", ""), ("low", "_low"), ("high", "_high")):
            row[name + suffix] = float(cells.loc[name, column]) if known else math.nan
    return row


def _pairs(rows: pd.DataFrame):
    return rows.groupby(["dataset", "method"], sort=False)


def _trained(metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """Every (dataset, method) with a row of the task training; if there is no such row, every pair with a method."""
    training = metrics[metrics["task"] == "training"]
    rows = training if len(training) else metrics[metrics["method"] != ""]
    return [key for key, _ in _pairs(rows)]


def frozen_seeds(metrics: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """(dataset, method) -> its frozen seeds, each as «seed 3 at step 1200»."""
    training = metrics[metrics["task"] == "training"]
    rows = training[(training["metric"] == "frozen") & (training["value"] == 1)]
    steps = training[training["metric"] == "frozen_step"].set_index(["dataset", "method", "seed"])["value"].to_dict()
    return {key: [_frozen_seed(seed, steps.get((*key, seed))) for seed in group["seed"]] for key, group in _pairs(rows)}


def _frozen_seed(seed: int, step: float | None) -> str:
    return f"seed {seed}" if step is None else f"seed {seed} at step {step:.0f}"


def metric_names(table: pd.DataFrame) -> list[str]:
    """The metrics of a task table, in order of its columns."""
    return list(table.columns[len(KEYS) + 1 :: 3])


def marks_of(row: pd.Series, attrs: dict) -> str:
    """The marks of a row: † a seed missed the bound or had not settled, ‡ seeds are missing, § the method has no bound."""
    pair = (row["dataset"], row["method"])
    passed, of = attrs["equal"].get(pair, (0, 0))
    # n = 0 means that the method does not have this task, unless every seed was lost
    n_seeds = seeds_on(attrs["n_seeds"], row["dataset"])
    lost = len(attrs["frozen"].get(pair, ())) == n_seeds
    trained = pair in attrs["trained"]
    fewer = trained and (0 < row["n"] < n_seeds or lost)
    exempt = trained and not of and not lost and any(dataset == pair[0] for dataset, _ in attrs["equal"])
    return UNMET * (passed < of) + FEWER * fewer + EXEMPT * exempt


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """The formatted table, heading first; the column distance exists only if a distance applies."""
    if "equal" not in table.attrs:
        raise InputError("table: its notes on seeds are missing; make it with task_table.")
    names, distances = metric_names(table), bool(table["distance"].ne("").any())
    descriptor = table.attrs["task"] == "tracking"
    cells = [["dataset", "method", *["distance"] * distances, *["descriptor"] * descriptor, "n", *names]]
    for _, row in table.iterrows():
        marks = marks_of(row, table.attrs)
        method = (row["method"] or CONTROL) + (f" {marks}" if marks else "")
        numbers = [number_cell(row, name, table.attrs) for name in names]
        by = [row["distance"] or "–"] * distances + [SUPERVISION.get(row["method"], "unsupervised")] * descriptor
        cells.append([row["dataset"], method, *by, str(row["n"]), *numbers])
    return cells


def number_cell(row: pd.Series, name: str, attrs: dict) -> str:
    """A number in a row of a table as text; ``attrs`` are the table's."""
    special = attrs["cells"].get((row["dataset"], row["method"], row["distance"], name))
    if special:
        return special
    mean, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if attrs["task"] == "comparison":
        return format_share(mean, low, high)
    least, most = bounds(name)
    lopsided = logarithmic(name) or low == least or high == most
    return (format_interval if lopsided else format_cell)(mean, low, high)


def _footnotes(table: pd.DataFrame) -> list[str]:
    attrs, unmet, fewer, exempt = table.attrs, {}, {}, []
    for _, row in table.iterrows():
        pair, marks = (row["dataset"], row["method"]), marks_of(row, table.attrs)
        if UNMET in marks:
            unmet.setdefault("{} of {}".format(*attrs["equal"][pair]), []).append(" ".join(pair))
        if FEWER in marks:
            why = "; non-finite: " + ", ".join(attrs["frozen"][pair]) if pair in attrs["frozen"] else ""
            of = seeds_on(attrs["n_seeds"], row["dataset"])
            fewer.setdefault(f"{row['n']} of {of} seeds count{why}", []).append(" ".join(pair))
        if EXEMPT in marks:
            exempt.append(" ".join(pair))
    equal = "at equal reconstruction and settled in"
    return [
        *(f"{UNMET} {equal} {count} seeds ({_unique(who)})" for count, who in unmet.items()),
        *(f"{FEWER} {count} ({_unique(who)})" for count, who in fewer.items()),
        *[f"{EXEMPT} exempt from the reconstruction bound ({_unique(exempt)})"] * bool(exempt),
    ]


def _unique(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def to_markdown(table: pd.DataFrame) -> str:
    """A task table as Markdown: caption, pipe table, and footnotes for † (bound missed), ‡ (seeds missing), § (no bound)."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in _cells(table)]
    n_left = cells[0].index("n")
    columns = [
        _pad(column, str.ljust if i < n_left else str.rjust) for i, column in enumerate(zip(*cells, strict=True))
    ]
    lines = ["| " + " | ".join(row) + " |" for row in zip(*columns, strict=True)]
    return "\n\n".join([table.attrs["caption"], "\n".join(lines), *_footnotes(table)]) + "\n"


def _pad(column: Sequence[str], justify) -> list[str]:
    """A column padded to equal width, with Markdown's alignment rule below the heading."""
    width = max(2, *map(len, column))
    heading, *cells = [justify(cell, width) for cell in column]
    return [heading, justify(":", width).replace(" ", "-"), *cells]


def to_latex(table: pd.DataFrame) -> str:
    r"""A task table as a LaTeX float with caption and label `tab:<task>`; needs the packages booktabs and graphicx."""
    heading, *rows = _cells(table)
    left = heading.index("n")
    body, previous = [], rows[0][0]
    for row in rows:
        if row[0] != previous:
            body.append(r"\midrule")
        body.append(_latex_row(row))
        previous = row[0]
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.attrs['caption'])}}}",
        rf"\label{{tab:{table.attrs['task']}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(heading) - left)}}}",
        r"\toprule",
        " & ".join(_latex_heading(name) for name in heading) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        *[rf"\par\footnotesize {escape_latex(note)}" for note in _footnotes(table)],
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(row: list[str]) -> str:
    return " & ".join(escape_latex(cell) for cell in row) + r" \\"


def _latex_heading(name: str) -> str:
    """A metric's name, broken into two lines if it is long, because numbers are narrower."""
    breaks = [i + 1 for i, character in enumerate(name) if character == "_" and len(name) > 12]
    if not breaks:
        return escape_latex(name)
    middle = min(breaks, key=lambda i: abs(i - len(name) / 2))
    return rf"\shortstack[r]{{{escape_latex(name[:middle])}\\{escape_latex(name[middle:])}}}"


def write_note(note: str, stem: str | PathLike) -> None:
    """Write a table without rows: stem.csv with the heading alone, stem.md and stem.tex with a sentence that says why."""
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".csv").write_text(",".join([*KEYS, "n"]) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(note + "\n", encoding="utf-8")
    stem.with_suffix(".tex").write_text(escape_latex(note) + "\n", encoding="utf-8")


def write(table: pd.DataFrame, stem: str | PathLike) -> None:
    """Write stem.csv (the numbers, unrounded), stem.md and stem.tex."""
    table.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    Path(f"{stem}.md").write_text(to_markdown(table), encoding="utf-8")
    Path(f"{stem}.tex").write_text(to_latex(table), encoding="utf-8")


def without_galleries(rows: pd.DataFrame) -> pd.DataFrame:
    """Drops the times of each gallery size, which only the figure shows; the table keeps those of the largest gallery."""
    return rows[~rows["metric"].str.contains("_seconds_at_")]


def write_task(
    rows: pd.DataFrame,
    task: str,
    datasets: Sequence[str],
    methods: Sequence[str],
    n_seeds: Trained,
    stem: str | PathLike,
) -> None:
    """Write the table of a task from the tidy rows, or a sentence that it has no numbers."""
    if (rows["task"] == task).any():
        write(task_table(without_galleries(rows), task, datasets, methods, n_seeds), stem)
    else:
        write_note(f"No data set and method of this run has numbers of the task {task}.", stem)
