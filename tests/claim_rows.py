"""Rows of metrics.csv and entries of claims for the tests of the ledger: methods a and b, metric kl on pendulum."""

import pandas as pd

from flatvae.reporting import claims
from flatvae.reporting.statistics import COLUMNS

SUBJECT = {"method": "a", "task": "reconstruction", "metric": "kl"}


def rows(method, values, metric="kl", task="reconstruction", dataset="pendulum", distance="", seeds=None):
    seeds = range(len(values)) if seeds is None else seeds
    return [(dataset, method, distance, task, metric, s, float(v)) for s, v in zip(seeds, values, strict=True)]


def passed(method, equal, settled=None, dataset="pendulum", seeds=None):
    """Rows of equal reconstruction, and of having settled (by default all)."""
    settled = [1] * len(equal) if settled is None else settled
    checks = {"equal_reconstruction": equal, "settled": settled}
    return [row for name, own in checks.items() for row in rows(method, own, name, dataset=dataset, seeds=seeds)]


def trained(method, n, frozen=()):
    """Rows of the training of n seeds."""
    return rows(method, [int(seed in frozen) for seed in range(n)], "frozen", "training")


def frame(*groups):
    return pd.DataFrame([row for group in groups for row in group], columns=COLUMNS)


def claim(compare="value", direction="at_most", threshold=1.5, **others):
    versus = {} if compare == "value" else {"versus": {"method": "b"}}
    return {
        "statement": "It is small.",
        "subject": SUBJECT,
        "compare": compare,
        "direction": direction,
        "threshold": threshold,
        "fixed": "2026-11-28",
        "reason": "For a test.",
        "evidence": "tables/reconstruction.md",
        **versus,
        **others,
    }


def judged(entry, *groups, efficiency=None):
    """The one row of one claim on pendulum."""
    made = claims.ledger(frame(*groups), efficiency, {"1": entry}, ["pendulum"])
    assert list(made.columns) == claims.COLUMNS
    (row,) = made.itertuples(index=False)
    return row
