"""One ledger of several runs that share the work, data set by data set:

python -m flatvae.reporting.ledgers results/paper results/ablations --output results/claims
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.claims import COLUMNS, natural, write


def merged(ledgers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One ledger of several runs', by the folder of each: of every claim and data set the row of the run with most seeds.

    Of runs with as many, the first; never the one whose verdict is nicer. ``evidence`` gets the run's folder before it.

    Raises:
        InputError: two runs test a claim each in its own way.
    """
    rows = pd.concat(own.assign(evidence=f"{run}/" + own["evidence"]) for run, own in ledgers.items())
    for claim, tests in rows.groupby("claim")["test"]:
        if tests.nunique() > 1:
            raise InputError(
                f"claim {claim} is tested in more than one way: {'; '.join(tests.unique())}; make ledgers of one config"
            )
    chosen = rows.sort_values("n", ascending=False, kind="stable").drop_duplicates(["claim", "dataset"])
    names = [*sorted(rows["claim"].unique(), key=natural), *rows["dataset"].unique()]
    order = {name: place for place, name in enumerate(names)}
    return chosen.sort_values(["claim", "dataset"], key=lambda column: column.map(order), ignore_index=True)


def read(path: str | PathLike) -> pd.DataFrame:
    """A ledger as ``write`` left it.

    Raises:
        InputError: there is none, or the file is none.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} is missing; name folders of results that hold a ledger, claims.csv")
    texts = dict.fromkeys(["claim", "dataset", "statement", "test", "verdict", "note", "evidence"], str)
    found = pd.read_csv(path, dtype=texts)
    if list(found.columns) != COLUMNS:
        raise InputError(f"{path} is no ledger: its columns are {', '.join(found.columns)}; make it again")
    return found.fillna(dict.fromkeys(texts, ""))


def main(arguments: Sequence[str] | None = None) -> None:
    """One ledger of several runs: of every claim and data set the row of the run with most seeds."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.reporting.ledgers", description=main.__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="their folders; of as many seeds the first counts")
    parser.add_argument("--output", required=True, type=Path, help="what to write, without .csv and .md")
    options = parser.parse_args(arguments)
    below = options.output.resolve().parent
    try:
        ledgers = {os.path.relpath(run.resolve(), below): read(run / "claims.csv") for run in options.results}
        together = merged(ledgers)
    except InputError as error:
        parser.error(str(error))
    below.mkdir(parents=True, exist_ok=True)
    write(together, options.output)


if __name__ == "__main__":
    main()
