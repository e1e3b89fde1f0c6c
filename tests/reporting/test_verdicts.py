"""Verdicts against tests of scipy, worked-out cases, and what must not change them."""

import math

import numpy as np
import pytest
from claim_rows import SUBJECT, claim, frame, judged, passed, rows, trained
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting import claims
from flatvae.reporting.statistics import read_metrics

few = settings(max_examples=20)
finite = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
positive = st.floats(0.1, 1e3).map(lambda value: round(value, 6))
thresholds = st.floats(0.01, 100).map(lambda value: round(value, 3))
directions = st.sampled_from(["at_most", "at_least"])
RANDOM = np.random.default_rng(0).lognormal(size=(2, 6))
K = {"method": "a", "task": "flatness", "metric": "condition_number_median"}
INF = math.inf


def pairs(values, max_size=9):
    """Values of two methods, one of each for every seed."""
    return st.integers(4, max_size).flatmap(
        lambda n: st.tuples(*[st.lists(values, min_size=n, max_size=n) for _ in range(2)])
    )


def interval(row):
    return row.effect, row.low, row.high


def verdict(a, b, compare="difference", direction="at_most", threshold=0.0):
    return judged(claim(compare, direction, threshold), rows("a", a), rows("b", b)).verdict


# --------------------------------------------------------------------------------------------- effects and their intervals


def test_a_value_has_the_t_interval_and_the_p_value_of_its_seeds():
    values = RANDOM[0]
    row = judged(claim(threshold=2.0), rows("a", values))
    test = stats.ttest_1samp(values, 2.0)
    expected = test.confidence_interval(0.95)
    assert interval(row) == pytest.approx((values.mean(), expected.low, expected.high), rel=1e-12)
    assert (row.n, row.p) == (6, pytest.approx(test.pvalue))


def test_a_value_of_a_logarithmic_metric_has_geometric_mean_and_interval():
    values = RANDOM[0]
    row = judged(claim(subject=K, threshold=2.0), rows("a", values, K["metric"], "flatness"))
    test = stats.ttest_1samp(np.log(values), math.log(2.0))
    expected = np.exp(test.confidence_interval(0.95))
    assert interval(row) == pytest.approx((stats.gmean(values), *expected), rel=1e-12)
    assert row.p == pytest.approx(test.pvalue)


def test_a_difference_has_the_paired_t_test():
    a, b = RANDOM
    row = judged(claim("difference", threshold=0.3), rows("a", a), rows("b", b[::-1], seeds=range(5, -1, -1)))
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert interval(row) == pytest.approx(((a - b).mean(), expected.low, expected.high), rel=1e-12)
    assert row.p == pytest.approx(stats.ttest_rel(a, b + 0.3).pvalue)


def test_a_ratio_has_the_paired_t_test_of_logarithms():
    a, b = RANDOM
    row = judged(claim("ratio", threshold=1.2), rows("a", a), rows("b", b))
    expected = np.exp(stats.ttest_rel(np.log(a), np.log(b)).confidence_interval(0.95))
    assert interval(row) == pytest.approx((stats.gmean(a / b), *expected), rel=1e-12)
    assert row.p == pytest.approx(stats.ttest_rel(np.log(a), np.log(1.2 * b)).pvalue)


def test_only_seeds_that_both_sides_have_count():
    a, b = RANDOM[:, :5]
    seeds = [0, 1, 2, 3, 4]
    expected = judged(claim("difference"), rows("a", a, seeds=seeds), rows("b", b, seeds=seeds))
    more = rows("a", [*a, 1e6], seeds=[*seeds, 7]), rows("b", [-1e6, *b], seeds=[9, *seeds])
    assert judged(claim("difference"), *more) == expected
    assert expected.n == 5


