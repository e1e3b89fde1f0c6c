"""A small table of a ledger's verdicts, for a page without room for the whole ledger.

``python -m flatvae.reporting.overview results/reference/claims.csv README.md`` writes it between the page's markers.
"""

import argparse
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.claims import natural
from flatvae.reporting.verdicts import NOT_RUN, NOT_SUPPORTED, NOT_TESTABLE, SUPPORTED, UNDECIDED

BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"
SIGNS = {SUPPORTED: "✓", NOT_SUPPORTED: "✗", UNDECIDED: "?", NOT_TESTABLE: "–", NOT_RUN: "·"}
TOPICS = {
    "1": "flat",
    "2": "straight",
    "3": "smooth",
    "4": "mixup",
    "5": "prior",
    "6": "cost",
    "7": "search",
    "8": "track",
}


def overview(ledger: pd.DataFrame) -> str:
    """One row per data set, one column per claim, one sign per test of the claim, in the order of the ledger.

    Args:
        ledger: has the columns ``claim``, ``dataset`` and ``verdict``. If two runs made the same test with different verdicts,
            it is shown as undecided; a run that did not make the test does not count.

    Returns:
        a Markdown table. A cell is empty if the claim has no test on the data set. A verdict that is not in
        ``verdicts.VERDICTS`` is shown as undecided.
    """
    rows = _rows(ledger)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join(":" + "-" * (w - 1) for w in widths) + " |")
    return "\n".join(lines)


def overview_rst(ledger: pd.DataFrame) -> str:
    """The same table in reStructuredText, with how many tests have each verdict and what the signs mean."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in _rows(ledger):
        lines += [f"   {'*' if place == 0 else ' '} - {cell}".rstrip() for place, cell in enumerate(row)]
    counts = ledger["verdict"].value_counts()
    told = ", ".join(f"{sign} {verdict} ({counts.get(verdict, 0)})" for verdict, sign in SIGNS.items())
    return "\n".join([f"Verdicts of the claims, one sign for each test: {told}.", "", *lines, ""])


def _rows(ledger: pd.DataFrame) -> list[list[str]]:
    claims = sorted(ledger["claim"].unique(), key=natural)
    numbers = list(dict.fromkeys(claim_number(claim) for claim in claims))
    found = {test: _sign(set(rows["verdict"])) for test, rows in ledger.groupby(["claim", "dataset"])}
    rows = [["data set", *(f"{number} {TOPICS.get(number, '')}".strip() for number in numbers)]]
    for dataset in dict.fromkeys(ledger["dataset"]):
        signs = {n: [found.get((claim, dataset), "") for claim in claims if claim_number(claim) == n] for n in numbers}
        rows.append([dataset, *("".join(signs[n]) for n in numbers)])
    return rows


def _sign(verdicts: set[str]) -> str:
    ran = verdicts - {NOT_RUN} or verdicts
    return SIGNS.get(ran.pop(), SIGNS[UNDECIDED]) if len(ran) == 1 else SIGNS[UNDECIDED]


def claim_number(claim: str) -> str:
    """The number of a claim: «6» for «6a»."""
    return re.match(r"\d*", claim)[0] or claim


def inserted(page: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with the table between its two markers.

    Raises:
        InputError: the page lacks a marker.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise InputError(f"the page lacks the markers {begin} and {end}; add them where the table belongs.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def read(path: str | PathLike) -> pd.DataFrame:
    """The columns of a ledger (claims.csv) that the table needs, all as text.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} is missing; name a ledger, claims.csv.")
    ledger = pd.read_csv(path, dtype=str, keep_default_na=False)
    lacking = {"claim", "dataset", "verdict"} - set(ledger.columns)
    if lacking:
        raise InputError(f"{path} is not a ledger: it lacks the column {min(lacking)}; name a claims.csv.")
    return ledger


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table of a ledger's verdicts between the markers of a page."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.reporting.overview", description=main.__doc__)
    parser.add_argument("ledger", type=Path, help="claims.csv")
    parser.add_argument("page", type=Path, help="a Markdown file with the markers")
    options = parser.parse_args(arguments)
    try:
        text = inserted(options.page.read_text(encoding="utf-8"), overview(read(options.ledger)))
    except (InputError, OSError) as error:
        parser.error(str(error))
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
