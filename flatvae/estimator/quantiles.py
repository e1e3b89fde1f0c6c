"""The type of ``FlatVAE``'s attribute ``condition_number_``."""

from typing import NamedTuple


class Quantiles(NamedTuple):
    """Median and 90 % quantile of the condition number over codes."""

    median: float
    q90: float
