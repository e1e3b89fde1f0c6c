"""The scale on which each metric is averaged over seeds, linear or logarithmic, the bounds of its values, and why."""

import math
import re
from typing import NamedTuple

ANY, POSITIVE, FROM_ONE = (-math.inf, math.inf), (0.0, math.inf), (1.0, math.inf)
SHARE, CORRELATION, PERCENT, UP_TO_HUNDRED = (0.0, 1.0), (-1.0, 1.0), (0.0, 100.0), (-math.inf, 100.0)


class Scale(NamedTuple):
    """The scale and the bounds of the metrics whose full name matches ``pattern``."""

    pattern: str
    logarithmic: bool
    bounds: tuple[float, float]
    why: str


PLACES = r"(_mixup|_beyond)?"  # at test codes, at mixup points between them, and beyond them

# the first pattern that matches decides
SCALES = (
    Scale(rf"condition_number_(median|q90|active){PLACES}", True, FROM_ONE, "a ratio of eigenvalues; 20 to 777 over ten seeds"),
    Scale(rf"(log_)?mf_std{PLACES}", True, POSITIVE, "a spread, driven by outliers"),
    Scale(rf"metric_deviation(_rms)?{PLACES}", True, POSITIVE, "a distance from flatness; methods differ by decades"),
    Scale(r"tangent_speed_cv|velocity_cv|second_difference", True, POSITIVE, "a spread or a size, compared by ratios"),
    Scale(r"scale|scale_average", True, POSITIVE, "c² has the squared unit of observations over codes, which training chooses"),
    Scale(r"length_ratio_mean", True, SHARE, "a ratio of lengths; no geodesic is longer than the straight line"),
    Scale(r"length_ratio_std|distance_error_median", True, POSITIVE, "the spread of a ratio of lengths, and a relative error"),
    Scale(r"beta", True, POSITIVE, "the multiplier's update multiplies it"),
    Scale(r"nll_standard_error|nll_effective_samples", True, POSITIVE, "a spread, and a number of samples that spans decades"),
    Scale(r".*(_seconds|_ms|_memory_mb|_ratio|_per_second)(_at_\d+)?|ratio", True, POSITIVE, "times, memory, ratios: skewed"),
    Scale(r"equal_reconstruction|settled|frozen", False, SHARE, "0 or 1: their mean is a share"),
    Scale(r"(train|test)_error(_\w+)?|bound", False, POSITIVE, "held at the bound, with symmetric spread"),
    Scale(r"kl", False, POSITIVE, "nats are logarithms already"),
    Scale(r"nll(_\w+)?", False, ANY, "nats are logarithms already, of either sign"),
    Scale(r"knn_accuracy|precision_at_10|true_neighbour_recall_at_10|rank_\d+|mAP", False, SHARE, "a share"),
    Scale(r"trustworthiness_at_10", False, SHARE, "bounded by 1"),
    Scale(r"graph_rank_correlation", False, CORRELATION, "a correlation may be negative"),
    Scale(r"HOTA|MOTP|IDF1\w*|IDP|IDR|CLR_\w+", False, PERCENT, "percent"),
    Scale(r"MOTA", False, UP_TO_HUNDRED, "percent; negative where errors outnumber people"),
    Scale(r"MT|PT|ML|FP|FN|IDSW|Frag|active_dimensions|graph_neighbours|graph_joined_edges", False, POSITIVE, "a count, often 0"),
    Scale(r"graph_excess_mean", False, POSITIVE, "a share that is often 0"),
    Scale(r"exponent", False, ANY, "the slope of logarithms"),
)  # fmt: skip


def scale(metric: str) -> Scale:
    """The scale of a metric; a metric that is not in the table is linear and without bounds."""
    unknown = Scale(".*", False, ANY, "not in the table")
    return next((known for known in SCALES if re.fullmatch(known.pattern, metric)), unknown)


def logarithmic(metric: str) -> bool:
    """Whether a metric is averaged in logarithms."""
    return scale(metric).logarithmic


def bounds(metric: str) -> tuple[float, float]:
    """The least and the greatest value that a metric can have."""
    return scale(metric).bounds
