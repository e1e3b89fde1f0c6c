"""The meaning of each metric and which direction is better: one table for the documentation, the HTML page and the report.

``python -m flatvae.reporting.glossary docs/metrics.md`` writes the tables between that page's markers.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flatvae.errors import InputError
from flatvae.reporting.overview import inserted

LOWER, HIGHER = -1, 1


class Entry(NamedTuple):
    """The definition of a metric.

    Attributes:
        metric: its name in metrics.csv.
        meaning: the formula, or what is counted; `code` in backticks.
        best: the best value, the value of a flat manifold, or how to read the number; «none» if there is nothing to say.
        better: LOWER, HIGHER, or 0 if neither is better.
    """

    metric: str
    meaning: str
    best: str
    better: int = 0


class Section(NamedTuple):
    """The metrics of a task; ``heading`` says what the entries' ``best`` means."""

    heading: str
    entries: tuple[Entry, ...]


GLOSSARY = {
    "reconstruction": Section(
        "how to read it",
        (
            Entry("train_error", "mean C(x, z) of training data, z ~ q(z|x)", "held at `bound` = κ²"),
            Entry("test_error", "mean C(x, z) of test data, one z ~ q(z|x) per datum", "with `bound` = κ²", LOWER),
            Entry("bound", "κ², the bound on the training error", "the same for every method"),
            Entry(
                "equal_reconstruction",
                "1 if |train_error / κ² − 1| ≤ 2 %, else 0",
                "compare a seed only if this and `settled` are 1",
            ),
            Entry(
                "settled",
                "1 if the last fifth of the steps has |mean δ| ≤ 1 %, SD(log β) ≤ log 1.5, and k (active) changes by less "
                "than 5 % from 90 % to 100 % of the steps",
                "if 0, the numbers depend on when training stopped",
            ),
            Entry(
                "beta",
                "β = 1/λ at the end",
                "in (0, 1) the bound is active; at 1 the bound is too wide",
            ),
            Entry(
                "kl",
                "mean log q(z|x) − log p(z) of test data, nats",
                "lower is cheaper; for the hierarchical prior an upper bound",
                LOWER,
            ),
        ),
    ),
    "flatness": Section(
        "flat",
        (
            Entry("condition_number_median", "median of the condition number k(G) = λ_max / λ_min", "1", LOWER),
            Entry("condition_number_q90", "90 % quantile of k(G)", "1", LOWER),
            Entry("condition_number_active", "median k of G restricted to the active dimensions", "1", LOWER),
            Entry(
                "metric_deviation",
                "median of ‖G − c²I‖_F / (c² √n), c² = E[tr G] / n at the codes",
                "0",
                LOWER,
            ),
            Entry("metric_deviation_rms", "root mean square of ‖G − c²I‖_F / (c² √n)", "0", LOWER),
            Entry("mf_std", "SD of MF / mean(MF), where MF = √det G is the magnification factor", "0", LOWER),
            Entry("log_mf_std", "SD of log MF, divided by n", "0", LOWER),
            Entry(
                "tangent_speed_cv",
                "coefficient of variation of |Δf(μ(x(θ)))| / Δθ on a grid of the true factor θ",
                "0",
                LOWER,
            ),
            Entry("scale", "c², the scale of the metric", "none"),
            Entry(
                "active_dimensions",
                "coordinates whose posterior means vary by at least a tenth of the mean posterior variance",
                "none",
            ),
        ),
    ),
    "neighbours": Section(
        "best",
        (
            Entry("knn_accuracy", "accuracy of the majority label of the 5 nearest training codes", "1", HIGHER),
            Entry("precision_at_10", "share of the 10 nearest that have the query's label", "1", HIGHER),
            Entry(
                "true_neighbour_recall_at_10",
                "share of the 10 nearest by the true factor that are among the 10 nearest found",
                "1",
                HIGHER,
            ),
            Entry(
                "trustworthiness_at_10",
                "1 minus a penalty for neighbours in latent space that are not neighbours in the data (Venna & Kaski 2001)",
                "1",
                HIGHER,
            ),
            Entry(
                "graph_rank_correlation",
                "Spearman correlation of latent distance with the shortest path in the data's 10-nearest-neighbour graph",
                "1",
                HIGHER,
            ),
            Entry("graph_rank_pairs_left_out", "pairs without a path, left out of the correlation", "0"),
            Entry("rank_1", "share of queries whose nearest picture at least 10 frames away shows the same person", "1", HIGHER),
            Entry("rank_5", "share of queries with the same person among the 5 nearest such pictures", "1", HIGHER),
            Entry("mAP", "mean average precision of all such pictures of the same person, in the order of distance", "1", HIGHER),
        ),
    ),
    "distances": Section(
        "flat",
        (
            Entry("length_ratio_mean", "mean of d_g / d_s", "1", HIGHER),
            Entry("length_ratio_std", "SD of d_g / d_s", "0", LOWER),
            Entry("distance_error_median", "median of |c d_E − d_g| / d_g, c = median(d_g / d_E)", "0", LOWER),
            Entry(
                "graph_excess_mean", "mean of d_graph / d_g − 1: how much longer the unrefined graph path is", "none"
            ),
            Entry("graph_neighbours", "k of the neighbour graph in which geodesics start", "none"),
            Entry("graph_joined_edges", "edges added to the neighbour graph to connect it", "none"),
        ),
    ),
    "interpolation": Section(
        "best",
        (
            Entry("second_difference", "(T − 1)² · mean ‖f_{k+1} − 2 f_k + f_{k−1}‖ / L", "0", LOWER),
            Entry("velocity_cv", "coefficient of variation of ‖f_{k+1} − f_k‖", "0", LOWER),
        ),
    ),
    "likelihood": Section(
        "how to read it",
        (
            Entry("nll", "mean −log p(x) of test data, nats, by importance sampling", "lower is better", LOWER),
            Entry("nll_median", "median −log p(x) of test data, nats", "robust to a few outlying rows", LOWER),
            Entry("nll_standard_error", "Monte-Carlo standard error of `nll`", "near 0"),
            Entry(
                "nll_effective_samples",
                "median of (Σ w)² / Σ w², where w are the importance weights",
                "if near 1, do not trust `nll`",
            ),
        ),
    ),
    "tracking": Section(
        "best",
        (
            Entry("HOTA", "geometric mean of detection and association accuracy, over overlaps, percent", "100", HIGHER),
            Entry("IDF1", "F1 score of identities: harmonic mean of `IDP` and `IDR`, percent", "100", HIGHER),
            Entry("IDP", "precision of identities: share of the tracker's boxes with the right identity, percent", "100", HIGHER),
            Entry("IDR", "recall of identities: share of the true boxes with the right identity, percent", "100", HIGHER),
            Entry("MOTA", "1 − (misses + false positives + identity switches) / boxes, percent", "100", HIGHER),
            Entry("MOTP", "mean overlap of matched boxes, percent", "100", HIGHER),
            Entry("CLR_Re", "recall of detections: share of the true boxes that are found, percent", "100", HIGHER),
            Entry("CLR_Pr", "precision of detections: share of the tracker's boxes that are true, percent", "100", HIGHER),
            Entry("MT", "people tracked for at least 80 % of their frames", "all", HIGHER),
            Entry("PT", "people tracked for 20 to 80 % of their frames", "none"),
            Entry("ML", "people tracked for less than 20 % of their frames", "0", LOWER),
            Entry("FP", "false positives: the tracker's boxes without a person", "0", LOWER),
            Entry("FN", "misses: true boxes that the tracker did not find", "0", LOWER),
            Entry("IDSW", "identity switches: how often a person gets another identity", "0", LOWER),
            Entry("Frag", "how often a person's track is interrupted", "0", LOWER),
            Entry("IDF1_tracks_low", "lower end of the 95 % interval of IDF1 over resamples of the people", "none"),
            Entry("IDF1_tracks_high", "upper end of the 95 % interval of IDF1 over resamples of the people", "none"),
        ),
    ),
    "efficiency": Section(
        "how to read it",
        (
            Entry("query_seconds", "seconds per query of 10 neighbours in the largest gallery", "lower is faster", LOWER),
            Entry("query_ratio", "time per query over that of the Euclidean query", "lower is faster", LOWER),
            Entry("build_seconds", "seconds to prepare the gallery", "lower is faster", LOWER),
            Entry(
                "amortised_seconds",
                "seconds per query with the build spread over as many queries as there are test data",
                "lower is faster",
                LOWER,
            ),
            Entry(
                "graph_query_seconds",
                "seconds per query by Dijkstra's search on the neighbour graph alone",
                "lower is faster",
                LOWER,
            ),
            Entry(
                "graph_query_ratio",
                "time per query by Dijkstra's search over that of the Euclidean query",
                "lower is faster",
                LOWER,
            ),
            Entry("graph_build_seconds", "seconds to build the neighbour graph for Dijkstra's search", "lower is faster", LOWER),
            Entry(
                "graph_amortised_seconds",
                "seconds per query by Dijkstra's search with the build spread over as many queries as there are test data",
                "lower is faster",
                LOWER,
            ),
            Entry(
                "step_seconds",
                "seconds of a training step per seed, methods timed alternately in one process on one thread",
                "lower is faster",
                LOWER,
            ),
            Entry(
                "step_ratio",
                "`step_seconds` over that of the first method, both from the same alternation",
                "lower is faster; to compare methods, trust it and not `train_seconds`: load slows both of its sides alike",
                LOWER,
            ),
            Entry(
                "peak_memory_mb",
                "peak memory, MB: of a training or evaluation job (`compute`), of a model's searches (`efficiency`)",
                "lower is cheaper",
                LOWER,
            ),
        ),
    ),
    "compute": Section(
        "how to read it",
        (
            Entry(
                "train_seconds",
                "wall time of the training job, all seeds together, with loading",
                "lower is cheaper; other jobs on the machine lengthen it, so compare methods by `step_ratio`",
                LOWER,
            ),
            Entry("evaluation_seconds", "wall time of the evaluations, loading excluded", "lower is cheaper", LOWER),
            Entry(
                "steps_per_second",
                "training steps of all seeds over `train_seconds`",
                "higher is faster; as uncertain as `train_seconds`",
                HIGHER,
            ),
            Entry("threads", "threads of the training job", "none"),
            Entry("gpu", "1 if a GPU trained the method, else 0", "none"),
            Entry("gpu_memory_mb", "peak memory of the training on the GPU, MB", "none"),
        ),
    ),
}  # fmt: skip

