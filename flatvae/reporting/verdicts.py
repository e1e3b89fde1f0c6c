"""Decides a test: takes its sides at the seeds with equal reconstruction, and compares an interval with a threshold."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.equality import count, equal_seeds
from flatvae.reporting.formatting import format_interval
from flatvae.reporting.scales import logarithmic
from flatvae.reporting.statistics import LEVEL, MOST_SEEDS, Interval, off_scale, p_value, seeds_needed, t_interval

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
NOT_TESTABLE, NOT_RUN = "not testable", "not run"
VERDICTS = SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_TESTABLE, NOT_RUN

SIDE = ("method", "task", "metric", "distance")  # the keys of a side, in the order of the search for its rows
MIN_PAIRS = 4  # fewer pairs decide nothing: t₂ and t₁ depend more on the assumption of normality than on the values
ROUNDING = 1e-9  # metrics.csv keeps nine digits: 0.95 − 0.97 must satisfy «≥ −0.02», which it does not in floats


class Outcome(NamedTuple):
    """The outcome of a test on one data set.

    Attributes:
        effect: with its interval over the n seeds that count; low and high are None if there is no interval.
        verdict: one of VERDICTS.
        p: two-sided, for «effect = threshold» (`statistics.p_value`); NaN if the test did not run or has one seed.
        left_out: how many common seeds do not count because a side missed equal reconstruction.
        all_seeds: the verdict over all common seeds; empty if the test did not run.
        notes: reasons for the verdict, in words.
        seeds: notes on seeds that were lost or left out, and on exempt methods.
    """

    effect: Interval
    verdict: str
    p: float = math.nan
    left_out: int = 0
    all_seeds: str = ""
    notes: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()


NOTHING = Interval(math.nan, None, None, 0)


def judge(here: pd.DataFrame, test: Mapping, dataset: str) -> Outcome:
    """The outcome of a test without its conditions.

    Let a_s be the subject's and b_s the versus' value in seed s. A pair of seeds counts if both sides are at equal
    reconstruction and had settled (`equality`; methods without a bound are exempt). Over the n pairs that count,

        value       v_s = a_s                 effect = mean v_s        [low, high] = t-interval of the v_s
        difference  v_s = a_s − b_s           the same
        ratio       v_s = log a_s − log b_s   effect = exp(mean v_s)   [low, high] = exp of the t-interval of the v_s

    A value is on its metric's scale (`scales`): if that is logarithmic, v_s = log a_s, and effect and interval are as for a
    ratio. A side with a single value without training (raw data, an untrained descriptor) is a constant, compared with every
    seed of the other side.

    Verdict: *supported* if all of [low, high] satisfies the threshold, *not supported* if all of it violates it; at_most and
    at_least include the threshold, below and above do not. *undecided*: the interval crosses the threshold, there are fewer
    than 4 pairs of seeds, or the verdict over all seeds differs. *not testable*: fewer than 4 seeds are at equal reconstruction
    because others missed it, or no threshold is fixed for the data set. *not run*: a side has no rows.
    If a value is off the scale (∞, or 0 in a ratio), the effect is the median without interval, and the sign test decides.

    Args:
        here: rows of metrics.csv and efficiency.csv of this data set.
        test: subject, versus (absent if compare is value), compare, direction, threshold (a number, or one per data set).
        dataset: its name.

    Raises:
        InputError: a threshold is ≤ 0 although the effect is averaged in logarithms.
    """
    sides = sides_of(test)
    lacking = [*dict.fromkeys(filter(None, (_lacking(here, dataset, side) for side in sides)))]
    seeds, values = ([], None) if lacking else _paired([_by_seed(here, side) for side in sides])
    if not seeds:
        return Outcome(NOTHING, NOT_RUN, notes=tuple(lacking or ["no seed in common"]), seeds=tuple(_lost(here, sides)))
    threshold = threshold_of(test, dataset)
    if threshold is None:
        return Outcome(NOTHING, NOT_TESTABLE, notes=(f"no threshold is fixed for data set {dataset}",))
    checked = {method: seeds_of for method, seeds_of in equal_seeds(here).items() if method in methods_of(sides)}
    kept = np.array([all(own.get(seed, False) for own in checked.values()) for seed in seeds])
    seed_notes = (*_missed(checked, seeds), *_lost(here, sides), *_exempt(sides, checked))
    every = _decided(values, test, threshold)
    if kept.all():
        return every._replace(all_seeds=every.verdict, seeds=seed_notes)
    both = (*seed_notes, f"over all {len(seeds)} seeds: {every.verdict}")
    left_out = {"left_out": int((~kept).sum()), "all_seeds": every.verdict, "seeds": both}
    chosen = _decided(values[:, kept], test, threshold) if kept.any() else Outcome(NOTHING, UNDECIDED)
    if kept.sum() < MIN_PAIRS:
        return chosen._replace(verdict=NOT_TESTABLE, p=math.nan, notes=("bound missed",), **left_out)
    if chosen.verdict != every.verdict:
        differ = f"depends on the seeds left out: {chosen.verdict} without them"
        return chosen._replace(verdict=UNDECIDED, notes=(differ, *chosen.notes), **left_out)
    return chosen._replace(**left_out)


def judge_behind_conditions(here: pd.DataFrame, test: Mapping, dataset: str) -> Outcome:
    """`judge`, but *not testable* if a condition of the test, ``requires``, is not supported.

    The effect stays, because it was measured; the p-value is dropped, because nothing was tested.
    """
    outcome = judge(here, test, dataset)
    if outcome.verdict in (NOT_RUN, NOT_TESTABLE):
        return outcome
    failed = []
    for condition in test.get("requires", ()):
        met = judge(here, condition, dataset)
        if met.verdict != SUPPORTED:
            found = f": {format_interval(*met.effect[:3])}" if met.effect.n else ""
            why = "; ".join([f"{met.verdict}{found}", *met.notes[:1]])
            failed.append(f"{' '.join(condition['reason'].split()).rstrip('.')} ({why})")
    if not failed:
        return outcome
    return outcome._replace(verdict=NOT_TESTABLE, p=math.nan, all_seeds="", notes=tuple(failed))


# --------------------------------------------------------------------------------------------------------- sides and seeds


def sides_of(test: Mapping) -> list[dict]:
    """The subject, and the versus completed with the subject's keys."""
    subject = {"distance": "", **test["subject"]}
    return [subject] if test["compare"] == "value" else [subject, {**subject, **test["versus"]}]


