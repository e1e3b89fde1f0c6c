"""Re-identification: a person's picture is asked for the other pictures of the person in the same video.

Queries are test crops, at most 2,000, evenly spread over the part. The gallery of a query is all test crops of its own video
whose frames are at least 10 away from its own, |Δframe| ≥ 10: those nearby show the person in the same pose. Where the
detector saw nobody (label −1) the crop stays in the galleries, where it is always wrong, and asks for nothing. A query of whose
person the gallery has no crop is left out. With r_i = 1 where the i-th nearest of G crops is of the query's person, else 0,

    rank_k = [r_1 + … + r_k > 0],      AP = Σ_i r_i P_i / Σ_i r_i,      P_i = (r_1 + … + r_i) / i,

and the metrics ``rank_1``, ``rank_5`` and ``mAP`` are the means over the queries. Crops at the same distance are in a random
order, the same in every call, so that a descriptor that tells nothing apart is as good as chance.

Source: the metrics of Zheng et al. (2015), Market-1501, ICCV; here the precision-recall curve is summed over its hits.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from flatvae.errors import InputError
from flatvae.evaluation import Result, generator, spread

QUERIES = 2000
APART = 10  # frames between a query and its gallery, at least
CANDIDATES = 30  # of the crops, those nearest by chord, that a distance ranks
SHOWN = 8  # queries that the figure shows
_RANKS = (1, 5)
_NEAREST = 10  # crops that the figure shows of each
_ROWS = 256  # queries whose distances to all crops are held at once


class _Crops(NamedTuple):
    """Where the crops of the test part are from: number of the video, frame and label, each (N,)."""

    video: Tensor
    frame: Tensor
    label: Tensor

    @classmethod
    def of(cls, dataset) -> "_Crops":
        """Those of a data set."""
        rows = dataset.boxes[dataset.boxes["part"] == "test"]
        video, _ = rows["sequence"].factorize()
        return cls(torch.from_numpy(video), torch.tensor(rows["frame"].to_numpy()), dataset.test_labels)

    def gallery(self, row: int) -> Tensor:
        """Row numbers (G,) of the crops among which this one is looked for."""
        away = (self.frame - self.frame[row]).abs() >= APART
        return torch.nonzero(away & (self.video == self.video[row]))[:, 0]

    def can_be_found(self, row: int) -> bool:
        """Whether this crop is of a person, of whom there is another in its gallery."""
        label = self.label[row]
        return bool(label >= 0) and bool((self.label[self.gallery(row)] == label).any())


def reidentification(codes: Tensor, dataset, distance: str = "euclidean") -> Result:
    """How well Euclidean distance between descriptors tells people apart.

    Args:
        codes: descriptors of the test part, (N, n).
        dataset: with ``boxes``.
        distance: what the metrics' distance is called.

    Returns:
        metrics ``rank_1``, ``rank_5``, ``mAP``; for the figure ``queries`` (Q,), the same for every descriptor, one of each of at
        most eight people, and their ``nearest`` (Q, 10) in the gallery, row numbers of the test part, −1 where the gallery
        ends; ``asked`` and ``left_out``, numbers of queries.

    Raises:
        InputError: no test crop's person is in its gallery, or a descriptor is not finite.
    """
    crops, asked = _Crops.of(dataset), queries(dataset)
    shown = _shown(asked, crops.label)
    of_queries, nearest = [], {}
    if not codes.isfinite().all():
        found = f"neighbours: a descriptor of {dataset.name} is NaN or infinite"
        raise InputError(f"{found}; train the model again so that it stays finite, or leave it out.")
    for row, order in zip(asked.tolist(), _rankings(codes.double(), crops, asked), strict=True):
        of_queries.append(_query_metrics(crops.label[order] == crops.label[row]))
        if row in shown:
            nearest[row] = torch.nn.functional.pad(order[:_NEAREST], (0, max(0, _NEAREST - len(order))), value=-1)
    left_out = min(QUERIES, len(dataset.test)) - len(asked)
    shared = {"queries": torch.tensor(shown), "asked": torch.tensor(len(asked)), "left_out": torch.tensor(left_out)}
    return Result(
        [(distance, metric, value) for metric, value in _means(of_queries).items()],
        {"nearest": torch.stack([nearest[row] for row in shown]).numpy()},
        {name: values.numpy() for name, values in shared.items()},
    )


def rank_metrics_by(distance, codes: Tensor, images: Tensor, dataset) -> dict[str, float]:
    """``rank_1`` and ``rank_5`` by the geodesic distance of a decoder f.

    The distance ranks the 30 crops of the gallery with the shortest chords |f(q) − f(g)|, below which no geodesic is; they are
    the candidates that its own search of the whole gallery would take, chosen here at once for all queries. There is no
    ``mAP``: it needs all pairs, which for 1,156 crops would take eleven days by refined geodesics and half an hour by
    straight lines, where this takes a minute (measured with a convolutional decoder, n = 32, on one core; there the 5
    nearest of 200 candidates were all among the 30).

    Args:
        distance: has ``nearest_among(queries, candidates, k)``.
        codes: of the test part, (N, n).
        images: decoded codes, (N, D).
        dataset: with ``boxes``.

    Raises:
        InputError: no test crop's person is in its gallery.
    """
    crops, asked = _Crops.of(dataset), queries(dataset)
    candidates = [order[:CANDIDATES] for order in _rankings(images.cpu(), crops, asked)]
    of_queries = []
    for size in {len(rows) for rows in candidates}:  # as a rule all have as many
        chosen = torch.tensor([len(rows) == size for rows in candidates])
        rows = torch.stack([rows for rows in candidates if len(rows) == size])  # (Q, C)
        nearest, _ = distance.nearest_among(codes[asked[chosen]], codes[rows], min(max(_RANKS), size))
        same = crops.label[rows.gather(1, nearest.cpu())] == crops.label[asked[chosen], None]
        of_queries += [_ranks(of_query) for of_query in same]
    return _means(of_queries)


def queries(dataset) -> Tensor:
    """Row numbers of the test crops that are asked for, in rising order (Q,).

    Raises:
        InputError: there is none.
    """
    crops = _Crops.of(dataset)
    found = [row for row in spread(len(dataset.test), QUERIES).tolist() if crops.can_be_found(row)]
    if not found:
        raise InputError(
            f"neighbours: in {dataset.name} no test crop's person is seen again {APART} or more frames away; give it longer "
            "videos, or leave neighbours out of run.tasks."
        )
    return torch.tensor(found)


def _rankings(points: Tensor, crops: _Crops, asked: Tensor) -> Iterator[Tensor]:
    """For each query the rows of its gallery (G,), nearest first by Euclidean distance between points (N, ·)."""
    source = generator()
    for rows in asked.split(_ROWS):
        for row, apart in zip(rows.tolist(), torch.cdist(points[rows], points), strict=True):
            gallery = crops.gallery(row)
            gallery = gallery[torch.randperm(len(gallery), generator=source)]
            yield gallery[apart[gallery].argsort(stable=True)]


def _ranks(same: Tensor) -> dict[str, float]:
    """Of one query, from which of the nearest are of its person (G,), nearest first."""
    return {f"rank_{k}": float(same[:k].any()) for k in _RANKS}


def _query_metrics(same: Tensor) -> dict[str, float]:
    hits = torch.nonzero(same)[:, 0].double()  # (R,), places from 0
    precision = torch.arange(1, len(hits) + 1) / (hits + 1)
    return _ranks(same) | {"mAP": precision.mean().item()}


def _means(of_queries: list[dict[str, float]]) -> dict[str, float]:
    return {metric: sum(one[metric] for one in of_queries) / len(of_queries) for metric in of_queries[0]}


def _shown(asked: Tensor, labels: Tensor) -> list[int]:
    """Queries for the figure: of at most eight people, evenly spread over their numbers, the one in the middle."""
    people = labels[asked].unique()
    of_person = (asked[labels[asked] == person] for person in people[spread(len(people), SHOWN)])
    return [rows[len(rows) // 2].item() for rows in of_person]
