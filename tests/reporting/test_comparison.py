"""Probability and size of improvement over a baseline, and the table of the probability."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting import comparison, formatting, tables
from flatvae.reporting.comparison import ALL, effect, probability_of_improvement
from flatvae.reporting.statistics import COLUMNS


def pair(x, y):
    return np.array(x, float), np.array(y, float)


@st.composite
def pairs(draw, least=1):
    """Values of two methods on one to three data sets; few values, so that there are ties, infinite ones among them."""
    values = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf])
    sizes = draw(st.lists(st.integers(least, 6), min_size=1, max_size=3))
    return [tuple(draw(arrays(float, n, elements=values)) for _ in "xy") for n in sizes]


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(comparison, "RESAMPLES", 200)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([3, 4], [1, 2], 1),
        ([1, 2], [3, 4], 0),
        ([1, 2], [1, 2], (1 / 2 + 0 + 1 + 1 / 2) / 4),
        ([1, 5, 3], [2, 3, 9], (0 + 0 + 0 + 1 + 1 + 0 + 1 + 1 / 2 + 0) / 9),
        ([math.inf, 1], [math.inf, 2], (1 / 2 + 1 + 0 + 0) / 4),
        ([-math.inf, -math.inf], [-3, -math.inf], (0 + 1 / 2) / 2),
    ],
)
def test_all_pairs_of_seeds_are_compared_and_ties_count_half(x, y, expected):
    assert probability_of_improvement([pair(x, y)]).mean == pytest.approx(expected)


def test_data_sets_count_alike_whatever_their_seeds():
    found = probability_of_improvement([pair([1, 1, 1, 1], [0, 0, 0, 0]), pair([0, 0], [1, 1])])
    assert found.mean == 0.5, "8 of 20 pairs would be 0.8"
    assert found.n == 2


@given(pairs())
def test_it_is_the_mann_whitney_statistic_over_the_number_of_pairs(drawn):
    expected = [stats.mannwhitneyu(x, y).statistic / len(x) ** 2 for x, y in drawn]
    assert probability_of_improvement(drawn).mean == pytest.approx(np.mean(expected))


@given(pairs(least=2))
def test_one_over_the_other_and_the_reverse_sum_to_one(drawn):
    there = probability_of_improvement(drawn)
    back = probability_of_improvement([(y, x) for x, y in drawn])
    assert there.mean + back.mean == pytest.approx(1)
    assert (there.low + back.high, there.high + back.low) == pytest.approx((1, 1))
    itself = probability_of_improvement([(x, x) for x, _ in drawn])
    assert itself[:3] == (0.5, 0.5, 0.5)


@given(pairs(least=2))
def test_the_interval_is_that_of_a_plain_loop_over_paired_and_stratified_resamples(drawn):
    source = np.random.default_rng(comparison.SEED)
    resampled = np.zeros((len(drawn), comparison.RESAMPLES))
    for place, (x, y) in enumerate(drawn):
        counts = source.multinomial(len(x), [1 / len(x)] * len(x), size=comparison.RESAMPLES)
        for draw, count in enumerate(counts):
            seeds = np.repeat(np.arange(len(x)), count)
            assert len(seeds) == len(x)
            wins = [1.0 if x[s] > y[t] else 0.5 if x[s] == y[t] else 0.0 for s in seeds for t in seeds]
            resampled[place, draw] = sum(wins) / len(wins)
    expected = np.percentile(resampled.mean(axis=0), [2.5, 97.5])
    assert probability_of_improvement(drawn)[1:3] == pytest.approx(expected)


@given(st.integers(0, 1000))
def test_the_interval_holds_the_estimate_and_narrows_with_seeds(seed):
    source = np.random.default_rng(seed)
    few, many = (
        probability_of_improvement([(source.normal(0.3, 1, n), source.normal(0, 1, n)) for _ in range(3)])
        for n in (6, 60)
    )
    for found in (few, many):
        assert 0 <= found.low <= found.mean <= found.high <= 1
    assert many.high - many.low < few.high - few.low


def test_coverage_is_what_the_docstring_says(monkeypatch):
    """Normal values of unit variance, 1 apart: P = Φ(1/√2) = 0.76; binomial standard error at most 0.018."""
    truth, covered = stats.norm.cdf(1 / math.sqrt(2)), {}
    for n, datasets in ((3, 1), (5, 1), (5, 3)):
        source = np.random.default_rng(n)
        intervals = [
            probability_of_improvement([(source.normal(1, 1, n), source.normal(0, 1, n)) for _ in range(datasets)])
            for _ in range(800)
        ]
        covered[n, datasets] = np.mean([found.low <= truth <= found.high for found in intervals])
    assert covered[3, 1] == pytest.approx(0.57, abs=0.06)
    assert covered[5, 1] == pytest.approx(0.85, abs=0.05)
    assert covered[5, 3] == pytest.approx(0.92, abs=0.04)


def test_one_seed_has_no_interval_and_nothing_is_refused():
    assert probability_of_improvement([pair([2], [1]), pair([1, 2], [0, 3])])[1:] == (None, None, 1)
    for bad in ([], [pair([], [])], [pair([1, math.nan], [1, 2])]):
        with pytest.raises(InputError, match="empty or hold NaN"):
            probability_of_improvement(bad)


# ------------------------------------------------------------------------------------------------------ from metrics.csv


def rows(dataset, method, task, metric, values, distance="", seeds=None):
    seeds = range(len(values)) if seeds is None else seeds
    return [(dataset, method, distance, task, metric, s, float(v)) for s, v in zip(seeds, values, strict=True)]


def frame(*groups):
    return pd.DataFrame([row for group in groups for row in group], columns=COLUMNS).astype({"seed": "Int64"})


@pytest.fixture
def metrics():
    """Two data sets; lower is better for k, higher for the accuracy; vae missed equal reconstruction; seed 1 of flat_vae is lost on b."""
    equal, settled = (("reconstruction", name) for name in ("equal_reconstruction", "settled"))
    k, accuracy = ("flatness", "condition_number_median"), ("neighbours", "knn_accuracy")
    return frame(
        *(
            rows(d, m, *equal, [1, 1, 1])
            for d, m in (("a", "vhp_vae"), ("b", "vhp_vae"), ("a", "flat_vae"), ("b", "vae"))
        ),
        rows("a", "vae", *equal, [1, 0, 1]),
        rows("b", "flat_vae", *equal, [1, 1], seeds=[0, 2]),
        *(rows(d, m, *settled, [1, 1, 1]) for d, m in (("a", "vhp_vae"), ("b", "vhp_vae"), ("a", "flat_vae"))),
        *(rows(d, "vae", *settled, [1, 1, 1]) for d in "ab"),
        rows("b", "flat_vae", *settled, [1, 1], seeds=[0, 2]),
        *(rows(d, m, "training", "frozen", [0, 0, 0]) for d in "ab" for m in ("vhp_vae", "vae")),
        rows("a", "flat_vae", "training", "frozen", [0, 0, 0]),
        rows("b", "flat_vae", "training", "frozen", [0, 1, 0]),
        rows("a", "vhp_vae", *k, [4, 5, 6]),
        rows("a", "flat_vae", *k, [1, 1, 5]),
        rows("a", "vae", *k, [math.inf, math.inf, 4]),
        rows("b", "vhp_vae", *k, [4, 0, 6]),
        rows("b", "flat_vae", *k, [1, 1], seeds=[0, 2]),
        rows("b", "vae", *k, [6, 6, 6]),
        rows("a", "vhp_vae", *accuracy, [0.9, 0.9, 0.9], "euclidean"),
        rows("a", "flat_vae", *accuracy, [0.95, 0.95, 0.95], "euclidean"),
        rows("a", "flat_vae", *accuracy, [0.1, 0.1, 0.1], "geodesic"),
        rows("a", "", *accuracy, [0.97], "data"),
        rows("a", "supervised", *accuracy, [1, 1, 1], "euclidean"),
        rows("a", "flat_vae", "flatness", "scale", [1, 1, 1]),
    )


@pytest.mark.parametrize("ratio", [False, True])
def test_the_effect_on_one_data_set_is_the_paired_t_test_s(ratio):
    x, y = np.random.default_rng(0).lognormal(size=(2, 6))
    test = stats.ttest_rel(*(np.log([x, y]) if ratio else (x, y)))
    mean = np.log(x / y).mean() if ratio else (x - y).mean()
    expected = [mean, *test.confidence_interval(0.95)]
    assert effect([(x, y)], ratio) == pytest.approx((*(np.exp(expected) if ratio else expected), 6))


def test_the_effect_over_two_data_sets_is_the_mean_with_welch_s_interval():
    """Welch's interval of the sum of two means is that of a difference, the second being −g."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, 5), rng.normal(3, 4, 8)
    welch = stats.ttest_ind(first, -second, equal_var=False)
    low, high = welch.confidence_interval(0.95)
    found = effect([(first, np.zeros(5)), (second, np.zeros(8))], ratio=False)
    assert found == pytest.approx(((first.mean() + second.mean()) / 2, low / 2, high / 2, 5))


