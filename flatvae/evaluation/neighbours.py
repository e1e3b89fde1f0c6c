"""Task ``neighbours``: the quality of nearest neighbours in latent space, by Euclidean and by other distances.

Queries are 2,000 test data, evenly spaced. With labels, the gallery is the training set: ``knn_accuracy`` (majority of 5
neighbours) and ``precision_at_10`` (share of the 10 nearest that have the query's label). With a true generating factor, the
gallery is all other queries: ``true_neighbour_recall_at_10``, the share of the 10 nearest by the factor (circular if it has a
period) that are among the 10 nearest by distance.

Rows with label -1 are unlabelled: the label metrics use them neither as queries nor in the gallery. These metrics need at least
one labelled test row and 10 labelled training rows.

If the data are crops of people from videos (``boxes``), the test part's people are not in the training set. The task then is to
find each person again in the same video: ``rank_1``, ``rank_5`` and, by Euclidean distance, ``mAP`` (see _reidentification).

``trustworthiness_at_10`` and ``graph_rank_correlation``, by Euclidean distance, need neither labels nor factors. They measure
whether neighbours among codes are neighbours among observations, and whether latent distance ranks pairs as shortest paths along
the data do (see _faithfulness). Both are at most 1.

The control ``data`` computes the same on raw observations, without any method. It omits trustworthiness, which would be 1, and
adds ``graph_rank_pairs_left_out``, the number of random pairs that no path along the data joins.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from flatvae.datasets import UNLABELLED
from flatvae.errors import InputError
from flatvae.evaluation import Result, encode, generator, spread
from flatvae.evaluation._faithfulness import asked, faithfulness, own_faithfulness
from flatvae.evaluation._reidentification import rank_metrics_by, reidentification
from flatvae.likelihoods import likelihood

__all__ = ["control", "described", "evaluate", "factor_recall", "label_metrics", "reidentification"]

QUERIES = 2000
_VOTERS = 5
_NEAREST = 10
_CHUNK = 2048  # codes decoded at once


def _nearest(gallery: np.ndarray, queries: np.ndarray | None) -> np.ndarray:
    """Indices (Q, 10) of the nearest gallery rows. ``None``: the gallery's rows are the queries, none its own neighbour."""
    return NearestNeighbors(n_neighbors=_NEAREST).fit(gallery).kneighbors(queries, return_distance=False)


def label_metrics(neighbours: np.ndarray, gallery_labels: np.ndarray, query_labels: np.ndarray) -> dict[str, float]:
    """k-NN accuracy and precision@10 from indices of the nearest gallery rows, nearest first (Q, 10)."""
    found = gallery_labels[neighbours]  # (Q, 10)
    votes = (found[:, :_VOTERS, None] == np.unique(gallery_labels)).sum(1)  # (Q, classes)
    # a tie goes to the class of the nearer neighbour
    nearness = np.arange(_VOTERS, 0, -1)[None, :, None] * (found[:, :_VOTERS, None] == np.unique(gallery_labels))
    predicted = np.unique(gallery_labels)[(votes + nearness.max(1) / (2 * _VOTERS)).argmax(1)]
    return {
        "knn_accuracy": float((predicted == query_labels).mean()),
        "precision_at_10": float((found == query_labels[:, None]).mean()),
    }


def factor_recall(neighbours: np.ndarray, factors: np.ndarray, period: float | None) -> dict[str, float]:
    """Recall of the true 10 nearest by the generating factor among the 10 found (Q, 10)."""
    if period:  # on a circle, chords and arcs have the same order
        angle = 2 * np.pi * factors / period
        truth = _nearest(np.stack([np.cos(angle), np.sin(angle)], axis=1), None)
    else:
        truth = _nearest(factors[:, None], None)
    hits = (neighbours[:, :, None] == truth[:, None, :]).any(-1)
    return {"true_neighbour_recall_at_10": float(hits.mean())}


def _labelled(labels: Tensor | None) -> Tensor:
    """Numbers of the rows that have a label."""
    return torch.zeros(0, dtype=torch.long) if labels is None else torch.nonzero(labels != UNLABELLED)[:, 0]


def _has_labels(dataset) -> bool:
    """Whether the label metrics can be computed; prints once which rows they leave out."""
    if dataset.train_labels is None or dataset.test_labels is None:
        return False
    train, test = len(_labelled(dataset.train_labels)), len(_labelled(dataset.test_labels))
    enough = train >= _NEAREST and test > 0
    left_out = f"{len(dataset.train) - train} training and {len(dataset.test) - test} test rows of {dataset.name}"
    if not enough:
        _print_once(f"neighbours: no label metrics, {left_out} are unlabelled")
    elif train < len(dataset.train) or test < len(dataset.test):
        _print_once(f"neighbours: the label metrics leave out {left_out}, which are unlabelled")
    return enough


@functools.cache
def _print_once(text: str) -> None:
    print(text, flush=True)


def _queries(dataset) -> Tensor:
    """Row numbers of the queries: labelled rows only, if the metrics need labels only."""
    rows = torch.arange(len(dataset.test))
    if dataset.factors is None and _has_labels(dataset):
        rows = _labelled(dataset.test_labels)
    return rows[spread(len(rows), QUERIES)]


