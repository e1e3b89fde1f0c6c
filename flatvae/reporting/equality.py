"""Which seeds may be compared: those at equal reconstruction whose training had settled."""

from collections.abc import Mapping

import pandas as pd

CHECKS = ("equal_reconstruction", "settled")  # metrics of the task reconstruction, 0/1 per seed


def equal_seeds(here: pd.DataFrame) -> dict[str, dict[int, bool]]:
    """method -> seed -> whether both CHECKS are 1. A method without such rows is exempt and left out.

    Args:
        here: rows of metrics.csv of one data set. If a seed lacks the row of a check, it counts as missed.
    """
    rows = here[(here["task"] == "reconstruction") & here["metric"].isin(CHECKS)]
    passed = (rows["value"] == 1).groupby([rows["method"], rows["seed"]], sort=False).sum() == len(CHECKS)
    found = {}
    for (method, seed), both in passed.items():
        found.setdefault(method, {})[int(seed)] = bool(both)
    return found


def counts(metrics: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """(dataset, method) -> (seeds at equal reconstruction that had settled, all seeds), without exempt methods."""
    return {
        (dataset, method): count(seeds)
        for dataset, here in metrics.groupby("dataset", sort=False)
        for method, seeds in equal_seeds(here).items()
    }


def count(seeds: Mapping[int, bool]) -> tuple[int, int]:
    """How many seeds passed, and how many there are."""
    return sum(seeds.values()), len(seeds)


def missed(here: pd.DataFrame) -> set[str]:
    """Methods of one data set with a seed that missed equal reconstruction or had not settled."""
    return {method for method, seeds in equal_seeds(here).items() if not all(seeds.values())}
