"""What a careful reader of a run must know, in sentences made from its numbers."""

import re
from collections.abc import Iterable, Iterator

import pandas as pd

from flatvae.reporting import controls
from flatvae.reporting.names import display_name
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.tables import FEWER
from flatvae.reporting.trained import seeds_text
from flatvae.reporting.verdicts import MIN_PAIRS, NOT_RUN, NOT_TESTABLE, VERDICTS

ABOVE = 1.2  # a test error that exceeds this multiple of the bound is told
BELOW = {
    "graph_rank_correlation": 0.2,
    "trustworthiness_at_10": 0.05,
}  # a seed this far below its method's median is told
TORN = (
    0.25  # a tangent_speed_cv above it is told: torn curves of the pendulum have 0.3 and more, whole ones 0.1 and less
)
OUTCOME = re.compile(rf" \((?:{'|'.join(VERDICTS)})[^()]*\)")  # the result of a condition, in a note of the ledger


def cautions(folder: RunFolder, missed: list[str]) -> list[str]:
    """The sentences, most important first.

    Args:
        folder: the results folder.
        missed: «pendulum VAE 1 of 5» for every method with seeds that missed equal reconstruction or had not settled.
    """
    found = _broken_controls(folder)
    if any(n < MIN_PAIRS for n in folder.n_seeds.values()):
        few = seeds_text(folder.n_seeds)
        found.append(f"Fewer than {MIN_PAIRS} seeds cannot decide a test; each method has {few}.")
    if missed:
        found.append(f"Seeds missed equal reconstruction or had not settled: {', '.join(missed)}.")
    lost = [
        f"{dataset} {display_name(method)} ({', '.join(seeds)})"
        for (dataset, method), seeds in folder.frozen.items()
        if seeds
    ]
    if lost:
        found.append(f"Seeds became non-finite and are left out ({FEWER}): {', '.join(lost)}.")
    found += [*_test_errors(folder), *_outliers(folder), *_undone(folder)]
    if "+" in folder.manifest.get("commit", ""):
        found.append("The code had uncommitted changes.")
    return found + [f"Figures left out: {line}." for line in _grouped(_left_out(folder))]


def _broken_controls(folder: RunFolder) -> list[str]:
    path = folder.path / "controls.csv"
    sentences = controls.broken(pd.read_csv(path)) if path.is_file() else []
    return [f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}." for sentence in sentences]


def _test_errors(folder: RunFolder) -> list[str]:
    """One sentence on the methods whose test error is well above the bound, which the training error meets."""
    rows = folder.metrics[folder.metrics["task"] == "reconstruction"]
    means = rows.groupby(["dataset", "method", "metric"])["value"].mean()
    parts = []
    for dataset in folder.datasets:
        own = [method for of, method in folder.equal if of == dataset]
        ratios = {}
        for method in own:
            error, bound = (means.get((dataset, method, metric), 0.0) for metric in ("test_error", "bound"))
            if error > ABOVE * bound > 0:
                ratios[method] = error / bound
        if ratios:
            ends = dict.fromkeys(f"{end:.1f}" for end in (min(ratios.values()), max(ratios.values())))
            who = "every method" if len(ratios) == len(own) else ", ".join(map(display_name, ratios))
            parts.append(f"{' to '.join(ends)} times the bound on {dataset} ({who})")
    return [f"The bound is on the training error; the test error is {', '.join(parts)}."] if parts else []


def _outliers(folder: RunFolder) -> Iterator[str]:
    """A sentence on every seed whose latent space is far less faithful to the data than those of the other seeds."""
    speeds = folder.metrics[folder.metrics["metric"] == "tangent_speed_cv"]
    for (dataset, method), own in speeds[speeds["value"] > TORN].groupby(["dataset", "method"], sort=False):
        seeds = ", ".join(f"seed {row.seed} ({row.value:.2f})" for row in own.itertuples())
        yield (
            f"{dataset}, {display_name(method)}: the latent space is torn in {seeds}. There the speed along the true factor "
            f"varies: tangent_speed_cv is above {TORN}."
        )
    rows = folder.metrics[(folder.metrics["task"] == "neighbours") & folder.metrics["metric"].isin(BELOW)]
    rows = rows[~rows["dataset"].isin(speeds["dataset"])]  # where the factor is known, the speed along it tells more
    for (dataset, method, metric), own in rows.groupby(["dataset", "method", "metric"], sort=False):
        median = own["value"].median()
        if (dataset, method) not in folder.trained:
            continue
        for row in own[own["value"] < median - BELOW[metric]].itertuples():
            yield (
                f"{dataset}, {display_name(method)}: seed {row.seed} stands out. Its {metric} is {row.value:.2f}, the median of "
                f"the seeds is {median:.2f}, so its latent space may be torn or folded."
            )


def _undone(folder: RunFolder) -> Iterator[str]:
    """A sentence on every reason why tests have no verdict, with these tests."""
    if folder.ledger is None:
        return
    for verdict in (NOT_TESTABLE, NOT_RUN):
        rows = folder.ledger[folder.ledger["verdict"] == verdict]
        reasons = rows["note"].map(lambda note: OUTCOME.sub("", note).partition("; ")[0])
        for line in _grouped(zip(reasons, rows["dataset"], rows["claim"], strict=True)):
            yield f"{verdict.capitalize()}: {line}."


def _left_out(folder: RunFolder) -> Iterator[tuple[str, str, str]]:
    """(reason, data set, figure) of every figure that could not be drawn."""
    path = folder.path / "figures" / "left_out.md"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if found := re.fullmatch(r"- (.*?), (\w+): (.*)\.", line):
            yield found[3], found[1], found[2]


def _grouped(found: Iterable[tuple[str, str, str]]) -> list[str]:
    """«6a, 6b on digits; 6b on crowd: reason» for every reason, from (reason, data set, name)."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for reason, dataset, name in found:
        reasons.setdefault(reason, {}).setdefault(dataset, []).append(name)
    lines = []
    for reason, datasets in reasons.items():
        places: dict[str, list[str]] = {}
        for dataset, names in datasets.items():
            places.setdefault(", ".join(names), []).append(dataset)
        lines.append("; ".join(f"{names} on {', '.join(where)}" for names, where in places.items()) + f": {reason}")
    return lines
