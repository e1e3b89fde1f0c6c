"""Rows with label -1 have no label: they are not a class, and nothing that is said about classes counts them."""

import dataclasses

import matplotlib.colors
import numpy as np
import pytest
import torch
from refusal import refused
from torch import nn

from baselines import pca, supervised
from flatvae.datasets import Dataset
from flatvae.evaluation import distances, neighbours
from flatvae.likelihoods import likelihood
from flatvae.reporting import figures

ROWS = 60


class Identity(nn.Module):
    """Encodes each row as itself."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.likelihood = likelihood("gaussian")

    def encode(self, x):
        return x


@pytest.fixture
def labelled() -> Dataset:
    source = torch.Generator().manual_seed(2)
    labels = torch.randint(4, (3 * ROWS,), generator=source)
    values = torch.randn(3 * ROWS, 3, generator=source)
    values[:, 0] += labels
    return Dataset("hand", *values.split(ROWS), "gaussian", (3,), *labels.split(ROWS))


@pytest.fixture(autouse=True)
def anew():
    """Lines that are printed once are printed once in each test."""
    neighbours._print_once.cache_clear()


def mixed(dataset: Dataset, labels_of_all: bool = False) -> tuple[Dataset, Dataset]:
    """The data among unlabelled rows that lie in their midst, and without these."""
    source = torch.Generator().manual_seed(3)
    changes = {}
    for part in ("train", "test"):
        values, labels = getattr(dataset, part), getattr(dataset, f"{part}_labels")
        order = torch.randperm(2 * ROWS, generator=source).argsort()
        kept = order[order < ROWS]
        both = torch.cat([values, values + 0.01 * torch.randn(values.shape, generator=source)])
        marks = torch.cat([labels, torch.full((ROWS,), -1)])
        changes[part] = (both[order], marks[order], values[kept], labels[kept])
    fields = lambda a, b: {k: v for p, c in changes.items() for k, v in ((p, c[a]), (f"{p}_labels", c[b]))}  # noqa: E731
    return dataclasses.replace(dataset, **fields(0, 1)), dataclasses.replace(dataset, **fields(2, 3))


def of_labels(result) -> list[tuple[str, str, float]]:
    """The label metrics alone: the others take all rows."""
    return [row for row in result.metrics if row[1] in ("knn_accuracy", "precision_at_10")]


CALLS = {
    "model": lambda data: neighbours.evaluate(Identity(), data, distances={}),
    "control": neighbours.control,
    "descriptor": lambda data: neighbours.described(lambda x: 2 * x, data),
}


@pytest.mark.parametrize("call", CALLS)
def test_label_metrics_are_those_without_the_unlabelled_rows(labelled, call, capsys):
    with_them, without = mixed(labelled)
    found = of_labels(CALLS[call](with_them))
    said = capsys.readouterr().out
    assert found == of_labels(CALLS[call](without))
    assert {metric for _, metric, _ in found} == {"knn_accuracy", "precision_at_10"}
    assert said == (
        "neighbours: the label metrics leave out 60 training and 60 test rows of hand, which are unlabelled\n"
    )
    CALLS[call](with_them)
    assert capsys.readouterr().out == ""


def test_geodesic_neighbours_leave_them_out_too(labelled):
    class ByCodes:
        """Euclidean distance as a distance object."""

        def nearest(self, queries, gallery, k):
            return torch.cdist(queries.double(), gallery.double()).topk(k, largest=False).indices, None

    with_them, without = mixed(labelled)
    found, expected = (
        of_labels(neighbours.evaluate(Identity(), data, distances={"other": ByCodes()}))
        for data in (with_them, without)
    )
    assert found == expected
    assert {(name, metric): value for name, metric, value in found}["other", "knn_accuracy"] == pytest.approx(
        {(name, metric): value for name, metric, value in found}["euclidean", "knn_accuracy"]
    )


def test_queries_are_spread_over_the_labelled_rows(labelled, monkeypatch):
    """Few labelled rows at the end of a part are all asked for."""
    monkeypatch.setattr(neighbours, "QUERIES", 8)
    marks = torch.full((ROWS,), -1)
    marks[-8:] = labelled.test_labels[-8:]
    data = dataclasses.replace(labelled, test_labels=marks)
    alone = dataclasses.replace(labelled, test=labelled.test[-8:], test_labels=labelled.test_labels[-8:])
    monkeypatch.setattr(neighbours, "_check", lambda dataset: None)
    monkeypatch.setattr(neighbours, "own_faithfulness", lambda dataset: {})  # of eight rows there is none
    assert neighbours.control(data).metrics == neighbours.control(alone).metrics


def test_the_factor_counts_all_rows(labelled):
    data = dataclasses.replace(labelled, factors=labelled.test[:, 0].clone())
    marks = torch.where(torch.arange(ROWS) % 2 == 0, -1, labelled.test_labels)
    found = dict(r[1:] for r in neighbours.control(dataclasses.replace(data, test_labels=marks)).metrics)
    whole = dict(r[1:] for r in neighbours.control(data).metrics)
    half = dataclasses.replace(labelled, test=labelled.test[1::2], test_labels=labelled.test_labels[1::2])
    assert found["true_neighbour_recall_at_10"] == whole["true_neighbour_recall_at_10"]
    assert found["knn_accuracy"] == dict(r[1:] for r in neighbours.control(half).metrics)["knn_accuracy"]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("left", [0, 9])
def test_too_few_labelled_rows_give_no_label_metrics(labelled, part, left, capsys):
    marks = torch.full((ROWS,), -1)
    marks[:left] = 1
    data = dataclasses.replace(labelled, **{f"{part}_labels": marks})
    found = {metric for _, metric, _ in of_labels(neighbours.control(data))}
    if part == "test" and left:  # nine queries are enough, nine neighbours are not
        assert found == {"knn_accuracy", "precision_at_10"}
        return
    assert found == set()
    counts = (ROWS - left, 0) if part == "train" else (0, ROWS - left)
    assert capsys.readouterr().out == (
        f"neighbours: no label metrics, {counts[0]} training and {counts[1]} test rows of hand are unlabelled\n"
    )


def test_no_centre_stands_for_them(labelled):
    marks = torch.tensor([-1, 2, 0, -1, 2, 0])
    groups = distances._groups(dataclasses.replace(labelled, test=labelled.test[:6], test_labels=marks))
    assert [group.tolist() for group in groups] == [[2, 5], [1, 4]]
    none = dataclasses.replace(labelled, test_labels=torch.full((ROWS,), -1))
    bare = dataclasses.replace(labelled, test_labels=None)
    assert [g.tolist() for g in distances._groups(none)] == [g.tolist() for g in distances._groups(bare)]


def test_the_supervised_control_never_sees_them(labelled):
    """Trained among unlabelled rows it is the one that is trained without them, bit for bit."""
    with_them, without = mixed(labelled)
    settings = {"seed": 0, "steps": 5, "batch_size": 16, "hidden": (8,)}
    found, expected = (supervised.descriptor(data, **settings)(labelled.test) for data in (with_them, without))
    assert torch.equal(found, expected)
    one = torch.where(labelled.train_labels == 2, 2, -1)
    assert "hand has no two labels in training" in refused(
        supervised.descriptor, dataclasses.replace(labelled, train_labels=one), seed=0
    )
    assert torch.equal(
        *(pca.descriptor(data)(labelled.test) for data in (labelled, dataclasses.replace(labelled, train_labels=one)))
    )


def test_the_map_shows_them_in_grey_and_leaves_the_classes_their_colours():
    """Class 0 keeps the first colour, as where every row is labelled."""
    x = np.linspace(-1, 1, 5)
    arrays = {"seeds": np.arange(1), "codes": np.random.default_rng(0).normal(size=(1, 6, 2))}
    arrays |= {"map_x": x[None], "map_y": x[None], "map_log_mf": np.zeros((1, 5, 5))}
    colours = {}
    for name, labels in (("all", [0, 0, 1, 1, 2, 2]), ("some", [-1, 0, 1, -1, 2, 2])):
        known = {"colour": np.array(labels), "colour_name": np.array("label"), "colour_period": np.array(0.0)}
        figure = figures.latent_map({"vae": arrays | known}, "title")
        handles = figure.legends[0].legend_handles
        colours[name] = [(line.get_label(), matplotlib.colors.to_hex(line.get_color())) for line in handles]
    assert colours["some"] == [*colours["all"], ("unlabelled", "#bbbbbb")]
