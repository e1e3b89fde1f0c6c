"""Which of the paper's claims hold? Each is tested on each data set, from metrics.csv and efficiency.csv alone.

A claim is an entry of the config: one or two sides, how they are compared, and a threshold fixed in advance.

    "6a":
      statement: Flattening does not cost likelihood.
      subject: {method: flat_vae, task: likelihood, metric: nll}   # and distance, if one applies
      versus: {method: vhp_vae}       # keys left out are the subject's; absent if compare is value
      compare: difference             # value | difference (subject − versus) | ratio (subject / versus)
      direction: at_most              # at_most | at_least | below | above
      threshold: {pendulum: 2.56}     # one number, or one per data set
      fixed: "2026-11-28"             # when the threshold was fixed
      reason: What the bound's tolerance leaves open.
      requires:                       # optional: tests of the same form; the claim is testable only if all are supported
        - subject: {method: flat_vae, task: flatness, metric: condition_number_median}
          compare: value
          direction: at_most
          threshold: 1.1
          reason: The flat VAE is not flat.
      restates_penalty: true          # optional: the test measures nearly what was trained for
      exploratory: [pendulum]         # optional: data sets whose effect had been seen before the threshold was fixed
      datasets: [pendulum, mnist]     # optional; default: every data set of the run
      evidence: tables/likelihood.md

`flatvae.reporting.verdicts` explains how a verdict is made.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.reporting.formatting import format_interval, format_p
from flatvae.reporting.statistics import LEVEL, benjamini_hochberg, holm
from flatvae.reporting.verdicts import (
    MIN_PAIRS,
    NOT_SUPPORTED,
    SUPPORTED,
    VERDICTS,
    Outcome,
    judge_behind_conditions,
    method_name,
    sides_of,
    threshold_of,
)

TEXTS = ["claim", "dataset", "statement", "test", "verdict", "all_seeds", "marks", "note", "evidence"]
COLUMNS = [
    *("claim", "dataset", "statement", "test", "effect", "low", "high", "n", "left_out", "verdict", "all_seeds"),
    *("p", "bh", "holm", "marks", "note", "evidence"),
]

SIGNS = {"difference": "−", "ratio": "/"}
DIRECTIONS = {"at_most": "≤", "at_least": "≥", "below": "<", "above": ">"}
PENALTY, EXPLORATORY = "restates the penalty", "exploratory"

CAPTION = (
    "Effect: mean over n seeds with its 95 % Student t-interval, paired by seed if two methods are compared; the geometric mean "
    "for ratios and for metrics averaged in logarithms (condition numbers, deviations, times). A seed is left out if a side "
    "missed equal reconstruction or had not settled (n: 4 of 5). Supported: the whole interval satisfies the threshold. "
    "Not supported: the whole interval violates it. Undecided: the interval crosses the threshold, fewer than "
    f"{MIN_PAIRS} pairs of seeds count, or the verdict over all seeds differs. Not testable: a condition of the test is not "
    "supported, too few seeds met the bound, or no threshold is fixed. Not run: numbers are missing. p: two-sided, for "
    "«effect = threshold». Holds after: whether the verdict survives Holm's correction at 5 % (95 % of ledgers have no false "
    "verdict), only Benjamini-Hochberg's (5 % of the survivors are expected to be false), or neither. Intervals cover the "
    "spread of trainings on one split of the data, not the spread over splits. Restates the penalty: the test measures nearly "
    "what the method was trained for. Exploratory: the effect had been seen on this data set before the threshold was fixed. "
    "Thresholds are this suite's, not the paper's; config/claims.yaml has each with date and reason."
)


def ledger(
    metrics: pd.DataFrame,
    efficiency: pd.DataFrame | None,
    claims: Mapping[str, Mapping],
    datasets: Sequence[str],
) -> pd.DataFrame:
    """Tests every claim on every data set of the run.

    A claim that names data sets is tested on those of them that are in the run, or on all of them if none is.

    Columns: claim, dataset, statement, test; effect, low, high (NaN if there is none), n, left_out (number of seeds that do
    not count), verdict, all_seeds (the verdict over all seeds; empty if nothing was tested); p, and bh and holm, the p-values
    adjusted over the tests of this ledger that ran (`corrected`); marks (restates the penalty, exploratory), note, evidence.
    Rows are sorted by claim (2a before 10a), then by data set in the order of the run. The config's schema has checked the
    claims.

    Raises:
        InputError: a threshold is ≤ 0 although its metric is averaged in logarithms.
    """
    numbers = metrics if efficiency is None else pd.concat([metrics, efficiency], ignore_index=True)
    rows = [
        _row(
            str(claim), entry, dataset, judge_behind_conditions(numbers[numbers["dataset"] == dataset], entry, dataset)
        )
        for claim, entry in sorted(claims.items(), key=lambda item: natural(str(item[0])))
        for dataset in _chosen(entry.get("datasets", datasets), datasets)
    ]
    numeric = dict.fromkeys(["effect", "low", "high", "p", "bh", "holm"], float) | {"n": int, "left_out": int}
    return corrected(pd.DataFrame(rows, columns=COLUMNS).astype(numeric))


def natural(claim: str) -> list:
    """A sort key for claims: 2a comes before 10a."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", claim)]


