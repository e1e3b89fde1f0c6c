"""A decoder's geometry: its pull-back metric, lengths of curves, and geodesic distances.

from flatvae.geometry import GeodesicDistance, condition_number, pullback_metric

metric = pullback_metric(model.decode, codes)  # (N, n, n)
condition_number(metric)                       # (N,), 1 where the decoder stretches all directions alike
GeodesicDistance(model.decode, codes).pairwise(codes[:9], codes[:9])
"""

import importlib

from flatvae.geometry.curves import curve_length
from flatvae.geometry.metric import (
    Decoder,
    condition_number,
    condition_number_active,
    jacobian,
    jacobian_columns,
    log_magnification_factor,
    metric_deviation,
    metric_from_columns,
    pullback_metric,
    scale,
)

__all__ = [
    "Decoder",
    "GeodesicDistance",
    "Geodesics",
    "NeighbourIndex",
    "condition_number",
    "condition_number_active",
    "curve_length",
    "jacobian",
    "jacobian_columns",
    "log_magnification_factor",
    "metric_deviation",
    "metric_from_columns",
    "pullback_metric",
    "scale",
]


def __getattr__(name: str):
    """Imports geodesics on first use: they need scikit-learn and scipy, which take a second to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("flatvae.geometry.geodesic"), name)