@pytest.mark.parametrize(
    ("pairs", "ratio", "expected"),
    [
        ([pair([2, 2], [1, 1]), pair([8, 8], [1, 1])], True, (4, 4, 4, 2)),  # the geometric mean of 2 and 8
        ([pair([2, 2], [1, 1]), pair([8], [1])], True, (4, None, None, 1)),
        ([pair([math.inf, 4, 4], [1, 2, 2])], True, (2, None, None, 3)),
        ([pair([math.inf, math.inf, 4], [1, 2, 2])], True, (math.inf, None, None, 3)),
        ([pair([0, 4, 4], [1, 2, 2])], True, (2, None, None, 3)),
    ],
)
def test_an_effect_without_spread_without_interval_and_of_infinite_numbers(pairs, ratio, expected):
    found = effect(pairs, ratio)
    assert found[1:] == pytest.approx(expected[1:]) if expected[1] else found[1:] == expected[1:]
    assert found.mean == pytest.approx(expected[0])


METHODS = ["vae", "vhp_vae", "flat_vae"]


def test_improvement_knows_directions_distances_and_seeds_in_common(metrics):
    found = comparison.improvement(metrics, ["a", "b"], METHODS).set_index(["method", "metric"])
    flat = found.loc["flat_vae", "condition_number_median"]
    assert flat["probability"] == pytest.approx((7.5 / 9 + 1) / 2), "the 0 of the lost seed is not compared"
    assert flat["n"] == 2
    assert flat["datasets"] == 2
    assert flat["effect"] == pytest.approx(((1 / 4 * 1 / 5 * 5 / 6) ** (1 / 3) * (1 / 4 * 1 / 6) ** (1 / 2)) ** (1 / 2))
    assert flat["effect_low"] < flat["effect"] < flat["effect_high"]
    accuracy = found.loc["flat_vae", "knn_accuracy"]
    assert accuracy[["probability", "low", "high", "n", "datasets"]].tolist() == [1, 1, 1, 3, 1]
    assert accuracy["effect"] == pytest.approx(0.05), "a difference, and higher is better"
    vae = found.loc["vae", "condition_number_median"]
    assert vae["probability"] == pytest.approx((2.5 / 9 + 1.5 / 9) / 2), "ties of 6, and infinity is worse than all"
    assert found["equal"].to_dict() == {key: key[0] != "vae" for key in found.index}
    assert found.loc["vhp_vae", "condition_number_median"][["probability", "low", "high"]].tolist() == [0.5] * 3
    assert set(found.index.get_level_values("method")) == set(METHODS), "descriptors and controls are no methods"
    assert ("vae", "knn_accuracy") not in found.index


