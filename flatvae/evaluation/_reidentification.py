"""Re-identification: find the other pictures of a person in the same video, given one picture.

Queries are at most 2,000 test crops, evenly spaced. A query's gallery is all test crops of its video that are at least 10 frames
away, |Δframe| ≥ 10: nearer ones show the person in the same pose. Crops of nobody (label −1) stay in the galleries, where they
are always wrong, but are not queries. A query whose person has no crop in its gallery is left out. Let r_i be 1 if the i-th
nearest of G crops shows the query's person, else 0:

    rank_k = [r_1 + … + r_k > 0],      AP = Σ_i r_i P_i / Σ_i r_i,      P_i = (r_1 + … + r_i) / i.

The metrics ``rank_1``, ``rank_5`` and ``mAP`` are means over the queries. Crops at equal distance are in a random order, the same
in every call, so that a descriptor that distinguishes nothing scores like chance.

Source: the metrics of Zheng et al. (2015), Market-1501, ICCV; here the precision-recall curve is summed over its hits.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from flatvae.errors import InputError
from flatvae.evaluation import Result, generator, spread

QUERIES = 2000
APART = 10  # least number of frames between a query and its gallery
CANDIDATES = 30  # crops nearest by chord, which a distance ranks
SHOWN = 8  # queries in the figure
_RANKS = (1, 5)
_NEAREST = 10  # nearest crops in the figure, for each query
_ROWS = 256  # queries whose distances to all crops are held at once


class _Crops(NamedTuple):
    """The origin of the test part's crops: video number, frame and label, each (N,)."""

    video: Tensor
    frame: Tensor
    label: Tensor

    @classmethod
    def of(cls, dataset) -> "_Crops":
        """The test crops of a data set."""
        rows = dataset.boxes[dataset.boxes["part"] == "test"]
        video, _ = rows["sequence"].factorize()
        return cls(torch.from_numpy(video), torch.tensor(rows["frame"].to_numpy()), dataset.test_labels)

    def gallery(self, row: int) -> Tensor:
        """Row numbers (G,) of this crop's gallery."""
        away = (self.frame - self.frame[row]).abs() >= APART
        return torch.nonzero(away & (self.video == self.video[row]))[:, 0]

    def can_be_found(self, row: int) -> bool:
        """Whether this crop shows a person who has another crop in its gallery."""
        label = self.label[row]
        return bool(label >= 0) and bool((self.label[self.gallery(row)] == label).any())


def reidentification(codes: Tensor, dataset, distance: str = "euclidean") -> Result:
    """How well Euclidean distance between descriptors distinguishes people.

    Args:
        codes: descriptors of the test part, (N, n).
        dataset: with ``boxes``.
        distance: the distance's name in the metrics.

    Returns:
        metrics ``rank_1``, ``rank_5``, ``mAP``; ``asked`` and ``left_out``, numbers of queries. For the figure: ``queries`` (Q,),
        one for each of at most eight people, the same for every descriptor, and their ``nearest`` (Q, 10) in the gallery, as row
        numbers of the test part, padded with −1.

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

    The distance ranks the 30 crops of the gallery with the shortest chords |f(q) − f(g)|, which are lower bounds of geodesics.
    Its own search of the whole gallery would take the same candidates; here they are chosen for all queries at once. There is no
    ``mAP``: it needs all pairs. For 1,156 crops these would take eleven days by refined geodesics and half an hour by straight
    lines; this function takes a minute (measured with a convolutional decoder, n = 32, on one core; there the 5 nearest of 200
    candidates were all among the 30).

    Args:
        distance: has ``nearest_among(queries, candidates, k)``.
        codes: codes of the test part, (N, n).
        images: decoded codes, (N, D).
        dataset: with ``boxes``.

    Raises:
        InputError: no test crop's person is in its gallery.
    """
    crops, asked = _Crops.of(dataset), queries(dataset)
    candidates = [order[:CANDIDATES] for order in _rankings(images.cpu(), crops, asked)]
    of_queries = []
    for size in {len(rows) for rows in candidates}:  # usually a single size
        chosen = torch.tensor([len(rows) == size for rows in candidates])
        rows = torch.stack([rows for rows in candidates if len(rows) == size])  # (Q, C)
        nearest, _ = distance.nearest_among(codes[asked[chosen]], codes[rows], min(max(_RANKS), size))
        same = crops.label[rows.gather(1, nearest.cpu())] == crops.label[asked[chosen], None]
        of_queries += [_ranks(of_query) for of_query in same]
    return _means(of_queries)


def queries(dataset) -> Tensor:
    """Row numbers of the queries among the test crops, ascending (Q,).

    Raises:
        InputError: there are none.
    """
    crops = _Crops.of(dataset)
    found = [row for row in spread(len(dataset.test), QUERIES).tolist() if crops.can_be_found(row)]
    if not found:
        raise InputError(
            f"neighbours: in {dataset.name} no test crop's person is seen again {APART} or more frames away; use longer "
            "videos, or leave neighbours out of run.tasks."
        )
    return torch.tensor(found)


def _rankings(points: Tensor, crops: _Crops, asked: Tensor) -> Iterator[Tensor]:
    """For each query the rows of its gallery (G,), ordered by Euclidean distance between points (N, ·)."""
    source = generator()
    for rows in asked.split(_ROWS):
        for row, apart in zip(rows.tolist(), torch.cdist(points[rows], points), strict=True):
            gallery = crops.gallery(row)
            gallery = gallery[torch.randperm(len(gallery), generator=source)]
            yield gallery[apart[gallery].argsort(stable=True)]


def _ranks(same: Tensor) -> dict[str, float]:
    """One query's ranks from ``same`` (G,): whether each gallery crop, nearest first, shows its person."""
    return {f"rank_{k}": float(same[:k].any()) for k in _RANKS}


def _query_metrics(same: Tensor) -> dict[str, float]:
    hits = torch.nonzero(same)[:, 0].double()  # (R,), positions from 0
    precision = torch.arange(1, len(hits) + 1) / (hits + 1)
    return _ranks(same) | {"mAP": precision.mean().item()}


def _means(of_queries: list[dict[str, float]]) -> dict[str, float]:
    return {metric: sum(one[metric] for one in of_queries) / len(of_queries) for metric in of_queries[0]}


def _shown(asked: Tensor, labels: Tensor) -> list[int]:
    """Queries for the figure: at most eight people, evenly spaced by number, and of each person the middle query."""
    people = labels[asked].unique()
    of_person = (asked[labels[asked] == person] for person in people[spread(len(people), SHOWN)])
    return [rows[len(rows) // 2].item() for rows in of_person]
