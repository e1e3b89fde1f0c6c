"""Two trackers: detections of a video in, the same detections with identities out.

Both predict each track's next position with a Kalman filter, and match tracks and detections frame by frame with the Hungarian
method. sort() matches by overlap alone. deepsort() first matches confirmed tracks by appearance, the most recently seen first:
the cost is the squared Euclidean distance between a detection's descriptor and the nearest one in the track's gallery, if filter
and threshold allow the match. Then it matches tentative tracks, and tracks seen in the previous frame, by overlap.

Both share the detections (taken()), the least overlap, the age at which an unseen track ends, and the number of detections that
confirm a track. A track is reported in the frames in which it is confirmed and matched. Its box there is the *detection's*, not
the filter's, so that localisation is the same for all.

Sources: Bewley et al. (ICIP 2016), SORT, in the package trackers; Wojke et al. (ICIP 2017), DeepSORT, in deep_sort_realtime. The
DeepSort class of the latter knows the cosine distance only; its Tracker is used without it.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import supervision
from deep_sort_realtime.deep_sort.detection import Detection
from deep_sort_realtime.deep_sort.nn_matching import NearestNeighborDistanceMetric
from deep_sort_realtime.deep_sort.tracker import Tracker
from trackers import SORTTracker

from flatvae.datasets._benchmark import edges
from flatvae.datasets._boxes import BOX, check_boxes

# least confidence of a tracked detection. MOT15's scores have another scale (−0.7 to 120), on which this keeps all but 6 of
# 2,574. Of an SVM's scores, which may be negative, it keeps those that are clearly positive.
LEAST_CONFIDENCE = 0.3
LEAST_OVERLAP = 0.3  # intersection over union of a track's predicted box and a detection
MAX_AGE = 30  # frames without a detection after which a track ends
N_INIT = 3  # detections in successive frames that confirm a track
# entries of a track's gallery. The package enters each descriptor twice, and repeats the last one in every frame in which the
# track is not seen: so the gallery holds the last hundred frames, or 85 frames and a gap of 30.
GALLERY = 200
# deepsort() uses its package's gate of the filter: 95 % of the χ² distribution with four degrees of freedom.


def taken(detections: pd.DataFrame) -> pd.DataFrame:
    """The detections for the trackers: those with confidence LEAST_CONFIDENCE or more; all, if confidences are unknown.

    Order and index are kept.
    """
    return detections if unscored(detections) else detections[detections["confidence"] >= LEAST_CONFIDENCE]


def unscored(detections: pd.DataFrame) -> bool:
    """Whether confidences are unknown: all are the same number ≤ 0, such as the −1 that tools write for «unknown»."""
    confidence = detections["confidence"]
    return bool(confidence.min() == confidence.max() <= 0)


def sort(detections: pd.DataFrame, length: int) -> pd.DataFrame:
    """Tracks by overlap.

    Args:
        detections: a table with the columns frame, left, top, width, height.
        length: number of frames of the video.

    Returns:
        the detections that are in a reported track, in the order of frames, with their index and the columns frame, identity,
        left, top, width, height. Identities are 0 or more.

    Raises InputError for a box that no camera gives, as the reader of files does.
    """
    # the package counts the age in frames of 1/30 s, and still matches a track in the frame in which it ends
    tracker = SORTTracker(
        lost_track_buffer=MAX_AGE - 1,
        frame_rate=30.0,
        track_activation_threshold=0.0,
        minimum_consecutive_frames=N_INIT,
        minimum_iou_threshold=LEAST_OVERLAP,
    )
    boxes, reported = edges(detections), []
    for rows in _frames(detections, length):
        found = tracker.update(supervision.Detections(xyxy=boxes[rows], confidence=np.ones(len(rows))))
        reported += [(row, who) for row, who in zip(rows, found.tracker_id.tolist(), strict=True) if who >= 0]
    return _tracks(detections, reported)


def deepsort(detections: pd.DataFrame, length: int, descriptors: np.ndarray, threshold: float) -> pd.DataFrame:
    """Tracks by the Euclidean distance of descriptors, and by overlap.

    The tracks do not change if descriptors are shifted, rotated, or scaled together with the threshold. This function therefore
    normalises shift and scale: the package squares and subtracts descriptors in float32 and adds constants to the squares.
    If all descriptors are equal and the threshold is 0, a confirmed track gets one of the detections within its gate by their
    order.

    Args:
        detections, length: as in sort().
        descriptors: (N, n), one for each detection.
        threshold: largest distance at which a detection is matched by appearance, ≥ 0, in the descriptors' unit.

    Returns:
        a table as from sort(). Identities are 1 or more. Raises as sort() does.
    """
    unit = threshold or 1.0
    features = (descriptors - descriptors[:1]) / unit
    metric = NearestNeighborDistanceMetric("euclidean", (threshold / unit) ** 2, GALLERY)
    tracker = Tracker(metric, max_iou_distance=1 - LEAST_OVERLAP, max_age=MAX_AGE, n_init=N_INIT)
    boxes, reported = detections[list(BOX)].to_numpy(), []
    for rows in _frames(detections, length):
        tracker.predict()
        tracker.update([Detection(boxes[row], 1.0, features[row], others=row) for row in rows])
        matched = [track for track in tracker.tracks if track.is_confirmed() and track.time_since_update == 0]
        reported += [(track.others, int(track.track_id)) for track in matched]
    return _tracks(detections, reported)


def _frames(detections: pd.DataFrame, length: int) -> Iterator[np.ndarray]:
    """Positions of the detections of each frame. Raises InputError for a box that no camera gives."""
    check_boxes(detections, lambda at: f"tracking: detection {at}")
    rows_of = detections.groupby("frame").indices
    for frame in range(1, length + 1):
        yield rows_of.get(frame, np.array([], dtype=int))


def _tracks(detections: pd.DataFrame, reported: list[tuple[int, int]]) -> pd.DataFrame:
    """The table of (position, identity) pairs."""
    rows, identities = np.array(reported, dtype=int).reshape(-1, 2).T
    tracks = detections.iloc[rows][["frame", *BOX]]
    tracks.insert(1, "identity", identities)
    return tracks
