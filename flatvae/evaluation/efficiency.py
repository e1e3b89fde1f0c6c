"""Task ``efficiency``: the cost of a neighbour search and of a training step, all measured in one process.

A search finds the 10 nearest neighbours of some test codes in a gallery of N codes of training data, for growing N. Its metrics
are ``query_seconds_at_<N>``, ``build_seconds_at_<N>`` (work done once for a gallery) and ``amortised_seconds_at_<N>`` = build /
queries + query, for as many queries as the data set has test data. Distance ``euclidean`` is a k-d tree on the codes. Distance
``geodesic`` is its own search (see ``baselines.geodesic.NeighbourIndex``); the prefix ``graph_`` is Dijkstra on the graph whose
nodes are the gallery. Names without ``_at_<N>`` are for the largest N. There ``query_ratio`` and ``graph_query_ratio`` are
relative to the Euclidean query time of the same model.

``step_seconds`` is a training step of all seeds together, per seed, measured as often as there are seeds; ``step_ratio`` is
relative to the first method. ``peak_memory_mb`` is the process's peak memory during a model's searches, above its memory before
them (no value if the system does not report it). A timed call of the k-d tree has at least 2,000 queries. A timed call of a
geodesic search has as many as the config says: its own cost is far above the overhead of a call.

Numbers differ from run to run, so they are in efficiency.csv, never in metrics.csv.
"""

import contextlib
import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from flatvae.checkpoint import finite_seeds, load
from flatvae.evaluation import encode, generator, spread
from flatvae.products import exact_float32

_NEAREST = 10
_REPEATS = 3
_STEPS = 10
_MANY = 2000  # least number of queries in a timed call of the k-d tree
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def timed(function: Callable) -> tuple[float, object]:
    """Wall time of a call in seconds, and its result."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def seconds(function: Callable) -> float:
    """Median wall time of a few calls, after one warm-up call."""
    function()
    return statistics.median(timed(function)[0] for _ in range(_REPEATS))


def _memory_mb(field: str) -> float | None:
    """A field of the process's status in MB, such as VmRSS; None if the system does not report it."""
    try:
        (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith(field)]
    except (OSError, ValueError):
        return None
    return int(line.split()[1]) / 1024


def _peak_of(function: Callable) -> tuple[object, dict[str, float]]:
    """A call's result, and the process's peak memory during it above that before, if the system reports it."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)  # else the call finds what earlier ones freed, and needs no more
    before = _memory_mb("VmRSS")
    try:
        _CLEAR.write_text("5")  # resets the peak
    except OSError:  # not Linux, or not permitted
        return function(), {}
    result, peak = function(), _memory_mb("VmHWM")
    return result, {} if peak is None or before is None else {"peak_memory_mb": max(0.0, peak - before)}


def _search_times(codes: Tensor, asked: Tensor, distance_at: Callable) -> dict[tuple[str, str], tuple[float, float]]:
    """(distance, prefix) -> seconds to build and seconds per query, for one gallery (N, n)."""
    points = codes.numpy()
    many = asked.repeat(-(-_MANY // len(asked)), 1).numpy()  # else overhead of the call would dominate
    tree_time, tree = timed(lambda: NearestNeighbors(n_neighbors=_NEAREST).fit(points))
    graph_time, distance = timed(lambda: distance_at(codes))
    index_time, index = timed(lambda: distance.index(codes))
    return {
        ("euclidean", ""): (tree_time, seconds(lambda: tree.kneighbors(many)) / len(many)),
        ("geodesic", ""): (index_time, seconds(lambda: index.nearest(asked, _NEAREST)) / len(asked)),
        ("geodesic", "graph_"): (graph_time, seconds(lambda: distance.nearest_nodes(asked, _NEAREST)) / len(asked)),
    }


def search_times(model, dataset, distance_at: Callable, sizes: list[int], queries: int) -> list[tuple[str, str, float]]:
    """(distance, metric, value) of one model's searches.

    Args:
        model: a trained model.
        dataset: its data.
        distance_at: nodes (N, n) -> a geodesic distance of the model with these nodes.
        sizes: sizes of the gallery, ascending.
        queries: number of test codes over which the time is averaged.
    """
    gallery, asked = (
        encode(model, part[spread(len(part), count)])
        for part, count in ((dataset.train, sizes[-1]), (dataset.test, queries))
    )
    gallery = gallery[
        torch.randperm(len(gallery), generator=generator())
    ]  # shuffled, so that smaller galleries are spread as well
    rows = []
    for size in sizes:
        for (name, prefix), (build, query) in _search_times(gallery[:size], asked, distance_at).items():
            amortised = build / len(dataset.test) + query
            for what, value in (("query", query), ("build", build), ("amortised", amortised)):
                rows.append((name, f"{prefix}{what}_seconds_at_{size}", value))
    last = f"_at_{sizes[-1]}"
    largest = [(name, metric.removesuffix(last), value) for name, metric, value in rows if metric.endswith(last)]
    (euclidean,) = [value for name, metric, value in largest if (name, metric) == ("euclidean", "query_seconds")]
    ratios = [
        (name, metric.replace("seconds", "ratio"), value / euclidean)
        for name, metric, value in largest
        if name == "geodesic" and "query" in metric
    ]
    return rows + largest + ratios


def _step_rows(dataset, trainings: Mapping[str, Mapping], step_timer: Callable) -> list[tuple]:
    """Training step of every method, measured as often as there are seeds; the column seed numbers the repetitions."""
    rows, timers = [], {method: step_timer(dataset=dataset, **training) for method, training in trainings.items()}
    for repetition in range(max(training["n_seeds"] for training in trainings.values())):
        # interleaved, so that a disturbance does not affect one method alone
        steps = {method: timer(_STEPS) / trainings[method]["n_seeds"] for method, timer in timers.items()}
        first = next(iter(steps.values()))
        for method, value in steps.items():
            rows.append((method, "", "efficiency", "step_seconds", repetition, value))
            rows.append((method, "", "efficiency", "step_ratio", repetition, value / first))
    return rows


def measure(
    paths: Mapping[str, str | Path],
    dataset,
    trainings: Mapping[str, Mapping],
    distance_at: Callable,
    sizes: list[int],
    queries: int,
    step_timer: Callable,
) -> pd.DataFrame:
    """All measurements of the task on one data set.

    Args:
        paths: checkpoint of every method.
        dataset: the data they were trained on.
        trainings: for every method that is trained by steps, the arguments of ``step_timer``: builder, hyperparameters,
            n_seeds, device.
        distance_at: (model, nodes) -> a geodesic distance with these nodes.
        sizes: sizes of the gallery; sizes above the training set's are reduced to it.
        queries: see ``search_times``.
        step_timer: ``flatvae.training.step_timer``; an argument, because evaluations do not import the training.

    Returns:
        columns method, distance, task, metric, seed, value.
    """
    sizes = sorted({min(size, len(dataset.train)) for size in sizes})
    rows = []
    for method, path in paths.items():
        for seed in finite_seeds(path):
            model = load(path, seed)
            with exact_float32():  # as in the evaluations
                found, memory = _peak_of(
                    lambda model=model: search_times(
                        model, dataset, lambda nodes: distance_at(model, nodes), sizes, queries
                    ),
                )
            found += [("", metric, value) for metric, value in memory.items()]
            rows += [(method, name, "efficiency", metric, seed, value) for name, metric, value in found]
            print(f"{dataset.name}/{method} seed {seed}: searches measured", flush=True)
    if trainings:
        rows += _step_rows(dataset, trainings, step_timer)
    return pd.DataFrame(rows, columns=["method", "distance", "task", "metric", "seed", "value"])
