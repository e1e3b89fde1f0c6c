"""Means, intervals and p-values over seeds, from the one tidy file metrics.csv."""

import math
from collections.abc import Iterable
from os import PathLike
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting.scales import bounds, logarithmic

GROUP = ["dataset", "method", "distance", "task", "metric"]
KEY = [*GROUP, "seed"]
COLUMNS = [*KEY, "value"]


LEVEL = 0.05  # significance level of every correction; intervals have level 1 − LEVEL
MOST_SEEDS = 1000  # larger numbers of seeds are not named


class Interval(NamedTuple):
    """A mean over n seeds and its confidence interval; `low` and `high` are None if there is no interval.

    If a value is off the scale (infinite, or 0 on a logarithmic scale), `mean` is the median.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


def read_metrics(path: str | PathLike) -> pd.DataFrame:
    """Read a metrics.csv with the columns dataset, method, distance, task, metric, seed, value.

    An empty text field stays an empty string: an empty distance means that none applies, an empty method is the control on raw
    data. A seed is an integer, or empty in a row without training. A value may be infinite, never NaN.

    Raises InputError if a column is missing, a seed is not an integer, a value is not a number, or a key (all columns except
    value) occurs twice.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: the file is empty; it must have the columns {', '.join(COLUMNS)}") from None
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing; it must have the columns {', '.join(COLUMNS)}")
    frame = frame[COLUMNS]
    no_seed = ~frame["seed"].str.fullmatch(r"(-?\d+)?")
    _refuse(path, frame, no_seed, "has a seed that is not an integer; write an integer or leave it empty")
    # Python's float, because pandas' parser may be off in the last digit
    values = frame["value"].map(_number).astype(float)
    _refuse(path, frame, values.isna(), "has a value that is not a number; write a number or inf, or leave the row out")
    seeds = [int(seed) if seed else pd.NA for seed in frame["seed"]]
    frame = frame.assign(seed=pd.array(seeds, dtype="Int64"), value=values)
    _refuse(path, frame, frame.duplicated(KEY), "occurs twice; keep one row for each key")
    return frame


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refuse(path, frame: pd.DataFrame, bad: pd.Series, complaint: str) -> None:
    if bad.any():
        row = frame[bad].iloc[0]
        key = ", ".join(f"{column} '{row[column]}'" for column in KEY)
        raise InputError(f"{path}: the row {key} {complaint}")


def t_interval(values: Iterable[float], logarithmic: bool = False) -> Interval:
    """Mean and 95 % Student t-interval of repeated measurements, or geometric mean and interval in logarithms.

        linear       mean ± t_{n−1, 0.975} · s / √n,     s² = Σ (v − mean)² / (n − 1)
        logarithmic  exp of the same for log v: the geometric mean, low and high > 0

    It uses t instead of the bootstrap, because resampling a few seeds understates their spread. The 95 % interval of the plain
    bootstrap covers the mean 73 % of the time at 3 seeds, 85 % at 5, 90 % at 10. The t-interval covers it 95 % of the time for
    normal values, and in logarithms it covers the geometric mean of log-normal values as often. At 5 and 10 seeds it covers the
    mean of other distributions 96 % (Student's with 3 degrees of freedom), 92 % (gamma of shape 2; 94 % in logarithms) and 88
    to 90 % of the time (exponential; 93 % in logarithms). It does not cover another split of the data or another data set. One
    value has no interval. If a value is off the scale (see `off_scale`), the result is the median without an interval. Equal
    values have an interval without width on either scale.

    Raises:
        InputError: there are no values, NaN, or infinities of both signs.

    Source: Student (1908); for the geometric mean in logarithms: Olsson (2005), J. Statistics Education 13(1).
    """
    values = np.asarray(list(values), dtype=float)
    n = len(values)
    if n == 0 or np.isnan(values).any():
        raise InputError("t_interval: values are empty or hold NaN; leave out seeds that have no value.")
    if {math.inf, -math.inf} <= set(values):
        raise InputError(
            "t_interval: values hold infinities of both signs, which have no mean; report them separately."
        )
    if n == 1:
        return Interval(float(values[0]), None, None, 1)
    if np.isfinite(values).all() and np.ptp(values) == 0:  # rounding would give a width of 1e-17 instead of 0
        return Interval(*[float(values[0])] * 3, n)
    if off_scale(values, logarithmic):
        return Interval(float(np.median(values)), None, None, n)
    measured = np.log(values) if logarithmic else values
    mean = measured.mean()
    half = stats.t.ppf(1 - LEVEL / 2, n - 1) * measured.std(ddof=1) / math.sqrt(n)
    ends = np.array([mean, mean - half, mean + half])
    with np.errstate(over="ignore"):  # an interval from two seeds may reach beyond the largest float
        return Interval(*(np.exp(ends) if logarithmic else ends).tolist(), n)