# --------------------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("direction", "values", "expected"),
    [
        ("at_most", [1.0, 1.1, 1.2, 1.1, 1.0], "supported"),
        ("at_most", [1.0, 1.1, 1.9, 1.1, 1.9], "undecided"),
        ("at_most", [2.0, 2.1, 2.2, 2.1, 2.0], "not supported"),
        ("at_least", [1.0, 1.1, 1.2, 1.1, 1.0], "not supported"),
        ("at_least", [1.0, 1.1, 1.9, 1.1, 1.9], "undecided"),
        ("at_least", [2.0, 2.1, 2.2, 2.1, 2.0], "supported"),
        ("below", [1.0, 1.1, 1.2, 1.1, 1.0], "supported"),
        ("above", [2.0, 2.1, 2.2, 2.1], "supported"),
        ("at_most", [1.5] * 5, "supported"),  # «at most» and «at least» include the threshold
        ("at_least", [1.5] * 5, "supported"),
        ("below", [1.5] * 5, "not supported"),
        ("above", [1.5] * 5, "not supported"),
        ("at_most", [1.5000001] * 5, "not supported"),
        ("above", [1.5000001] * 5, "supported"),
    ],
)
def test_verdict_of_a_value(direction, values, expected):
    row = judged(claim(direction=direction), rows("a", values))
    assert (row.verdict, row.all_seeds) == (expected, expected)
    at_the_threshold = set(values) == {1.5}
    assert (row.p < 0.05) == (expected != "undecided" and not at_the_threshold)


def test_an_undecided_test_says_how_many_seeds_would_decide_it():
    """Mean 1, s = 1 at five seeds, threshold 0.5: 18 seeds, see the test of seeds_needed."""
    row = judged(claim(direction="at_least", threshold=0.5), rows("a", [0, 0, 1, 2, 2]))
    assert row.verdict == "undecided"
    assert row.note == "the interval crosses the threshold; about 18 seeds would decide; exempt from the bound: a"
    row = judged(claim(direction="at_least", threshold=1), rows("a", [0, 0, 1, 2, 2]))
    assert row.note.startswith("the interval crosses the threshold; more than 1000 seeds would decide")


@pytest.mark.parametrize(
    ("compare", "a", "b", "threshold"),
    [("difference", 0.95, 0.97, -0.02), ("ratio", 0.3, 0.1, 3.0), ("ratio", 1e-6, 2e-7, 5.0), ("difference", 0, 0, 0)],
)
@pytest.mark.parametrize("direction", ["at_most", "at_least"])
def test_equality_is_support_despite_rounding_and_without_spread(compare, a, b, threshold, direction):
    row = judged(claim(compare, direction, threshold), rows("a", [a] * 5), rows("b", [b] * 5))
    assert row.verdict == "supported"
    assert row.low == row.effect == row.high == pytest.approx(threshold)
    strict = {"at_most": "below", "at_least": "above"}[direction]
    row = judged(claim(compare, strict, threshold), rows("a", [a] * 5), rows("b", [b] * 5))
    assert (row.verdict, row.p) == ("not supported", 1.0)


@few
@given(pairs(finite), directions)
def test_exchanging_the_methods_flips_a_difference_against_zero(values, direction):
    a, b = values
    row = judged(claim("difference", threshold=0.0), rows("a", a), rows("b", b))
    assume(min(abs(row.low), abs(row.high)) > 1e-5)  # equality supports both
    flipped = {"supported": "not supported", "not supported": "supported", "undecided": "undecided"}
    assert verdict(b, a, direction=direction) == flipped[verdict(a, b, direction=direction)]


@few
@given(pairs(finite), st.floats(-1e4, 1e4))
def test_a_constant_on_both_sides_leaves_a_difference_as_it_is(values, constant):
    a, b = values
    here = judged(claim("difference"), rows("a", a), rows("b", b))
    there = judged(claim("difference"), *(rows(m, np.add(v, constant)) for m, v in (("a", a), ("b", b))))
    assert interval(there) == pytest.approx(interval(here), rel=1e-6, abs=1e-6)