def test_a_baseline_that_missed_the_bound_is_compared_with_nobody_at_equal_reconstruction(metrics):
    assert not comparison.improvement(metrics, ["a", "b"], METHODS, "vae")["equal"].any()
    assert comparison.improvement(metrics, ["b"], METHODS, "vae")["equal"].all(), "it missed it on a alone"


def test_another_baseline_turns_the_comparison_round(metrics):
    there = comparison.improvement(metrics, ["a", "b"], METHODS).set_index(["method", "metric"])
    back = comparison.improvement(metrics, ["a", "b"], METHODS, "flat_vae").set_index(["method", "metric"])
    for metric in ("condition_number_median", "knn_accuracy"):
        sums = there.loc["flat_vae", metric]["probability"] + back.loc["vhp_vae", metric]["probability"]
        assert sums == pytest.approx(1)


def test_the_table_has_every_data_set_and_all_of_them(metrics, monkeypatch):
    """Its intervals are the quantiles over all 27 resamples of a data set, 27 · 27 of both, which were counted apart."""
    monkeypatch.setattr(comparison, "RESAMPLES", 10_000)
    made = comparison.table(metrics, ["a", "b"], METHODS, 3)
    lines = tables.to_markdown(made).split("\n\n")
    assert [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1].splitlines() if "---" not in line
    ] == [
        ["dataset", "method", "n", "condition_number_median", "knn_accuracy"],
        ["a", "vae †", "3", "0.278 [0, 1]", "–"],
        ["a", "vhp_vae", "3", "0.5", "0.5"],
        ["a", "flat_vae", "3", "0.833 [0.778, 1]", "1"],
        ["b", "vae", "3", "0.167 [0, 0.5]", "–"],
        ["b", "vhp_vae", "3", "0.5", "–"],
        ["b", "flat_vae ‡", "2", "1", "–"],
        [ALL, "vae †", "3", "0.222 [0, 0.583]", "–"],
        [ALL, "vhp_vae", "3", "0.5", "0.5"],
        [ALL, "flat_vae", "2", "0.917 [0.889, 1]", "1"],
    ]
    assert lines[0].startswith("Probability of improvement over vhp_vae: ")
    assert "Higher is better for knn_accuracy; lower is better for the others." in lines[0]
    assert "n: the least number of these seeds (3 trained)" in lines[0]
    assert lines[2:] == [
        "† at equal reconstruction and settled in 2 of 3 seeds (a vae)",
        f"† at equal reconstruction and settled in 5 of 6 seeds ({ALL} vae)",
        "‡ 2 of 3 seeds count; non-finite: seed 1 (b flat_vae)\n",
    ]
    assert r"\label{tab:comparison}" in tables.to_latex(made)
    assert ALL not in set(comparison.table(metrics, ["a"], METHODS, 3)["dataset"]), "it would repeat the only one"


