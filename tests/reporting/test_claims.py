import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting import claims, ledgers
from flatvae.reporting.statistics import COLUMNS, read_metrics

few = settings(max_examples=20)
finite = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
positive = st.floats(0.1, 1e3).map(lambda value: round(value, 6))
thresholds = st.floats(0.01, 100).map(lambda value: round(value, 3))
directions = st.sampled_from(["at_most", "at_least"])
RANDOM = np.random.default_rng(0).lognormal(size=(2, 6))


def pairs(values, max_size=9):
    """Values of two methods, one of each for every seed."""
    return st.integers(5, max_size).flatmap(
        lambda n: st.tuples(*[st.lists(values, min_size=n, max_size=n) for _ in range(2)])
    )


def rows(method, values, metric="k", task="flatness", dataset="pendulum", distance="", seeds=None):
    seeds = range(len(values)) if seeds is None else seeds
    return [(dataset, method, distance, task, metric, s, float(v)) for s, v in zip(seeds, values, strict=True)]


def frame(*groups):
    return pd.DataFrame([row for group in groups for row in group], columns=COLUMNS)


def claim(compare="value", direction="at_most", threshold=1.5, **others):
    versus = {} if compare == "value" else {"versus": {"method": "b"}}
    subject = {"method": "a", "task": "flatness", "metric": "k"}
    return {
        "statement": "It is flat.",
        "subject": subject,
        "compare": compare,
        "direction": direction,
        "threshold": threshold,
        "evidence": "tables/flatness.md",
        **versus,
        **others,
    }


def judged(entry, *groups, efficiency=None):
    """The one row of one claim on pendulum."""
    made = claims.ledger(frame(*groups), efficiency, {"1": entry}, ["pendulum"])
    assert list(made.columns) == claims.COLUMNS
    (row,) = made.itertuples(index=False)
    return row


def verdict(a, b, compare="difference", direction="at_most", threshold=0.0):
    return judged(claim(compare, direction, threshold), rows("a", a), rows("b", b)).verdict


def test_a_value_has_the_t_interval_of_its_seeds():
    values = RANDOM[0]
    row = judged(claim(), rows("a", values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert row.effect == pytest.approx(values.mean(), rel=1e-12)
    assert row.n == 6


def test_a_difference_has_the_interval_of_the_paired_t_test():
    a, b = RANDOM
    row = judged(claim("difference"), rows("a", a), rows("b", b[::-1], seeds=range(5, -1, -1)))
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert row.effect == pytest.approx((a - b).mean(), rel=1e-12)


def test_a_ratio_has_the_exponentiated_interval_of_paired_logarithms():
    a, b = RANDOM
    row = judged(claim("ratio"), rows("a", a), rows("b", b))
    expected = stats.ttest_rel(np.log(a), np.log(b)).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)), rel=1e-12)
    assert row.effect == pytest.approx(stats.gmean(a / b), rel=1e-12)


def test_only_seeds_that_both_sides_have_count():
    a, b = RANDOM[:, :5]
    seeds = [0, 1, 2, 3, 4]
    expected = judged(claim("difference"), rows("a", a, seeds=seeds), rows("b", b, seeds=seeds))
    more = rows("a", [*a, 1e6], seeds=[*seeds, 7]), rows("b", [-1e6, *b], seeds=[9, *seeds])
    assert judged(claim("difference"), *more) == expected
    assert expected.n == 5


