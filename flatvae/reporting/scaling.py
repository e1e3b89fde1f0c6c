"""How costs grow with size: exponents of power laws fitted to measured times."""

import numpy as np
import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.captions import CAPTIONS
from flatvae.reporting.tables import explained, metric_names, task_table


def exponent(size: np.ndarray, seconds: np.ndarray) -> float:
    """p of seconds ∝ sizeᵖ by least squares of log seconds on log size, over the larger half of the sizes (at least two).

    Raises:
        InputError: there are fewer than two sizes, or a time is not > 0.
    """
    chosen = size >= np.sort(size)[(len(size) - 1) // 2]
    if chosen.sum() < 2 or not (seconds > 0).all():
        raise InputError("scaling: an exponent needs two sizes and times above 0; measure more sizes")
    return float(np.polyfit(np.log(size[chosen]), np.log(seconds[chosen]), 1)[0])


def exponents(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each method, quantity and round: columns method, quantity, seed, exponent, first_ms, last_ms.

    ``rows``: columns method, quantity (n, D or seeds), size, seed (number of the round), seconds.
    """
    found = []
    for (method, quantity, seed), own in rows.groupby(["method", "quantity", "seed"], sort=False):
        own = own.sort_values("size")
        size, seconds = own["size"].to_numpy(float), own["seconds"].to_numpy(float)
        found.append((method, quantity, seed, exponent(size, seconds), 1e3 * seconds[0], 1e3 * seconds[-1]))
    return pd.DataFrame(found, columns=["method", "quantity", "seed", "exponent", "first_ms", "last_ms"])


def table(found: pd.DataFrame, device: str) -> pd.DataFrame:
    """The table ``scaling`` from the rows of ``exponents``; its column dataset holds the quantity."""
    rows = found.melt(["method", "quantity", "seed"], ["exponent", "first_ms", "last_ms"], "metric", "value")
    rows = rows.rename(columns={"quantity": "dataset"}).assign(distance="", task="scaling")
    order = [list(dict.fromkeys(found[name])) for name in ("quantity", "method")]
    return of_rounds(task_table(rows, "scaling", *order, found["seed"].nunique()), device)


def of_rounds(table: pd.DataFrame, device: str) -> pd.DataFrame:
    """A task table with a caption that calls the repetitions rounds and names the device."""
    explanation = explained(metric_names(table), "n rounds")
    table.attrs["caption"] = f"{CAPTIONS[table.attrs['task']]} {explanation} Measured on: {device}."
    return table
