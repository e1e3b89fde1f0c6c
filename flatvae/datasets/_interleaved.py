"""Splits recordings into blocks that alternate along time, with gaps between them."""

import itertools

import numpy as np

from flatvae.datasets import PARTS

LEFT_OUT = "gap"
_ORDER = ("train", "test", "validation")  # of the blocks in a period


def interleaved(length: int, blocks: dict[str, int], gap: int) -> np.ndarray | None:
    """The part of each of T frames, with at least ``gap`` frames left out between frames of different parts.

    Time is divided into periods of equal length. Each has a block of train, one of test and one of validation, and a gap
    after each block. With b the lengths in ``blocks``::

        P = b_train + b_test + b_validation + 3 gap
        m = max(1, ⌊(T + gap) / P⌋)                    periods; number i is [⌊i (T + gap) / m⌋, ⌊(i + 1) (T + gap) / m⌋)
        k = (length of the period) − 3 gap             frames of it that are kept
        n_test = max(1, ⌊k b_test / Σ b⌋),  n_validation alike,  n_train = k − n_test − n_validation

    So blocks are at least as long as ``blocks`` asks, except where T + gap < P: then there is one period with shorter
    blocks. The gap after the last block lies beyond the end.

    Args:
        length: T ≥ 1.
        blocks: least frames in a block of each part, ≥ 1.
        gap: frames left out between two blocks, ≥ 0.

    Returns:
        (T,) of "train", "test", "validation" and "gap", or None where T is too small for one frame of each part.
    """
    whole = sum(blocks[part] for part in PARTS)
    periods = max(1, (length + gap) // (whole + 3 * gap))
    starts = [i * (length + gap) // periods for i in range(periods + 1)]
    found = [_period(stop - start, blocks, gap) for start, stop in itertools.pairwise(starts)]
    if any(period is None for period in found):
        return None
    return np.concatenate(found)[:length]


def _period(length: int, blocks: dict[str, int], gap: int) -> np.ndarray | None:
    kept, whole = length - 3 * gap, sum(blocks[part] for part in PARTS)
    sizes = {part: max(1, kept * blocks[part] // whole) for part in ("test", "validation")}
    sizes["train"] = kept - sum(sizes.values())
    if sizes["train"] < 1:
        return None
    return np.repeat(
        [label for part in _ORDER for label in (part, LEFT_OUT)], [n for p in _ORDER for n in (sizes[p], gap)]
    )
