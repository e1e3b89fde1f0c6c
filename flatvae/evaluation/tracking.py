"""Task ``tracking``: how much a descriptor helps a tracker of people in videos.

A video's public detections with confidence 0.3 or more (all, if every confidence is the same number ≤ 0 and so unknown) are
described, one picture each, and tracked by DeepSORT. The Euclidean distance of descriptors decides who is who. The gates are the
same for all descriptors; see _trackers.py.

Only one choice depends on the descriptor: the largest distance at which two pictures may show the same person. One rule makes it
for all. The candidates are fixed quantiles (QUANTILES) of the descriptor's distances between detections in different frames of a
training video. The candidate with the largest IDF1 over all training videos is chosen; among equals, the smallest. So the
descriptor's unit, origin and orientation do not matter.

Metrics, for all test videos together and, if there are several, also for each as ``HOTA/<sequence>``: in percent ``HOTA``,
``MOTA``, ``MOTP``, ``IDF1``, ``IDP``, ``IDR``, ``CLR_Re`` (recall), ``CLR_Pr`` (precision); counts ``MT``, ``PT``, ``ML``,
``FP``, ``FN``, ``IDSW``, ``Frag``; all by TrackEval. ``IDF1_tracks_low`` and ``IDF1_tracks_high`` are 2.5 % and 97.5 % quantiles
over resamples of the people in the test videos. ``appearance_threshold_quantile`` is the chosen quantile.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from flatvae.datasets._benchmark import counted, match
from flatvae.datasets._boxes import BOX
from flatvae.datasets._motchallenge import Sequence, missing_frames
from flatvae.errors import InputError
from flatvae.evaluation import Result, encode, random_pairs

try:
    from flatvae.evaluation import _trackers, _trackeval
except ModuleNotFoundError as error:
    package = error.name.partition(".")[0]
    found = f"tracking needs the package {package}, which is not installed"
    raise InputError(f"{found}; run: pip install 'flatvae[tracking]'.") from error

QUANTILES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_PAIRS = 20_000  # pairs of a training video's detections, for the quantiles
_FRAMES = 64  # frames whose pictures are described together
_NOBODY = -1


class _Video(NamedTuple):
    """A video with its tracked detections, indexed 0, 1, …, and their descriptors (N, n)."""

    sequence: Sequence
    detections: pd.DataFrame
    descriptors: np.ndarray


def evaluate(model, dataset) -> Result:
    """Tracking with a trained model's posterior means; see track()."""
    return track(lambda pictures: encode(model, pictures), dataset)


def track(describe: Callable[[Tensor], Tensor], dataset) -> Result:
    """Tracking with a descriptor of pictures.

    Args:
        describe: pictures (N, D) in the data set's form -> descriptors (N, n).
        dataset: a ``Dataset`` of videos.

    Returns:
        the metrics; the array ``identities`` (N,), each test detection's track, numbered per video, −1 if no reported track has
        it. Shared arrays of the same detections: ``sequence`` (N,), the video's number; ``frame`` (N,); ``box`` (N, 4) left, top,
        width, height; ``truth`` (N,), the identity of the person that the benchmark matches with the detection, −1 for none. And
        ``sequence_names``.

    Raises:
        InputError: the data set has no videos; a video lacks frames, detections with enough confidence, or people that
            count; a descriptor is not finite.
    """
    parts = _videos(dataset)
    for sequence in (*parts["train"], *parts["test"]):
        _check_frames(sequence)
    train, test = ([_described(describe, sequence, dataset.crops) for sequence in parts[p]] for p in parts)
    quantile, threshold = _choice(train, dataset.name)
    result = _result(parts["test"], [_tracked(video, threshold) for video in test])
    return result._replace(metrics=[*result.metrics, ("", "appearance_threshold_quantile", quantile)])


def sort(dataset) -> Result:
    """The control without appearance: SORT on the same detections; it reads no frames.

    Returns and raises as track() does, without a threshold.
    """
    test = _videos(dataset)["test"]
    return _result(test, [_trackers.sort(_detections(sequence), sequence.length) for sequence in test])