@few
@given(pairs(positive), st.floats(0.01, 100))
def test_a_ratio_turns_over_with_its_methods_and_forgets_a_common_factor(values, factor):
    a, b = values
    here = judged(claim("ratio"), rows("a", a), rows("b", b))
    turned = judged(claim("ratio"), rows("a", b), rows("b", a))
    scaled = judged(claim("ratio"), rows("a", np.multiply(a, factor)), rows("b", np.multiply(b, factor)))
    assert interval(turned) == pytest.approx((1 / here.effect, 1 / here.high, 1 / here.low), rel=1e-9)
    assert interval(scaled) == pytest.approx(interval(here), rel=1e-9)


@few
@given(pairs(positive), thresholds, directions)
def test_a_ratio_is_judged_as_the_difference_of_its_logarithms_and_as_its_reciprocal(values, threshold, direction):
    a, b = values
    expected = verdict(a, b, "ratio", direction, threshold)
    row = judged(claim("ratio"), rows("a", a), rows("b", b))
    assume(min(abs(math.log(row.low / threshold)), abs(math.log(row.high / threshold))) > 1e-6)
    assert verdict(np.log(a), np.log(b), "difference", direction, math.log(threshold)) == expected
    other = {"at_most": "at_least", "at_least": "at_most"}[direction]
    assert verdict(b, a, "ratio", other, 1 / threshold) == expected


@few
@given(st.lists(finite, min_size=4, max_size=9), finite, st.floats(0, 1e3), directions)
def test_a_looser_threshold_never_costs_support(values, threshold, looser, direction):
    rank = ["not supported", "undecided", "supported"].index
    loose = threshold + looser if direction == "at_most" else threshold - looser
    strict, lenient = (judged(claim("value", direction, t), rows("a", values)).verdict for t in (threshold, loose))
    assert rank(strict) <= rank(lenient)


@few
@given(st.lists(finite | st.just(math.inf), min_size=1, max_size=3), finite, directions)
def test_fewer_than_four_seeds_decide_nothing(values, threshold, direction):
    row = judged(claim("value", direction, threshold), rows("a", values))
    assert row.verdict == "undecided"
    assert f"{len(values)} seed{'s' * (len(values) > 1)}, 4 are needed" in row.note
    assert math.isnan(row.low) == math.isnan(row.high) == (len(values) == 1 or math.inf in values)


# ------------------------------------------------------------------------------------------------------ what did not run


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        (claim(subject={**SUBJECT, "method": "c"}), "no rows of method c"),
        (claim(subject={**SUBJECT, "task": "likelihood"}), "no rows of task likelihood for a"),
        (claim(subject={**SUBJECT, "metric": "nll"}), "no rows of metric nll for a"),
        (claim(subject={**SUBJECT, "distance": "geodesic"}), "no rows of distance geodesic for a"),
        (claim(subject={"method": "a", "task": "neighbours", "metric": "knn"}), "no rows of distance (none) for a"),
        (claim("difference", versus={"method": "c"}), "no rows of method c"),
        (claim("ratio", versus={"method": ""}), "no rows of method raw data"),
        (claim("difference", versus={"metric": "kl_mixup"}), "no rows of metric kl_mixup for a"),
        (claim("difference", versus={"method": "c"}, datasets=["mnist"]), "no rows of data set mnist"),
        (claim("difference"), "no seed in common"),
    ],
)
def test_what_is_lacking_is_named_and_not_run(entry, note):
    data = (
        rows("a", [1] * 5),
        rows("a", [1] * 5, "knn", "neighbours", distance="euclidean"),
        rows("b", [1] * 5, seeds=range(5, 10)),
    )
    row = judged(entry, *data)
    assert (row.verdict, row.note, row.n, row.all_seeds) == ("not run", note, 0, "")
    assert np.isnan([*interval(row), row.p, row.bh, row.holm]).all()


def test_lost_seeds_are_told():
    row = judged(claim(), rows("a", [1.0, 1.1, 1.0, 1.1, 1.0]), passed("a", [1] * 5), trained("a", 6, frozen=[5]))
    assert (row.verdict, row.note) == ("supported", "a went non-finite in 1 of 6 seeds")
    row = judged(claim(), trained("a", 2, frozen=[0, 1]))
    assert (row.verdict, row.note) == (
        "not run",
        "no rows of task reconstruction for a; a went non-finite in 2 of 2 seeds",
    )


