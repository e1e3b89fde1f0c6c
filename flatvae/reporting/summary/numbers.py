"""Every number of a data set, task by task: metrics in rows, methods in columns."""

from dataclasses import dataclass

from flatvae.reporting.names import display_name
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.tables import marks_of, metric_names, number_cell


@dataclass(frozen=True)
class NumberTable:
    """The numbers of one task on one data set.

    Attributes:
        task, caption: those of the table.
        columns: (display name of the method with its marks, distance or "").
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
        (f"{display_name(row['method'])} {marks_of(row, table.attrs)}".strip(), row["distance"])
        for _, row in rows.iterrows()
    ]
    numbers = {
        name: [number_cell(row, name, table.attrs) for _, row in rows.iterrows()]
        for name in metric_names(table)
        if rows[name].notna().any()
    }
    return NumberTable(task, table.attrs["caption"], columns, numbers)