# The videos


def _videos(dataset) -> dict[str, list[Sequence]]:
    """The training and the test videos, checked."""
    if dataset.videos is None:
        found = f"tracking: data set {dataset.name} has no videos"
        raise InputError(f"{found}; use one with videos (mot, crowd), or leave tracking out of run.tasks.")
    for sequence in (*dataset.videos["train"], *dataset.videos["test"]):
        if sequence.detections is None:
            raise InputError(f"tracking: {sequence.folder} has no det/det.txt; put it there, or name another sequence.")
        if sequence.ground_truth is None or not counted(sequence.ground_truth).any():
            found = f"tracking: {sequence.folder} has no people that count in gt/gt.txt"
            raise InputError(f"{found}; put them there, or name another sequence.")
        _check_confidence(sequence)
    return dataset.videos


def _check_confidence(sequence: Sequence) -> None:
    """Raise InputError if no detection would be tracked; warn if few are tracked or confidences are unknown."""
    file, confidence = sequence.folder / "det" / "det.txt", sequence.detections["confidence"]
    count, taken, least = len(confidence), len(_detections(sequence)), _trackers.LEAST_CONFIDENCE
    if not count:
        raise InputError(f"tracking: {file} has no line; give the detections, or name another sequence.")
    if not taken:
        found = (
            f"all {count} detections in {file} have a confidence below {least}, the greatest is {confidence.max():g}"
        )
        raise InputError(f"tracking: {found}; scale the scores, or give −1 for all if they are unknown.")
    if _trackers.unscored(sequence.detections):
        every = f"all {count} confidences in {file} are {confidence.iloc[0]:g}, which tells nothing"
        warnings.warn(f"tracking: {every}; all boxes are tracked.", stacklevel=2)
    elif taken < count / 2:
        few = f"{taken} of {count} detections in {file} have a confidence of {least} or more"
        warnings.warn(f"tracking: {few}; only they are tracked.", stacklevel=2)


def _detections(sequence: Sequence) -> pd.DataFrame:
    return _trackers.taken(sequence.detections).reset_index(drop=True)


def _check_frames(sequence: Sequence) -> None:
    """Raise InputError if a frame with detections is missing."""
    lost = set(_detections(sequence)["frame"]) - set(sequence.frames)
    if lost:
        raise missing_frames(sequence, lost)


def _described(describe: Callable[[Tensor], Tensor], sequence: Sequence, crops: Callable[..., Tensor]) -> _Video:
    """A video with its descriptors. Each frame is read once."""
    detections = _detections(sequence)
    pieces, order = [], []
    for rows, pictures in _pictures(sequence, detections, crops):
        pieces.append(describe(pictures).double())
        order += rows
    values = torch.cat(pieces).numpy(force=True)
    if not np.isfinite(values).all():
        found = f"tracking: a descriptor of a detection in sequence {sequence.name} is NaN or infinite"
        raise InputError(f"{found}; train the model again so that it stays finite, or leave it out.")
    descriptors = np.empty_like(values)
    descriptors[order] = values
    return _Video(sequence, detections, descriptors)


def _pictures(sequence: Sequence, detections: pd.DataFrame, crops) -> Iterator[tuple[list[int], Tensor]]:
    """The detections' pictures, in batches of frames, each with its row numbers."""
    groups = list(detections.groupby("frame"))
    for start in range(0, len(groups), _FRAMES):
        some = groups[start : start + _FRAMES]
        rows = [row for _, found in some for row in found.index]
        yield rows, torch.cat([crops(sequence, frame, found) for frame, found in some])


# The threshold


def _choice(train: list[_Video], name: str) -> tuple[float, float]:
    """The quantile chosen on the training videos, and the distance at it."""
    distances = np.concatenate([_distances(video) for video in train])
    if not len(distances):
        found = f"tracking: the training videos of data set {name} have no detections in two frames"
        raise InputError(f"{found}; name other sequences for training.")
    thresholds = np.quantile(distances, QUANTILES).tolist()
    reached = [_training_idf1(train, threshold) for threshold in thresholds]
    best = int(np.argmax(reached))  # the first of equal ones
    return QUANTILES[best], thresholds[best]


