"""How many seeds were trained: one number for a run, or one per data set."""

from collections.abc import Mapping

import pandas as pd

Trained = int | Mapping[str, int]


def trained_seeds(metrics: pd.DataFrame) -> dict[str, int]:
    """Data set -> number of trained seeds of each method, from the rows of the task training."""
    rows = metrics[metrics["task"] == "training"]
    return {dataset: int(of["seed"].nunique()) for dataset, of in rows.groupby("dataset", sort=False)}


def seeds_on(trained: Trained, dataset: str) -> int:
    """The number on a data set, or on one of its videos («crowd/CROWD-03»); for all data sets together, the least."""
    if isinstance(trained, int):
        return trained
    return trained.get(dataset.partition("/")[0], min(trained.values(), default=1))


def seeds_text(trained: Trained, unit: str = "seeds") -> str:
    """The number, or the most common one and the others: «5 seeds»; «10 seeds; 5 on crowd, mot»."""
    numbers = [trained] if isinstance(trained, int) else list(trained.values())
    usual = max(numbers, key=numbers.count)
    others = {} if isinstance(trained, int) else {d: n for d, n in trained.items() if n != usual}
    by_number = {n: ", ".join(d for d, of in others.items() if of == n) for n in others.values()}
    return "; ".join([f"{usual} {unit}", *(f"{n} on {names}" for n, names in by_number.items())])
