"""The benchmark's rules on boxes whose overlap is known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_video import detections, ground_truth

from flatvae.datasets import _benchmark
from flatvae.datasets._boxes import DETECTIONS, GROUND_TRUTH


def test_pedestrians_with_the_flag_count():
    kinds = ground_truth([(1, i, 1, 1, 2, 2, flag, kind, 1) for i, (flag, kind) in enumerate([(1, 1), (0, 1), (1, 7)])])
    assert _benchmark.counted(kinds).tolist() == [True, False, False]
    of_2015 = ground_truth([(1, i, 1, 1, 2, 2, flag, -1, -1, -1) for i, flag in enumerate([1, 0])])
    assert _benchmark.counted(of_2015).tolist() == [True, False]


def test_intersection_over_union_of_known_boxes():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 2, 1], [5, 5, 6, 6]], dtype=float)
    assert _benchmark.iou(boxes[:1], boxes) == pytest.approx([1, 1 / 7, 0, 0.5, 0])


def test_detections_of_distractors_are_taken_away():
    kinds = [1, 2, 3, 7, 8, 12, 9]
    truth = ground_truth([(1, i, 100 * i, 1, 20, 40, int(k == 1), k, 1) for i, k in enumerate(kinds)])
    on_them = detections([(1, -1, 100 * i, 5, 20, 40, 0.9) for i in range(len(kinds))])
    kept = _benchmark.without_distractors(on_them, truth)
    assert kept.tolist() == [kind in (1, 3, 9) for kind in kinds]
    # too far off to be of the distractor, in another frame, and in MOT15, which knows none
    assert _benchmark.without_distractors(on_them.assign(top=20), truth).all()
    assert _benchmark.without_distractors(on_them.assign(frame=2), truth).all()
    of_2015 = ground_truth([(1, i, 100 * i, 1, 20, 40, 1, -1, -1, -1) for i in range(len(kinds))])
    assert _benchmark.without_distractors(on_them, of_2015).all()


small = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(3, 8), st.integers(3, 8)), max_size=4)


@settings(max_examples=80)
@given(st.lists(st.tuples(small, small), min_size=1, max_size=2))
def test_match_is_the_best_of_all_assignments(frames):
    """By trying every assignment, with areas counted in unit squares."""
    truth = [(f, i, *b, 1, 1, 1) for f, (_, boxes) in enumerate(frames, 1) for i, b in enumerate(boxes)]
    seen = [(f, -1, *b, 1) for f, (boxes, _) in enumerate(frames, 1) for b in boxes]
    truth, seen = (pd.DataFrame(r, columns=c) for r, c in ((truth, GROUND_TRUTH[9]), (seen, DETECTIONS[7])))
    matched = _benchmark.match(seen, truth)

    def squares(row):
        return set(itertools.product(range(row.left, row.left + row.width), range(row.top, row.top + row.height)))

    def overlap(a, b):
        shared = len(squares(a) & squares(b)) / len(squares(a) | squares(b))
        return shared if a.frame == b.frame and shared >= 0.5 else 0.0

    table = [[overlap(a, b) for b in truth.itertuples()] for a in seen.itertuples()]

    def best(at, free):
        if at == len(table):
            return 0.0
        taken = [table[at][j] + best(at + 1, free - {j}) for j in free if table[at][j]]
        return max([best(at + 1, free), *taken])

    chosen = [(i, j) for i, j in enumerate(matched.tolist()) if j >= 0]
    assert len({j for _, j in chosen}) == len(chosen)
    assert all(table[i][j] >= 0.5 for i, j in chosen)
    assert sum(table[i][j] for i, j in chosen) == pytest.approx(best(0, frozenset(range(len(truth)))))
