"""Trustworthiness against scikit-learn's, rank correlations along the data against paths that are known."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from sklearn.manifold import trustworthiness
from torch import nn

from flatvae.datasets import Dataset
from flatvae.evaluation import _faithfulness, neighbours, random_pairs
from flatvae.likelihoods import likelihood


def dataset(test: torch.Tensor) -> Dataset:
    test = test.float()
    return Dataset("hand", test, test, test, "gaussian", (test.shape[1],))


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def found(data: Dataset, codes: torch.Tensor) -> dict[str, float]:
    """The metrics of codes that are given for the rows of the test part."""
    return _faithfulness.faithfulness(data, codes[_faithfulness.asked(data)])


def roll(rows: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Angles in order, and a spiral in the plane at them: its turns are nearer to one another than its ends along it."""
    angle = torch.linspace(math.pi, 5 * math.pi, rows, dtype=torch.float64)
    return angle, torch.stack([angle * angle.cos(), angle * angle.sin()], dim=-1)


@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0, 100.0])
@pytest.mark.parametrize("rows", [21, 300])
def test_trustworthiness_is_scikit_learn_s(rows, noise):
    x = normal(rows, 5)
    codes = x[:, :3] + noise * normal(rows, 3, seed=1)
    data = dataset(x)
    expected = trustworthiness(x.double().numpy(), codes.double().numpy(), n_neighbors=10)
    assert found(data, codes)["trustworthiness_at_10"] == pytest.approx(expected, abs=1e-12)


def test_of_twenty_rows_there_is_no_trustworthiness():
    assert set(found(dataset(normal(20, 3)), normal(20, 2))) == {"graph_rank_correlation"}


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_neither_units_nor_axes_of_the_codes_matter(seed, unit):
    data, codes = dataset(normal(60, 4, seed=seed)), normal(60, 3, seed=seed + 1).double()
    rotation = torch.linalg.qr(normal(3, 3, seed=seed).double()).Q
    assert found(data, unit * codes @ rotation + 7) == pytest.approx(found(data, codes), abs=1e-6)


def test_a_spiral_unrolled_orders_pairs_as_the_way_along_it_does_and_the_plane_does_not():
    _, x = roll()
    data = dataset(x)
    length = torch.cat([torch.zeros(1), x.diff(dim=0).norm(dim=-1).cumsum(0)])
    assert found(data, length[:, None])["graph_rank_correlation"] > 0.999
    folded = found(data, x)
    assert folded["trustworthiness_at_10"] == 1
    assert folded["graph_rank_correlation"] < 0.8
    own = _faithfulness.own_faithfulness(data)
    assert own["graph_rank_correlation"] == pytest.approx(folded["graph_rank_correlation"])
    assert own["graph_rank_pairs_left_out"] == 0


def floyd_warshall(x: np.ndarray, k: int) -> np.ndarray:
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    paths = np.full(distance.shape, np.inf)
    for i, row in enumerate(distance):
        for j in [j for j in np.argsort(row, kind="stable") if j != i][:k]:
            paths[i, j] = paths[j, i] = row[j]
    np.fill_diagonal(paths, 0)
    for via in range(len(x)):
        paths = np.minimum(paths, paths[:, [via]] + paths[[via]])
    return paths


def test_rank_correlation_is_that_of_shortest_paths_and_leaves_out_pairs_without_one():
    """Two clusters far apart: about half of the pairs have no path, and they are counted."""
    x = torch.cat([normal(40, 3), normal(40, 3, seed=1) + 1000])
    data, codes = dataset(x), normal(80, 2, seed=2)
    rows = _faithfulness.asked(data)
    paths = floyd_warshall(x[rows].double().numpy(), 10)
    first, second = (part.numpy() for part in random_pairs(80, 10_000))
    along = paths[first, second]
    joined = np.isfinite(along)
    at = codes[rows].double().numpy()
    expected = spearmanr(np.linalg.norm(at[first] - at[second], axis=1)[joined], along[joined]).statistic
    assert found(data, codes)["graph_rank_correlation"] == pytest.approx(expected, abs=1e-9)
    assert _faithfulness.own_faithfulness(data)["graph_rank_pairs_left_out"] == (~joined).sum() > 4000


def test_rows_that_coincide_are_joined_at_no_distance():
    """Five times five places on a line: the way from end to end is the line's length."""
    x = torch.arange(5.0).repeat_interleave(5)[:, None] * torch.ones(2)
    paths = _faithfulness._path_lengths(x.double().numpy())
    np.testing.assert_allclose(paths, np.linalg.norm(x[:, None] - x[None], axis=2), atol=1e-12)


def test_codes_that_coincide_say_nothing():
    """Rank correlation 0; neighbours are random ones, though the rows come in the order of the data."""
    _, x = roll(1000)
    values = found(dataset(x), torch.ones(1000, 2))
    assert values["graph_rank_correlation"] == 0
    assert values["trustworthiness_at_10"] < 0.6


def test_reversed_distances_correlate_negatively():
    data = dataset(torch.linspace(0, 1, 200)[:, None] * torch.ones(3))
    position = torch.linspace(0, 1, 200)
    codes = torch.stack([(40 * position).sin(), (40 * position).cos()], dim=-1)
    value = found(data, codes)["graph_rank_correlation"]
    rows = _faithfulness.asked(data)
    first, second = random_pairs(200, 10_000)
    gaps = (position[rows][first] - position[rows][second]).abs()
    chords = (codes[rows][first] - codes[rows][second]).norm(dim=-1)
    assert abs(value) < 0.2
    assert np.sign(value) == np.sign(kendalltau(gaps, chords).statistic)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.likelihood = likelihood("gaussian")

    def encode(self, x):
        return x[:, :1] + self.weight


def test_the_task_has_them_for_models_descriptors_and_the_control(monkeypatch):
    data = dataset(normal(100, 3))
    expected = found(data, data.test[:, :1])
    by_model = neighbours.evaluate(Model(), data, distances={}).metrics
    by_descriptor = neighbours.described(lambda x: x[:, :1], data).metrics
    assert {metric: value for distance, metric, value in by_model if distance == "euclidean"} == expected
    assert by_descriptor == by_model
    control = neighbours.control(data).metrics
    assert {distance for distance, _, _ in control} == {"data"}
    assert {metric for _, metric, _ in control} == {"graph_rank_correlation", "graph_rank_pairs_left_out"}
    monkeypatch.setattr(_faithfulness, "ROWS", 30)
    assert len(_faithfulness.asked(dataclasses.replace(data))) == 30


def test_the_data_s_own_part_is_made_once_for_all_seeds(monkeypatch):
    calls, data = [], dataset(normal(50, 3))
    own = _faithfulness._path_lengths
    monkeypatch.setattr(_faithfulness, "_path_lengths", lambda x: calls.append(len(x)) or own(x))
    for _ in range(3):
        neighbours.evaluate(Model(), data, distances={})
    assert calls == [50]
