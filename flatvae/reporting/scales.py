"""The scale on which each metric is averaged over seeds, linear or logarithmic, and why."""

import re
from typing import NamedTuple


class Scale(NamedTuple):
    """The scale of the metrics whose full name matches ``pattern``."""

    pattern: str
    logarithmic: bool
    why: str


PLACES = r"(_mixup|_beyond)?"  # at test codes, at mixup points between them, and beyond them

# the first pattern that matches decides
SCALES = (
    Scale(rf"condition_number_(median|q90|active){PLACES}", True, "a ratio of eigenvalues, and skewed: 20 to 777 over ten seeds"),
    Scale(rf"(log_)?mf_std{PLACES}", True, "a spread, driven by outliers"),
    Scale(rf"metric_deviation(_rms)?{PLACES}", True, "a distance from flatness; methods differ by decades"),
    Scale(r"tangent_speed_cv|velocity_cv|second_difference", True, "a spread or a size, compared by ratios"),
    Scale(r"scale|scale_average", True, "c² has the unit of squared observations over squared codes, which training chooses"),
    Scale(r"length_ratio_(mean|std)|distance_error_median", True, "a ratio of lengths, its spread, and a relative error"),
    Scale(r"beta", True, "the multiplier's update multiplies it"),
    Scale(r"nll_standard_error|nll_effective_samples", True, "a spread, and a number of samples that spans decades"),
    Scale(r".*(_seconds|_ms|_memory_mb|_ratio|_per_second)(_at_\d+)?|ratio", True, "times, memory, ratios: skewed"),
    Scale(r"equal_reconstruction|settled|frozen", False, "0 or 1: their mean is a share"),
    Scale(r"(train|test)_error(_\w+)?|bound", False, "held at the bound, with symmetric spread"),
    Scale(r"kl|nll(_\w+)?", False, "nats are logarithms already; likelihoods may have any sign"),
    Scale(r"knn_accuracy|precision_at_10|true_neighbour_recall_at_10|rank_\d+|mAP", False, "a share between 0 and 1"),
    Scale(r"trustworthiness_at_10|graph_rank_correlation", False, "bounded by 1, and the correlation may be negative"),
    Scale(r"HOTA|MOTA|MOTP|IDF1\w*|IDP|IDR|CLR_\w+", False, "percent"),
    Scale(r"MT|PT|ML|FP|FN|IDSW|Frag|active_dimensions|graph_neighbours|graph_joined_edges", False, "a count, often 0"),
    Scale(r"graph_excess_mean", False, "a share that is often 0"),
    Scale(r"exponent", False, "the slope of logarithms"),
)  # fmt: skip


def logarithmic(metric: str) -> bool:
    """Whether a metric is averaged in logarithms; False for metrics that are not in the table."""
    return next((scale.logarithmic for scale in SCALES if re.fullmatch(scale.pattern, metric)), False)
