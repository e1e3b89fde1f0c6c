"""Do the control methods do what they are there for? From metrics.csv alone.

A positive control must win the metric that it calibrates, a negative control must lose it: else the metric does not measure
what it is named for, or the code that computes it is wrong. A control is an entry of the config:

    pca_condition_number:
      statement: Principal components have an isometry for a decoder, so nothing is flatter.
      method: pca
      task: flatness
      metric: condition_number_median      # distance too, where one applies
      better: lower                        # lower | higher
      must: win                            # win | lose
      against: [flat_vae]                  # optional; else every other method of the run
      datasets: [pendulum, digits]         # optional; else every data set of the run
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
# what must be true of a control's mean and its hardest rival's, by what is better and what the control must do
MUST_BE = {
    ("lower", "win"): ("≤", operator.le),
    ("higher", "win"): ("≥", operator.ge),
    ("lower", "lose"): (">", operator.gt),
    ("higher", "lose"): ("<", operator.lt),
}
CAPTION = (
    "Controls: means over the seeds, geometric ones of what is positive and skewed. `rival` is the method that comes nearest "
    "to breaking the control, or breaks it. A run in which a control does not hold fails."
)


def check(
    metrics: pd.DataFrame, controls: Mapping[str, Mapping], methods: Sequence[str], datasets: Sequence[str]
) -> pd.DataFrame:
    """Every control on every data set where the run puts it, and a rival, to its task.

    With m the mean of the control's metric over its seeds, on the metric's scale as in the tables, and r that of the rival who
    is best (where it must win) or worst (where it must lose) among those it is compared with: it holds where m is at least as
    good as r, or worse than r.

    Args:
        metrics: rows of metrics.csv.
        controls: entries of the config, by name.
        methods: of the run, the possible rivals.
        datasets: of the run.

    Returns:
        columns control, dataset, statement, test, value, rival, rival_value, holds (0/1).

    Raises:
        InputError: the control was put to its task and has no such metric there.
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
                holds = bool(MUST_BE[entry["better"], entry["must"]][1](value, other))  # never of NaN
                statement = " ".join(entry["statement"].split())
                rows.append((name, dataset, statement, _test(entry), value, rival, other, int(holds)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _means(own: pd.DataFrame, name: str, entry: Mapping, dataset: str) -> pd.Series:
    """Mean over seeds of the control's metric, by method."""
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
    """The best of the others where the control must win, the worst where it must lose; None where there are no others."""
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
        f"control {row.control} does not hold on {row.dataset}: {row.test}, and it is {row.value:.4g} against "
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
    """Writes stem.csv and stem.md."""
    table.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    Path(f"{stem}.md").write_text(to_markdown(table), encoding="utf-8")