NOTATION = (
    "f is the decoder's mean, J its Jacobian, G = JᵀJ the pull-back metric, c² its scale, n the latent dimension, q(z|x) the "
    "encoder, C(x, z) the reconstruction error, κ² its bound and δ = (C − κ²) / κ². Between two codes, d_g is the decoded length "
    "of the geodesic, d_s that of the straight latent line, and d_E the latent Euclidean distance. f_k are the points of a "
    "decoded straight line and L is its length."
)
PLACES = {"_mixup": "at mixup points between the codes", "_beyond": "beyond the codes"}
VARIANTS = {  # names of further metrics: pattern -> (the metric with the definition, how this one differs)
    r"test_error_recordings": ("test_error", "on whole held-out recordings"),
    r"test_error_(\w+)": ("test_error", "of the class {}"),
    r"nll_(\w+)": ("nll", "of the class {}"),
}


class Definition(NamedTuple):
    """The definition of one metric: `meaning`, `heading`, `best` and `better` of its entry."""

    metric: str
    meaning: str
    heading: str
    best: str
    better: int


_ENTRIES = {entry.metric: (section.heading, entry) for section in GLOSSARY.values() for entry in section.entries}


def define(metric: str) -> Definition | None:
    """The definition of a metric by its name in metrics.csv; None if it is not in the table."""
    found, where = _looked_up(metric)
    if found is None:
        return None
    heading, entry = _ENTRIES[found]
    return Definition(metric, ", ".join(filter(None, (entry.meaning, where))), heading, entry.best, entry.better)