# ---------------------------------------------------------------------------------------------------- equal reconstruction


@pytest.mark.parametrize("missing", ["a", "b"])
@pytest.mark.parametrize("check", ["equal", "settled"])
def test_pairs_count_in_which_both_sides_reconstruct_equally_and_have_settled(missing, check):
    a, b = np.array([1.0, 1.2, 50.0, 1.1, 0.9]), np.array([5.0, 5.2, 90.0, 5.1, 5.0])
    bad = {"equal": [1] * 5, "settled": [1] * 5} | {check: [1, 1, 0, 1, 1]}
    checks = [passed(m, **(bad if m == missing else {"equal": [1] * 5})) for m in "ab"]
    row = judged(claim("difference"), rows("a", a), rows("b", b), *checks)
    kept = [0, 1, 3, 4]
    expected = stats.ttest_rel(a[kept], b[kept]).confidence_interval(0.95)
    assert interval(row) == pytest.approx(((a - b)[kept].mean(), expected.low, expected.high))
    assert (row.n, row.left_out, row.verdict) == (4, 1, "undecided"), "over all seeds the interval is [−26, 3]"
    assert row.all_seeds == "undecided"
    assert row.note == (
        "depends on the seeds left out: supported without them; "
        f"{missing} not at equal reconstruction or not settled in 1 of 5 seeds; over all 5 seeds: undecided"
    )


def test_where_both_verdicts_agree_it_stands():
    row = judged(claim(), rows("a", [1.0, 1.1, 1.0, 1.1, 1.05]), passed("a", [1, 1, 1, 1, 0]))
    assert (row.verdict, row.all_seeds, row.n, row.left_out) == ("supported", "supported", 4, 1)
    assert row.note == "a not at equal reconstruction or not settled in 1 of 5 seeds; over all 5 seeds: supported"


@pytest.mark.parametrize("equal", [[1, 1, 1, 0, 0], [0] * 5])
def test_with_fewer_than_four_pairs_the_bound_was_missed(equal):
    row = judged(claim("difference"), rows("a", [1] * 5), rows("b", [9, 8, 9, 8, 9]), passed("b", equal))
    assert (row.verdict, row.all_seeds, row.n) == ("not testable", "supported", sum(equal))
    assert math.isnan(row.p)
    assert row.note.startswith("bound missed; b not at equal reconstruction or not settled in ")
    assert "over all 5 seeds: supported; " not in row.note
    assert "exempt from the bound: a" in row.note


def test_a_seed_without_the_row_of_a_check_has_missed_it_and_the_other_methods_do_not_matter():
    checks = passed("a", [1] * 5)[:-1], passed("c", [0] * 5)
    row = judged(claim(), rows("a", [1.0, 1.1, 1.0, 1.1, 1.05]), *checks)
    assert (row.n, row.left_out) == (4, 1)


def test_methods_without_a_bound_are_exempt_and_said_so():
    row = judged(claim("difference"), rows("a", [1] * 5), rows("b", [9, 8, 9, 8, 9]), passed("a", [1] * 5))
    assert (row.verdict, row.n, row.note) == ("supported", 5, "exempt from the bound: b")


# ------------------------------------------------------------------------------------------- thresholds of data sets, conditions


def test_a_threshold_of_each_data_set():
    entry = claim(threshold={"pendulum": 2.0, "digits": 0.5})
    numbers = frame(*(rows("a", [1.0, 1.1, 1.0, 1.1], dataset=dataset) for dataset in ("pendulum", "digits", "mine")))
    made = claims.ledger(numbers, None, {"1": entry}, ["pendulum", "digits", "mine"])
    assert made["verdict"].tolist() == ["supported", "not supported", "not testable"]
    assert made["note"][2] == "no threshold is fixed for data set mine"
    assert made["test"].tolist() == [f"kl of a ≤ {shown}" for shown in ("2", "0.5", "?")]


