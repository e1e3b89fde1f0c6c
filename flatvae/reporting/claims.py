"""Which of the paper's claims hold? Each is tested on each data set, from metrics.csv and efficiency.csv alone.

A claim is an entry of the config: two sides (or one), how they are compared, and the threshold that was fixed before.

    "6a":
      statement: Flattening does not cost likelihood.
      subject: {method: flat_vae, task: likelihood, metric: nll}   # distance too, where one applies
      versus: {method: vhp_vae}       # what is left out is the subject's; none where compare is value
      compare: difference             # value | difference (subject − versus) | ratio (subject / versus)
      direction: at_most              # at_most | at_least
      threshold: 2.0
      datasets: [pendulum, mnist]     # optional; else every data set of the run
      evidence: tables/likelihood.md
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from flatvae.reporting.formatting import fixed, format_cell
from flatvae.reporting.statistics import Interval, t_interval

COLUMNS = ["claim", "dataset", "statement", "test", "effect", "low", "high", "n", "verdict", "note", "evidence"]
SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = VERDICTS = "supported", "not supported", "inconclusive"

SIDE = ("method", "task", "metric", "distance")  # the order in which a side is looked for
SIGNS = {"difference": "−", "ratio": "/"}
DIRECTIONS = {"at_most": "≤", "at_least": "≥"}

MIN_SEEDS = 5  # an interval from fewer rests on the normality of its values more than on the values
ROUNDING = 1e-9  # metrics.csv keeps nine digits: 0.95 − 0.97 is to satisfy «≥ −0.02», which in floats it does not

CAPTION = (
    "Effect: mean over n seeds with its 95 % Student t-interval, paired by seed where two methods are compared (of "
    "ratios the geometric mean). Supported, or not supported: the whole interval satisfies, or violates, the threshold; "
    f"else inconclusive, as with fewer than {MIN_SEEDS} seeds or a missed reconstruction bound. Thresholds were fixed "
    "in the config."
)


def ledger(
    metrics: pd.DataFrame,
    efficiency: pd.DataFrame | None,
    claims: Mapping[str, Mapping],
    datasets: Sequence[str],
) -> pd.DataFrame:
    """Every claim on every data set of the run, or on those that the claim names, in or out of the run.

    With a_s the subject's and b_s the versus' value in seed s, over the n seeds that both have,

        value       v_s = a_s                 effect = mean v_s            [low, high] = t-interval of the v_s
        difference  v_s = a_s − b_s           the same
        ratio       v_s = log a_s − log b_s   effect = exp(mean v_s)       [low, high] = exp of the t-interval of the v_s

    so a ratio's effect is the geometric mean of the seeds' ratios. It is taken in logarithms because ratios are skewed,
    because the interval then stays above 0, and because a / b and b / a must come to the same verdict. A side whose
    one value no training made (the control, or an empty seed) is a constant, compared with every seed of the other.

    verdict: `supported` where all of [low, high] satisfies the threshold (equality does), `not supported` where all of it
    violates it; else, with fewer than 5 seeds, and where a side's method missed the reconstruction bound in a seed that
    counts, `inconclusive`. Infinite values make an infinite effect without interval; there the seeds decide, if all
    are on one side of the threshold. `note` says what made it inconclusive or what is lacking, and which seeds were lost.

    Columns: claim, dataset, statement, test, effect, low, high, n, verdict, note, evidence; effect, low and high are NaN
    where there is none. Sorted by claim (2a before 10a), then data sets in the order of the run.
    Claims are valid by the config's schema. Source: Student (1908).
    """
    numbers = metrics if efficiency is None else pd.concat([metrics, efficiency], ignore_index=True)
    rows = [
        _row(numbers, str(claim), entry, dataset)
        for claim, entry in sorted(claims.items(), key=lambda item: natural(str(item[0])))
        for dataset in _ordered(entry.get("datasets", datasets), datasets)
    ]
    types = {"effect": float, "low": float, "high": float, "n": int}
    return pd.DataFrame(rows, columns=COLUMNS).astype(types)


def natural(claim: str) -> list:
    """A key to sort claims by: 2a before 10a."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", claim)]


def _ordered(named: Iterable[str], run: Sequence[str]) -> list[str]:
    named = list(dict.fromkeys(named))
    return [name for name in run if name in named] + [name for name in named if name not in run]


def _sides(entry: Mapping) -> list[dict]:
    subject = {"distance": "", **entry["subject"]}
    return [subject] if entry["compare"] == "value" else [subject, {**subject, **entry["versus"]}]