@pytest.mark.parametrize(
    ("direction", "values", "expected"),
    [
        ("at_most", [1.0, 1.1, 1.2, 1.1, 1.0], "supported"),
        ("at_most", [1.0, 1.1, 1.9, 1.1, 1.9], "inconclusive"),
        ("at_most", [2.0, 2.1, 2.2, 2.1, 2.0], "not supported"),
        ("at_least", [1.0, 1.1, 1.2, 1.1, 1.0], "not supported"),
        ("at_least", [1.0, 1.1, 1.9, 1.1, 1.9], "inconclusive"),
        ("at_least", [2.0, 2.1, 2.2, 2.1, 2.0], "supported"),
        ("at_most", [1.5] * 5, "supported"),  # the threshold belongs to both sides' claims
        ("at_least", [1.5] * 5, "supported"),
        ("at_most", [1.5000001] * 5, "not supported"),
    ],
)
def test_verdict_of_a_value(direction, values, expected):
    row = judged(claim(direction=direction), rows("a", values))
    assert row.verdict == expected
    assert row.note == ("interval crosses the threshold" if expected == "inconclusive" else "")


@pytest.mark.parametrize(
    ("compare", "a", "b", "threshold"),
    [("difference", 0.95, 0.97, -0.02), ("ratio", 0.3, 0.1, 3.0), ("ratio", 1e-6, 2e-7, 5.0), ("difference", 0, 0, 0)],
)
@pytest.mark.parametrize("direction", ["at_most", "at_least"])
def test_equality_is_support_despite_rounding_and_without_spread(compare, a, b, threshold, direction):
    row = judged(claim(compare, direction, threshold), rows("a", [a] * 5), rows("b", [b] * 5))
    assert row.verdict == "supported"
    assert row.low == row.effect == row.high == pytest.approx(threshold)


@few
@given(pairs(finite), directions)
def test_exchanging_the_methods_flips_a_difference_against_zero(values, direction):
    a, b = values
    low, high = judged(claim("difference", threshold=0.0), rows("a", a), rows("b", b))[5:7]
    assume(min(abs(low), abs(high)) > 1e-5)  # equality supports both
    flipped = {"supported": "not supported", "not supported": "supported", "inconclusive": "inconclusive"}
    assert verdict(b, a, direction=direction) == flipped[verdict(a, b, direction=direction)]


@few
@given(pairs(finite), st.floats(-1e4, 1e4))
def test_a_constant_on_both_sides_leaves_a_difference_as_it_is(values, constant):
    a, b = values
    here = judged(claim("difference"), rows("a", a), rows("b", b))
    there = judged(claim("difference"), *(rows(m, np.add(v, constant)) for m, v in (("a", a), ("b", b))))
    assert there[4:7] == pytest.approx(here[4:7], rel=1e-6, abs=1e-6)


@few
@given(pairs(positive), st.floats(0.01, 100))
def test_a_ratio_turns_over_with_its_methods_and_forgets_a_common_factor(values, factor):
    a, b = values
    here = judged(claim("ratio"), rows("a", a), rows("b", b))
    turned = judged(claim("ratio"), rows("a", b), rows("b", a))
    scaled = judged(claim("ratio"), rows("a", np.multiply(a, factor)), rows("b", np.multiply(b, factor)))
    assert turned[4:7] == pytest.approx((1 / here.effect, 1 / here.high, 1 / here.low), rel=1e-9)
    assert scaled[4:7] == pytest.approx(here[4:7], rel=1e-9)


@few
@given(pairs(positive), thresholds, directions)
def test_a_ratio_is_judged_as_the_difference_of_its_logarithms_and_as_its_reciprocal(values, threshold, direction):
    a, b = values
    expected = verdict(a, b, "ratio", direction, threshold)
    low, high = judged(claim("ratio"), rows("a", a), rows("b", b))[5:7]
    assume(min(abs(math.log(low / threshold)), abs(math.log(high / threshold))) > 1e-6)
    assert verdict(np.log(a), np.log(b), "difference", direction, math.log(threshold)) == expected
    other = {"at_most": "at_least", "at_least": "at_most"}[direction]
    assert verdict(b, a, "ratio", other, 1 / threshold) == expected


