"""MOTChallenge's rules: which boxes count, and which person a detection shows.

- Boxes with flag 0, or in MOT16/17 a class other than 1 (pedestrian), do not count: a tracker need not find them. See
  counted().
- Classes in DISTRACTORS (MOT16/17) look like pedestrians, so their detections are removed before anything is counted. See
  without_distractors(). MOT15 has none.
- Visibility (MOT16/17) is the share of a box that is neither hidden nor outside the image. The benchmark counts a
  pedestrian at any visibility, even one whose box lies outside the image, so the tables keep all of them.

Sources: Leal-Taixé et al. (2015), Milan et al. (2016), MOTChallenge; the rules are those of its evaluation, TrackEval.
"""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from flatvae.datasets._boxes import BOX

PEDESTRIAN = 1
DISTRACTORS = {2: "person on a vehicle", 7: "static person", 8: "distractor", 12: "reflection"}
SAME = 0.5  # least intersection over union of two boxes that the benchmark takes for one object


def counted(ground_truth: pd.DataFrame) -> pd.Series:
    """Which rows (N,) of a ground truth are pedestrians that count, bool."""
    found = ground_truth["flag"] == 1
    return found & (ground_truth["class"] == PEDESTRIAN) if "class" in ground_truth else found


def without_distractors(detections: pd.DataFrame, ground_truth: pd.DataFrame) -> pd.Series:
    """Which rows (N,) of the detections the benchmark keeps, bool: those that match no distractor."""
    if "class" not in ground_truth:
        return pd.Series(True, index=detections.index)
    matched = match(detections, ground_truth)
    of_match = ground_truth["class"].to_numpy()[matched]
    return pd.Series((matched < 0) | ~np.isin(of_match, list(DISTRACTORS)), index=detections.index)


def match(detections: pd.DataFrame, ground_truth: pd.DataFrame) -> np.ndarray:
    """Match detections with the ground truth: the row of each detection's match, (N,) int64, −1 for none.

    In each frame the assignment maximises the summed intersection over union, among pairs of at least SAME.
    """
    matched = np.full(len(detections), -1)
    truth_of = ground_truth.groupby("frame").indices  # positions of each frame's rows
    for frame, rows in detections.groupby("frame").indices.items():
        if frame in truth_of:
            others = truth_of[frame]
            overlap = iou(edges(detections.iloc[rows])[:, None], edges(ground_truth.iloc[others])[None])  # (n, m)
            overlap[overlap < SAME - np.finfo(float).eps] = 0
            chosen, theirs = linear_sum_assignment(-overlap)
            real = overlap[chosen, theirs] > 0
            matched[rows[chosen[real]]] = others[theirs[real]]
    return matched


def overlapping(boxes: pd.DataFrame, others: pd.DataFrame, least: float) -> np.ndarray:
    """Which boxes (N,) overlap one of the others in the same frame: intersection over union ≥ ``least``."""
    boxes, others = boxes.reset_index(drop=True), others.reset_index(drop=True)
    pairs = boxes.reset_index()[["index", "frame"]].merge(others.reset_index()[["index", "frame"]], on="frame")
    overlap = iou(edges(boxes)[pairs["index_x"]], edges(others)[pairs["index_y"]])
    return boxes.index.isin(pairs["index_x"][overlap >= least])


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4) and (..., 4), each left, top, right, bottom; shapes broadcast."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)


def edges(table: pd.DataFrame) -> np.ndarray:
    """Left, top, right, bottom (N, 4) of a table's boxes."""
    boxes = table[list(BOX)].to_numpy(dtype=np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
