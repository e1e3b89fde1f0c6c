"""Texts of tables and figures: the order of columns, captions, and the supervision of descriptors."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

from flatvae.reporting.trained import Trained, seeds_on, seeds_text

# the order of the columns; metrics that are not listed follow, and tasks that are not listed keep the order of metrics.csv
TASK_METRICS = {
    "reconstruction": (
        "train_error",
        "test_error",
        "bound",
        "equal_reconstruction",
        "settled",
        "beta",
        "kl",
        "test_error_recordings",
    ),
    "flatness": (
        "condition_number_median",
        "condition_number_q90",
        "metric_deviation",
        "metric_deviation_rms",
        "mf_std",
        "log_mf_std",
        "condition_number_median_mixup",
        "condition_number_q90_mixup",
        "metric_deviation_mixup",
        "metric_deviation_rms_mixup",
        "mf_std_mixup",
        "log_mf_std_mixup",
        "condition_number_median_beyond",
        "condition_number_q90_beyond",
        "metric_deviation_beyond",
        "metric_deviation_rms_beyond",
        "mf_std_beyond",
        "log_mf_std_beyond",
        "active_dimensions",
        "condition_number_active",
        "condition_number_active_mixup",
        "condition_number_active_beyond",
        "tangent_speed_cv",
        "scale",
    ),
    "neighbours": (
        "knn_accuracy",
        "precision_at_10",
        "true_neighbour_recall_at_10",
        "trustworthiness_at_10",
        "graph_rank_correlation",
        "rank_1",
        "rank_5",
        "mAP",
    ),
    "distances": (
        "length_ratio_mean",
        "length_ratio_std",
        "distance_error_median",
        "graph_excess_mean",
        "graph_neighbours",
        "graph_joined_edges",
    ),
    "interpolation": ("second_difference", "velocity_cv"),
    "likelihood": ("nll", "nll_median", "nll_standard_error", "nll_effective_samples"),
    "tracking": (
        "HOTA",
        "MOTA",
        "MOTP",
        "IDF1",
        "IDF1_tracks_low",
        "IDF1_tracks_high",
        "IDP",
        "IDR",
        "CLR_Re",
        "CLR_Pr",
        "MT",
        "PT",
        "ML",
        "FP",
        "FN",
        "IDSW",
        "Frag",
    ),
    "efficiency": (
        "query_seconds",
        "query_ratio",
        "build_seconds",
        "amortised_seconds",
        "graph_query_seconds",
        "graph_query_ratio",
        "graph_build_seconds",
        "graph_amortised_seconds",
        "step_seconds",
        "step_ratio",
        "peak_memory_mb",
    ),
    "performance": ("first_ms", "second_ms", "ratio"),
    "scaling": ("exponent", "first_ms", "last_ms"),
}

CAPTIONS = {
    "compute": "What the run cost: wall time in seconds of the trainings (all seeds together) and of the evaluations; steps per "
    "second, summed over the seeds; peak memory of these jobs in MB; threads; whether a GPU was used. Jobs that ran at the same "
    "time slow each other; the table efficiency, where there is one, times the steps of the methods side by side.",
    "reconstruction": "Reconstruction error on training and test data, the bound κ² on the training error, how many seeds ended "
    "within 2 % of it (equal_reconstruction) and how many had settled, β, and KL of test data in nats.",
    "flatness": "The pull-back metric at test codes, at mixup points between them and at points beyond them: condition number "
    "(median, 90 % quantile; flat: 1), relative deviation from c² times the identity (median, root mean square; flat: 0), "
    "standard deviation of MF / mean MF and of log MF over n (flat: 0); the number of active dimensions, and the condition "
    "number restricted to them; and the metric's scale c².",
    "neighbours": "Nearest neighbours of test data by each distance. Distance data: Euclidean on raw observations, a control.",
    "tracking": "Tracking people in all test videos together, scored by TrackEval: HOTA to CLR_Pr (recall CLR_Re, precision "
    "CLR_Pr) in percent, then numbers of people mostly, partly and hardly tracked, false positives, misses, identity switches "
    "and fragmentations. Descriptor: whether it was trained with identity labels; none: motion alone. For each descriptor a "
    "threshold decides whether two pictures show the same person; it is chosen on the training videos with their identities.",
    "distances": "Between 100 random pairs of test codes: length of the geodesic over that of the straight line, median relative "
    "error of the scaled Euclidean distance against the geodesic one, and by what share paths on the neighbour graph alone are "
    "longer; then the graph's k and the edges added to connect it.",
    "interpolation": "Straight latent lines between 100 random pairs of test codes, decoded at T points: mean norm of the second "
    "difference times (T − 1)² over the length, and coefficient of variation of the velocity.",
    "likelihood": "−log p(x) of test data by importance sampling in nats (mean and median over the data), its Monte-Carlo "
    "standard error, and the median number of effective samples.",
    "efficiency": "Times in seconds in one process on one thread, for the largest gallery: a query of 10 neighbours, its ratio "
    "to the Euclidean query, the build, and a query with the build spread over as many queries as there are test data (graph: "
    "Dijkstra on the graph of the gallery).",
    "performance": "Milliseconds (CPU: CPU time on one thread; GPU: wall time) of the two calls named under method, measured "
    "alternately in one process, and the ratio of the first to the second.",
    "scaling": "How the cost of a training step of all seeds together, and of metric tensors, grows with the quantity named "
    "under dataset: the exponent p of milliseconds ∝ sizeᵖ over the larger half of the sizes, and milliseconds at the smallest "
    "and the largest size.",
}

# further sentences of a task's caption, each for the metrics that match a pattern: shown only where there are such metrics
FURTHER = {
    "reconstruction": {
        r"test_error_recordings(_.+)?": "test_error_recordings: test error on whole held-out recordings.",
        r"test_error_(?!recordings).+": "test_error_<class>: test error on one class.",
    },
    "flatness": {"tangent_speed_cv": "tangent_speed_cv: variation of speed along the true factor."},
    "neighbours": {
        "knn_accuracy|precision_at_10": "knn_accuracy and precision_at_10: agreement of labels.",
        "true_neighbour_recall_at_10": "true_neighbour_recall_at_10: share found of the 10 nearest by the true factor.",
        "trustworthiness_at_10": "trustworthiness_at_10: whether neighbours in latent space are neighbours in the data.",
        "graph_rank_correlation": "graph_rank_correlation: rank correlation with distances along the data's neighbour graph.",
        "rank_1|rank_5|mAP": "rank_1, rank_5 and mAP: finding the same person among pictures of the same video at least 10 "
        "frames away (geodesic: ranks among the 30 nearest by decoded picture, no mAP).",
    },
    "tracking": {"IDF1_tracks_.+": "IDF1_tracks: 95 % interval of IDF1 over resamples of the people."},
    "efficiency": {
        "step_.+": "step_seconds: a training step per seed, methods timed alternately; step_ratio: over the first method's, the "
        "number to compare methods by.",
        "peak_memory_mb": "peak_memory_mb: of a model's searches.",
    },
}
HIDDEN = ("appearance_threshold_quantile",)  # chosen from a grid, so its mean says nothing; metrics.csv has it
# the supervision of a tracker's descriptor; descriptors that are not listed are unsupervised
SUPERVISION = {"sort": "none", "constant": "none", "supervised": "supervised"}

FIGURE_CAPTIONS = Path(__file__).with_name(
    "figure_captions"
)  # reStructuredText templates; Snakemake's report shows them too


def table_caption(task: str, metrics: Iterable[str]) -> str:
    """The caption of a task's table that has these metrics."""
    further = [
        text
        for pattern, text in FURTHER.get(task, {}).items()
        if any(re.fullmatch(pattern, metric) for metric in metrics)
    ]
    return " ".join([CAPTIONS.get(task, f"Task {task}."), *further])