def test_a_method_that_lost_every_seed_keeps_its_row(metrics):
    made = comparison.table(metrics, ["a", "b"], [*METHODS, "lost"], 3).set_index(["dataset", "method"])
    assert (made.loc[(slice(None), "lost"), "n"] == 0).all()
    assert made.loc[(slice(None), "lost"), "condition_number_median"].isna().all()


def test_a_baseline_that_does_not_run_leaves_nothing_to_compare(metrics):
    assert comparison.improvement(metrics, ["a", "b"], METHODS, "absent").empty
    with pytest.raises(InputError, match="absent has none of the numbers to compare by"):
        comparison.table(metrics, ["a", "b"], METHODS, 3, "absent")


def test_csv_keeps_every_digit(metrics, tmp_path):
    made = comparison.table(metrics, ["a", "b"], METHODS, 3)
    tables.write(made, tmp_path / "comparison")
    read = pd.read_csv(tmp_path / "comparison.csv", dtype={"distance": str}, na_filter=False)
    numbers = made.columns[3:]
    read[numbers] = read[numbers].apply(pd.to_numeric)
    pd.testing.assert_frame_equal(read, pd.DataFrame(made.to_dict("list")), check_dtype=False)


@pytest.mark.parametrize(
    ("share", "low", "high", "text"),
    [
        (0.96, 0.84, 1.0, "0.96 [0.84, 1]"),
        (599 / 600, 0.99, 1.0, "0.998 [0.99, 1]"),  # not 1: a pair was lost
        (1.0, 1.0, 1.0, "1"),
        (0.5, math.nan, math.nan, "0.5"),
        (math.nan, math.nan, math.nan, "–"),
    ],
)
def test_shares(share, low, high, text):
    assert formatting.format_share(share, low, high) == text
