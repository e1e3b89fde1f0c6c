"""Re-identification against loops over queries and galleries, written from the formulas."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refusal import refused
from torch import nn

from flatvae import datasets
from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.evaluation import _reidentification, neighbours
from flatvae.evaluation._reidentification import queries, rank_metrics_by, reidentification

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
# rank-1, rank-5 and mAP of raw pixels in the ground truth's crops, and queries that nobody answers, as measured here
# (METHOD.md section 4 has 0.606 and 0.380, 0.878 and 0.583 with crops of a prototype)
PIXELS = {
    "TUD-Stadtmitte": (0.585, 0.733, 0.384, 0),
    "ETH-Sunnyday": (0.862, 0.909, 0.561, 26),
    "TUD-Campus": (0.711, 0.857, 0.495, 9),
}


def people(rows: list[tuple[str, int, int]], values: torch.Tensor | None = None) -> Dataset:
    """A data set whose test part has these crops: (video, frame, label); two crops of other people are for training."""
    table = pd.DataFrame([("V", 1, 90), ("V", 2, 91), *rows], columns=["sequence", "frame", "label"])
    table["part"] = ["train", "validation"] + ["test"] * len(rows)
    labels = torch.tensor([label for *_, label in rows])
    if values is None:
        values = torch.randn(len(rows), 4, generator=torch.Generator().manual_seed(0))
    one = torch.zeros(1, values.shape[1])
    of_one = torch.zeros(1, dtype=torch.int64)
    return Dataset(
        "people", one, one, values.float(), "gaussian", (values.shape[1],), of_one, of_one, labels, boxes=table
    )


def walkers(rows: int = 80, seed: int = 0) -> Dataset:
    """Crops of six people, and of nobody, in two videos."""
    draw = np.random.default_rng(seed)
    crops = sorted((str(draw.choice(["A", "B"])), int(draw.integers(1, 60)), -1) for _ in range(rows))
    crops = [(v, f, int(draw.integers(-1, 3)) + (3 if v == "B" and draw.random() < 0.8 else 0)) for v, f, _ in crops]
    return people(crops)


def values_of(result) -> dict[str, float]:
    """The metrics of re-identification alone."""
    return {metric: value for _, metric, value in result.metrics if metric in ("rank_1", "rank_5", "mAP")}


def brute(codes: torch.Tensor, dataset: Dataset) -> dict:
    """The metrics by the formulas, one query, one place and one crop at a time."""
    crops = dataset.boxes[dataset.boxes["part"] == "test"].reset_index(drop=True)
    found = {"rank_1": [], "rank_5": [], "mAP": [], "left_out": 0, "orders": {}}
    for q, query in crops.iterrows():
        gallery = [
            i
            for i, crop in crops.iterrows()
            if crop["sequence"] == query["sequence"] and not -10 < crop["frame"] - query["frame"] < 10
        ]
        gallery.sort(key=lambda i: (float(torch.dist(codes[i].double(), codes[q].double())), i))
        right = [crops["label"][i] == query["label"] for i in gallery]
        if query["label"] == -1 or not any(right):
            found["left_out"] += 1
            continue
        precisions = [sum(right[: place + 1]) / (place + 1) for place in range(len(right)) if right[place]]
        found["rank_1"].append(any(right[:1]))
        found["rank_5"].append(any(right[:5]))
        found["mAP"].append(sum(precisions) / len(precisions))
        found["orders"][q] = gallery
    return found


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), rows=st.integers(30, 60), dim=st.integers(1, 5))
def test_metrics_equal_the_formulas(seed, rows, dim):
    dataset = walkers(rows, seed)
    codes = torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = brute(codes, dataset)
    if not expected["orders"]:
        with pytest.raises(InputError):
            reidentification(codes, dataset)
        return
    result = reidentification(codes, dataset)
    assert {distance for distance, *_ in result.metrics} == {"euclidean"}
    assert list(values_of(result)) == ["rank_1", "rank_5", "mAP"]
    for metric, value in values_of(result).items():
        assert value == pytest.approx(np.mean(expected[metric]), abs=1e-12)
    assert result.shared["left_out"] == expected["left_out"]
    assert result.shared["asked"] == len(expected["orders"])
    assert queries(dataset).tolist() == list(expected["orders"])
    for row, nearest in zip(result.shared["queries"].tolist(), result.arrays["nearest"].tolist(), strict=True):
        assert nearest == (expected["orders"][row] + [-1] * 10)[:10]


def test_average_precision_of_a_ranking_done_by_hand():
    """Right, wrong, right, wrong, wrong, right: (1/1 + 2/3 + 3/6) / 3; and the query's own turn in each gallery."""
    rows = [("V", 1, 0)] + [("V", 20 + i, label) for i, label in enumerate([0, 1, 0, 2, 1, 0])]
    codes = torch.tensor([[0.0], *([i + 1.0] for i in range(6))])
    same = torch.tensor([True, False, True, False, False, True])
    found = _reidentification._query_metrics(same)
    assert found == pytest.approx({"rank_1": 1, "rank_5": 1, "mAP": (1 + 2 / 3 + 1 / 2) / 3})
    # only the first crop is 10 frames or more away from any other
    result = reidentification(codes, people(rows))
    others = {1: [1.0], 3: [1.0], 6: [1.0]}  # they find the first crop alone, which is theirs
    every = [(1 + 2 / 3 + 1 / 2) / 3] + [one for value in others.values() for one in value]
    assert values_of(result)["mAP"] == pytest.approx(np.mean(every))
    assert result.shared["asked"] == 4
    assert result.shared["left_out"] == 3


