"""Scores of tracks by TrackEval, the benchmark's official evaluation (Luiten et al., IJCV 2021).

TrackEval's own code applies the benchmark's rules: the tables are written as files and read by its data set class. This class
removes boxes on distractors and boxes that do not count (MOT16/17; in MOT15 boxes with flag 0 do not count).
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from torch import Tensor, randint
from trackeval.datasets import MotChallenge2DBox
from trackeval.metrics import CLEAR, HOTA, Identity

from flatvae.datasets._benchmark import SAME
from flatvae.datasets._boxes import BOX, check_boxes, write_boxes
from flatvae.datasets._motchallenge import Sequence
from flatvae.evaluation import generator

COMBINED = "COMBINED_SEQ"  # TrackEval's name for all sequences together
_PERCENT = ("HOTA", "MOTA", "MOTP", "IDF1", "IDP", "IDR", "CLR_Re", "CLR_Pr")
_COUNTS = {"MT": "MT", "PT": "PT", "ML": "ML", "CLR_FP": "FP", "CLR_FN": "FN", "IDSW": "IDSW", "Frag": "Frag"}
_RESAMPLES = 1000
_QUANTILES = 0.025, 0.975
_QUIET = {"PRINT_CONFIG": False}


def prepared(sequence: Sequence, tracks: pd.DataFrame) -> dict:
    """TrackEval's data of a sequence: identities and overlaps of each frame, after the benchmark's preprocessing.

    Args:
        sequence: with ground truth.
        tracks: a table with the columns frame, identity (0 or more, once in a frame), left, top, width, height.

    Raises InputError for a box that no camera gives, as the reader of files does.
    """
    name = sequence.name
    for kind, table in (("ground truth", sequence.ground_truth), ("tracks", tracks)):
        check_boxes(table, lambda at, kind=kind: f"tracking: row {at} of the {kind} of {name}")
    results = tracks[["frame", "identity", *BOX]].assign(confidence=1)
    with tempfile.TemporaryDirectory() as scratch:
        write_boxes(Path(scratch) / "truth" / name / "gt" / "gt.txt", sequence.ground_truth)
        write_boxes(Path(scratch) / "tracks" / "ours" / "data" / f"{name}.txt", results)
        settings = {
            "GT_FOLDER": f"{scratch}/truth",
            "TRACKERS_FOLDER": f"{scratch}/tracks",
            "TRACKERS_TO_EVAL": ["ours"],
            "BENCHMARK": "MOT17" if "class" in sequence.ground_truth else "MOT15",
            "SEQ_INFO": {name: sequence.length},
            "SKIP_SPLIT_FOL": True,
        }
        benchmark = MotChallenge2DBox(settings | _QUIET)
        return benchmark.get_preprocessed_seq_data(benchmark.get_raw_seq_data("ours", name), "pedestrian")


def scores(data: Mapping[str, dict]) -> dict[str, dict[str, float]]:
    """TrackEval's scores of each sequence, and of all together.

    In percent: HOTA (mean over the least overlaps of a match 0.05, 0.10, … 0.95), MOTA, MOTP (mean overlap of matches), IDF1,
    IDP, IDR, CLR_Re (recall), CLR_Pr (precision). Counts: MT, PT, ML (tracks found for more than 80 % of their boxes, for 20 to
    80 %, for less), FP and FN (TrackEval's CLR_FP and CLR_FN: boxes), IDSW, Frag.

    Args:
        data: the results of prepared(), by sequence name.

    Returns:
        the scores by name, for each sequence name and COMBINED.
    """
    found: dict[str, dict[str, float]] = {}
    for metric in (HOTA(), CLEAR(dict(_QUIET)), Identity(dict(_QUIET))):
        each = {name: metric.eval_sequence(one) for name, one in data.items()}
        for name, result in (each | {COMBINED: metric.combine_sequences(each)}).items():
            values = found.setdefault(name, {})
            values |= {score: 100 * float(np.mean(result[score])) for score in _PERCENT if score in result}
            values |= {ours: float(result[theirs]) for theirs, ours in _COUNTS.items() if theirs in result}
    return found


def idf1(data: Mapping[str, dict]) -> float:
    """TrackEval's IDF1 of all sequences together, in percent."""
    metric = Identity(dict(_QUIET))
    return 100 * float(metric.combine_sequences({n: metric.eval_sequence(one) for n, one in data.items()})["IDF1"])


def resampled_idf1(data: Mapping[str, dict], rows: Tensor) -> np.ndarray:
    """IDF1 in percent for resampled people, drawn from the ground-truth tracks i of all sequences.

        IDF1(w) = 100 · 2 Σ w_i t_i / (Σ w_i (n_i + p_i) + q)

    - w_i is how often track i is drawn.
    - t_i = IDTP of the track: its boxes that its matched track finds. The matching is TrackEval's, one to one within a sequence,
      with the largest Σ t_i; it is the same for all w.
    - n_i is the number of its boxes.
    - p_i is the number of the tracker's boxes assigned to it. A box is assigned to the ground-truth track matched with its own
      track if they overlap by half or more; else to the track that it overlaps most, by half or more; else to nobody.
    - q is the number of the tracker's boxes assigned to nobody, which are not resampled.

    With all w_i = 1 this is TrackEval's IDF1, because Σ p_i + q is the number of the tracker's boxes.

    Args:
        data: as in scores(), with at least one ground-truth track.
        rows: numbers of the drawn tracks, (..., T); tracks are numbered consecutively over all sequences.

    Returns:
        (...).
    """
    counts, of_nobody = zip(*map(_of_tracks, data.values()), strict=True)
    drawn = np.concatenate(counts)[rows.numpy()].sum(-2)  # (..., 3): t, n, p
    return 100 * (2 * drawn[..., 0] / (drawn[..., 1] + drawn[..., 2] + sum(of_nobody)))


def idf1_interval(data: Mapping[str, dict]) -> tuple[float, float]:
    """2.5 % and 97.5 % quantiles of IDF1 over 1,000 resamples of the ground-truth tracks, see resampled_idf1().

    Each resample draws as many tracks as there are, with replacement; the draws are the same for every tracker.
    """
    tracks = sum(one["num_gt_ids"] for one in data.values())
    rows = randint(tracks, (_RESAMPLES, tracks), generator=generator())
    low, high = np.quantile(resampled_idf1(data, rows), _QUANTILES)
    return float(low), float(high)


def _of_tracks(one: dict) -> tuple[np.ndarray, int]:
    """t, n and p of each ground-truth track of a sequence (T, 3), and q."""
    together = np.zeros((one["num_gt_ids"], one["num_tracker_ids"]))  # frames in which two tracks overlap
    for people, found, overlap in _frames(one):
        rows, columns = (overlap >= SAME).nonzero()
        together[people[rows], found[columns]] += 1
    own, theirs = linear_sum_assignment(-together)
    partner = np.full(one["num_tracker_ids"], -1)
    partner[theirs] = own
    counts = np.zeros((one["num_gt_ids"], 3))
    counts[own, 0] = together[own, theirs]
    for people, found, overlap in _frames(one):
        counts[people, 1] += 1
        if len(people):
            claim = np.where(
                overlap >= SAME, overlap + (people[:, None] == partner[found]), 0
            )  # a partner's is greatest
            np.add.at(counts[:, 2], people[claim.argmax(0)], claim.max(0) > 0)
    return counts, one["num_tracker_dets"] - int(counts[:, 2].sum())


def _frames(one: dict) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Ground-truth identities (m,), the tracker's (n,) and overlaps (m, n) of each frame."""
    return zip(one["gt_ids"], one["tracker_ids"], one["similarity_scores"], strict=True)
