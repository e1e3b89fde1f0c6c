"""Neighbour metrics against loops that compare every pair."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.evaluation import neighbours
from flatvae.likelihoods import likelihood


class HandMade(nn.Module):
    """Encodes by a given function."""

    def __init__(self, encoder):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.encoder = encoder
        self.likelihood = likelihood("gaussian")

    def encode(self, x):
        return self.encoder(x)


FAITHFULNESS = ("trustworthiness_at_10", "graph_rank_correlation", "graph_rank_pairs_left_out")  # see test_faithfulness


def values_of(result, distance: str) -> dict[str, float]:
    """What the neighbours by label and factor are worth."""
    assert {d for d, _, _ in result.metrics} == {distance}
    return {metric: value for _, metric, value in result.metrics if metric not in FAITHFULNESS}


def labelled(rows: int = 60, classes: int = 4) -> Dataset:
    source = torch.Generator().manual_seed(2)
    labels = torch.randint(classes, (3 * rows,), generator=source)
    values = torch.randn(3 * rows, 3, generator=source)
    values[:, 0] += 1.0 * labels
    parts, label_parts = values.split(rows), labels.split(rows)
    return Dataset("hand", *parts, "gaussian", (3,), *label_parts)


def circle(rows: int = 300, period: float = 2 * math.pi) -> Dataset:
    """x = (cos, sin) of an angle; the factor is the angle in the period's units."""
    angle = 2 * math.pi * torch.rand(rows, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    test = torch.stack([angle.cos(), angle.sin()], dim=-1).float()
    factors = angle * period / (2 * math.pi)
    return Dataset("hand", test, test, test, "gaussian", (2,), factors=factors, factor_period=period)


def brute_neighbours(gallery, queries, skip_self: bool) -> list[list[int]]:
    found = []
    for q, query in enumerate(queries):
        distances = [(math.dist(query, row), i) for i, row in enumerate(gallery.tolist()) if not (skip_self and i == q)]
        found.append([i for _, i in sorted(distances)[:10]])
    return found


def brute_labels(found, gallery_labels, query_labels) -> dict[str, float]:
    right = share = 0.0
    for row, truth in zip(found, query_labels, strict=True):
        voters = [gallery_labels[i] for i in row[:5]]
        most = max(voters.count(label) for label in voters)
        winner = next(label for label in voters if voters.count(label) == most)  # of a tie, the nearest
        right += winner == truth
        share += sum(gallery_labels[i] == truth for i in row) / 10
    return {"knn_accuracy": right / len(found), "precision_at_10": share / len(found)}


def brute_recall(found, factors, period: float | None) -> float:
    hits = 0
    for q, row in enumerate(found):
        gaps = []
        for i, factor in enumerate(factors):
            gap = abs(factor - factors[q])
            gaps.append((min(gap % period, -gap % period) if period else gap, i))
        truth = [i for _, i in sorted(gaps) if i != q][:10]
        hits += len(set(row) & set(truth))
    return hits / (10 * len(found))


def test_label_metrics_equal_a_loop():
    dataset = labelled()
    encoder = lambda x: x[:, :2] * torch.tensor([1.0, 0.5])  # noqa: E731
    values = values_of(neighbours.evaluate(HandMade(encoder), dataset, distances={}), "euclidean")
    found = brute_neighbours(encoder(dataset.train).double(), encoder(dataset.test).double().tolist(), skip_self=False)
    expected = brute_labels(found, dataset.train_labels.tolist(), dataset.test_labels.tolist())
    assert values == pytest.approx(expected, abs=1e-12)
    assert 0.3 < values["knn_accuracy"] < 0.95


@pytest.mark.parametrize("labels", [[5, 7, 9], [0, 1, 2], [-3, 40, 41]])
def test_votes_and_ties(labels):
    """Five voters, nearest first: a majority wins from any place, a tie goes to the class seen first."""
    a, b, c = labels
    cases = [
        ([a, b, b, b, a], b),  # majority against the nearest
        ([b, a, a, b, c], b),  # two each: b is nearest
        ([c, a, a, b, b], a),  # two each of a and b: a before b, and c has one vote alone
        ([c, b, a, a, b], b),
        ([a, b, c, b, c], b),
        ([c, c, c, a, a], c),
    ]
    gallery = np.array([label for voters, _ in cases for label in voters + [a] * 5])
    indices = np.arange(len(gallery)).reshape(len(cases), 10)
    winners = np.array([winner for _, winner in cases])
    assert neighbours.label_metrics(indices, gallery, winners)["knn_accuracy"] == 1
    for case in range(len(cases)):
        wrong = winners.copy()
        wrong[case] = next(label for label in labels if label != winners[case])
        assert neighbours.label_metrics(indices, gallery, wrong)["knn_accuracy"] == pytest.approx(1 - 1 / len(cases))


def test_label_metrics_equal_a_loop_on_random_votes():
    source = np.random.default_rng(0)
    gallery, truth = source.integers(0, 5, 80), source.integers(0, 6, 200)  # class 5 is not in the gallery
    found = np.stack([source.permutation(80)[:10] for _ in range(200)])
    expected = brute_labels(found.tolist(), gallery.tolist(), truth.tolist())
    assert neighbours.label_metrics(found, gallery, truth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("period", [2 * math.pi, 1.0, 360.0, None])
def test_factor_recall_equals_a_loop(period):
    dataset = circle(120, period or 1.0)
    dataset = dataclasses.replace(dataset, factor_period=period)
    encoder = lambda x: torch.atan2(x[:, 1:], x[:, :1]) + 0.3 * x[:, :1]  # noqa: E731, cut open at ±π
    values = values_of(neighbours.evaluate(HandMade(encoder), dataset, distances={}), "euclidean")
    codes = encoder(dataset.test).double()
    expected = brute_recall(brute_neighbours(codes, codes.tolist(), True), dataset.factors.tolist(), period)
    assert values["true_neighbour_recall_at_10"] == pytest.approx(expected, abs=1e-12)
    assert 0.5 < expected < 1


def test_neighbours_across_the_seam_of_the_circle_count():
    """Angles in two groups of eleven either side of 0, seen as 22 angles in a row: neighbours cross the seam."""
    turns = torch.cat([torch.arange(11) / 1000 + 0.0005, 1 - torch.arange(11) / 1000 - 0.0005]).double()
    signed = torch.where(turns > 0.5, turns - 1, turns)
    for period in (1.0, 24.0):
        codes = neighbours._nearest(signed[:, None].numpy(), None)
        assert neighbours.factor_recall(codes, (period * turns).numpy(), period)["true_neighbour_recall_at_10"] == 1
        cut = neighbours.factor_recall(codes, (period * turns).numpy(), None)["true_neighbour_recall_at_10"]
        assert cut < 0.9


def test_perfect_embedding_and_chance():
    dataset = circle(400)
    perfect = neighbours.evaluate(HandMade(lambda x: 3 * x), dataset, distances={})
    assert values_of(perfect, "euclidean")["true_neighbour_recall_at_10"] == pytest.approx(1, abs=2e-3)
    noise = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    random = neighbours.evaluate(HandMade(lambda x: noise[: len(x)]), dataset, distances={})
    chance = 10 / 399
    assert values_of(random, "euclidean")["true_neighbour_recall_at_10"] == pytest.approx(chance, abs=0.01)


def test_a_point_is_not_its_own_neighbour_even_among_its_doubles():
    codes = np.repeat(np.arange(3.0), 20)[:, None]  # twenty points at each of three places
    found = neighbours._nearest(codes, None)
    assert not (found == np.arange(60)[:, None]).any()
    assert (codes[found, 0] == codes).all()
    assert all(len(set(row)) == 10 for row in found.tolist())


def test_queries_are_spread_over_the_test_data(monkeypatch):
    monkeypatch.setattr(neighbours, "QUERIES", 50)
    dataset = circle(200)
    values = values_of(neighbours.evaluate(HandMade(lambda x: x[:, :1]), dataset, distances={}), "euclidean")
    asked = [round(i * 199 / 49) for i in range(50)]
    codes = dataset.test[asked, :1].double()
    expected = brute_recall(brute_neighbours(codes, codes.tolist(), True), dataset.factors[asked].tolist(), 2 * math.pi)
    assert values["true_neighbour_recall_at_10"] == pytest.approx(expected, abs=1e-12)


def test_control_is_the_identity_as_an_encoder():
    both = dataclasses.replace(labelled(), factors=torch.linspace(0, 1, 60))
    control = values_of(neighbours.control(both), "data")
    identity = values_of(neighbours.evaluate(HandMade(lambda x: x), both, distances={}), "euclidean")
    assert control == identity
    assert set(control) == {"knn_accuracy", "precision_at_10", "true_neighbour_recall_at_10"}
    assert neighbours.control(both) == neighbours.control(dataclasses.replace(both))


def test_nothing_known_gives_nothing_but_faithfulness():
    bare = dataclasses.replace(circle(50), factors=None, factor_period=None)
    assert values_of(neighbours.evaluate(HandMade(lambda x: x), bare, distances={}), "euclidean") == {}


def test_a_grey_gallery_of_bernoulli_data_is_binarised():
    """Queries are binary, so the gallery must be: else the distances compare grey with black and white."""
    source = torch.Generator().manual_seed(3)
    grey = torch.rand(40, 6, generator=source)
    binary = (torch.rand(40, 6, generator=source) < 0.5).float()
    labels = torch.randint(2, (40,), generator=source)
    dataset = Dataset("hand", grey, binary, binary, "bernoulli", (6,), labels, labels, labels)
    seen = []
    model = HandMade(lambda x: seen.append(x) or x)
    model.likelihood = likelihood("bernoulli")
    neighbours.evaluate(model, dataset, distances={})
    assert set(torch.cat(seen).unique().tolist()) == {0.0, 1.0}
    control = values_of(neighbours.control(dataset), "data")
    assert control == values_of(neighbours.evaluate(model, dataset, distances={}), "euclidean")


def test_too_few_rows_are_named():
    with pytest.raises(InputError, match="hand has 10 rows in its train or test part, but 11 are needed"):
        neighbours.control(labelled(10))


@pytest.mark.parametrize("queries", ["other", "own"])
def test_geodesic_neighbours_of_a_flat_decoder_are_the_euclidean_ones(queries):
    from baselines.geodesic import GeodesicDistance

    dataset = labelled() if queries == "other" else circle()
    encoder = lambda x: x[:, :2]  # noqa: E731
    nodes = encoder(dataset.train)
    distance = GeodesicDistance(lambda z: 2 * z @ torch.eye(2, 5), nodes, 8)
    metrics = neighbours.evaluate(HandMade(encoder), dataset, distances={"geodesic": distance}).metrics
    by_distance = {}
    for name, metric, value in metrics:
        if metric in FAITHFULNESS:
            continue
        by_distance.setdefault(name, {})[metric] = value
    assert by_distance["geodesic"] == pytest.approx(by_distance["euclidean"], abs=0.01)
    assert 0.3 < next(iter(by_distance["geodesic"].values())) <= 1


def test_geodesic_neighbours_follow_the_decoder_and_not_the_codes():
    """Codes squeezed in one direction, which the decoder undoes: geodesic neighbours are those of the circle itself."""
    from baselines.geodesic import GeodesicDistance

    dataset, squeeze = circle(), torch.tensor([1.0, 1e-3])
    distance = GeodesicDistance(lambda z: z / squeeze, dataset.train * squeeze, 8)
    metrics = neighbours.evaluate(HandMade(lambda x: x * squeeze), dataset, distances={"geodesic": distance}).metrics
    values = {name: value for name, metric, value in metrics if metric == "true_neighbour_recall_at_10"}
    assert values["geodesic"] > 0.98
    assert values["euclidean"] < 0.7