def _row(numbers: pd.DataFrame, claim: str, entry: Mapping, dataset: str) -> tuple:
    here = numbers[numbers["dataset"] == dataset]
    sides = _sides(entry)
    lacking = [_lacking(here, dataset, side) for side in sides]
    if any(lacking):
        effect, verdict, notes = Interval(math.nan, None, None, 0), INCONCLUSIVE, filter(None, lacking)
    else:
        effect, verdict, notes = _judge(here, sides, entry)
    note = "; ".join(dict.fromkeys([*notes, *_lost(here, sides)]))
    statement = " ".join(entry["statement"].split())  # a folded text of YAML ends with a line break
    return claim, dataset, statement, _test(sides, entry), *effect, verdict, note, entry["evidence"]


def _test(sides: Sequence[Mapping], entry: Mapping) -> str:
    """The test in words: «nll of flat_vae − nll of vhp_vae ≤ 2»."""
    tasks = len({side["task"] for side in sides}) > 1  # else the metric's name says enough
    texts = [
        f"{side['task']} " * tasks
        + f"{side['metric']} of {_name(side['method'])}"
        + f" ({side['distance']})" * bool(side["distance"])
        for side in sides
    ]
    threshold = f"{entry['threshold']:.10g}".replace("-", "−")
    return f" {SIGNS.get(entry['compare'])} ".join(texts) + f" {DIRECTIONS[entry['direction']]} {threshold}"


def _name(method: str) -> str:
    return method or "raw data"


def _lacking(here: pd.DataFrame, dataset: str, side: Mapping) -> str | None:
    """What is the first to be missing on the way to the numbers of a side."""
    if here.empty:
        return f"no rows of data set {dataset}"
    for last in range(len(SIDE)):
        if _select(here, side, SIDE[: last + 1]).empty:
            return _no_rows(SIDE[last], side)
    return None


def _no_rows(key: str, side: Mapping) -> str:
    if key == "method":
        return f"no rows of method {_name(side['method'])}"
    return f"no rows of {key} {side[key] or '(none)'} for {_name(side['method'])}"


def _select(here: pd.DataFrame, side: Mapping, keys: Sequence[str]) -> pd.DataFrame:
    return here[np.logical_and.reduce([here[key] == side[key] for key in keys])]


def _lost(here: pd.DataFrame, sides: Sequence[Mapping]) -> list[str]:
    """Seeds that went non-finite: they have no row elsewhere, and a verdict from the others must not hide them."""
    lost = []
    for method in _methods(sides):
        frozen = list(_training(here, method, "frozen").values())
        if 1 in frozen:
            lost.append(f"{method} went non-finite in {frozen.count(1)} of {len(frozen)} seeds")
    return lost


def _methods(sides: Sequence[Mapping]) -> list[str]:
    return list(dict.fromkeys(side["method"] for side in sides))


def _training(here: pd.DataFrame, method: str, metric: str) -> dict[int | None, float]:
    return _by_seed(here, {"method": method, "task": "training", "metric": metric, "distance": ""})


def _by_seed(here: pd.DataFrame, side: Mapping) -> dict[int | None, float]:
    """Seed -> value of one side; the seed is None where no training made the value."""
    rows = _select(here, side, SIDE)
    seeds = [None if pd.isna(seed) else int(seed) for seed in rows["seed"]]
    if side["method"] == "" and len(seeds) == 1:
        seeds = [None]  # the control stands under seed 0, yet no seed made it
    return dict(zip(seeds, rows["value"], strict=True))


def _judge(here: pd.DataFrame, sides: Sequence[Mapping], entry: Mapping) -> tuple[Interval, str, list[str]]:
    """Effect with its interval, verdict and notes, where every side has rows."""
    seeds, values = _paired([_by_seed(here, side) for side in sides])
    if not seeds:
        return Interval(math.nan, None, None, 0), INCONCLUSIVE, ["no seed in common"]
    doubts = _few(seeds) + _missed_bounds(here, sides, seeds)
    ratio = entry["compare"] == "ratio"
    if ratio and (values <= 0).any():
        doubts.append(f"no ratio: values ≤ 0 in {(values <= 0).any(axis=0).sum()} of {len(seeds)} seeds")
        return Interval(math.nan, None, None, len(seeds)), INCONCLUSIVE, doubts
    effects, threshold, slack = _measured(values, entry["threshold"], ratio)
    effect = _interval(effects)
    # the interval's ends agree where all of it does; where there is none, the seeds themselves have to
    found = _agreed(effects if effect.low is None else effect[1:3], entry["direction"], threshold, slack)
    effect, infinite = _exponentiated(effect) if ratio else effect, _infinite(effects)
    if found is None:
        doubts += infinite or ["interval crosses the threshold"]
    if doubts:
        return effect, INCONCLUSIVE, doubts
    return effect, found, [f"{note}, every seed on one side of the threshold" for note in infinite]


