"""The verdict board: a grid of claims by data sets, with verdict, effect, interval and evidence of every test."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import pandas as pd

from flatvae.reporting import claims
from flatvae.reporting.comparison import METRICS
from flatvae.reporting.formatting import format_interval, format_p
from flatvae.reporting.overview import SIGNS, TOPICS, claim_number
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.summary.gallery import Figure
from flatvae.reporting.summary.numbers import NumberTable
from flatvae.reporting.verdicts import NOT_RUN, VERDICTS

TEST = re.compile(r"(?P<sides>.*) (?P<threshold>[≤≥<>] \S+)")  # as ``claims`` writes it
SIDE = re.compile(r"(?:\w+ )?(?P<metric>\w+) of ")
FIGURES = {task: task for task in ("flatness", "distances", "interpolation", "efficiency")} | {"tracking": "tracks"}
FLAT_ENOUGH = (
    "Two limits of the condition number k: claim 1a calls a space close to flat up to 1.5, where lengths differ by a factor of "
    "at most 1.22 between directions; claim 6 asks what flatness costs, so it is tested only up to 1.1, because a space that is "
    "less flat has not paid the whole price."
)
COMPARED = {metric.name for metric in METRICS}  # metrics in the figure of all data sets


@dataclass(frozen=True)
class Test:
    """One row of the ledger, as text.

    Attributes:
        claim, dataset, verdict, note: as in the ledger.
        sign: the sign of the verdict.
        effect: with its interval; «–» if there is none.
        threshold: «≤ 1.5».
        n: seeds that count; «4 of 5» if one is left out.
        p, holds: the p-value, and the strictest correction that the verdict survives.
        exploratory: whether the effect had been seen on this data set before the threshold was fixed.
        task, metric: the table and row with the numbers behind the test; both empty if there are none.
        figure: the file name, without extension, of a figure that shows them; empty if there is none.
    """

    claim: str
    dataset: str
    verdict: str
    sign: str
    effect: str
    threshold: str
    n: str
    p: str
    holds: str
    note: str
    exploratory: bool
    task: str
    metric: str
    figure: str


@dataclass(frozen=True)
class Claim:
    """A claim; ``sides`` is the quantity compared with the threshold, ``tests`` maps the board's data sets to tests."""

    name: str
    statement: str
    sides: str
    restates_penalty: bool
    evidence: str
    tests: dict[str, Test]


@dataclass(frozen=True)
class Board:
    """The ledger of a run.

    Attributes:
        datasets: the columns: data sets of the run.
        topics: «1 flat» -> its claims.
        elsewhere: tests on data sets outside the run.
        counts: verdict -> number of tests in the whole ledger.
        standing, caption: sentences on how many verdicts survive a correction, and on how to read the ledger.
    """

    datasets: list[str]
    topics: dict[str, list[Claim]]
    elsewhere: list[Test]
    counts: dict[str, int]
    standing: str
    caption: str


def board(
    folder: RunFolder, numbers: Mapping[str, Sequence[NumberTable]], figures: Mapping[str, Sequence[Figure]]
) -> Board | None:
    """The board of a run; None if it has no ledger."""
    ledger = folder.ledger
    if ledger is None:
        return None
    topics: dict[str, list[Claim]] = {}
    elsewhere = []
    for name, rows in ledger.groupby("claim", sort=False):
        tests = [_test(row, numbers.get(row["dataset"], ()), figures) for _, row in rows.iterrows()]
        elsewhere += [test for test in tests if test.dataset not in folder.datasets]
        number = claim_number(name)
        topic = f"{number} {TOPICS.get(number, '')}".strip()
        topics.setdefault(topic, []).append(_claim(rows.iloc[0], tests, folder.datasets))
    shown = {topic: [claim for claim in own if claim.tests] for topic, own in topics.items()}
    return Board(
        folder.datasets,
        {topic: own for topic, own in shown.items() if own},
        elsewhere,
        {verdict: int((ledger["verdict"] == verdict).sum()) for verdict in VERDICTS},
        claims.standing(ledger),
        f"{claims.CAPTION} {FLAT_ENOUGH}" if {"1a", "6a"} <= set(ledger["claim"]) else claims.CAPTION,
    )


def _claim(first: pd.Series, tests: Sequence[Test], datasets: Sequence[str]) -> Claim:
    return Claim(
        first["claim"],
        first["statement"],
        TEST.fullmatch(first["test"])["sides"],
        claims.PENALTY in first["marks"],
        first["evidence"],
        {test.dataset: test for test in tests if test.dataset in datasets},
    )


def _test(row: pd.Series, numbers: Sequence[NumberTable], figures: Mapping[str, Sequence[Figure]]) -> Test:
    parts = TEST.fullmatch(row["test"])
    metric = SIDE.match(parts["sides"])["metric"]
    task = "" if row["verdict"] == NOT_RUN else _task(metric, PurePath(row["evidence"]).stem, numbers)
    return Test(
        claim=row["claim"],
        dataset=row["dataset"],
        verdict=row["verdict"],
        sign=SIGNS[row["verdict"]],
        effect=format_interval(*row[["effect", "low", "high"]]),
        threshold=parts["threshold"],
        n=claims.seeds_counted(row),
        p=format_p(row["p"]),
        holds=claims.holds_after(row),
        note=row["note"],
        exploratory=claims.EXPLORATORY in row["marks"],
        task=task,
        metric=metric if task else "",
        figure=_figure(task, metric, row["dataset"], figures) if task else "",
    )


def _task(metric: str, evidence: str, numbers: Sequence[NumberTable]) -> str:
    """The task whose table has this metric on the data set, preferably the task of the evidence; empty if none has it."""
    having = [table.task for table in numbers if metric in table.rows]
    return evidence if evidence in having else next(iter(having), "")


def _figure(task: str, metric: str, dataset: str, figures: Mapping[str, Sequence[Figure]]) -> str:
    """The figure of the task on the data set; for a task without figures, the one of all data sets if it shows the metric."""
    if task in FIGURES:
        wanted, among = FIGURES[task], figures.get(dataset, ())
    else:
        wanted, among = "improvement", figures.get("", ()) if metric in COMPARED else ()
    return next((figure.stem for figure in among if figure.name == wanted), "")
