"""A pair of numbers that ``FlatVAE`` has as an attribute."""

from typing import NamedTuple


class Quantiles(NamedTuple):
    """Of the condition number over codes."""

    median: float
    q90: float