@few
@given(st.lists(finite, min_size=5, max_size=9), finite, st.floats(0, 1e3), directions)
def test_a_looser_threshold_never_costs_support(values, threshold, looser, direction):
    rank = ["not supported", "inconclusive", "supported"].index
    loose = threshold + looser if direction == "at_most" else threshold - looser
    strict, lenient = (judged(claim("value", direction, t), rows("a", values)).verdict for t in (threshold, loose))
    assert rank(strict) <= rank(lenient)


@few
@given(st.lists(finite | st.just(math.inf), min_size=1, max_size=4), finite, directions)
def test_fewer_than_five_seeds_are_never_conclusive(values, threshold, direction):
    row = judged(claim("value", direction, threshold), rows("a", values))
    assert row.verdict == "inconclusive"
    assert row.note.startswith(f"{len(values)} seed{'s' * (len(values) > 1)} of 5 needed")
    assert math.isnan(row.low) == math.isnan(row.high) == (len(values) == 1 or math.inf in values)


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        (claim(subject={"method": "c", "task": "flatness", "metric": "k"}), "no rows of method c"),
        (claim(subject={"method": "a", "task": "likelihood", "metric": "k"}), "no rows of task likelihood for a"),
        (claim(subject={"method": "a", "task": "flatness", "metric": "nll"}), "no rows of metric nll for a"),
        (
            claim(subject={"method": "a", "task": "flatness", "metric": "k", "distance": "geodesic"}),
            "no rows of distance geodesic for a",
        ),
        (
            claim(subject={"method": "a", "task": "neighbours", "metric": "knn"}),
            "no rows of distance (none) for a",
        ),
        (claim("difference", versus={"method": "c"}), "no rows of method c"),
        (claim("ratio", versus={"method": ""}), "no rows of method raw data"),
        (claim("difference", versus={"metric": "k_mixup"}), "no rows of metric k_mixup for a"),
        (claim("difference", versus={"method": "c"}, datasets=["mnist"]), "no rows of data set mnist"),
        (claim("difference"), "no seed in common"),
    ],
)
def test_what_is_lacking_is_named_and_inconclusive(entry, note):
    data = (
        rows("a", [1] * 5),
        rows("a", [1] * 5, "knn", "neighbours", distance="euclidean"),
        rows("b", [1] * 5, seeds=range(5, 10)),
    )
    row = judged(entry, *data)
    assert (row.verdict, row.note, row.n) == ("inconclusive", note, 0)
    assert all(math.isnan(number) for number in row[4:7])


def trained(method, **values):
    return [row for metric, v in values.items() for row in rows(method, v, metric, "training")]


@pytest.mark.parametrize("missing", ["a", "b"])
def test_a_bound_missed_on_either_side_is_inconclusive(missing):
    met = {"a": [1] * 5, "b": [1] * 5} | {missing: [1, 0, 1, 0, 1]}
    data = [rows("a", RANDOM[0][:5]), rows("b", RANDOM[0][:5] + 5)]
    row = judged(claim("difference"), *data, *(trained(method, bound_met=met[method]) for method in "ab"))
    plain = judged(claim("difference"), *data)
    assert plain.verdict == "supported"
    assert row.verdict == "inconclusive"
    assert row.note == f"{missing} missed the bound in 2 of 5 seeds"
    assert row[4:8] == plain[4:8]


def test_only_the_bounds_of_seeds_that_count_matter_and_lost_seeds_are_told():
    values = [1.0, 1.1, 1.0, 1.1, 1.0]
    lost = trained("a", bound_met=[1, 1, 1, 1, 1, 0], frozen=[0, 0, 0, 0, 0, 1], frozen_step=[-1] * 5 + [700])
    row = judged(claim(), rows("a", values), lost, trained("b", bound_met=[0] * 6))
    assert (row.verdict, row.note) == ("supported", "a went non-finite in 1 of 6 seeds")
    row = judged(claim(), trained("a", frozen=[1, 1], bound_met=[0, 0]))
    assert row.note == "no rows of task flatness for a; a went non-finite in 2 of 2 seeds"


