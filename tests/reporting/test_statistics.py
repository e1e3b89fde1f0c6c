import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting.statistics import COLUMNS, Interval, read_metrics, summarise, t_interval

finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
samples = st.lists(finite, min_size=2, max_size=12)


def test_interval_is_the_textbook_one():
    # t quantile for 4 degrees of freedom, 97.5 %: 2.776 (any printed table); mean 3, s = sqrt(2.5)
    interval = t_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert interval.n == 5
    assert interval.high - 3 == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=3e-4)
    # 2 values, 1 degree of freedom: t = 12.706, s/sqrt(2) = half the distance
    assert t_interval([0.0, 2.0])[1:3] == pytest.approx((1 - 12.706, 1 + 12.706), rel=1e-4)


@given(samples, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_agrees_with_scipy(values, level):
    if len(set(values)) == 1:
        values = [*values, values[0] + 1]
    expected = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
    assert t_interval(values, level)[1:3] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(samples)
def test_interval_contains_the_mean_and_widens_with_the_level(values):
    mean, low, high, n = t_interval(values)
    wide = t_interval(values, level=0.99)
    assert wide.low <= low <= mean <= high <= wide.high
    assert n == len(values)
    assert (low == high) == (len(set(values)) == 1)


@given(samples, st.floats(-100, 100), st.floats(0.01, 100))
def test_interval_moves_and_scales_with_its_values(values, shift, scale):
    moved = t_interval([scale * value + shift for value in values])
    expected = [scale * end + shift for end in t_interval(values)[:3]]
    assert moved[:3] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_interval_covers_the_true_mean_95_percent_of_the_time():
    draws = np.random.default_rng(0).normal(7.0, 2.0, size=(2000, 5))
    covered = np.mean([low <= 7.0 <= high for _, low, high, _ in map(t_interval, draws)])
    assert 0.93 <= covered <= 0.97  # binomial standard error 0.005; the bootstrap's 0.85 would fail


def test_one_value_infinities_and_constants():
    assert t_interval([2.5]) == Interval(2.5, None, None, 1)
    assert t_interval([1.0, math.inf, 3.0]) == Interval(math.inf, None, None, 3)
    assert t_interval([1.0, -math.inf]) == Interval(-math.inf, None, None, 2)
    assert t_interval([0.1] * 7) == Interval(0.1, 0.1, 0.1, 7)  # the mean of seven 0.1 is not 0.1 in floats


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [([], 0.95, "empty"), ([1, math.nan], 0.95, "NaN"), ([math.inf, -math.inf], 0.95, "both signs"), ([1], 1, "level")],
)
def test_interval_refuses(values, level, message):
    with pytest.raises(InputError, match=message):
        t_interval(values, level)


CSV = """dataset,method,distance,task,metric,seed,value
pendulum,vae,,flatness,condition_number_median,0,inf
pendulum,vae,,flatness,condition_number_median,1,30.8
pendulum,vae,,flatness,mf_std,0,0.1
pendulum,vae,,flatness,mf_std,1,0.30000000000000004
pendulum,,data,neighbours,knn_accuracy,,0.97
"""


def written(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_metrics_keeps_empty_text_and_every_digit(tmp_path):
    metrics = read_metrics(written(tmp_path, CSV))
    assert list(metrics.columns) == COLUMNS
    assert list(metrics["distance"]) == ["", "", "", "", "data"]
    assert metrics["method"].iloc[-1] == ""
    assert list(metrics["value"]) == [math.inf, 30.8, 0.1, 0.30000000000000004, 0.97]
    assert list(metrics["seed"].iloc[:4]) == [0, 1, 0, 1]
    assert metrics["seed"].isna().tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (CSV, "", "is empty"),
        ("value\n", "number\n", "column value is missing"),
        ("30.8", "nan", "metric 'condition_number_median', seed '1' has a value that is no number"),
        ("30.8", "", "has a value that is no number"),
        ("median,1", "median,one", "seed 'one' has a seed that is no integer"),
        ("median,1", "median,0", "metric 'condition_number_median', seed '0' stands twice"),
    ],
)
def test_read_metrics_names_the_culprit(tmp_path, old, new, message):
    path = written(tmp_path, CSV.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        read_metrics(path)
    assert str(path) in str(error.value)


def test_summarise_has_a_row_for_each_group_in_order(tmp_path):
    summary = summarise(read_metrics(written(tmp_path, CSV)))
    half = stats.t.ppf(0.975, 1) * 0.1  # of 0.1 and 0.3: s/sqrt(2) = 0.1
    expected = pd.DataFrame(
        [
            ("pendulum", "vae", "", "flatness", "condition_number_median", math.inf, math.nan, math.nan, 2),
            ("pendulum", "vae", "", "flatness", "mf_std", 0.2, 0.2 - half, 0.2 + half, 2),
            ("pendulum", "", "data", "neighbours", "knn_accuracy", 0.97, math.nan, math.nan, 1),
        ],
        columns=["dataset", "method", "distance", "task", "metric", "mean", "low", "high", "n"],
    )
    pd.testing.assert_frame_equal(summary, expected, check_dtype=False)
