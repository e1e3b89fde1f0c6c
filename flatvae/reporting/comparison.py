"""Every method against a baseline over all data sets: probability and size of improvement, from metrics.csv alone."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting import tables
from flatvae.reporting.equality import missed
from flatvae.reporting.scales import logarithmic
from flatvae.reporting.statistics import GROUP, Interval
from flatvae.reporting.trained import Trained, seeds_text

BASELINE = "vhp_vae"
ALL = "all data sets"  # no data set can have this name: names in the config have no spaces
RESAMPLES, SEED = 10_000, 0
COLUMNS = [
    *("method", "metric", "probability", "low", "high", "effect", "effect_low", "effect_high", "n", "datasets", "equal")
]

LOWER, HIGHER = -1, 1


class Metric(NamedTuple):
    """A number of metrics.csv by which methods are compared; `better` is LOWER or HIGHER."""

    task: str
    name: str
    distance: str
    better: int


METRICS = (
    Metric("flatness", "condition_number_median", "", LOWER),
    Metric("flatness", "condition_number_median_mixup", "", LOWER),
    Metric("flatness", "mf_std", "", LOWER),
    Metric("reconstruction", "test_error", "", LOWER),
    Metric("reconstruction", "kl", "", LOWER),
    Metric("likelihood", "nll", "", LOWER),
    Metric("neighbours", "knn_accuracy", "euclidean", HIGHER),
    Metric("neighbours", "precision_at_10", "euclidean", HIGHER),
    Metric("neighbours", "true_neighbour_recall_at_10", "euclidean", HIGHER),
    Metric("distances", "distance_error_median", "geodesic", LOWER),
    Metric("interpolation", "velocity_cv", "", LOWER),
    Metric("interpolation", "second_difference", "", LOWER),
    Metric("tracking", "IDF1", "", HIGHER),
)

# metrics whose improvement is a ratio: skewed ones, and the error, whose unit is the data's; the others have a difference
RATIOS = frozenset(metric.name for metric in METRICS if logarithmic(metric.name) or metric.name == "test_error")

CAPTION = (
    "Probability of improvement over {baseline}: how often a training of the method is better than one of {baseline}, over all "
    "pairs of seeds of a data set, ties counting half (Agarwal et al. 2021). All data sets: the mean over those that have the "
    "number. Higher is better for {higher}; lower is better for the others. Brackets: 95 % percentile bootstrap interval; each "
    "data set is resampled over the seeds that both methods have, and both methods get the same resample. n: the least number "
    "of these seeds ({n_seeds}). With few seeds these intervals are too narrow (those of a mean cover 73 % at 3 seeds, "
    "85 % at 5). A number without interval comes from one seed or is the same in every resample; it is not certain either. All "
    "seeds are compared, including those that missed equal reconstruction (†), which the ledger of claims leaves out. –: does "
    "not apply."
)

Pair = tuple[np.ndarray, np.ndarray]


def probability_of_improvement(pairs: Sequence[Pair]) -> Interval:
    """How likely X is better than Y, averaged over data sets, and its 95 % bootstrap interval over paired seeds.

    With the values x_s, y_s (larger is better) in the n_d seeds s that X and Y have in common in the data set d,

        P = 1/D Σ_d P_d,     P_d = 1/n_d² Σ_s Σ_t ( 1[x_s > y_t] + ½ 1[x_s = y_t] ),

    where P_d is the Mann-Whitney statistic over n_d². As in rliable, P compares all pairs of seeds (s, t), not only equal
    seeds (s, s): it predicts one further training of each method, and rests on n_d² comparisons. The ends of the interval
    are the 2.5 % and 97.5 % quantiles of P over 10,000 resamples. A resample draws n_d seeds with replacement within every data
    set (stratified) and takes these seeds of both X and Y. rliable draws the runs of X and Y independently; here equal seeds
    share batches and noise. P(X, Y) + P(Y, X) = 1 in every resample. Infinities compare like other values: ∞ > a, ∞ = ∞.

    With few seeds the interval is too narrow, like every plain bootstrap's. In simulations of normal values with P = 0.5 and
    0.76 it covered P in 74 and 59 % of cases at 3 seeds of one data set, 88 and 85 % at 5, 94 and 89 % at 10; over three data
    sets in 84 and 87, 91 and 92, 92 and 95 %. It covers P less often if equal seeds of X and Y are much alike, because a
    resample compares them about twice as often as the data do. It has no width if X is better than Y in all pairs, and is
    None if a data set has one seed.

    Args:
        pairs: (x, y) for each data set, both (n_d,), indexed by seed.
    Returns:
        Interval of P; its n is the least n_d.
    Raises:
        InputError: there are no pairs, a pair has no seeds, or a value is NaN.
    Source: Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS,
        arXiv:2108.13264, section 4.3 and its library rliable; Mann and Whitney (1947).
    """
    n = min((len(x) for x, _ in pairs), default=0)
    if n == 0 or any(np.isnan(values).any() for pair in pairs for values in pair):
        raise InputError("probability_of_improvement: values are empty or hold NaN; leave out seeds that have no value")
    wins = [(x[:, None] > y) + 0.5 * (x[:, None] == y) for x, y in pairs]
    probability = float(np.mean([of_dataset.mean() for of_dataset in wins]))
    if n == 1:
        return Interval(probability, None, None, n)
    generator = np.random.default_rng(SEED)  # created anew: every method gets the same resamples
    resampled = np.mean([_resampled(of_dataset, generator) for of_dataset in wins], axis=0)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(probability, float(low), float(high), n)


def _resampled(wins: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """P_d of every resample: Σ_st c_s wins_st c_t / n², where c_s counts how often seed s was drawn."""
    n = len(wins)
    counts = generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)  # (RESAMPLES, n)
    return ((counts @ wins) * counts).sum(axis=1) / n**2


def effect(pairs: Sequence[Pair], ratio: bool) -> Interval:
    """How much larger X is than Y, averaged over data sets, and its 95 % t-interval over paired seeds.

    With the values x_s, y_s of the n_d seeds that X and Y have in common in the data set d,

        E = 1/D Σ_d 1/n_d Σ_s g_s,     g_s = x_s − y_s; for ratios g_s = log x_s − log y_s, and exp E is their geometric mean.

    The interval is E ± t_ν · √(Σ_d v_d) / D with v_d = s_d² / n_d, where s_d² is the variance of g over the seeds of d, and
    ν = (Σ v_d)² / Σ v_d² / (n_d − 1) after Welch and Satterthwaite; for one data set it is Student's interval of the paired
    differences. If a g is infinite or NaN, each data set's median replaces its mean, and there is no interval. One seed has no
    interval either.

    Args:
        pairs: (x, y) for each data set, both (n_d,), indexed by seed.
        ratio: whether the effect is a ratio.
    Source: Welch (1947), The generalization of Student's problem, Biometrika 34.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gaps = [np.log(x) - np.log(y) if ratio else x - y for x, y in pairs]
        middle = np.mean if all(np.isfinite(gap).all() for gap in gaps) else np.median
        mean, n = np.mean([middle(gap) for gap in gaps]), min(map(len, gaps))
        half = _half_width(gaps) if n > 1 and middle is np.mean else None
        ends = [mean] if half is None else [mean, mean - half, mean + half]
        ends = [float(end) for end in (np.exp(ends) if ratio else ends)]
    return Interval(*ends, n) if half is not None else Interval(*ends, None, None, n)