def methods_of(sides: Sequence[Mapping]) -> list[str]:
    """The sides' methods, each once."""
    return list(dict.fromkeys(side["method"] for side in sides))


def method_name(method: str) -> str:
    """The method's name in texts; raw data have no method."""
    return method or "raw data"


def threshold_of(test: Mapping, dataset: str) -> float | None:
    """The test's threshold, or that of the data set if each has its own; None if the data set has none."""
    threshold = test["threshold"]
    return threshold.get(dataset) if isinstance(threshold, Mapping) else threshold


def scale_is_logarithmic(test: Mapping) -> bool:
    """Whether effect and interval are computed in logarithms: for ratios, and for values of a logarithmic metric."""
    return test["compare"] == "ratio" or (test["compare"] == "value" and logarithmic(test["subject"]["metric"]))


def _lacking(here: pd.DataFrame, dataset: str, side: Mapping) -> str | None:
    """A note on the first key for which a side has no rows; None if it has rows."""
    if here.empty:
        return f"no rows of data set {dataset}"
    for last, key in enumerate(SIDE):
        if _select(here, side, SIDE[: last + 1]).empty:
            return _no_rows(key, side)
    return None


def _no_rows(key: str, side: Mapping) -> str:
    name = method_name(side["method"])
    return f"no rows of method {name}" if key == "method" else f"no rows of {key} {side[key] or '(none)'} for {name}"


def _select(here: pd.DataFrame, side: Mapping, keys: Sequence[str]) -> pd.DataFrame:
    return here[np.logical_and.reduce([here[key] == side[key] for key in keys])]


def _by_seed(here: pd.DataFrame, side: Mapping) -> dict[int | None, float]:
    """Seed -> value of one side; the seed is None if the value needs no training."""
    rows = _select(here, side, SIDE)
    seeds = [None if pd.isna(seed) else int(seed) for seed in rows["seed"]]
    trained = here.loc[here["task"] == "training", "method"]
    if len(seeds) == 1 and len(trained) and side["method"] not in set(trained):
        seeds = [None]  # raw data and untrained descriptors are stored under seed 0, but have no seed
    return dict(zip(seeds, rows["value"], strict=True))


def _paired(sides: Sequence[dict]) -> tuple[list[int | None], np.ndarray]:
    """The common seeds of all sides, and their values (sides, seeds)."""
    trained = next((side for side in sides if set(side) != {None}), sides[0])
    sides = [dict.fromkeys(trained, side[None]) if set(side) == {None} else side for side in sides]
    seeds = [seed for seed in sides[0] if seed in sides[-1]]
    return seeds, np.array([[side[seed] for seed in seeds] for side in sides], dtype=float)


def _missed(checked: Mapping[str, Mapping[int, bool]], seeds: Sequence) -> list[str]:
    notes = []
    for method, own in checked.items():
        passed, of = count({seed: own.get(seed, False) for seed in seeds})
        if passed < of:
            notes.append(f"{method} not at equal reconstruction or not settled in {of - passed} of {of} seeds")
    return notes


def _exempt(sides: Sequence[Mapping], checked: Mapping) -> list[str]:
    exempt = [method for method in methods_of(sides) if method and method not in checked]
    return [f"exempt from the bound: {', '.join(exempt)}"] * bool(exempt)