def figure_caption(figure: str, dataset: str, n_seeds: Trained, baseline: str, figures: Iterable[str]) -> str:
    """The caption of a figure as plain text; empty if it has none.

    Args:
        figure: its name in the registry, such as ``flatness``.
        dataset: the name of its data set; empty for a figure of all data sets.
        n_seeds: the number of trained seeds, one number or one per data set.
        baseline: the method that the others are compared with.
        figures: all figures of the data set; ``equidistance`` is among them if latent space has two dimensions.
    """
    from jinja2 import Template  # only pages and reports need it

    path = FIGURE_CAPTIONS / f"{figure}.rst"
    if not path.is_file():
        return ""
    own = seeds_on(n_seeds, dataset)
    job = SimpleNamespace(
        wildcards=SimpleNamespace(dataset=dataset),
        config={"seeds": own, "datasets": {dataset: {}}, "seeds_text": seeds_text(own if dataset else n_seeds)},
        params=SimpleNamespace(run={"baseline": baseline}, figures=list(figures)),
    )
    text = " ".join(Template(path.read_text(encoding="utf-8")).render(snakemake=job).split())
    text = re.sub(r"`([^`<]+) <[^>]+>`_", r"\1", text)  # keep only the text of a link
    return re.sub(r"\*([^*]+)\*", r"\1", text)
