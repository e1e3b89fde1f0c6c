"""Checks that every control method behaves as it must, from metrics.csv alone.

A positive control must win the metric that it calibrates, a negative control must lose it. Otherwise the metric does not
measure what its name says, or its code is wrong. A control is an entry of the config:

    pca_condition_number:
      statement: Principal components have an isometry for a decoder, so nothing is flatter.
      method: pca
      task: flatness
      metric: condition_number_median      # and distance, if one applies
      better: lower                        # lower | higher
      must: win                            # win | lose
      against: [flat_vae]                  # optional; default: every other method of the run
      datasets: [pendulum, digits]         # optional; default: every data set of the run
"""

import math
import operator
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.scales import logarithmic
from flatvae.reporting.statistics import t_interval

COLUMNS = ["control", "dataset", "statement", "test", "value", "rival", "rival_value", "holds"]
# (better, must) -> the relation that must hold between the control's mean and that of its hardest rival
MUST_BE = {
    ("lower", "win"): ("≤", operator.le),
    ("higher", "win"): ("≥", operator.ge),
    ("lower", "lose"): (">", operator.gt),
    ("higher", "lose"): ("<", operator.lt),
}
CAPTION = (
    "Controls: means over the seeds, geometric for positive and skewed metrics. The rival is the method that comes nearest to "
    "breaking the control, or breaks it. A run fails if a control does not hold."
)


def check(
    metrics: pd.DataFrame, controls: Mapping[str, Mapping], methods: Sequence[str], datasets: Sequence[str]
) -> pd.DataFrame:
    """Checks every control on every data set where the run evaluates its task for it and for a rival.

    Let m be the mean of the control's metric over its seeds, on the metric's scale as in the tables, and r the mean of its
    hardest rival. A control that must win holds if m is at least as good as the best rival's r; one that must lose holds if m
    is worse than the worst rival's r.

    Args:
        metrics: rows of metrics.csv.
        controls: entries of the config, by name.
        methods: the methods of the run: the possible rivals.
        datasets: the data sets of the run.

    Returns:
        columns control, dataset, statement, test, value, rival, rival_value, holds (0/1).

    Raises:
        InputError: the control has rows of its task, but not this metric.
    """
    rows = []
    for name, entry in controls.items():
        for dataset in datasets:
            own = metrics[(metrics["dataset"] == dataset) & (metrics["task"] == entry["task"])]
            if dataset not in entry.get("datasets", datasets) or entry["method"] not in set(own["method"]):
                continue
            means = _means(own, name, entry, dataset)
            rival = _hardest_rival(means, entry, methods)
            if rival is not None:
                value, other = means[entry["method"]], means[rival]
                holds = bool(MUST_BE[entry["better"], entry["must"]][1](value, other))  # False for NaN
                statement = " ".join(entry["statement"].split())
                rows.append((name, dataset, statement, _test(entry), value, rival, other, int(holds)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _means(own: pd.DataFrame, name: str, entry: Mapping, dataset: str) -> pd.Series:
    """The mean of the control's metric over the seeds of each method."""
    chosen = (own["metric"] == entry["metric"]) & (own["distance"] == entry.get("distance", ""))
    means = own[chosen].groupby("method")["value"].agg(lambda values: _mean(values, logarithmic(entry["metric"])))
    if entry["method"] not in means:
        raise InputError(
            f"config: controls.{name}: {entry['method']} has no {entry['metric']} in the task {entry['task']} on {dataset}; "
            "correct the metric or its distance, or keep the control to other data sets"
        )
    return means


def _mean(values: pd.Series, in_logarithms: bool) -> float:
    return math.nan if values.isna().any() else t_interval(values, in_logarithms).mean


def _hardest_rival(means: pd.Series, entry: Mapping, methods: Sequence[str]) -> str | None:
    """The best rival if the control must win, the worst if it must lose; None without rivals."""
    rivals = means[[m for m in entry.get("against", methods) if m in means and m != entry["method"]]]
    if rivals.empty:
        return None
    lowest = (entry["better"] == "lower") == (entry["must"] == "win")
    return rivals.idxmin() if lowest else rivals.idxmax()


def _test(entry: Mapping) -> str:
    """The condition in words."""
    sign, _ = MUST_BE[entry["better"], entry["must"]]
    distance = f" ({entry['distance']})" if "distance" in entry else ""
    others = f"that of {', '.join(entry['against'])}" if "against" in entry else "every other method's"
    return f"{entry['metric']} of {entry['method']}{distance} {sign} {others}"


def broken(table: pd.DataFrame) -> list[str]:
    """One sentence for every control that does not hold."""
    return [
        f"control {row.control} does not hold on {row.dataset}: required is {row.test}, found {row.value:.4g} against "
        f"{row.rival_value:.4g} of {row.rival}; {row.statement}"
        for row in table[table["holds"] == 0].itertuples()
    ]


def to_markdown(table: pd.DataFrame) -> str:
    """The table as Markdown, with its caption."""
    lines = ["| control | data set | test | value | nearest rival | holds |", "| :- | :- | :- | -: | :- | :- |"]
    for row in table.itertuples():
        rival = f"{row.rival}: {row.rival_value:.4g}"
        verdict = "yes" if row.holds else "**no**"
        cells = [f"{row.control}: {row.statement}", row.dataset, row.test, f"{row.value:.4g}", rival, verdict]
        lines.append("| " + " | ".join(cells) + " |")
    return CAPTION + "\n\n" + "\n".join(lines) + "\n"


def write(table: pd.DataFrame, stem: str | PathLike) -> None:
    """Write stem.csv and stem.md."""
    table.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    Path(f"{stem}.md").write_text(to_markdown(table), encoding="utf-8")
