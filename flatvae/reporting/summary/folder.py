"""The files in a run's results folder; each is read on first use."""

import functools
import json
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting import compute, equality, ledgers
from flatvae.reporting.captions import TASK_METRICS
from flatvae.reporting.statistics import read_metrics
from flatvae.reporting.tables import frozen_seeds, task_table, without_galleries
from flatvae.reporting.trained import trained_seeds


class RunFolder:
    """A results folder.

    Args:
        path: the folder; it must contain metrics.csv. Older or partial runs may lack other files.

    Raises:
        InputError: metrics.csv is missing.
    """

    def __init__(self, path: str | PathLike):
        self.path = Path(path)
        if not (self.path / "metrics.csv").is_file():
            raise InputError(f"{self.path} has no metrics.csv; name the results folder of a run that has ended.")

    @property
    def name(self) -> str:
        """The last two parts of the path, such as «reference/default», without a leading «results/»; or just «results»."""
        parts = self.path.resolve().parts[-2:]
        return parts[-1] if parts[-1] == "results" else "/".join(parts).removeprefix("results/")

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """Rows of metrics.csv."""
        return read_metrics(self.path / "metrics.csv")

    @functools.cached_property
    def efficiency(self) -> pd.DataFrame | None:
        """Rows of efficiency.csv; None if nothing was timed."""
        path = self.path / "efficiency.csv"
        return read_metrics(path) if path.is_file() else None

    @functools.cached_property
    def ledger(self) -> pd.DataFrame | None:
        """The run's claims.csv; None if there is none."""
        path = self.path / "claims.csv"
        return ledgers.read(path) if path.is_file() else None

    @functools.cached_property
    def record(self) -> dict:
        """run.json: machine, versions, and time and memory of every job; empty if there is none."""
        return self._json("run.json")

    @functools.cached_property
    def manifest(self) -> dict:
        """manifest.json: commit, date and config; empty if there is none."""
        return self._json("manifest.json")

    def _json(self, name: str) -> dict:
        path = self.path / name
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); make it again.") from None

    @functools.cached_property
    def trained(self) -> list[tuple[str, str]]:
        """(data set, method) of every training, in the order of the run."""
        rows = self.metrics[self.metrics["task"] == "training"]
        return list(dict.fromkeys(zip(rows["dataset"], rows["method"], strict=True)))

    @property
    def datasets(self) -> list[str]:
        """Data sets that methods were trained on."""
        return list(dict.fromkeys(dataset for dataset, _ in self.trained))

    @property
    def methods(self) -> list[str]:
        """Methods that were trained."""
        return list(dict.fromkeys(method for _, method in self.trained))

    @functools.cached_property
    def n_seeds(self) -> dict[str, int]:
        """Data set -> the number of trained seeds of each method."""
        return trained_seeds(self.metrics)

    @functools.cached_property
    def equal(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(data set, method) -> (seeds at equal reconstruction that had settled, all seeds), without exempt methods."""
        return equality.counts(self.metrics)

    @functools.cached_property
    def frozen(self) -> dict[tuple[str, str], list[str]]:
        """(data set, method) -> its seeds that became non-finite, each as «seed 3 at step 1200»."""
        return frozen_seeds(self.metrics)

    @functools.cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The table of every task that has numbers, made as in the workflow."""
        sources = dict.fromkeys(TASK_METRICS, self.metrics) | {
            task: self.metrics for task in dict.fromkeys(self.metrics["task"]) if task != "training"
        }
        sources["efficiency"] = self.metrics if self.efficiency is None else pd.concat([self.metrics, self.efficiency])
        if self.record:
            sources["compute"] = compute.rows(self.record)
        return {
            task: task_table(
                without_galleries(rows), task, self.datasets, self.methods, 1 if task == "compute" else self.n_seeds
            )
            for task, rows in sources.items()
            if (rows["task"] == task).any()
        }