def _half_width(gaps: Sequence[np.ndarray]) -> float:
    """Half the width of the interval of E."""
    spread = np.array([gap.var(ddof=1) / len(gap) for gap in gaps])
    if not spread.any():
        return 0.0
    freedom = spread.sum() ** 2 / sum(v**2 / (len(gap) - 1) for v, gap in zip(spread, gaps, strict=True))
    return float(stats.t.ppf(0.975, freedom) * np.sqrt(spread.sum()) / len(gaps))


def improvement(
    metrics: pd.DataFrame, datasets: Sequence[str], methods: Sequence[str], baseline: str = BASELINE
) -> pd.DataFrame:
    """Probability and size of improvement of every method over the baseline, by each of METRICS, across the data sets.

    One row for each method and metric for which method and baseline share a seed on some data set. Columns: method, metric,
    probability, low, high; effect, effect_low, effect_high (a ratio for RATIOS, otherwise a difference; below 1 or 0 means
    that the method's number is smaller; ends are NaN if there is no interval); n (the least number of paired seeds); datasets
    (their number); equal (whether method and baseline were at equal reconstruction and settled in every seed of all data sets;
    exempt methods count as equal). The baseline against itself has probability ½.
    """
    keys = metrics.dropna(subset="seed").groupby(GROUP, sort=False)
    values = {key: rows.set_index("seed")["value"] for key, rows in keys}
    unequal = {dataset: missed(metrics[metrics["dataset"] == dataset]) for dataset in datasets}
    rows = []
    for method in methods:
        equal = not any({method, baseline} & found for found in unequal.values())
        for metric in METRICS:
            pairs = list(filter(None, (_pair(values, dataset, method, baseline, metric) for dataset in datasets)))
            if pairs:
                likely = probability_of_improvement(pairs)
                plain = [(metric.better * x, metric.better * y) for x, y in pairs]
                size = effect(plain, metric.name in RATIOS)
                rows.append((method, metric.name, *likely[:3], *size[:3], likely.n, len(pairs), equal))
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.astype(dict.fromkeys(("low", "high", "effect", "effect_low", "effect_high"), float))


