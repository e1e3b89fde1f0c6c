"""The results of a run as plain data, for the HTML page, the report and the last lines of a run.

Numbers and texts are those of the tables and the ledger. ``dataclasses.asdict`` gives data ready for JSON.
"""

from dataclasses import dataclass
from os import PathLike

from flatvae.reporting.summary.board import Board, board
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.summary.gallery import Download, Figure, downloads, figures
from flatvae.reporting.summary.hyperparameters import MEANINGS, Hyperparameters, hyperparameters
from flatvae.reporting.summary.leaderboard import Leaderboard, leaderboard
from flatvae.reporting.summary.numbers import NumberTable, number_tables
from flatvae.reporting.summary.setting import Setting, setting

__all__ = ["Board", "Download", "Figure", "Hyperparameters", "Leaderboard", "NumberTable", "Setting", "Summary", "read"]


@dataclass(frozen=True)
class Summary:
    """All that is shown of one run.

    Attributes:
        name: the name of the results folder.
        setting: what was run, what it cost, and warnings.
        hyperparameters: data set -> those of its methods; empty if there is no manifest.
        datasets: their names, in the order of the run.
        board: the verdicts, claims by data sets; None if the run has no ledger.
        leaderboards: data set -> methods by the most important numbers.
        numbers: data set -> every metric of every task.
        figures: data set -> its figures; "" -> figures of all data sets together.
        downloads: group -> files of the run.
        config: the complete config of the run; empty if there is no manifest.
    """

    name: str
    setting: Setting
    hyperparameters: dict[str, Hyperparameters]
    datasets: list[str]
    board: Board | None
    leaderboards: dict[str, Leaderboard]
    numbers: dict[str, list[NumberTable]]
    figures: dict[str, list[Figure]]
    downloads: dict[str, list[Download]]
    config: dict

    @property
    def meanings(self) -> dict[str, str]:
        """What each hyperparameter shown means."""
        shown = {name for of in self.hyperparameters.values() for name in (*of.common, *of.columns)}
        return {name: text for name, text in MEANINGS.items() if name in shown}

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics with numbers, each once, in the order of the tables."""
        return list(dict.fromkeys(name for tables in self.numbers.values() for table in tables for name in table.rows))


def read(path: str | PathLike) -> Summary:
    """Reads the summary of a results folder.

    Raises:
        InputError: the folder has no metrics.csv, or a file in it is damaged.
    """
    folder = RunFolder(path)
    numbers = {dataset: number_tables(folder, dataset) for dataset in folder.datasets}
    drawn = figures(folder)
    return Summary(
        name=folder.name,
        setting=setting(folder),
        hyperparameters=hyperparameters(folder),
        datasets=folder.datasets,
        board=board(folder, numbers, drawn),
        leaderboards={dataset: leaderboard(folder, dataset) for dataset in folder.datasets},
        numbers=numbers,
        figures=drawn,
        downloads=downloads(folder),
        config=folder.manifest.get("config", {}),
    )
