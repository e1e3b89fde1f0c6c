import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting.captions import TASK_METRICS
from flatvae.reporting.comparison import METRICS
from flatvae.reporting.scales import SCALES, bounds, logarithmic
from flatvae.reporting.statistics import (
    COLUMNS,
    Interval,
    benjamini_hochberg,
    holm,
    off_scale,
    over_seeds,
    p_value,
    read_metrics,
    seeds_needed,
    summarise,
    t_interval,
)

finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
samples = st.lists(finite, min_size=2, max_size=12)
positives = st.lists(st.floats(1e-3, 1e3).map(lambda value: round(value, 6)), min_size=2, max_size=12)


def test_interval_is_the_textbook_one():
    # t quantile for 4 degrees of freedom, 97.5 %: 2.776 (any printed table); mean 3, s = sqrt(2.5)
    interval = t_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert interval.n == 5
    assert interval.high - 3 == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=3e-4)
    # 2 values, 1 degree of freedom: t = 12.706, s/sqrt(2) = half the distance
    assert t_interval([0.0, 2.0])[1:3] == pytest.approx((1 - 12.706, 1 + 12.706), rel=1e-4)


@given(samples)
def test_interval_agrees_with_scipy(values):
    if len(set(values)) == 1:
        values = [*values, values[0] + 1]
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert t_interval(values)[1:3] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(positives)
def test_logarithmic_interval_is_the_exponentiated_one_of_the_logarithms(values):
    if len(set(values)) == 1:
        values = [*values, 2 * values[0]]
    logs = np.log(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(logs), stats.sem(logs))
    found = t_interval(values, logarithmic=True)
    assert found.mean == pytest.approx(stats.gmean(values), rel=1e-9)
    assert np.log(found[1:3]) == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9)


@given(samples)
def test_interval_contains_the_mean(values):
    mean, low, high, n = t_interval(values)
    assert low <= mean <= high
    assert n == len(values)
    assert (low == high) == (len(set(values)) == 1)


@given(positives, st.floats(0.01, 100))
def test_a_logarithmic_interval_turns_over_with_its_values_and_scales_with_them(values, factor):
    mean, low, high, _ = t_interval(values, logarithmic=True)
    assert t_interval([1 / v for v in values], True)[:3] == pytest.approx((1 / mean, 1 / high, 1 / low), rel=1e-9)
    scaled = t_interval([factor * v for v in values], True)[:3]
    assert scaled == pytest.approx((factor * mean, factor * low, factor * high), rel=1e-9)


@given(samples, st.floats(-100, 100), st.floats(0.01, 100))
def test_interval_moves_and_scales_with_its_values(values, shift, scale):
    moved = t_interval([scale * value + shift for value in values])
    expected = [scale * end + shift for end in t_interval(values)[:3]]
    assert moved[:3] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_one_value_infinities_and_constants():
    assert t_interval([2.5]) == Interval(2.5, None, None, 1)
    assert t_interval([0.1] * 7) == Interval(0.1, 0.1, 0.1, 7)  # the mean of seven 0.1 is not 0.1 in floats
    assert t_interval([0.1] * 7, logarithmic=True) == Interval(0.1, 0.1, 0.1, 7)
    assert t_interval([0.0] * 3, logarithmic=True) == Interval(0.0, 0.0, 0.0, 3)


@pytest.mark.parametrize(
    ("values", "log", "median", "told"),
    [
        ([1.0, math.inf, 3.0], False, 3.0, "∞ in 1 of 3 seeds"),
        ([1.0, math.inf, 3.0], True, 3.0, "∞ in 1 of 3 seeds"),
        ([1.0, -math.inf], False, -math.inf, "−∞ in 1 of 2 seeds"),
        ([0.0, 2.0, 5.0], True, 2.0, "0 in 1 of 3 seeds"),
        ([0.0, math.inf, 5.0, 7.0], True, 6.0, "∞ in 1 of 4 seeds, 0 in 1 of 4 seeds"),
        ([math.inf] * 2, True, math.inf, "∞ in 2 of 2 seeds"),
    ],
)
def test_values_without_a_place_on_the_scale_leave_the_median(values, log, median, told):
    assert t_interval(values, log) == Interval(median, None, None, len(values))
    assert off_scale(values, log) == told
    assert off_scale([1.0, 2.0], log) == ""
    assert off_scale([0.0, -2.0], False) == ""


# -------------------------------------------------------------------------------------------------- p-values, corrections