def _pair(values: Mapping[tuple, pd.Series], dataset: str, method: str, baseline: str, metric: Metric) -> Pair | None:
    """Values of method and baseline in the seeds that both have, signed so that larger is better."""
    place = (metric.distance, metric.task, metric.name)
    keys = [(dataset, name, *place) for name in (method, baseline)]
    if any(key not in values for key in keys):
        return None
    both = pd.concat([values[key] for key in keys], axis=1, join="inner").sort_index()
    x, y = metric.better * both.to_numpy(float).T
    return (x, y) if len(x) else None


def table(
    metrics: pd.DataFrame, datasets: Sequence[str], methods: Sequence[str], n_seeds: Trained, baseline: str = BASELINE
) -> pd.DataFrame:
    """`improvement` on each data set and across all, as a table for `flatvae.reporting.tables`.

    Columns: dataset, method, distance (empty), n, then for each metric `m` the columns m, m_low, m_high. `n_seeds` is the
    number of trained seeds, one number or one per data set. Raises InputError if the baseline has no number.
    """
    groups = {dataset: [dataset] for dataset in datasets} | ({ALL: datasets} if len(datasets) > 1 else {})
    found = {group: improvement(metrics, members, methods, baseline) for group, members in groups.items()}
    shown = [metric for metric in METRICS if any(metric.name in set(rows["metric"]) for rows in found.values())]
    if not shown:
        raise InputError(f"comparison: {baseline} has none of the numbers to compare by; run it")
    names = [metric.name for metric in shown]
    rows = [_row(group, method, found[group], names) for group in groups for method in methods]
    higher = ", ".join(metric.name for metric in shown if metric.better == HIGHER) or "none"
    caption = CAPTION.format(baseline=baseline, higher=higher, n_seeds=seeds_text(n_seeds, "trained"))
    made = tables.annotated(pd.DataFrame(rows), metrics, "comparison", n_seeds, caption)
    made.attrs["equal"] |= _over_all(made.attrs["equal"], datasets, methods)
    return made


def write(
    metrics: pd.DataFrame,
    datasets: Sequence[str],
    methods: Sequence[str],
    n_seeds: Trained,
    baseline: str,
    stem: str | PathLike,
) -> None:
    """Write the table, or a sentence that there is nothing to compare with."""
    if improvement(metrics, datasets, methods, baseline).empty:
        tables.write_note(f"There are no numbers of {baseline} to compare with.", stem)
    else:
        tables.write(table(metrics, datasets, methods, n_seeds, baseline), stem)


def _row(group: str, method: str, found: pd.DataFrame, names: Sequence[str]) -> dict:
    own = found[found["method"] == method].set_index("metric")
    row = {"dataset": group, "method": method, "distance": "", "n": int(own["n"].min()) if len(own) else 0}
    cells = own.reindex(names)
    for name in names:
        row |= dict(
            zip((name, f"{name}_low", f"{name}_high"), cells.loc[name, ["probability", "low", "high"]], strict=True)
        )
    return row


def _over_all(equal: Mapping, datasets: Sequence[str], methods: Sequence[str]) -> dict:
    """(seeds at equal reconstruction, all seeds) of each method, summed over the data sets."""
    return {
        (ALL, method): tuple(sum(equal.get((dataset, method), (0, 0))[i] for dataset in datasets) for i in (0, 1))
        for method in methods
    }