def test_a_threshold_without_a_logarithm_is_refused():
    with pytest.raises(InputError, match=r"a threshold of condition_number_median is 0; .* must be > 0\.$"):
        judged(claim(subject=K, threshold=0), rows("a", RANDOM[0], K["metric"], "flatness"))


def condition(direction="at_most", threshold=1.1, **others):
    reason = "It is\n not flat."
    return {"subject": K, "compare": "value", "direction": direction, "threshold": threshold, "reason": reason} | others


@pytest.mark.parametrize(
    ("k", "verdict", "note"),
    [
        ([1.01, 1.02, 1.03, 1.02], "supported", ""),
        ([1.3, 1.31, 1.32, 1.3], "not testable", "It is not flat (not supported: 1.31 [1.29, 1.32])"),
        (
            [1.01, 1.2, 1.0, 1.1],
            "not testable",
            "It is not flat (undecided: 1.07 [0.94, 1.23]; the interval crosses the threshold; about 54 seeds would decide)",
        ),
        (None, "not testable", "It is not flat (not run; no rows of task flatness for a)"),
    ],
)
def test_a_condition_that_is_not_supported_makes_a_test_not_testable(k, verdict, note):
    numbers = rows("a", [1.0, 1.1, 1.0, 1.1]), passed("a", [1] * 4)
    flat = [] if k is None else rows("a", k, K["metric"], "flatness")
    row = judged(claim(requires=[condition(), condition("at_least", 0.5)] if k else [condition()]), *numbers, flat)
    assert (row.verdict, row.note) == (verdict, note)
    assert row.effect == pytest.approx(1.05), "what was measured stays"
    assert math.isnan(row.p) == (verdict != "supported")


# ------------------------------------------------------------------------------------------------------- infinities, zeros


@pytest.mark.parametrize(
    ("compare", "direction", "a", "b", "effect", "expected", "note"),
    [
        ("value", "at_most", [1, 1, 1, 1, INF], None, 1, "undecided", "∞ in 1 of 5 seeds"),
        ("value", "at_most", [9, 9, INF, 9, INF], None, 9, "undecided", "leaves it open; about 6 seeds would decide"),
        (
            "value",
            "at_most",
            [9, 9, INF, 9, INF, 9],
            None,
            9,
            "not supported",
            "∞ in 2 of 6 seeds: median and sign test",
        ),
        ("value", "at_least", [9, 9, INF, 9, INF, INF], None, INF, "supported", "∞ in 3 of 6 seeds: median and sign"),
        ("difference", "at_most", [1] * 6, [1, 1, 1, 1, 1, INF], 0, "supported", "∞ in 1 of 6 seeds"),
        ("difference", "at_most", [INF, 1, 1, 1, 1], [1, 1, 1, 1, INF], 0, "undecided", "∞ in 1 of 5 seeds"),
        ("difference", "at_most", [1, 1, 1, 1, INF], [1, 1, 1, 1, INF], None, "undecided", "∞ in 1 of 5 seeds"),
        ("ratio", "at_least", [9, 9, 9, 9, 9, INF], [1] * 6, 9, "supported", "∞ in 1 of 6 seeds"),
        ("ratio", "at_most", [0, 2, 2, 2, 2, 2], [4] * 6, 0.5, "supported", "0 in 1 of 6 seeds: median and sign test"),
        ("ratio", "at_most", [0] * 6, [4] * 6, 0, "supported", "0 in 6 of 6 seeds: median and sign test"),
        ("ratio", "at_most", [INF] * 5, [INF] * 5, None, "undecided", "more seeds do not help"),
        ("ratio", "at_most", [0] * 5, [0] * 5, None, "undecided", "0 in 5 of 5 seeds"),
    ],
)
def test_values_without_a_place_on_the_scale(compare, direction, a, b, effect, expected, note):
    row = judged(claim(compare, direction), rows("a", a), *([] if b is None else [rows("b", b)]))
    assert (row.verdict, row.n) == (expected, len(a))
    assert note in row.note
    assert math.isnan(row.effect) if effect is None else row.effect == pytest.approx(effect)
    assert np.isnan([row.low, row.high]).all()
    assert (row.p < 0.05) == (expected != "undecided")