def test_every_doubt_is_told():
    row = judged(claim("difference"), rows("a", [1, 9]), rows("b", [0, 0]), trained("b", bound_met=[0, 1]))
    assert row.note == "2 seeds of 5 needed; b missed the bound in 1 of 2 seeds; interval crosses the threshold"


INF = math.inf
ONE_SIDED = "infinite in {} of 5 seeds, every seed on one side of the threshold"


@pytest.mark.parametrize(
    ("compare", "direction", "a", "b", "effect", "expected", "note"),
    [
        ("value", "at_most", [1, 1, 1, 1, INF], None, INF, "inconclusive", "infinite in 1 of 5 seeds"),
        ("value", "at_most", [9, 9, INF, 9, INF], None, INF, "not supported", ONE_SIDED.format(2)),
        ("value", "at_least", [9, 9, INF, 9, INF], None, INF, "supported", ONE_SIDED.format(2)),
        ("difference", "at_most", [1] * 5, [1, 1, 1, 1, INF], -INF, "supported", ONE_SIDED.format(1)),
        (
            "difference",
            "at_most",
            [INF, 1, 1, 1, 1],
            [1, 1, 1, 1, INF],
            None,
            "inconclusive",
            "infinite in 2 of 5 seeds",
        ),
        (
            "difference",
            "at_most",
            [1, 1, 1, 1, INF],
            [1, 1, 1, 1, INF],
            None,
            "inconclusive",
            "infinite in 1 of 5 seeds",
        ),
        ("ratio", "at_least", [9, 9, 9, 9, INF], [1] * 5, INF, "supported", ONE_SIDED.format(1)),
        ("ratio", "at_least", [9] * 5, [1, 1, 1, 1, INF], 0.0, "inconclusive", "infinite in 1 of 5 seeds"),
        ("ratio", "at_most", [INF] * 5, [INF] * 5, None, "inconclusive", "infinite in 5 of 5 seeds"),
    ],
)
def test_infinite_values(compare, direction, a, b, effect, expected, note):
    row = judged(claim(compare, direction), rows("a", a), *([] if b is None else [rows("b", b)]))
    assert (row.verdict, row.note, row.n) == (expected, note, 5)
    assert math.isnan(row.effect) if effect is None else row.effect == effect
    assert math.isnan(row.low)
    assert math.isnan(row.high)


@pytest.mark.parametrize(("a", "b", "count"), [([0, 2, 2, 2, 2], [1] * 5, 1), ([1] * 5, [0, -1, 1, 1, INF], 2)])
def test_there_is_no_ratio_of_values_that_are_not_positive(a, b, count):
    row = judged(claim("ratio"), rows("a", a), rows("b", b))
    assert (row.verdict, row.note, row.n) == ("inconclusive", f"no ratio: values ≤ 0 in {count} of 5 seeds", 5)
    assert math.isnan(row.effect)


def test_the_widest_intervals_of_a_ratio_end_at_infinity():
    row = judged(claim("ratio"), rows("a", [1e-300, 1e300]), rows("b", [1, 1]))
    assert (row.low, row.effect, row.high) == (0.0, pytest.approx(1.0), INF)


def test_the_control_is_a_constant_for_every_seed(tmp_path):
    """It stands under seed 0 or under none; read from a file, where an empty seed makes the column nullable."""
    accuracy = [0.95, 0.97, 0.96, 0.96, 0.95]
    entry = claim(
        "difference",
        "at_least",
        -0.05,
        subject={"method": "a", "task": "neighbours", "metric": "knn", "distance": "euclidean"},
        versus={"method": "", "distance": "data"},
    )
    expected = stats.ttest_1samp(np.subtract(accuracy, 0.97), 0).confidence_interval(0.95)
    of_method = rows("a", accuracy, "knn", "neighbours", distance="euclidean")
    for seed in (0, ""):
        control = rows("", [0.97], "knn", "neighbours", distance="data", seeds=[seed])
        frame(of_method, control).to_csv(tmp_path / "metrics.csv", index=False)
        metrics = read_metrics(tmp_path / "metrics.csv")
        (row,) = claims.ledger(metrics, metrics.iloc[:0], {"7": entry}, ["pendulum"]).itertuples(index=False)
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
        assert (row.n, row.verdict) == (5, "supported")
        assert row.test == "knn of a (euclidean) − knn of raw data (data) ≥ −0.05"


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
    assert (row.effect, row.test) == (1.0, "flatness k of a − other j of b ≤ 1.5")