def _measured(values: np.ndarray, threshold: float, ratio: bool) -> tuple[np.ndarray, float, float]:
    """v_s of every seed, the threshold in the same units, and by how much rounding may have moved them."""
    if ratio:
        values, threshold = np.log(values), math.log(threshold)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN
        effects = values[0] - values[1] if len(values) == 2 else values[0]
    largest = 1.0 if ratio else np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return effects, threshold, ROUNDING * largest


def _infinite(effects: np.ndarray) -> list[str]:
    finite = np.isfinite(effects)
    return [] if finite.all() else [f"infinite in {(~finite).sum()} of {len(effects)} seeds"]


def _paired(sides: Sequence[dict]) -> tuple[list[int | None], np.ndarray]:
    """The seeds that all sides have, and their values, (sides, seeds)."""
    trained = next((side for side in sides if set(side) != {None}), sides[0])
    sides = [dict.fromkeys(trained, side[None]) if set(side) == {None} else side for side in sides]
    seeds = [seed for seed in sides[0] if seed in sides[-1]]
    return seeds, np.array([[side[seed] for seed in seeds] for side in sides], dtype=float)


def _few(seeds: Sequence) -> list[str]:
    n = len(seeds)
    return [f"{n} seed{'s' * (n > 1)} of {MIN_SEEDS} needed"] if n < MIN_SEEDS else []


def _missed_bounds(here: pd.DataFrame, sides: Sequence[Mapping], seeds: Sequence) -> list[str]:
    """Methods are compared at equal reconstruction only: those that have not reached it in a seed that counts."""
    missed = []
    for method in _methods(sides):
        met = _training(here, method, "bound_met")
        met = [met[seed] for seed in seeds if seed in met]
        if met.count(1) < len(met):
            missed.append(f"{method} missed the bound in {len(met) - met.count(1)} of {len(met)} seeds")
    return missed


def _interval(effects: np.ndarray) -> Interval:
    """The t-interval; no mean where a seed is ∞ − ∞, or where some are ∞ and some −∞."""
    if np.isnan(effects).any() or {math.inf, -math.inf} <= set(effects):
        return Interval(math.nan, None, None, len(effects))
    return t_interval(effects)


def _exponentiated(effect: Interval) -> Interval:
    with np.errstate(over="ignore"):  # an interval from two seeds may reach beyond the largest float
        return Interval(*(None if end is None else float(np.exp(end)) for end in effect[:3]), effect.n)


def _agreed(numbers: Sequence[float], direction: str, threshold: float, slack: float) -> str | None:
    """The verdict on which all these numbers, the ends of an interval or every seed, agree; None where they do not."""
    if np.isnan(numbers).any():
        return None
    beyond = np.asarray(numbers) - threshold
    satisfied = (beyond if direction == "at_most" else -beyond) <= slack
    if satisfied.all():
        return SUPPORTED
    return None if satisfied.any() else NOT_SUPPORTED


def to_markdown(ledger: pd.DataFrame) -> str:
    """The ledger as Markdown: caption, one pipe table with each statement once, and how many tests came to which verdict."""
    lines = ["| claim | test | data set | effect | n | verdict | note | evidence |", "|" + " :- |" * 8]
    for _, rows in ledger.groupby("claim", sort=False):
        for place, (_, row) in enumerate(rows.iterrows()):
            claim = [f"{row['claim']}: {row['statement']}", row["test"]] if place == 0 else ["", ""]
            cells = [*claim, row["dataset"], _number(row), str(row["n"]), *row[["verdict", "note", "evidence"]]]
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    counts = ", ".join(f"{(ledger['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    total = f"{len(ledger)} test{'s' * (len(ledger) != 1)}: {counts}."
    return "\n\n".join([CAPTION, "\n".join(lines), total]) + "\n"


def _number(row: pd.Series) -> str:
    """An effect as «1.04 [1.01, 1.07]», alone where it has no interval.

    Three significant digits, and more where the interval is narrower than these tell.
    """
    _, low, high = ends = [row[end] for end in ("effect", "low", "high")]
    largest = max(map(abs, ends))
    if math.isnan(low) or not high > low or not 1e-3 <= largest < 1e5:
        mean, low, high = (format_cell(end, math.nan, math.nan) for end in ends)
    else:
        decimals = max(2 - math.floor(math.log10(largest)), -math.floor(math.log10(high - low)))
        mean, low, high = (fixed(end, decimals, trim=True) for end in ends)
    return mean if math.isnan(row["low"]) else f"{mean} [{low}, {high}]"


def write(ledger: pd.DataFrame, stem: str | PathLike) -> None:
    """Write stem.csv (unrounded; effect, low and high empty where there is none) and stem.md."""
    ledger.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    Path(f"{stem}.md").write_text(to_markdown(ledger), encoding="utf-8")