@given(samples, finite)
def test_the_p_value_is_below_5_percent_where_the_interval_leaves_the_threshold_out(values, threshold):
    interval = t_interval(values)
    p = p_value(np.array(values), threshold)
    if interval.low < interval.high:
        assert p == pytest.approx(stats.ttest_1samp(values, threshold).pvalue)
        if min(abs(interval.low - threshold), abs(interval.high - threshold)) > 1e-6 * max(map(abs, values)):
            assert (p < 0.05) == (not interval.low <= threshold <= interval.high)
    else:
        assert p == float(threshold == values[0])


@pytest.mark.parametrize(
    ("values", "threshold", "expected"),
    [
        ([9, 9, math.inf, 9, math.inf], 2, 2 / 2**5),  # all of five on one side: the sign test's least
        ([9, 9, math.inf, 9, math.inf, 3], 2, 2 / 2**6),
        ([1, 9, math.inf, 9, math.inf], 2, 2 * (1 + 5) / 2**5),
        ([2, 9, math.inf, 9], 2, 2 / 2**3),  # a tie is left out
        ([math.inf, math.nan, 1], 0, 1.0),
        ([5.0], 0, math.nan),
        ([5.0, 5.0], 5.0, 1.0),
        ([5.0, 5.0], 4.0, 0.0),
    ],
)
def test_p_values_worked_out_by_hand(values, threshold, expected):
    assert p_value(np.array(values, float), threshold) == pytest.approx(expected, nan_ok=True)


def test_the_seeds_that_would_decide_are_the_least():
    """Mean 1 and s = 1 at 5 seeds, threshold 0.5: t · s / √n < 0.5 first at n = 18 (t₁₇ = 2.110; at 17 t₁₆ = 2.120)."""
    values = 1 + np.array([-1, -1, 0, 1, 1])
    assert values.std(ddof=1) == 1
    assert 2.110 / math.sqrt(18) < 0.5 < 2.120 / math.sqrt(17)
    assert seeds_needed(values, 0.5) == 18
    assert seeds_needed(values, 1.0) is None, "on the threshold"
    assert seeds_needed(values, 1.01) is None, "t · s / √n < 0.01 at 38,000 seeds"
    assert seeds_needed(np.array([3.0]), 0.0) is None, "one seed has no spread"
    assert seeds_needed(np.array([9, math.inf, 9]), 2.0) == 6, "the sign test decides from six on, where all agree"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections_are_those_of_their_definitions(p):
    """Holm's as in the docstring of R's p.adjust; Benjamini-Hochberg's step-up, worked out in a plain loop."""
    m, order = len(p), np.argsort(p)
    by_holm, step_up = np.empty(m), np.empty(m)
    for place, own in enumerate(order):
        by_holm[own] = min(1, max((m - j) * p[order[j]] for j in range(place + 1)))
        step_up[own] = min(1, *(m / (j + 1) * p[order[j]] for j in range(place, m)))
    assert holm(np.array(p)) == pytest.approx(by_holm)
    assert benjamini_hochberg(np.array(p)) == pytest.approx(step_up)
    assert holm(np.array([p, p])) == pytest.approx(np.array([by_holm, by_holm]))


def test_corrections_of_nothing():
    assert len(holm(np.array([]))) == len(benjamini_hochberg(np.array([]))) == 0


# ---------------------------------------------------------------------------------------------------------------- scales


@pytest.mark.parametrize("metric", [*(m for names in TASK_METRICS.values() for m in names), *(m.name for m in METRICS)])
def test_every_metric_of_the_tables_has_a_scale(metric):
    assert any(re.fullmatch(scale.pattern, metric) for scale in SCALES)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("condition_number_median", True),
        ("condition_number_q90_beyond", True),
        ("condition_number_active_mixup", True),
        ("mf_std_mixup", True),
        ("log_mf_std", True),
        ("metric_deviation_rms_beyond", True),
        ("scale", True),
        ("query_seconds_at_1000", True),
        ("peak_memory_mb", True),
        ("graph_query_ratio", True),
        ("test_error_walking", False),
        ("nll_boxing", False),
        ("nll_median", False),
        ("kl", False),
        ("IDF1", False),
        ("equal_reconstruction", False),
        ("of_a_users_own", False),
    ],
)
def test_scales(metric, expected):
    assert logarithmic(metric) == expected


