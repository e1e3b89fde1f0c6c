"""What a run came to, as plain data: what the HTML page, a report and the last lines of a run show.

Numbers and texts are those of the tables and the ledger. ``dataclasses.asdict`` makes JSON of all of it.
"""

from dataclasses import dataclass
from os import PathLike

from flatvae.reporting.summary.board import Board, board
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.summary.gallery import Download, Figure, downloads, figures
from flatvae.reporting.summary.leaderboard import Leaderboard, leaderboard
from flatvae.reporting.summary.numbers import NumberTable, number_tables
from flatvae.reporting.summary.setting import Setting, setting

__all__ = ["Board", "Download", "Figure", "Leaderboard", "NumberTable", "Setting", "Summary", "read"]


@dataclass(frozen=True)
class Summary:
    """Everything that is shown of one run.

    Attributes:
        name: of the results folder.
        setting: what was run, what it cost, and what to be warned of.
        datasets: their names, in the order of the run.
        board: the verdicts, claims by data sets; None where the run has no ledger.
        leaderboards: of each data set, methods by the numbers that matter most.
        numbers: of each data set, every metric of every task.
        figures: of all data sets together (under ""), then of each.
        downloads: the files of the run, in groups.
        config: all of the run's config; empty where there is no manifest.
    """

    name: str
    setting: Setting
    datasets: list[str]
    board: Board | None
    leaderboards: dict[str, Leaderboard]
    numbers: dict[str, list[NumberTable]]
    figures: dict[str, list[Figure]]
    downloads: dict[str, list[Download]]
    config: dict

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics with numbers, each once, in the order of the tables."""
        return list(dict.fromkeys(name for tables in self.numbers.values() for table in tables for name in table.rows))


def read(path: str | PathLike) -> Summary:
    """The summary of a folder of results.

    Raises:
        InputError: the folder has no metrics.csv, or a file of it is damaged.
    """
    folder = RunFolder(path)
    numbers = {dataset: number_tables(folder, dataset) for dataset in folder.datasets}
    drawn = figures(folder)
    return Summary(
        name=folder.name,
        setting=setting(folder),
        datasets=folder.datasets,
        board=board(folder, numbers, drawn),
        leaderboards={dataset: leaderboard(folder, dataset) for dataset in folder.datasets},
        numbers=numbers,
        figures=drawn,
        downloads=downloads(folder),
        config=folder.manifest.get("config", {}),
    )
