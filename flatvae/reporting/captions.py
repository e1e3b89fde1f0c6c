"""What tables and figures show: columns in their order, captions, and what a descriptor was made with."""

import re
from pathlib import Path
from types import SimpleNamespace

# the order of the columns; a metric that is not here comes after these, a task that is not here as metrics.csv has it
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
    "compute": "What the run cost: wall time of the trainings, all seeds together, and of the evaluations, in seconds; steps a "
    "second, summed over the seeds; the most memory any of these jobs took, in MB; threads, and whether on a GPU.",
    "reconstruction": "Reconstruction error on training and test data, the bound κ², how many seeds ended within 2 % of it "
    "(equal_reconstruction) and how many had settled, β, and KL in nats; then the test error on recordings held out whole "
    "(test_error_recordings) and the test errors of each class, where classes have names.",
    "flatness": "The pull-back metric at test codes, at mixup points of them and beyond them: condition number (median, 90 % "
    "quantile; 1 where flat), relative deviation from c² times the identity (median, root mean square; 0 where flat), standard "
    "deviation of MF / mean MF and of log MF over n (0 where flat); the dimensions in use, and the condition number in these; "
    "the variation of the speed along the true factor; and the metric's scale c².",
    "neighbours": "Nearest neighbours by each distance: k-NN label accuracy, precision at 10 and recall of the 10 true "
    "neighbours where a true factor is known; without labels trustworthiness, and rank correlation with distances along the "
    "data's neighbour graph; of people in videos rank-1, rank-5 and mAP among pictures of the same video 10 or more frames away "
    "(geodesic: ranks among the 30 nearest by decoded picture, no mAP). Distance data: Euclidean on raw "
    "observations, a control.",
    "tracking": "Tracking people in the test videos, all together, by TrackEval: HOTA to CLR_Pr (recall CLR_Re, precision "
    "CLR_Pr) in percent, then numbers of people mostly, partly and hardly tracked, false positives, misses, identity switches "
    "and fragmentations. IDF1_tracks: 95 % interval of IDF1 over resamples of the people. Descriptor: whether identity labels "
    "were used to make it; none: motion alone. The distance from which on two pictures are of two people is chosen for each "
    "descriptor on the training videos, with their identities.",
    "distances": "Between 100 random pairs of test codes: length of the geodesic over that of the straight line, median relative "
    "error of the scaled Euclidean distance against it, and by what share the neighbour graph alone is longer, with its k "
    "and the edges that had to join it.",
    "interpolation": "Straight latent lines between 100 random pairs of test codes, decoded: mean norm of the second difference, "
    "times (T − 1)² for T points, over the length, and coefficient of variation of the velocity.",
    "likelihood": "−log p(x) of test data by importance sampling in nats (mean and median over the data), its Monte-Carlo "
    "standard error, and the median number of effective samples.",
    "efficiency": "Seconds, in one process on one thread, with the largest gallery: per query of 10 neighbours, over the "
    "Euclidean query, to build, and with the building spread over as many queries as there are test data (graph: Dijkstra on "
    "the graph of the gallery); a training step per seed, and over the first method's; the most memory that a model's "
    "searches took, in MB.",
    "performance": "Milliseconds (on a CPU of CPU time on one thread, on a GPU of wall time) of the two calls that stand under "
    "method, measured alternately in one process, and the first over the second.",
    "scaling": "How the cost of a training step of all seeds together, and of metric tensors, grows with what stands under "
    "dataset: the exponent p of milliseconds ∝ sizeᵖ at the larger half of the sizes, and milliseconds at the smallest and the "
    "largest.",
}

HIDDEN = ("appearance_threshold_quantile",)  # a choice from a grid, of which a mean says nothing; metrics.csv has it
# what a tracker's descriptor was made with; every other is unsupervised
SUPERVISION = {"sort": "none", "constant": "none", "supervised": "supervised"}

FIGURE_CAPTIONS = Path(__file__).with_name(
    "figure_captions"
)  # reStructuredText templates, which Snakemake's report shows too


def figure_caption(figure: str, dataset: str, n_seeds: int, baseline: str) -> str:
    """The caption of a figure as plain text; empty for a figure without one.

    Args:
        figure: its name in the registry, as ``flatness``.
        dataset: its data set's name; empty for a figure of all data sets.
        n_seeds: of the run.
        baseline: the method that others are compared with.
    """
    from jinja2 import Template  # only pages and reports need it

    path = FIGURE_CAPTIONS / f"{figure}.rst"
    if not path.is_file():
        return ""
    job = SimpleNamespace(
        wildcards=SimpleNamespace(dataset=dataset),
        config={"seeds": n_seeds},
        params=SimpleNamespace(run={"baseline": baseline}),
    )
    text = " ".join(Template(path.read_text(encoding="utf-8")).render(snakemake=job).split())
    text = re.sub(r"`([^`<]+) <[^>]+>`_", r"\1", text)  # a link's text alone
    return re.sub(r"\*([^*]+)\*", r"\1", text)
