"""How often intervals hold the truth, and how often a corrected ledger is wrong: by simulation, a few seconds in all."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma

from flatvae.reporting.scales import bounds, logarithmic
from flatvae.reporting.statistics import benjamini_hochberg, holm, t_interval
from flatvae.reporting.verdicts import MIN_PAIRS

N = 20_000  # binomial standard error of a coverage of 95 %: 0.15 %


def ends(draws, counted=None):
    """Ends of the 95 % t-interval of each row, over the values that count; `t_interval` in one go."""
    counted = np.ones_like(draws, bool) if counted is None else counted
    n = counted.sum(axis=1)
    mean = np.where(counted, draws, 0).sum(axis=1) / n
    deviations = np.where(counted, draws - mean[:, None], 0)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((deviations**2).sum(axis=1) / (n - 1) / n)
    return mean - half, mean + half


def coverage(draws, truth, counted=None):
    low, high = ends(draws, counted)
    return ((low <= truth) & (truth <= high)).mean()


def test_the_simulation_has_the_intervals_of_the_tables():
    draws = np.random.default_rng(0).lognormal(size=(20, 6))
    counted = np.random.default_rng(1).random((20, 6)) < 0.7
    counted[:, :2] = True
    for measured, in_logarithms in ((draws, False), (np.log(draws), True)):
        low, high = ends(measured, counted)
        for row, own, *expected in zip(draws, counted, low, high, strict=True):
            found = np.array(t_interval(row[own], in_logarithms)[1:3])
            np.testing.assert_allclose(np.log(found) if in_logarithms else found, expected, rtol=1e-10)


@pytest.mark.parametrize("n", [MIN_PAIRS, 5, 10])
def test_logarithmic_intervals_of_log_normal_seeds(n):
    """The log interval holds the geometric mean; the plain one holds the plain mean of such seeds less than 82 % of the time."""
    draws = np.random.default_rng(n).lognormal(1.0, 1.2, (N, n))
    assert 0.92 <= coverage(np.log(draws), 1.0) <= 0.98
    assert coverage(draws, np.exp(1.0 + 1.2**2 / 2)) < 0.82


@pytest.mark.parametrize("n", [MIN_PAIRS, 5, 10])
@pytest.mark.parametrize(
    ("name", "draw", "truth", "expected"),
    [
        ("t with 3 degrees of freedom", lambda r, size: r.standard_t(3, size), 0.0, 0.965),
        ("gamma, shape 4", lambda r, size: r.gamma(4, size=size), 4.0, 0.935),
        ("gamma, shape 2", lambda r, size: r.gamma(2, size=size), 2.0, 0.92),
        ("gamma, shape 2, in logarithms", lambda r, size: np.log(r.gamma(2, size=size)), digamma(2), 0.94),
        ("exponential, in logarithms", lambda r, size: np.log(r.exponential(size=size)), digamma(1), 0.93),
    ],
)
def test_intervals_of_other_seeds(n, name, draw, truth, expected):
    """As found: heavy tails make them cautious, skewness optimistic."""
    found = coverage(draw(np.random.default_rng(n), (N, n)), truth)
    assert 0.90 <= found <= 0.98, name
    assert found == pytest.approx(expected, abs=0.02), name


def test_intervals_of_exponential_seeds_hold_the_mean_less_often():
    """Why skewed numbers are averaged in logarithms."""
    for n in (5, 10):
        assert coverage(np.random.default_rng(n).exponential(size=(N, n)), 1.0) == pytest.approx(0.89, abs=0.02)


def beta(mean, deviation):
    """Beta-distributed draws of this mean and standard deviation."""
    count = mean * (1 - mean) / deviation**2 - 1
    return lambda r, size: r.beta(mean * count, (1 - mean) * count, size=size)


def near_one(median, deviation, on_the_bound=0.0):
    """Condition numbers whose log(k − 1) is normal; a share of them is 1."""
    return lambda r, size: 1 + (r.random(size) >= on_the_bound) * median * np.exp(deviation * r.normal(size=size))


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize(
    ("name", "metric", "draw", "least"),
    [
        ("accuracy 0.9 ± 0.05", "knn_accuracy", beta(0.9, 0.05), 0.92),
        ("accuracy 0.97 ± 0.01", "knn_accuracy", beta(0.97, 0.01), 0.92),
        ("accuracy 0.99 ± 0.005", "knn_accuracy", beta(0.99, 0.005), 0.92),
        ("accuracy 0.99 ± 0.01", "knn_accuracy", beta(0.99, 0.01), 0.87),
        ("k − 1 about 3", "condition_number_median", near_one(3, 1), 0.92),
        ("k − 1 about 0.3", "condition_number_median", near_one(0.3, 0.5), 0.92),
        ("k − 1 about 0.03, skewed", "condition_number_median", near_one(0.03, 1), 0.82),
        ("k − 1 about 0.1, a fifth on the bound", "condition_number_median", near_one(0.1, 0.5, 0.2), 0.92),
        ("k − 1 about 0.1, half on the bound", "condition_number_median", near_one(0.1, 0.5, 0.5), 0.90),
    ],
)
def test_cut_intervals_of_bounded_metrics_cover_as_often_as_uncut_ones(n, name, metric, draw, least):
    """What `over_seeds` says; a skewed excess very near the bound is covered less often, cut or not."""
    random = np.random.default_rng(n)
    measure, unmeasure = (np.log, np.exp) if logarithmic(metric) else (np.asarray, np.asarray)
    truth = measure(draw(random, 10**6)).mean()
    low, high = ends(measure(draw(random, (N, n))))
    cut_low, cut_high = (measure(np.clip(unmeasure(end), *bounds(metric))) for end in (low, high))
    found = ((cut_low <= truth) & (truth <= cut_high)).mean()
    assert found == ((low <= truth) & (truth <= high)).mean(), name
    assert least <= found <= 0.98, name


@pytest.mark.parametrize("n", [5, 10])
def test_seeds_left_out_by_chance_leave_the_coverage(n):
    random = np.random.default_rng(n)
    draws, counted = random.normal(size=(N, n)), random.random((N, n)) < 0.75
    enough = counted.sum(axis=1) >= MIN_PAIRS
    assert 0.92 <= coverage(draws[enough], 0.0, counted[enough]) <= 0.98


def test_seeds_left_out_by_their_value_bias_which_the_second_verdict_catches():
    """A seed misses the bound in a fifth of the trainings, the more often the larger its value; the threshold is the truth.

    The interval over the rest leaves the truth out too often; but a verdict needs the one over all seeds to agree.
    """
    random = np.random.default_rng(0)
    for n, wrong in ((5, 0.066), (10, 0.092)):
        draws = random.normal(size=(N, n))
        counted = draws + random.normal(size=(N, n)) < 1.2
        enough = counted.sum(axis=1) >= MIN_PAIRS
        draws, counted = draws[enough], counted[enough]
        (low, high), (low_all, high_all) = ends(draws, counted), ends(draws)
        alone = (low > 0) | (high < 0)
        agreed = ((low > 0) & (low_all > 0)) | ((high < 0) & (high_all < 0))
        assert alone.mean() == pytest.approx(wrong, abs=0.01)
        assert agreed.mean() <= 0.05


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_a_corrected_ledger_under_the_null_is_rarely_wrong(shared):
    """40 tests on 5 seeds whose effects are at their thresholds, alone or with 60 % of their variance from the seeds they share."""
    random, ledgers, tests, n = np.random.default_rng(1), 4000, 40, 5
    common = random.normal(size=(ledgers, 1, n))
    own = random.normal(size=(ledgers, tests, n))
    p = stats.ttest_1samp(np.sqrt(shared) * common + np.sqrt(1 - shared) * own, 0, axis=-1).pvalue
    plain, bh, by_holm = ((adjusted < 0.05).any(axis=1).mean() for adjusted in (p, benjamini_hochberg(p), holm(p)))
    assert plain > 0.4, "without correction a false verdict stands in most ledgers"
    assert bh <= 0.055
    assert by_holm <= bh


def test_benjamini_hochberg_keeps_the_share_of_false_verdicts_and_power():
    """Half of 40 tests are at their thresholds, half two standard deviations of a seed away from them."""
    random = np.random.default_rng(2)
    shift = np.repeat([0.0, 2.0], 20)[:, None]
    p = stats.ttest_1samp(random.normal(size=(2000, 40, 10)) + shift, 0, axis=-1).pvalue
    for adjust, most, power in ((benjamini_hochberg, 0.05, 0.99), (holm, 0.05, 0.8)):
        stands = adjust(p) < 0.05
        false = stands[:, :20].sum(axis=1) / np.maximum(stands.sum(axis=1), 1)
        assert false.mean() <= most
        assert stands[:, 20:].mean() > power