def _lost(here: pd.DataFrame, sides: Sequence[Mapping]) -> list[str]:
    """Notes on seeds that went non-finite: they have no other rows, and a verdict from the others must not hide them."""
    lost = []
    for method in methods_of(sides):
        rows = here[(here["method"] == method) & (here["task"] == "training") & (here["metric"] == "frozen")]
        if (rows["value"] == 1).any():
            lost.append(f"{method} went non-finite in {(rows['value'] == 1).sum()} of {len(rows)} seeds")
    return lost


# ------------------------------------------------------------------------------------------------------------ the decision


def _decided(values: np.ndarray, test: Mapping, threshold: float) -> Outcome:
    """Effect, verdict and p-value from values (sides, seeds)."""
    in_logarithms = scale_is_logarithmic(test)
    if in_logarithms and (values < 0).any():
        note = f"no logarithm of values < 0 in {(values < 0).any(axis=0).sum()} of {values.shape[1]} seeds"
        return Outcome(NOTHING._replace(n=values.shape[1]), NOT_TESTABLE, notes=(note,))
    if in_logarithms and threshold <= 0:
        what = test["subject"]["metric"]
        raise InputError(
            f"config: claims: a threshold of {what} is {threshold}; it is averaged in logarithms, so it must be > 0."
        )
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0 = −∞; ∞ − ∞ is NaN
        measured = np.log(values) if in_logarithms else values
        effects = measured[0] - measured[-1] if len(values) == 2 else measured[0]
    threshold = math.log(threshold) if in_logarithms else threshold
    largest = 1.0 if in_logarithms else np.abs(values[np.isfinite(values)]).max(initial=0.0)
    slack, p = ROUNDING * largest, p_value(effects, threshold)
    effect = _exponentiated(_interval(effects)) if in_logarithms else _interval(effects)
    if effect.low is None:  # one seed, or values off the scale
        found = _by_signs(effects, p, test["direction"], threshold, slack)
    else:
        found = _agreed(np.array(_interval(effects)[1:3]), test["direction"], threshold, slack)
    notes = [f"{note}: median and sign test" for note in _off_scale(values, effects, in_logarithms)]
    few = values.shape[1] < MIN_PAIRS
    if few:
        notes.append(f"{values.shape[1]} seed{'s' * (values.shape[1] > 1)}, {MIN_PAIRS} are needed")
    if found is None and values.shape[1] > 1:
        open_for = "the interval crosses the threshold" if effect.low is not None else "the sign test leaves it open"
        notes.append(f"{open_for}; {_needed(effects, threshold)}")
    return Outcome(effect, UNDECIDED if few or found is None else found, p, notes=tuple(notes))


def _needed(effects: np.ndarray, threshold: float) -> str:
    if np.isnan(effects).any():
        return "more seeds do not help where both sides are infinite or both 0"
    needed = seeds_needed(effects, threshold)
    return f"{f'about {needed}' if needed else f'more than {MOST_SEEDS}'} seeds would decide"


def _off_scale(values: np.ndarray, effects: np.ndarray, in_logarithms: bool) -> list[str]:
    """Notes on the values of each side that are off the scale."""
    if np.isfinite(effects).all():
        return []
    return [*dict.fromkeys(filter(None, (off_scale(side, in_logarithms) for side in values)))]


def _interval(effects: np.ndarray) -> Interval:
    """The t-interval; its mean is NaN if a seed has ∞ − ∞, and the median if infinities of both signs occur."""
    if np.isnan(effects).any():
        return Interval(math.nan, None, None, len(effects))
    if {math.inf, -math.inf} <= set(effects):
        middle = np.sort(effects)[[(len(effects) - 1) // 2, len(effects) // 2]]
        return Interval(float(middle.mean()) if np.isfinite(middle).all() else math.nan, None, None, len(effects))
    return t_interval(effects)


def _exponentiated(effect: Interval) -> Interval:
    with np.errstate(over="ignore"):  # an interval from two seeds may reach beyond the largest float
        return Interval(*(None if end is None else float(np.exp(end)) for end in effect[:3]), effect.n)


def _satisfied(numbers: np.ndarray, direction: str, threshold: float, slack: float) -> np.ndarray:
    beyond = numbers - threshold if direction in ("at_most", "below") else threshold - numbers
    return beyond <= slack if direction in ("at_most", "at_least") else beyond < -slack


def _agreed(ends: np.ndarray, direction: str, threshold: float, slack: float) -> str | None:
    """The verdict on which both ends of an interval agree; None if they differ."""
    satisfied = _satisfied(ends, direction, threshold, slack)
    if satisfied.all():
        return SUPPORTED
    return None if satisfied.any() else NOT_SUPPORTED


def _by_signs(effects: np.ndarray, p: float, direction: str, threshold: float, slack: float) -> str | None:
    """The verdict of the majority of seeds if the sign test is significant: never with 5 seeds, with 6 only if all agree."""
    if not p < LEVEL:
        return None
    return SUPPORTED if _satisfied(effects, direction, threshold, slack).mean() > 0.5 else NOT_SUPPORTED