def test_rows_are_in_the_order_of_claims_and_of_the_run_and_strangers_are_kept():
    metrics = frame(*(rows("a", [1] * 5, dataset=dataset) for dataset in ("digits", "pendulum")))
    entries = {"10a": claim(), "2b": claim(datasets=["mnist", "digits"]), 1: claim(statement="It\n is flat.\n")}
    made = claims.ledger(metrics, None, entries, ["pendulum", "digits"])
    assert list(zip(made["claim"], made["dataset"], made["note"], strict=True)) == [
        ("1", "pendulum", ""),
        ("1", "digits", ""),
        ("2b", "digits", ""),
        ("2b", "mnist", "no rows of data set mnist"),
        ("10a", "pendulum", ""),
        ("10a", "digits", ""),
    ]
    assert made["statement"].unique().tolist() == ["It is flat."]


@pytest.fixture
def made():
    metrics = frame(
        rows("a", [1.01, 1.02, 1.04, 1.06, 1.07]),
        rows("b", [30, 31, 32, 33, INF]),
        rows("a", [2] * 3, dataset="digits"),
        rows("a", [1234.5, 1300, 1400, 1350, 1200], "scale"),
    )
    scale = {"method": "a", "task": "flatness", "metric": "scale"}
    entries = {
        "2": claim(subject=scale, statement="A | B", threshold=1000, datasets=["pendulum"]),
        "1a": claim(),
        "1b": claim("ratio", "at_least", 5, subject={**scale, "metric": "k", "method": "b"}, versus={"method": "a"}),
    }
    return claims.ledger(metrics, None, entries, ["pendulum", "digits"])


def test_markdown(made):
    assert claims.to_markdown(made) == (
        "Effect: mean over n seeds with its 95 % Student t-interval, paired by seed where two methods are compared (of "
        "ratios the geometric mean). Supported, or not supported: the whole interval satisfies, or violates, the "
        "threshold; else inconclusive, as with fewer than 5 seeds or a missed reconstruction bound. Thresholds were "
        "fixed in the config.\n"
        r"""
| claim | test | data set | effect | n | verdict | note | evidence |
| :- | :- | :- | :- | :- | :- | :- | :- |
| 1a: It is flat. | k of a ≤ 1.5 | pendulum | 1.04 [1.01, 1.07] | 5 | supported |  | tables/flatness.md |
|  |  | digits | 2 [2, 2] | 3 | inconclusive | 3 seeds of 5 needed | tables/flatness.md |
| 1b: It is flat. | k of b / k of a ≥ 5 | pendulum | ∞ | 5 | supported | infinite in 1 of 5 seeds, every seed on one side of the threshold | tables/flatness.md |
|  |  | digits | – | 0 | inconclusive | no rows of method b | tables/flatness.md |
| 2: A \| B | scale of a ≤ 1000 | pendulum | 1300 [1200, 1400] | 5 | not supported |  | tables/flatness.md |

5 tests: 2 supported, 1 not supported, 2 inconclusive.
"""
    )


def test_a_narrow_interval_has_the_digits_that_tell_its_ends_apart():
    numbers = frame(rows("a", [0.9995, 0.9997, 0.9998, 0.9999, 0.99965]))
    text = claims.to_markdown(
        claims.ledger(numbers, None, {"1": claim(direction="at_least", threshold=0.98)}, ["pendulum"])
    )
    assert "| 0.9997 [0.9995, 0.9999] |" in text