def corrected(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger with bh and holm: p-values adjusted over all rows that have one, undecided rows included."""
    ran = ledger["p"].notna()
    p = ledger.loc[ran, "p"].to_numpy()
    adjusted = ledger.assign(bh=math.nan, holm=math.nan)
    adjusted.loc[ran, "bh"], adjusted.loc[ran, "holm"] = benjamini_hochberg(p), holm(p)
    return adjusted


def _chosen(named: Iterable[str], run: Sequence[str]) -> list[str]:
    named = list(dict.fromkeys(named))
    return [name for name in run if name in named] or named


def _row(claim: str, entry: Mapping, dataset: str, outcome: Outcome) -> tuple:
    statement = " ".join(entry["statement"].split())  # folded text in YAML ends with a line break
    marks = [PENALTY] * entry.get("restates_penalty", False) + [EXPLORATORY] * (dataset in entry.get("exploratory", ()))
    return (
        *(claim, dataset, statement, _test(entry, dataset), *outcome.effect, outcome.left_out),
        *(outcome.verdict, outcome.all_seeds, outcome.p, math.nan, math.nan),
        *("; ".join(marks), "; ".join(dict.fromkeys((*outcome.notes, *outcome.seeds))), entry["evidence"]),
    )


def _test(entry: Mapping, dataset: str) -> str:
    """The test in words: «nll of flat_vae − nll of vhp_vae ≤ 2»."""
    sides = sides_of(entry)
    tasks = len({side["task"] for side in sides}) > 1  # otherwise the metric's name says enough
    texts = [
        f"{side['task']} " * tasks
        + f"{side['metric']} of {method_name(side['method'])}"
        + f" ({side['distance']})" * bool(side["distance"])
        for side in sides
    ]
    threshold = threshold_of(entry, dataset)
    shown = "?" if threshold is None else f"{threshold:.10g}".replace("-", "−")
    return f" {SIGNS.get(entry['compare'])} ".join(texts) + f" {DIRECTIONS[entry['direction']]} {shown}"


# ------------------------------------------------------------------------------------------------------------- as Markdown


def to_markdown(ledger: pd.DataFrame) -> str:
    """The ledger as Markdown: caption, one pipe table with each statement once, and the number of tests with each verdict."""
    runs = ["run"] if "run" in ledger else []
    headings = ["claim", "test", "data set", *runs, "effect", "n", "verdict", "p", "holds after", "note", "evidence"]
    lines = ["| " + " | ".join(headings) + " |", "|" + " :- |" * len(headings)]
    for _, rows in ledger.groupby("claim", sort=False):
        before = dict.fromkeys(["claim", "test", "evidence"], "")
        for _, row in rows.iterrows():
            cells = _cells(row, runs)
            shown = ["" if before.get(name) == cell else cell for name, cell in cells.items()]
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in shown) + " |")
            before = {name: cells[name] for name in before}
    return "\n\n".join([CAPTION, "\n".join(lines), _total(ledger)]) + "\n"


def _cells(row: pd.Series, runs: Sequence[str]) -> dict[str, str]:
    exploratory = f" ({EXPLORATORY})" if EXPLORATORY in row["marks"] else ""
    penalty = f" ({PENALTY})" if PENALTY in row["marks"] else ""
    return {
        "claim": f"{row['claim']}: {row['statement']}{penalty}",
        "test": row["test"],
        "dataset": row["dataset"] + exploratory,
        **{name: row[name] for name in runs},
        "effect": format_interval(*row[["effect", "low", "high"]]),
        "n": seeds_counted(row),
        "verdict": row["verdict"],
        "p": format_p(row["p"]),
        "holds": holds_after(row),
        "note": row["note"],
        "evidence": row["evidence"],
    }


def seeds_counted(row: pd.Series) -> str:
    """How many seeds count in a row of a ledger: «5», or «4 of 5» if one is left out."""
    return f"{row['n']} of {row['n'] + row['left_out']}" if row["left_out"] else str(row["n"])


def holds_after(row: pd.Series) -> str:
    """The strictest correction that a verdict survives."""
    if row["verdict"] not in (SUPPORTED, NOT_SUPPORTED):
        return "–"
    if row["holm"] <= LEVEL:
        return "Holm"
    return "BH" if row["bh"] <= LEVEL else "neither"


def _total(ledger: pd.DataFrame) -> str:
    counts = ", ".join(f"{(ledger['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    return f"{len(ledger)} test{'s' * (len(ledger) != 1)}: {counts}. {standing(ledger)}"


def standing(ledger: pd.DataFrame) -> str:
    """How many of the decided tests survive each correction, and how many of the supported ones restate the penalty."""
    decided = ledger[ledger["verdict"].isin([SUPPORTED, NOT_SUPPORTED])]
    stand = {name: int((decided[name] <= LEVEL).sum()) for name in ("bh", "holm")}
    supported = ledger[ledger["verdict"] == SUPPORTED]
    restating = int(supported["marks"].fillna("").str.contains(PENALTY).sum())
    return (
        f"{stand['bh']} of {len(decided)} decided tests stand after Benjamini-Hochberg, {stand['holm']} after Holm, corrected "
        f"over the {ledger['p'].notna().sum()} tests that ran."
        + f" {restating} of the {len(supported)} supported tests restate{'s' * (restating == 1)} the penalty."
        * bool(restating)
    )


def write(ledger: pd.DataFrame, stem: str | PathLike) -> None:
    """Write stem.csv (unrounded; a missing number is an empty field) and stem.md."""
    ledger.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    Path(f"{stem}.md").write_text(to_markdown(ledger), encoding="utf-8")