def over_seeds(values: Iterable[float], metric: str) -> Interval:
    """`t_interval` of a metric's values on its scale, cut at its bounds (`flatvae.reporting.scales`).

    The true mean lies within the bounds, so cutting loses no coverage. An interval of log(k − 1) or of a logit would cover more
    often where values are skewed, but it has another mean than the ledger's tests, and no value for a seed on the bound.
    Simulated coverage with 5 and 10 seeds:

        log k; log(k − 1) normal, its standard deviation ≤ 1.5     93 to 95 % (median k ≥ 4), 74 to 93 % (median k ≤ 1.3)
        accuracy; beta, mean μ, standard deviation σ               92 to 95 % (σ ≤ 2/3 · (1 − μ)), 88 to 90 % (σ = 1 − μ)
        half of the seeds on the bound                             85 to 93 %

    So an interval that ends at a bound is a sign of few, skewed values.
    """
    interval = t_interval(values, logarithmic(metric))
    if interval.low is None:
        return interval
    least, most = bounds(metric)
    mean = interval.mean  # rounding may take it past a bound
    return interval._replace(low=min(max(interval.low, least), mean), high=max(min(interval.high, most), mean))


def off_scale(values: Iterable[float], logarithmic: bool) -> str:
    """Which values are off the scale: «∞ in 2 of 5 seeds», «0 in 5 of 5 seeds»; empty if none is."""
    values = np.asarray(list(values), dtype=float)
    kinds = {"∞": values == math.inf, "−∞": values == -math.inf}
    if logarithmic:
        kinds = {"∞": values == math.inf, "0": values == 0, "< 0": values < 0}
    return ", ".join(f"{name} in {own.sum()} of {len(values)} seeds" for name, own in kinds.items() if own.any())


def p_value(values: np.ndarray, threshold: float) -> float:
    """Two-sided p-value for the hypothesis that the mean of the values' distribution is the threshold.

    Finite values: Student's t-test, so p < 0.05 exactly if the 95 % t-interval excludes the threshold; equal values have
    p = 1 at the threshold and 0 elsewhere. With an infinite value: the sign test of the median without ties. If a value is
    NaN (∞ − ∞), p = 1. One finite value gives NaN, since it has no interval. On a logarithmic scale both arguments are
    logarithms.
    """
    values = np.asarray(values, dtype=float)
    if np.isnan(values).any():
        return 1.0
    if not np.isfinite(values).all():
        above, below = int((values > threshold).sum()), int((values < threshold).sum())
        return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
    if len(values) == 1:
        return math.nan
    if np.ptp(values) == 0:
        return float(math.isclose(values[0], threshold, rel_tol=1e-9, abs_tol=1e-12))
    return float(stats.ttest_1samp(values, threshold).pvalue)


def seeds_needed(values: np.ndarray, threshold: float) -> int | None:
    """How many seeds would decide if they had the observed mean and spread; None if more than 1000.

    The least n with t_{n−1, 0.975} · s / √n < |mean − threshold|. With an infinite value, the least n at which the sign test
    has p < 0.05 for the observed share of seeds above the threshold. It is an estimate from few seeds.
    """
    values = np.asarray(values, dtype=float)
    n = np.arange(2, MOST_SEEDS + 1)
    if np.isnan(values).any() or len(values) < 2:
        return None
    if np.isfinite(values).all():
        half = stats.t.ppf(1 - LEVEL / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
        decided = half < abs(values.mean() - threshold)
    else:
        fewer = min((values > threshold).mean(), (values < threshold).mean())
        decided = 2 * stats.binom.cdf(np.round(fewer * n), n, 0.5) < LEVEL
    decided &= n > len(values)
    return int(n[decided][0]) if decided.any() else None


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p-values adjusted over the last axis: at most 5 % of those ≤ 0.05 are expected to be false discoveries.

    It assumes independent or positively dependent tests, such as tests that share seeds. Source: Benjamini and Hochberg (1995),
    J. Royal Statistical Society B 57; computed by scipy.
    """
    return stats.false_discovery_control(p, axis=-1) if np.size(p) else np.asarray(p, dtype=float)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted over the last axis: at most 5 % of ledgers have a false discovery among those ≤ 0.05.

    For p_(1) ≤ … ≤ p_(m) the i-th becomes max over j ≤ i of min(1, (m − j + 1) p_(j)), valid under any dependence. Source:
    Holm (1979), Scandinavian J. Statistics 6.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, axis=-1)
    factors = p.shape[-1] - np.arange(p.shape[-1])
    raised = np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1).clip(max=1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, raised, -1)
    return adjusted


def summarise(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each dataset, method, distance, task, metric, in the order of `metrics`: mean, low, high, n, off_scale.

    mean, low, high are from `over_seeds`. low and high are NaN if there is no interval. If `off_scale` is not empty, it says
    which values are off the scale, and mean is the median.
    """
    # dropna=False keeps groups whose empty distance was read as NaN
    groups = metrics.groupby(GROUP, sort=False, dropna=False)["value"]
    rows = [(*key, *over_seeds(own, key[-1]), _off_scale_note(own, logarithmic(key[-1]))) for key, own in groups]
    summary = pd.DataFrame(rows, columns=[*GROUP, *Interval._fields, "off_scale"])
    return summary.astype({"mean": float, "low": float, "high": float, "n": int})


def _off_scale_note(values: pd.Series, logarithmic: bool) -> str:
    """`off_scale`; empty if all seeds have the same value, which speaks for itself."""
    return off_scale(values, logarithmic) if values.nunique() > 1 else ""
