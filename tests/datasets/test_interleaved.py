"""Blocks that alternate along time: disjoint, apart, complete, in the asked ratio, for recordings of any lengths."""

import itertools

import numpy as np
import pytest

from flatvae.datasets import PARTS
from flatvae.datasets._interleaved import interleaved

BLOCKS = {"train": 360, "validation": 60, "test": 90}


def runs(parts: np.ndarray) -> list[tuple[str, int]]:
    """Name and length of each stretch of equal parts."""
    borders = [0, *(np.flatnonzero(parts[1:] != parts[:-1]) + 1), len(parts)]
    return [(str(parts[a]), b - a) for a, b in itertools.pairwise(borders)]


def test_one_period_by_hand():
    """T + gap = 20 + 2: 22 − 3 · 2 = 16 frames are kept, ⌊16 · 2/8⌋ of them for test, ⌊16 · 1/8⌋ for validation."""
    parts = interleaved(20, {"train": 5, "validation": 1, "test": 2}, 2)
    assert runs(parts) == [("train", 10), ("gap", 2), ("test", 4), ("gap", 2), ("validation", 2)]


def test_two_periods_by_hand():
    """P = 8 + 6 = 14 and (27 + 2) // 14 = 2: the periods begin at 0 and 14, and the second is one frame longer."""
    parts = interleaved(27, {"train": 5, "validation": 1, "test": 2}, 2)
    first = [("train", 5), ("gap", 2), ("test", 2), ("gap", 2), ("validation", 1), ("gap", 2)]
    assert runs(parts) == [*first, ("train", 6), ("gap", 2), ("test", 2), ("gap", 2), ("validation", 1)]


def test_blocks_as_long_as_asked_where_they_fit_exactly():
    parts = interleaved(3 * 690 - 60, BLOCKS, 60)
    period = [("train", 360), ("gap", 60), ("test", 90), ("gap", 60), ("validation", 60), ("gap", 60)]
    assert runs(parts) == (3 * period)[:-1]


def test_parts_of_random_lengths_are_apart_and_complete():
    """Every frame has one part; two parts have more than the gap between them; all frames but the gaps' are kept."""
    random = np.random.default_rng(0)
    for _ in range(300):
        gap = int(random.integers(0, 80))
        blocks = {part: int(random.integers(1, 400)) for part in PARTS}
        length = int(random.integers(2 * gap + 100, 4000))
        parts = interleaved(length, blocks, gap)
        if parts is None:  # one period, of which the largest parts leave nothing for training
            kept = length - 2 * gap
            assert kept < 3 or kept * blocks["train"] < 2 * sum(blocks.values())
            continue
        assert parts.shape == (length,)
        assert set(parts) == {*PARTS, *["gap"] * (gap > 0)}
        at = {part: np.flatnonzero(parts == part) for part in PARTS}
        for part in PARTS:
            for other in set(PARTS) - {part}:
                assert np.abs(at[part][:, None] - at[other]).min() > gap
        periods = max(1, (length + gap) // (sum(blocks.values()) + 3 * gap))
        assert sum(map(len, at.values())) == length - (3 * periods - 1) * gap
        if length + gap >= sum(blocks.values()) + 3 * gap:
            assert all(n >= (gap if name == "gap" else blocks[name]) for name, n in runs(parts))


@pytest.mark.parametrize("gap", [0, 1, 60])
def test_the_shortest_recording_has_a_frame_of_each_part(gap):
    parts = interleaved(2 * gap + 3, BLOCKS, gap)
    assert [n for name, n in runs(parts) if name != "gap"] == [1, 1, 1]
    assert interleaved(2 * gap + 2, BLOCKS, gap) is None
