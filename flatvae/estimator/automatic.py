"""The automatic choices of ``FlatVAE``: the initial parameters, the bound, and the weight of the penalty.

All three are found on at most 10,000 rows.

*Start.* From random parameters a training often folds a curved sheet, and no later step unfolds it: it lays one turn of the Swiss
roll on another. So the networks are first fitted to Isomap's codes of at most 2,000 rows (``unfolded_start``). Isomap is not
better on all data. So a short free training (no penalty, a bound out of reach) runs from this start and from a random one, and
the start with the smaller error wins.

*Bound.* κ² = √(e_free · e_PCA), where e_free is the error of that training, and e_PCA the error of a linear map onto as many
dimensions: halfway, in logarithms, between the best reachable error and the error that needs no network.

*Weight.* Trainings of a third of the steps run with η = 1, 3, 10 … 300, all at once, like seeds. The choice is the least η whose
median condition numbers, at held-out codes and at their mixup points, are at most 1.07 at the bound; if there is none, the η with
the least condition number.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import ArpackError
from sklearn.decomposition import KernelPCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

import flatvae.geometry.metric as geometry
from flatvae import flat_vae, training
from flatvae.datasets import Dataset
from flatvae.evaluation import encode
from flatvae.evaluation.flatness import mixup_points
from flatvae.geometry.geodesic import joining_edges
from flatvae.variance import pca_unexplained

ROWS = 10_000  # rows that the choices are made on, at most
ETAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_GRAPH_ROWS, _NEIGHBOURS = 2_000, 10  # for Isomap
_START_STEPS, _START_RATE, _START_BATCH, _START_NOISE = 600, 2e-3, 128, 0.05
_START_LOG_VARIANCE = -6.0  # of the posterior: small compared with the codes' variance of 1
_FREE, _SHORT = 4, 3  # divisors of the steps, for the free trainings and for those with several η
_FREE_BETA = 1e-3
_LEAST = 1e-3  # least bound, as a share of the variance; below it rounding and the data's noise dominate
_FLAT = 1.07  # 1.1 with a margin for the long training
_NEAR = 1.15  # a short training counts as meeting the bound up to this multiple of it

Say = Callable[[str], None] | None
State = dict[str, Tensor]


class Choice(NamedTuple):
    """The choices for a fit.

    Attributes:
        start: initial parameters; None for random ones.
        unexplained: the bound as a share of the variance.
        eta: the penalty's weight.
        tried: table of the trainings behind the choices: columns ``what``, ``start``, ``eta``, ``unexplained``,
            ``condition_number``.
    """

    start: State | None
    unexplained: float
    eta: float
    tried: pd.DataFrame


def own_dataset(rows: Tensor) -> Dataset:
    """Rows (N, D) as a data set with a training part only."""
    return Dataset("own", rows, rows[:0], rows[:0], likelihood="gaussian", shape=(rows.shape[1],))


def isomap_codes(rows: np.ndarray, n: int) -> np.ndarray | None:
    """Isomap's codes of rows, centred, with mean variance 1: (N, D) -> (N, n); None if there are none.

    There are none for fewer than 2 · 10 rows, or if too many rows coincide to fill n dimensions. If the graph of 10 neighbours
    has several components, straight edges join them.

    Source: Tenenbaum, de Silva & Langford (Science 2000).
    """
    if len(rows) < 2 * _NEIGHBOURS:
        return None
    neighbours = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(rows).kneighbors(return_distance=False)
    ends = np.stack([np.repeat(np.arange(len(rows)), _NEIGHBOURS), neighbours.ravel()], axis=1)
    ends = np.concatenate([ends, joining_edges(rows, ends)])
    length = np.linalg.norm(rows[ends[:, 0]] - rows[ends[:, 1]], axis=1)
    graph = csr_array((np.maximum(length, np.finfo(float).tiny), ends.T), shape=(len(rows), len(rows)))  # 0 is no edge
    apart = dijkstra(graph, directed=False)
    try:
        codes = KernelPCA(n, kernel="precomputed", random_state=0).fit_transform(-0.5 * apart**2)
    except (ValueError, ArpackError):  # from the eigenvalues, if rows coincide
        return None
    if codes.shape[1] < n or not np.isfinite(codes).all():
        return None
    variance = codes.var(axis=0).mean()
    return (codes - codes.mean(0)) / math.sqrt(variance) if variance > 1e-12 * rows.var() else None


def unfolded_start(model: nn.Module, rows: Tensor, codes: Tensor, seed: int) -> State:
    """The model's parameters after a fit of both networks to given codes y of rows x: (M, D), (M, n).

        E |μ(x) − y|² + n/D · E |f(y + ε) − x|² + 0.01 · E |log σ²(x) + 6|²,  ε of standard deviation 0.05

    600 steps of Adam take about a second on one core. The prior is not changed.
    """
    source = torch.Generator().manual_seed(seed)
    networks = [*model.encoder.parameters(), *model.decoder.parameters()]
    adam = torch.optim.Adam(networks, lr=_START_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, 2 - 2 * step / _START_STEPS))
    n, size = codes.shape[1], rows.shape[1]
    for _ in range(_START_STEPS):
        batch = torch.randint(len(rows), (_START_BATCH,), generator=source)
        x, y = rows[batch], codes[batch]
        near = y + _START_NOISE * torch.randn(y.shape, generator=source)
        mean, log_variance = model.encoder(x)
        loss = (mean - y).square().sum(1).mean() + n / size * (model.decode(near) - x).square().sum(1).mean()
        loss = loss + 0.01 * (log_variance - _START_LOG_VARIANCE).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    return {name: value.detach() for name, value in model.state_dict().items()}


class Search:
    """Chooses start, bound and weight by short trainings.

    Args:
        rows: centred and scaled data (N, D), float32.
        hyperparameters: the fit's hyperparameters, without bound and η.
        seed: seed of all draws.
        device: where the trainings run.
        say: see ``flatvae.training.train``.
    """

    def __init__(self, rows: Tensor, hyperparameters: dict, seed: int, device: torch.device, say: Say):
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows))[:ROWS])
        held_out = max(1, len(order) // 10) if len(order) > 10 else 0  # with few rows, all are needed for training
        self.held_out = rows[order[:held_out]] if held_out else rows[order]
        self.dataset = own_dataset(rows[order[held_out:]])
        self.hyperparameters, self.seed, self.device, self.say = hyperparameters, seed, device, say
        self.n, self.size, self.steps = hyperparameters["latent_dim"], rows.shape[1], hyperparameters["steps"]
        self.tried: list[dict] = []

    def choose(self, start: str, unexplained: float | None, eta: float | None) -> Choice:
        """Chooses the start (from ``auto``, ``isomap`` or ``random``), and bound and η if they are None."""
        starts = {"random": self._build().state_dict()} if start != "isomap" else {}
        codes = isomap_codes(self.dataset.train[:_GRAPH_ROWS].double().numpy(), self.n) if start != "random" else None
        if codes is not None:
            rows, given = self.dataset.train[: len(codes)], torch.from_numpy(codes).float()
            starts["isomap"] = unfolded_start(self._build(), rows, given, self.seed)
        elif not starts:
            starts["random"] = self._build().state_dict()
        errors = dict.fromkeys(starts, math.nan)
        if len(starts) > 1 or unexplained is None:
            errors = self._free_errors(starts)
        best = min(starts, key=errors.get)
        if unexplained is None:
            unexplained = self._bound(errors[best])
        if eta is None:
            eta = self._weight(best, starts[best], unexplained)
        columns = ["what", "start", "eta", "unexplained", "condition_number"]
        tried = pd.DataFrame(self.tried, columns=columns)
        return Choice(None if best == "random" else starts[best], unexplained, eta, tried)

    def _build(self) -> nn.Module:
        build = training.split_hyperparameters(flat_vae, self.hyperparameters | {"bound": 1.0})[0]
        return training.build_seeded(flat_vae, self.dataset, build, self.seed)

    def _train(self, settings: dict, starts: list[Mapping[str, Tensor]], label: str, weights=None) -> training.Trained:
        return training.train(
            flat_vae,
            self.dataset,
            self.hyperparameters | settings,
            [self.seed] * len(starts),
            device=self.device,
            label=label,
            say=self.say,
            penalty_weights=weights,
            start={name: torch.stack([state[name] for state in starts]) for name in starts[0]},
        )

    def _free_errors(self, starts: dict[str, State]) -> dict[str, float]:
        """Share of the variance that a free training from each start leaves unexplained; inf if it diverges."""
        settings = {
            "steps": max(1, self.steps // _FREE),
            "bound": 1e-6 * self.size,
            "eta": 0.0,
            "initial_fraction": 1.0,
            "initial_beta": _FREE_BETA,  # β throughout, because the initial phase lasts to the end
        }
        trained = self._train(settings, [*starts.values()], "FlatVAE: free training")
        errors = {
            name: math.inf if seed["error"] is None else seed["error"] / self.size
            for name, seed in zip(starts, trained.seeds, strict=True)
        }
        self.tried += [
            {"what": "free training", "start": name, "eta": 0.0, "unexplained": error} for name, error in errors.items()
        ]
        return errors

    def _bound(self, free: float) -> float:
        """The bound as a share of the variance: √(e_free · e_PCA), from 0.001 to 0.99."""
        linear = pca_unexplained(self.dataset.train, self.n)
        self.tried.append({"what": "PCA", "unexplained": linear})
        if not math.isfinite(free):
            free = linear
        # if the training was too short to beat a linear map, the bound is the error that it reached
        return min(0.99, max(_LEAST, free, math.sqrt(max(free, _LEAST) * max(linear, _LEAST))))

    def _weight(self, name: str, start: State, unexplained: float) -> float:
        """The least η that is flat at the bound."""
        settings = {"steps": max(1, self.steps // _SHORT), "bound": unexplained * self.size, "eta": 1.0}
        trained = self._train(settings, [start] * len(ETAS), "FlatVAE: short training", ETAS)
        rows = []
        for s, (eta, seed) in enumerate(zip(ETAS, trained.seeds, strict=True)):
            error = math.inf if seed["error"] is None else seed["error"] / self.size
            k = self._condition_number({key: value[s] for key, value in trained.state.items()})
            rows.append(
                {"what": "short training", "start": name, "eta": eta, "unexplained": error, "condition_number": k}
            )
        self.tried += rows
        near = [row for row in rows if row["unexplained"] <= _NEAR * unexplained] or rows
        flat = [row for row in near if row["condition_number"] <= _FLAT]
        best = flat[0] if flat else min(near, key=lambda row: row["condition_number"])
        return best["eta"]

    @torch.no_grad()
    def _condition_number(self, state: State) -> float:
        """The larger of the median condition numbers at held-out codes and at their mixup points; inf if not finite."""
        model = self._build()
        model.load_state_dict(state)
        model = model.double()
        codes = encode(model, self.held_out.double())
        medians = []
        for points in (codes, mixup_points(codes)):
            metric = geometry.pullback_metric(model.decode, points)
            if not metric.isfinite().all():
                return math.inf
            medians.append(geometry.condition_number(metric).quantile(0.5, interpolation="nearest").item())
        return max(medians)