def _metrics(dataset, nearest, train, test) -> dict[str, float]:
    """Metrics of the neighbours that ``nearest(gallery, queries or None)`` finds among points of train and test."""
    values, asked = {}, _queries(dataset)
    if _has_labels(dataset):
        known = _labelled(dataset.test_labels[asked]).numpy()
        labels = dataset.train_labels[_labelled(dataset.train_labels)], dataset.test_labels[asked][known]
        values |= label_metrics(nearest(train, test[known]), *(part.numpy() for part in labels))
    if dataset.factors is not None:
        factors = dataset.factors[asked].double().numpy()
        values |= factor_recall(nearest(test, None), factors, dataset.factor_period)
    return values


def _nearest_by(distance):
    """As ``_nearest``, by a distance object between latent codes."""

    def nearest(gallery: Tensor, queries: Tensor | None) -> np.ndarray:
        if queries is not None:
            return distance.nearest(queries, gallery, _NEAREST)[0].numpy(force=True)
        found = distance.nearest(gallery, gallery, _NEAREST + 1)[0].cpu()
        # drops the query itself, wherever it is among points at distance 0; if it is not among them, drops the last
        own = found == torch.arange(len(gallery))[:, None]
        own[:, -1] |= ~own.any(1)
        return found[~own].view(len(gallery), _NEAREST).numpy()

    return nearest


def _gallery(dataset, observe) -> Tensor:
    """The labelled training rows as in training: grey values of Bernoulli observations are binarised, once."""
    return observe(dataset.train, torch.rand(dataset.train.shape, generator=generator()))[
        _labelled(dataset.train_labels)
    ]


def _check(dataset) -> None:
    # people are searched among the test crops only
    rows = len(dataset.test) if dataset.boxes is not None else min(len(dataset.train), len(dataset.test))
    if rows <= _NEAREST:
        raise InputError(
            f"neighbours: {dataset.name} has {rows} rows in its train or test part, but {_NEAREST + 1} are needed; "
            "add rows, or leave neighbours out of run.tasks."
        )


def _found(distance: str, values: dict[str, float]) -> list[tuple[str, str, float]]:
    return [(distance, metric, value) for metric, value in values.items()]


def _codes(describe: Callable[[Tensor], Tensor], dataset) -> tuple[Tensor | None, Tensor]:
    """Codes of the labelled training rows (None without label metrics) and of the queries."""
    train = None
    if _has_labels(dataset):
        train = describe(_gallery(dataset, likelihood(dataset.likelihood).observe))
    return train, describe(dataset.test[_queries(dataset)])


def _euclidean(dataset, train: Tensor | None, test: Tensor) -> Result:
    """Neighbours among codes by Euclidean distance, in double precision."""
    exact = None if train is None else train.double().numpy(force=True)
    return Result(_found("euclidean", _metrics(dataset, _nearest, exact, test.double().numpy(force=True))), {}, {})


@torch.no_grad()
def _decode(model, codes: Tensor) -> Tensor:
    """Decoded codes in chunks of rows: (N, n) -> (N, D)."""
    return torch.cat([model.decode(rows) for rows in codes.split(_CHUNK)])


def _evaluate_people(model, dataset, distances) -> Result:
    codes = encode(model, dataset.test)
    result = reidentification(codes.cpu(), dataset)
    result.metrics.extend(_found("euclidean", faithfulness(dataset, codes[asked(dataset)])))
    images = _decode(model, codes) if distances else None
    for name, distance in distances.items():
        result.metrics.extend(_found(name, rank_metrics_by(distance, codes, images, dataset)))
    return result


def evaluate(model, dataset, *, distances) -> Result:
    """Neighbours among posterior means by Euclidean distance and by each of ``distances``.

    Raises:
        InputError: fewer than 11 training or test data, or no test crop's person appears again in its video.
    """
    _check(dataset)
    if dataset.boxes is not None:
        return _evaluate_people(model, dataset, distances)
    train, test = _codes(lambda x: encode(model, x), dataset)
    result = _euclidean(dataset, train, test)
    result.metrics.extend(_found("euclidean", faithfulness(dataset, encode(model, dataset.test[asked(dataset)]))))
    for name, distance in distances.items():
        result.metrics.extend(_found(name, _metrics(dataset, _nearest_by(distance), train, test)))
    return result


def described(describe: Callable[[Tensor], Tensor], dataset) -> Result:
    """Neighbours among any descriptor's codes by Euclidean distance: for controls that are not a trained model.

    Args:
        describe: the descriptor, (N, D) -> (N, n), each row by itself; it gets all rows at once.
        dataset: the data.

    Raises:
        InputError: as ``evaluate``.
    """
    _check(dataset)
    with torch.no_grad():
        if dataset.boxes is not None:
            codes = describe(dataset.test)
            result, codes = reidentification(codes, dataset), codes[asked(dataset)]
        else:
            result, codes = _euclidean(dataset, *_codes(describe, dataset)), describe(dataset.test[asked(dataset)])
    result.metrics.extend(_found("euclidean", faithfulness(dataset, codes)))
    return result


def control(dataset) -> Result:
    """Neighbours by Euclidean distance between raw observations.

    Raises:
        InputError: as ``evaluate``.
    """
    _check(dataset)
    if dataset.boxes is not None:
        result = reidentification(dataset.test, dataset, "data")
        result.metrics.extend(_found("data", own_faithfulness(dataset)))
        return result
    gallery = _gallery(dataset, likelihood(dataset.likelihood).observe)
    values = _metrics(dataset, _nearest, gallery.numpy(), dataset.test[_queries(dataset)].numpy())
    return Result(_found("data", values | own_faithfulness(dataset)), {}, {})