def _distances(video: _Video) -> np.ndarray:
    """Distances between descriptors of random pairs of detections in different frames."""
    first, second = (rows.numpy() for rows in random_pairs(len(video.detections), _PAIRS))
    frame = video.detections["frame"].to_numpy()
    apart = frame[first] != frame[second]
    return np.linalg.norm(video.descriptors[first[apart]] - video.descriptors[second[apart]], axis=1)


def _training_idf1(train: list[_Video], threshold: float) -> float:
    return _trackeval.idf1({v.sequence.name: _trackeval.prepared(v.sequence, _tracked(v, threshold)) for v in train})


def _tracked(video: _Video, threshold: float) -> pd.DataFrame:
    return _trackers.deepsort(video.detections, video.sequence.length, video.descriptors, threshold)


# The result


def _result(test: list[Sequence], tracks: list[pd.DataFrame]) -> Result:
    """Metrics and arrays of the tracks of the test videos."""
    pairs = list(zip(test, tracks, strict=True))
    for pair in pairs:
        _check_tracks(*pair)
    data = {sequence.name: _trackeval.prepared(sequence, found) for sequence, found in pairs}
    scores = _trackeval.scores(data)
    low, high = _trackeval.idf1_interval(data)
    metrics = scores.pop(_trackeval.COMBINED) | {"IDF1_tracks_low": low, "IDF1_tracks_high": high}
    if len(test) > 1:
        metrics |= {f"{score}/{name}": value for name, values in scores.items() for score, value in values.items()}
    identities = np.concatenate([_identities(sequence, found) for sequence, found in pairs])
    return Result([("", name, value) for name, value in metrics.items()], {"identities": identities}, _shared(test))


def _check_tracks(sequence: Sequence, tracks: pd.DataFrame) -> None:
    """Warn if the tracks of a video find nobody; the text is the same for all descriptors, so it is shown once."""
    if (_truth(sequence, tracks) != _NOBODY).any():
        return
    found, fix = "no tracked box is of a person in gt/gt.txt", "whether boxes and frame numbers fit this video"
    if tracks.empty:
        frames, least = _trackers.N_INIT, _trackers.LEAST_CONFIDENCE
        found = "no track is reported"
        fix = f"whether people have boxes of a confidence of {least} or more in {frames} successive frames"
    file = sequence.folder / "det" / "det.txt"
    _warn_once(f"tracking: {found} in {sequence.name}, so its scores mean nothing; check in {file} {fix}.")


@functools.cache  # instead of a warnings filter: pandas with pyarrow resets the record of shown warnings
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def _identities(sequence: Sequence, tracks: pd.DataFrame) -> np.ndarray:
    """Identity of each of a video's detections (N,)."""
    return tracks["identity"].reindex(_detections(sequence).index, fill_value=_NOBODY).to_numpy()


def _shared(test: list[Sequence]) -> dict[str, np.ndarray]:
    """The shared arrays of track()."""
    tables = [_detections(sequence) for sequence in test]
    return {
        "sequence": np.repeat(np.arange(len(test)), [len(table) for table in tables]),
        "frame": np.concatenate([table["frame"].to_numpy() for table in tables]),
        "truth": np.concatenate([_truth(*pair) for pair in zip(test, tables, strict=True)]),
        "box": np.concatenate([table[list(BOX)].to_numpy() for table in tables]),
        "sequence_names": np.array([sequence.name for sequence in test]),
    }


def _truth(sequence: Sequence, detections: pd.DataFrame) -> np.ndarray:
    people = sequence.ground_truth[counted(sequence.ground_truth)]
    identity = np.append(people["identity"].to_numpy(), _NOBODY)  # so that −1 finds nobody
    return identity[match(detections, people)]
