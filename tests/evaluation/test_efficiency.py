"""The timings' bookkeeping, with a clock of the test's own; real times are for tests/performance."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from baselines import vae, vhp_vae
from baselines.geodesic import GeodesicDistance
from flatvae import training
from flatvae.datasets import Dataset
from flatvae.evaluation import efficiency

SETTINGS = {"bound": 1.0, "steps": 4, "batch_size": 8, "latent_dim": 2, "hidden": [8]}


def data() -> Dataset:
    parts = torch.rand(3, 120, 5, generator=torch.Generator().manual_seed(0))
    return Dataset("random", *parts, "gaussian", (5,))


def distance_at(model, nodes):
    return GeodesicDistance(model.decode, nodes, 10)


def test_search_times_add_up(monkeypatch):
    """Every call takes 8 s by this clock: of 20 queries each takes 0.4 s, of the tree's 2,000 each 0.004 s; a build 8 s."""
    clock = itertools.count(0, 8)
    monkeypatch.setattr(efficiency.time, "perf_counter", lambda: next(clock))

    model = nn.Linear(1, 1)
    model.encode, model.decode = lambda x: x[:, :2], lambda z: z @ torch.eye(2, 5)
    rows = efficiency.search_times(model, data(), lambda nodes: distance_at(model, nodes), [40, 120], 20)
    values = {(name, metric): value for name, metric, value in rows}
    assert len(values) == len(rows)
    for name, prefix in (("euclidean", ""), ("geodesic", ""), ("geodesic", "graph_")):
        query = 0.004 if name == "euclidean" else 0.4
        for end in ("_at_40", "_at_120", ""):
            assert values[name, f"{prefix}query_seconds{end}"] == pytest.approx(query)
            assert values[name, f"{prefix}build_seconds{end}"] == 8
            assert values[name, f"{prefix}amortised_seconds{end}"] == pytest.approx(8 / 120 + query)
    assert values["geodesic", "query_ratio"] == values["geodesic", "graph_query_ratio"] == pytest.approx(100)
    assert ("euclidean", "query_ratio") not in values


def test_the_median_counts_and_the_first_call_does_not(monkeypatch):
    ticks = iter([0, 1, 10, 15, 100, 103])  # calls of 1, 5 and 3 s
    monkeypatch.setattr(efficiency.time, "perf_counter", lambda: next(ticks))
    calls = []
    assert efficiency.seconds(lambda: calls.append(0)) == 3
    assert len(calls) == 4


def test_measure_has_every_method_and_seed(tmp_path):
    dataset, paths, trainings = data(), {}, {}
    for name, module in (("vae", vae), ("vhp_vae", vhp_vae)):
        paths[name] = tmp_path / f"{name}.safetensors"
        others = {f"{what}_path": tmp_path / what for what in ("history", "metrics")}
        training.train_and_save(
            module.__name__, dataset, SETTINGS, [0, 1], device="cpu", label=name, model_path=paths[name], **others
        )
        trainings[name] = {"builder": module.__name__, "hyperparameters": SETTINGS, "n_seeds": 2, "device": "cpu"}
    table = efficiency.measure(paths, dataset, trainings, distance_at, [40, 80, 9999], 10, training.step_timer)
    memory = table["metric"] == "peak_memory_mb"  # a search may find all it needs already held
    assert (table.loc[~memory, "value"] > 0).all()
    assert (table.loc[memory, "value"] >= 0).all()
    assert not table.duplicated(["method", "distance", "metric", "seed"]).any()
    per_model = table[table["metric"] == "graph_query_seconds_at_120"]  # 9999 counts as the 120 there are
    assert sorted(zip(per_model["method"], per_model["seed"], strict=True)) == [
        (method, seed) for method in ("vae", "vhp_vae") for seed in (0, 1)
    ]
    steps = table[table["metric"] == "step_ratio"].set_index(["method", "seed"])["value"]
    assert sorted(steps.index) == [(method, seed) for method in ("vae", "vhp_vae") for seed in (0, 1)]
    assert (steps["vae"] == 1).all()


def test_the_peak_of_a_call_does_not_hold_that_of_an_earlier_one():
    """64 MB, then 8 MB: the second call neither starts at the first one's peak nor hides in what that freed."""

    def taken(megabytes: int):
        return lambda: np.ones(megabytes << 17).sum()  # 8 bytes each

    found = [efficiency._peak_of(taken(megabytes))[1] for megabytes in (64, 8)]
    if not all(found):
        pytest.skip("the system does not report the peak memory of a process")
    first, second = (one["peak_memory_mb"] for one in found)
    assert 60 < first < 80
    assert 4 < second < 20