def test_descriptors_that_know_the_person_are_perfect_and_those_that_mislead_find_nobody():
    dataset = walkers(80, 3)
    known = torch.nn.functional.one_hot(dataset.test_labels + 1, 8)
    assert values_of(reidentification(known, dataset)) == {"rank_1": 1, "rank_5": 1, "mAP": 1}
    # two crops of each of eight people, 14 others between them in the order of distance
    rows = [("V", 30 * i, i % 8) for i in range(16)]
    apart = torch.tensor([[float(i % 8 + 1000 * (i // 8))] for i in range(16)])
    found = values_of(reidentification(apart, people(rows)))
    # the seven others of a crop's own half come first, then those of the other half that stand before its person
    places = [7 + i % 8 + 1 if i < 8 else 7 + 8 - i % 8 for i in range(16)]
    assert found == pytest.approx({"rank_1": 0, "rank_5": 0, "mAP": np.mean([1 / place for place in places])})


def test_a_constant_descriptor_is_as_good_as_chance():
    # five of eight crops are of the first person
    rows = [("V", 1 + i // 4, i % 4 if i < 400 else 0) for i in range(800)]
    dataset = people(rows)
    found = reidentification(torch.zeros(800, 3), dataset)
    labels, galleries = dataset.test_labels, _reidentification._Crops.of(dataset).gallery
    chance = np.mean([(labels[galleries(i)] == labels[i]).double().mean() for i in range(800)])
    assert values_of(found)["rank_1"] == pytest.approx(chance, abs=0.05)
    assert values_of(found)["mAP"] == pytest.approx(chance, abs=0.05)
    again = reidentification(torch.ones(800, 1), dataset)
    assert again.metrics == found.metrics
    np.testing.assert_array_equal(again.arrays["nearest"], found.arrays["nearest"])


@pytest.mark.parametrize(("frames", "answered"), [(9, False), (10, True), (11, True)])
def test_a_gallery_begins_ten_frames_away(frames, answered):
    rows = [("V", 50, 0), ("V", 50 + frames, 0), ("V", 200, 1), ("V", 240, 1)]
    assert queries(people(rows)).tolist() == ([0, 1] if answered else []) + [2, 3]
    codes = torch.tensor([[0.0], [0.1], [5.0], [6.0]])
    nearest = reidentification(codes, people(rows)).arrays["nearest"].tolist()
    assert nearest[-1] == [2, 1, 0] + 7 * [-1]
    assert nearest[:-1] == ([[0, 2, 3] + 7 * [-1]] if answered else [])


def test_videos_are_not_mixed():
    """The same label in another video is not looked for: there codes would be nearer."""
    rows = [("A", 1, 0), ("A", 100, 0), ("A", 200, 1), ("B", 50, 0), ("B", 60, 1), ("B", 100, 1)]
    codes = torch.tensor([[0.0], [3.0], [1.0], [0.1], [7.0], [8.0]])
    result = reidentification(codes, people(rows))
    assert queries(people(rows)).tolist() == [0, 1, 4, 5]
    video = np.array([0, 0, 0, 1, 1, 1])
    for row, nearest in zip(result.shared["queries"], result.arrays["nearest"], strict=True):
        found = nearest[nearest >= 0]
        assert len(found)
        assert (video[found] == video[row]).all()


def test_nobody_asks_and_nobody_is_found():
    rows = [("V", 1, 0), ("V", 30, 0), ("V", 31, -1), ("V", 60, -1), ("V", 90, -1)]
    codes = torch.tensor([[0.0], [2.0], [1.0], [1.1], [1.2]])
    result = reidentification(codes, people(rows))
    assert result.shared["asked"] == 2
    assert result.shared["left_out"] == 3
    # to the first crop all three of nobody are nearer than its person; to the second those far enough away are
    assert values_of(result) == pytest.approx({"rank_1": 0, "rank_5": 1, "mAP": (1 / 4 + 1 / 3) / 2})


def test_queries_are_spread_over_the_test_part(monkeypatch):
    monkeypatch.setattr(_reidentification, "QUERIES", 20)
    rows = [("V", 1 + i, i % 4) for i in range(200)]
    asked = queries(people(rows))
    assert asked.tolist() == [round(i * 199 / 19) for i in range(20)]
    result = reidentification(people(rows).test, people(rows))
    assert (result.shared["asked"], result.shared["left_out"]) == (20, 0)
    assert np.isin(result.shared["queries"], asked).all()
    assert np.unique(result.arrays["nearest"]).size > 20, "the gallery is all crops"


def test_the_figure_shows_one_query_of_each_of_at_most_eight_people():
    rows = [("V", 1 + i, i % 12) for i in range(240)]
    dataset = people(rows)
    first = reidentification(dataset.test, dataset)
    other = reidentification(torch.flip(dataset.test, [1]) ** 3, dataset)
    shown = first.shared["queries"]
    np.testing.assert_array_equal(shown, other.shared["queries"])
    labels = dataset.test_labels[shown].tolist()
    assert labels == [0, 2, 3, 5, 6, 8, 9, 11]
    assert ((shown > 60) & (shown < 180)).all(), "from the middle of the video"
    assert first.arrays["nearest"].shape == (8, 10)


def test_a_video_in_which_nobody_comes_back_is_refused():
    rows = [("V", 1, 0), ("V", 5, 0), ("V", 50, 1)]
    with pytest.raises(InputError, match="in people no test crop's person is seen again 10 or more frames away"):
        reidentification(torch.zeros(3, 1), people(rows))


class Squeezed(nn.Module):
    """Codes are data squeezed in their later columns, which the decoder undoes."""

    def __init__(self, dim: int):
        super().__init__()
        self.scale = nn.Parameter(0.3 ** torch.arange(dim), requires_grad=False)

    def encode(self, x):
        return x * self.scale

    def decode(self, z):
        return z / self.scale


class Listed:
    """A distance object that keeps what it was asked and orders by decoded chords."""

    def __init__(self, model):
        self.model, self.galleries = model, []

    def nearest_among(self, queries, candidates, k):
        self.galleries += list(candidates)
        apart = self.model.decode(queries)[:, None] - self.model.decode(candidates)
        length, order = apart.norm(dim=2).sort(dim=1)
        return order[:, :k], length[:, :k]


def test_ranks_by_another_distance_equal_those_of_its_own_space(monkeypatch):
    """The decoder undoes the squeeze, so distances on its image are those between the data."""
    dataset, model = walkers(120, 5), Squeezed(4)
    distance = Listed(model)
    result = neighbours.evaluate(model, dataset, distances={"geodesic": distance})
    by = {
        name: values_of(result._replace(metrics=[row for row in result.metrics if row[0] == name]))
        for name in ("euclidean", "geodesic")
    }
    data = values_of(neighbours.control(dataset))
    assert by["geodesic"] == pytest.approx({k: data[k] for k in ("rank_1", "rank_5")})
    assert by["euclidean"] == values_of(neighbours.described(model.encode, dataset))
    assert by["euclidean"]["mAP"] != data["mAP"]
    assert {len(gallery) for gallery in distance.galleries} <= set(range(1, 31))
    monkeypatch.setattr(_reidentification, "CANDIDATES", 1000)
    codes = model.encode(dataset.test)
    assert rank_metrics_by(distance, codes, dataset.test, dataset) == by["geodesic"]


def test_geodesic_ranks_are_those_of_a_search_in_the_whole_gallery():
    from baselines.geodesic import GeodesicDistance

    dataset, model = walkers(90, 7), Squeezed(4)

    def decode(z):  # curved
        x = model.decode(z)
        return torch.cat([x, x.square(), torch.sin(2 * x)], dim=1)

    codes = model.encode(dataset.test)
    distance = GeodesicDistance(decode, codes, 10)
    found = rank_metrics_by(distance, codes, decode(codes), dataset)
    crops, asked = _reidentification._Crops.of(dataset), queries(dataset)
    hits = {"rank_1": 0.0, "rank_5": 0.0}
    for row in asked.tolist():
        gallery = crops.gallery(row)
        nearest = gallery[distance.nearest(codes[row, None], codes[gallery], min(5, len(gallery)))[0][0]]
        same = dataset.test_labels[nearest] == dataset.test_labels[row]
        hits = {k: hits[k] + float(same[: int(k[5:])].any()) / len(asked) for k in hits}
    assert found == pytest.approx(hits)


def test_the_control_is_the_raw_pictures():
    dataset = walkers(70, 2)
    control = neighbours.control(dataset)
    assert {distance for distance, *_ in control.metrics} == {"data"}
    assert values_of(control) == values_of(neighbours.described(lambda x: x, dataset))


def test_a_descriptor_that_is_not_finite_is_refused():
    dataset = walkers(40, 1)
    sentence = refused(lambda: neighbours.described(lambda x: x / x[:, :1].clamp(max=0.0), dataset))
    assert "is NaN or infinite; train the model again" in sentence


def test_described_on_data_that_are_no_people_has_the_metrics_of_labels():
    source = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (40,), generator=source)
    values = torch.randn(40, 3, generator=source) + labels[:, None]
    dataset = Dataset("hand", values, values, values, "gaussian", (3,), labels, labels, labels)
    found, control = neighbours.described(lambda x: 2 * x, dataset).metrics, neighbours.control(dataset).metrics
    of_labels = ("knn_accuracy", "precision_at_10")
    assert [row for row in found if row[1] in of_labels] == [
        ("euclidean", *row[1:]) for row in control if row[1] in of_labels
    ]
    with pytest.raises(InputError, match="11 are needed"):
        neighbours.described(lambda x: x, dataclasses.replace(dataset, test=values[:9], test_labels=labels[:9]))


@pytest.mark.parametrize("name", PIXELS)
def test_raw_pixels_of_the_published_videos(name, monkeypatch, tmp_path):
    if not (ROOT / "mot" / name / "img1").is_dir():
        pytest.skip("the MOTChallenge sequences are not there: set FLATVAE_DATA to a folder that holds mot/")
    monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path))
    dataset = datasets.load("mot", ROOT, train=[other for other in PIXELS if other != name][:1], test=[name])
    result = neighbours.control(dataset)
    assert list(values_of(result).values()) == pytest.approx(PIXELS[name][:3], abs=0.003)
    assert result.shared["left_out"] == PIXELS[name][3]
