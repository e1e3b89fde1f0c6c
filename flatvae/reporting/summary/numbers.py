"""Every number of a data set, task by task: metrics in rows, methods in columns."""

from dataclasses import dataclass

from flatvae.reporting.captions import SUPERVISION
from flatvae.reporting.names import display_name
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.tables import caption, marks_of, metric_names, number_cell


@dataclass(frozen=True)
class NumberTable:
    """The numbers of one task on one data set.

    Attributes:
        task: the task.
        caption: that of the table, about the metrics in ``rows`` alone.
        columns: (display name of the method with its marks, what tells its columns apart: the distance, in tracking how the
            descriptor was trained, or "").
        rows: metric -> its numbers as text, one for each column.
    """

    task: str
    caption: str
    columns: list[tuple[str, str]]
    rows: dict[str, list[str]]


def number_tables(folder: RunFolder, dataset: str) -> list[NumberTable]:
    """The tables of a data set in the order of tasks, without metrics that do not apply to it."""
    return [
        _table(task, table, rows)
        for task, table in folder.tables.items()
        if len(rows := table[table["dataset"] == dataset])
    ]


def _table(task: str, table, rows) -> NumberTable:
    columns = [
        (f"{display_name(row['method'])} {marks_of(row, table.attrs)}".strip(), _by(task, row))
        for _, row in rows.iterrows()
    ]
    numbers = {
        name: [number_cell(row, name, table.attrs) for _, row in rows.iterrows()]
        for name in metric_names(table)
        if rows[name].notna().any()
    }
    return NumberTable(task, caption(task, list(numbers), table.attrs["n_seeds"]), columns, numbers)


def _by(task: str, row) -> str:
    return SUPERVISION.get(row["method"], "unsupervised") if task == "tracking" else row["distance"]