def better(metric: str) -> int:
    """LOWER, HIGHER, or 0 if neither is better or the metric is unknown."""
    found = define(metric)
    return found.better if found else 0


def _looked_up(metric: str) -> tuple[str | None, str]:
    """The metric whose entry defines this one, and how this one differs from it."""
    if metric in _ENTRIES:
        return metric, ""
    for suffix, where in PLACES.items():
        if metric.removesuffix(suffix) in _ENTRIES:
            return metric.removesuffix(suffix), where
    for pattern, (base, where) in VARIANTS.items():
        if found := re.fullmatch(pattern, metric):
            return base, where.format(*found.groups())
    return None, ""


# -------------------------------------------------------------------------------------------------------------- as Markdown


def to_markdown(task: str) -> str:
    """The metrics of a task as a Markdown table."""
    section = GLOSSARY[task]
    rows = [["metric", "meaning", section.heading], ["---"] * 3]
    for entry in section.entries:
        rows.append([f"`{entry.metric}`", entry.meaning, entry.best])
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)


def with_tables(page: str) -> str:
    """A page with every task's table between its markers, ``<!-- flatness:begin -->`` and ``<!-- flatness:end -->``.

    Raises:
        InputError: the page lacks a marker.
    """
    for task in GLOSSARY:
        page = inserted(page, f"\n{to_markdown(task)}\n", f"<!-- {task}:begin -->", f"<!-- {task}:end -->")
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables of metrics between the markers of a page."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.reporting.glossary", description=main.__doc__)
    parser.add_argument("page", type=Path, help="a Markdown file with the markers")
    page = parser.parse_args(arguments).page
    try:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    except (InputError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
