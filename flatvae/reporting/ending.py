"""The last lines of a run in the terminal: its results in at most ten lines."""

import textwrap

from flatvae.reporting.formatting import format_duration
from flatvae.reporting.summary import Leaderboard, Summary
from flatvae.reporting.summary.leaderboard import FLATNESS

WIDTH = 160  # characters of a line
DATASETS = 5  # at most so many lines for data sets; the page has them all


def lines(run: Summary, page: str, seconds: float) -> list[str]:
    """The results of a run as lines of text.

    They count the verdicts, name the flattest method at equal reconstruction on each data set with its condition number and
    training error, list the seeds that missed the bound or had not settled, and say how long the run took and which page to
    open.

    Args:
        run: its summary.
        page: the path of the HTML page.
        seconds: how long this call took.
    """
    datasets = list(run.leaderboards.values())
    shown = datasets if len(datasets) <= DATASETS else datasets[: DATASETS - 1]
    found = [f"flatvae: {_verdicts(run)}", "  flattest at equal reconstruction:"]
    found += [f"    {_flattest(leaders)}" for leaders in shown]
    if len(shown) < len(datasets):
        found.append(f"    and {len(datasets) - len(shown)} more data sets, see the page")
    found.append(f"  seeds that missed the bound or had not settled: {', '.join(run.setting.missed) or 'none'}")
    took = f"  took {format_duration(seconds)}"
    if run.setting.seconds is not None:
        took += f"; trainings and evaluations {format_duration(run.setting.seconds)} of job time"
    found += [took, f"  open {page}"]
    return [_fitted(line) for line in found]


def _verdicts(run: Summary) -> str:
    if run.board is None:
        return "no claims were tested"
    counts = ", ".join(f"{count} {verdict}" for verdict, count in run.board.counts.items())
    return f"{sum(run.board.counts.values())} tests of the paper's claims: {counts}"


def _flattest(leaders: Leaderboard) -> str:
    if not leaders.flattest:
        return f"{leaders.dataset}: no method at equal reconstruction"
    first, *tied = leaders.flattest
    error = f", error {leaders.text(first, 'train_error')}" + (f" (bound {leaders.bound})" if leaders.bound else "")
    ties = f", tied with {', '.join(row.name for row in tied)}" if tied else ""
    return f"{leaders.dataset}: {first.name}, k {leaders.text(first, FLATNESS)}{error}{ties}"


def _fitted(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return indent + textwrap.shorten(line, WIDTH - len(indent), placeholder=" … (all on the page)")