@pytest.mark.parametrize(("a", "b", "count"), [([-1, 2, 2, 2, 2], [1] * 5, 1), ([1] * 5, [-2, -1, 1, 1, INF], 2)])
def test_there_is_no_ratio_of_negative_values(a, b, count):
    row = judged(claim("ratio"), rows("a", a), rows("b", b))
    assert (row.verdict, row.n) == ("not testable", 5)
    assert row.note.startswith(f"no logarithm of values < 0 in {count} of 5 seeds")
    assert math.isnan(row.effect)


def test_the_widest_intervals_of_a_ratio_end_at_infinity():
    row = judged(claim("ratio"), rows("a", [1e-300, 1e300]), rows("b", [1, 1]))
    assert interval(row) == (pytest.approx(1.0), 0.0, INF)


# ---------------------------------------------------------------------------------------------------------- one value alone


def test_the_control_is_a_constant_for_every_seed(tmp_path):
    """Raw data stand under seed 0 or under none; read from a file, where an empty seed makes the column nullable."""
    accuracy = [0.95, 0.97, 0.96, 0.96, 0.95]
    subject = {"method": "a", "task": "neighbours", "metric": "knn", "distance": "euclidean"}
    entry = claim("difference", "at_least", -0.05, subject=subject, versus={"method": "", "distance": "data"})
    expected = stats.ttest_1samp(np.subtract(accuracy, 0.97), 0).confidence_interval(0.95)
    of_method = rows("a", accuracy, "knn", "neighbours", distance="euclidean")
    for seed in (0, ""):
        control = rows("", [0.97], "knn", "neighbours", distance="data", seeds=[seed])
        frame(of_method, control, trained("a", 5)).to_csv(tmp_path / "metrics.csv", index=False)
        metrics = read_metrics(tmp_path / "metrics.csv")
        (row,) = claims.ledger(metrics, metrics.iloc[:0], {"7": entry}, ["pendulum"]).itertuples(index=False)
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
        assert (row.n, row.verdict) == (5, "supported")
        assert row.test == "knn of a (euclidean) − knn of raw data (data) ≥ −0.05"


def test_a_descriptor_without_training_is_a_constant_and_a_method_with_one_seed_is_not():
    entry = claim("difference", "above", 0)
    numbers = rows("a", [61, 62, 63, 62], seeds=range(4)), rows("b", [50])
    row = judged(entry, *numbers, trained("a", 4))
    assert (row.n, row.verdict, row.effect) == (4, "supported", 12.0)
    row = judged(entry, *numbers, trained("a", 4), trained("b", 1))
    assert (row.n, row.verdict) == (1, "undecided")


def test_efficiency_counts_and_versus_may_change_every_key():
    subject = {"method": "a", "task": "efficiency", "metric": "seconds", "distance": "euclidean"}
    entry = claim("ratio", "at_most", 0.01, subject=subject, versus={"distance": "geodesic"})
    times = (
        rows("a", [1, 2, 1, 2, 1], "seconds", "efficiency", distance="euclidean"),
        rows("a", [1000, 2000, 1000, 2000, 1000], "seconds", "efficiency", distance="geodesic"),
    )
    row = judged(entry, rows("a", [1] * 5), efficiency=frame(*times))
    assert (row.effect, row.verdict) == (pytest.approx(1e-3), "supported")
    assert row.test == "seconds of a (euclidean) / seconds of a (geodesic) ≤ 0.01"
    entry = claim("difference", versus={"method": "b", "task": "other", "metric": "j"})
    row = judged(entry, rows("a", [2] * 5), rows("b", [1] * 5, "j", "other"))
    assert (row.effect, row.test) == (1.0, "reconstruction kl of a − other j of b ≤ 1.5")