def test_written_files_keep_every_digit_and_leave_empty_what_is_not_there(made, tmp_path):
    claims.write(made, tmp_path / "claims.v1")
    read = pd.read_csv(tmp_path / "claims.v1.csv", dtype=str, keep_default_na=False)
    assert list(read.columns) == claims.COLUMNS
    for column in ("effect", "low", "high"):
        assert [float(text) if text else None for text in read[column]] == [
            None if math.isnan(value) else value for value in made[column]
        ]
    assert read["effect"].tolist()[2:4] == ["inf", ""]
    assert (tmp_path / "claims.v1.md").read_text(encoding="utf-8") == claims.to_markdown(made)


def test_no_claims_make_an_empty_ledger():
    empty = claims.ledger(frame(rows("a", [1])), None, {}, ["pendulum"])
    assert claims.to_markdown(empty).endswith("\n0 tests: 0 supported, 0 not supported, 0 inconclusive.\n")


def test_one_ledger_of_several_runs_takes_the_run_with_most_seeds(tmp_path):
    """Whatever it came to; of as many the first; and rows are in the order of claims, then of data sets."""
    entries = {"2a": claim(), "10a": claim("ratio", threshold=1.1)}
    groups = {  # run: data set: values
        "long": {"pendulum": [1.0, 2.0, 1.0, 2.0, 1.9, 1.0]},
        "wide": {"pendulum": [1.0] * 5, "digits": [1.2] * 5},
        "late": {"digits": [9.0] * 5, "crowd": [1.0]},
    }
    for run, datasets in groups.items():
        numbers = frame(*[rows("a", values, dataset=dataset) for dataset, values in datasets.items()])
        (tmp_path / run).mkdir()
        claims.write(claims.ledger(numbers, None, entries, list(datasets)), tmp_path / run / "claims")
    ledgers.main([*(str(tmp_path / run) for run in groups), "--output", str(tmp_path / "all" / "together")])
    found = ledgers.read(tmp_path / "all" / "together.csv")
    assert list(found.columns) == claims.COLUMNS
    assert list(zip(found["claim"], found["dataset"], strict=True)) == [
        (name, dataset) for name in ("2a", "10a") for dataset in ("pendulum", "digits", "crowd")
    ]
    assert list(found["n"]) == [6, 5, 1, 0, 0, 0]
    assert list(found["verdict"]) == ["inconclusive", "supported"] + ["inconclusive"] * 4
    assert list(found["evidence"][:3]) == [f"../{run}/tables/flatness.md" for run in ("long", "wide", "late")]
    assert found["note"][3] == "no rows of method b"
    assert (tmp_path / "all" / "together.md").read_text().count("| 2a: It is flat. |") == 1


def test_a_run_without_a_ledger_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        ledgers.main([str(tmp_path), "--output", str(tmp_path / "together")])
    assert f"{tmp_path / 'claims.csv'} is missing; name folders of results" in capsys.readouterr().err
    (tmp_path / "claims.csv").write_text("claim,verdict\n1,supported\n")
    with pytest.raises(InputError, match="is no ledger: its columns are claim, verdict; make it again"):
        ledgers.read(tmp_path / "claims.csv")


def test_runs_that_test_a_claim_in_two_ways_have_no_ledger_together():
    numbers = frame(*[rows("a", [1.0] * 5)])
    found = {
        run: claims.ledger(numbers, None, {"1": claim(threshold=threshold)}, ["pendulum"])
        for run, threshold in {"one": 1.5, "other": 1.6}.items()
    }
    with pytest.raises(InputError, match=r"claim 1 is tested in more than one way: k of a ≤ 1\.5; k of a ≤ 1\.6"):
        ledgers.merged(found)
