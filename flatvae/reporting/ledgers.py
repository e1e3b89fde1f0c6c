"""Merges the ledgers of several runs with different data sets or methods:

python -m flatvae.reporting.ledgers results/paper results/ablations --output results/claims
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.claims import COLUMNS, TEXTS, corrected, natural, write
from flatvae.reporting.verdicts import NOT_RUN

MERGED = [*COLUMNS[:2], "run", *COLUMNS[2:]]


def merged(ledgers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Merges ledgers, given by the folder of each run: all rows, with the run's name in the column ``run``.

    A test that a run did not make is dropped if another run made it, and listed once if none did. ``evidence`` is prefixed with
    the run's folder. bh and holm are adjusted anew over all tests of the merged ledger.

    Raises:
        InputError: two runs test a claim on the same data set in different ways.
    """
    rows = pd.concat([own.assign(run=run, evidence=f"{run}/" + own["evidence"]) for run, own in ledgers.items()])
    for (claim, dataset), tests in rows.groupby(["claim", "dataset"])["test"]:
        if tests.nunique() > 1:
            raise InputError(
                f"claim {claim} is tested in more than one way on {dataset}: {'; '.join(tests.unique())}; make ledgers of "
                "one config."
            )
    order = {name: place for place, name in enumerate(sorted(rows["claim"].unique(), key=natural))}
    order |= {name: place for place, name in enumerate(rows["dataset"].unique())}
    rows = rows.sort_values(
        ["claim", "dataset"], key=lambda column: column.map(order), kind="stable", ignore_index=True
    )
    idle = rows["verdict"] == NOT_RUN
    elsewhere = (~idle).groupby([rows["claim"], rows["dataset"]]).transform("any")
    again = idle & rows[idle].duplicated(["claim", "dataset"]).reindex(rows.index, fill_value=False)
    chosen = rows[~(idle & elsewhere) & ~again]
    return corrected(chosen[MERGED].reset_index(drop=True))


def read(path: str | PathLike) -> pd.DataFrame:
    """Reads a ledger that ``claims.write`` wrote, of one run or of several.

    Raises:
        InputError: the file is missing or is not a ledger.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} is missing; name folders of results that hold a ledger, claims.csv.")
    found = pd.read_csv(path, dtype=dict.fromkeys([*TEXTS, "run"], str))
    if list(found.columns) not in (COLUMNS, MERGED):
        raise InputError(f"{path} is not a ledger: its columns are {', '.join(found.columns)}; make it again.")
    return found.fillna(dict.fromkeys(TEXTS, ""))


def main(arguments: Sequence[str] | None = None) -> None:
    """Merge the ledgers of several runs into one, with the run's name in each row."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.reporting.ledgers", description=main.__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of results")
    parser.add_argument("--output", required=True, type=Path, help="the file to write, without .csv and .md")
    options = parser.parse_args(arguments)
    output_folder = options.output.resolve().parent
    try:
        ledgers = {os.path.relpath(run.resolve(), output_folder): read(run / "claims.csv") for run in options.results}
        together = merged(ledgers)
    except InputError as error:
        parser.error(str(error))
    output_folder.mkdir(parents=True, exist_ok=True)
    write(together, options.output)


if __name__ == "__main__":
    main()