@pytest.mark.parametrize(
    ("metric", "values", "cut"),
    [
        ("condition_number_q90_mixup", [1.04116, 1.04685, 1.34489, 1.03956, 1.05274], "low"),  # uncut [0.955, 1.265]
        ("length_ratio_mean", [0.99998, 0.99994, 0.99816, 0.99996, 0.99994], "high"),
        ("graph_rank_correlation", [0.98773, 0.98831, 0.58117, 0.98274, 0.98094], "high"),
        ("graph_excess_mean", [0.15, 0.17, 0.87, 0.18, 0.19], "low"),
        ("graph_excess_mean", [0.0, 0.0, 0.4], "low"),
        ("knn_accuracy", [1.0, 1.0, 0.98, 1.0], "high"),
        ("trustworthiness_at_10", [0.999, 0.9, 0.999], "high"),
        ("MOTA", [99.0, 60.0, 99.0], "high"),
        ("MOTA", [-20.0, 5.0, 8.0], ""),
        ("nll", [-385.0, -390.0, 3.0], ""),
        ("of_a_users_own", [0.0, 0.0, 1.0], ""),
    ],
)
def test_an_interval_is_cut_at_the_bounds_of_its_metric(metric, values, cut):
    plain, found = t_interval(values, logarithmic(metric)), over_seeds(values, metric)
    least, most = bounds(metric)
    assert plain.low < least if cut == "low" else plain.low >= least
    assert plain.high > most if cut == "high" else plain.high <= most
    assert found == (plain.mean, max(plain.low, least), min(plain.high, most), plain.n)


def test_rounding_past_a_bound_keeps_the_mean_in_its_interval():
    values = [1.0 + 2e-9, 1.0 + 1e-9]
    mean, low, high, _ = over_seeds(values, "length_ratio_mean")
    assert low <= mean == high


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=8), st.sampled_from(["knn_accuracy", "graph_excess_mean", "HOTA"])
)
def test_no_interval_leaves_the_bounds_of_its_metric(values, metric):
    mean, low, high, _ = over_seeds(values, metric)
    assert bounds(metric)[0] <= low <= mean <= high <= bounds(metric)[1]


@pytest.mark.parametrize(
    ("values", "message"), [([], "empty"), ([1, math.nan], "NaN"), ([math.inf, -math.inf], "both signs")]
)
def test_interval_refuses(values, message):
    with pytest.raises(InputError, match=message):
        t_interval(values)


CSV = """dataset,method,distance,task,metric,seed,value
pendulum,vae,,flatness,condition_number_median,0,inf
pendulum,vae,,flatness,condition_number_median,1,30.8
pendulum,vae,,flatness,mf_std,0,0.1
pendulum,vae,,flatness,mf_std,1,0.30000000000000004
pendulum,,data,neighbours,knn_accuracy,,0.97
pendulum,vae,,reconstruction,kl,0,1
pendulum,vae,,reconstruction,kl,1,3
"""


def written(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_metrics_keeps_empty_text_and_every_digit(tmp_path):
    metrics = read_metrics(written(tmp_path, CSV))
    assert list(metrics.columns) == COLUMNS
    assert list(metrics["distance"]) == ["", "", "", "", "data", "", ""]
    assert metrics["method"].iloc[4] == ""
    assert list(metrics["value"]) == [math.inf, 30.8, 0.1, 0.30000000000000004, 0.97, 1, 3]
    assert list(metrics["seed"].iloc[:4]) == [0, 1, 0, 1]
    assert metrics["seed"].isna().tolist() == [False] * 4 + [True] + [False] * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (CSV, "", "is empty"),
        ("value\n", "number\n", "column value is missing"),
        ("30.8", "nan", "metric 'condition_number_median', seed '1' has a value that is not a number"),
        ("30.8", "", "has a value that is not a number"),
        ("median,1", "median,one", "seed 'one' has a seed that is not an integer"),
        ("median,1", "median,0", "metric 'condition_number_median', seed '0' occurs twice"),
    ],
)
def test_read_metrics_names_the_culprit(tmp_path, old, new, message):
    path = written(tmp_path, CSV.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        read_metrics(path)
    assert str(path) in str(error.value)


def test_summarise_has_a_row_for_each_group_in_order(tmp_path):
    summary = summarise(read_metrics(written(tmp_path, CSV)))
    t = stats.t.ppf(0.975, 1)
    centre, factor = math.sqrt(0.03), math.sqrt(3) ** t  # of log 0.1 and log 0.3: s/sqrt(2) = log(3)/2
    expected = pd.DataFrame(
        [
            (
                "pendulum",
                "vae",
                "",
                "flatness",
                "condition_number_median",
                math.inf,
                math.nan,
                math.nan,
                2,
                "∞ in 1 of 2 seeds",
            ),
            ("pendulum", "vae", "", "flatness", "mf_std", centre, centre / factor, centre * factor, 2, ""),
            ("pendulum", "", "data", "neighbours", "knn_accuracy", 0.97, math.nan, math.nan, 1, ""),
            ("pendulum", "vae", "", "reconstruction", "kl", 2.0, 0.0, 2 + t, 2, ""),
        ],
        columns=["dataset", "method", "distance", "task", "metric", "mean", "low", "high", "n", "off_scale"],
    )
    pd.testing.assert_frame_equal(summary, expected, check_dtype=False)
