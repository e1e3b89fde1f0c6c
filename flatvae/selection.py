"""The choice of hyperparameters: one rule and one budget for every method, on validation data.

Candidates are the points of a grid. Every method's grid begins with equally many points, trained alike with seeds that no result
uses (100, 101, …). It widens by the same rule: where the choice lies on the edge of an axis, the axis gets one more value beyond
it, by the ratio of its last two, and the new points are tried.

A candidate qualifies if every seed ends at equal reconstruction and settled (see ``flatvae.constraint``). The rule among these:

- a method without a penalty: the least KL on validation data;
- a method with one: the least KL among candidates that are flat, k ≤ 1.1; if none is flat, the least k. k is the larger of two
  median condition numbers, at the codes of validation data and at mixup points of these codes, each a geometric mean over seeds.

If no candidate qualifies, the rule takes the one whose error is nearest to the bound.

A candidate may qualify by luck. So the best candidates by this rule are trained again with ten further seeds, one after the
other, until nine of the ten end at equal reconstruction and settled: that candidate is chosen. If none of the first few
succeeds, the one with the most such seeds is chosen.
"""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch

import flatvae.geometry.metric as geometry
from flatvae.constraint import equal_reconstruction, settled
from flatvae.evaluation import encode, generator
from flatvae.evaluation.flatness import mixup_points
from flatvae.evaluation.reconstruction import train_error
from flatvae.training.loop import train
from flatvae.training.settings import split_hyperparameters
from flatvae.training.step import build_seeded

FLAT = 1.1  # the largest condition number of a latent space that counts as flat
FIRST_SEED = 100
CONFIRMING, NEEDED = 10, 9  # seeds of the confirmation, and how many of them must qualify

Grid = Mapping[str, Sequence[float]]


def points(grid: Grid) -> list[dict[str, float]]:
    """All combinations of a grid's values; the last axis varies fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def widened(grid: Grid, chosen: Mapping[str, float]) -> dict[str, list[float]]:
    """The grid with one more value on every axis at whose edge the choice lies; unchanged if the choice lies inside.

    An axis (…, a, b) continues with b² / a, and likewise below its first value. An axis of one value stays.
    """
    wider = {}
    for name, values in grid.items():
        values = sorted(values)
        if len(values) > 1 and chosen[name] == values[0]:
            values = [_rounded(values[0] ** 2 / values[1]), *values]
        elif len(values) > 1 and chosen[name] == values[-1]:
            values = [*values, _rounded(values[-1] ** 2 / values[-2])]
        wider[name] = values
    return wider


def _rounded(value: float) -> float:
    """Three significant digits, so that 1e4, 3e4 continues with 9e4 and not with 90000.00000000001."""
    return float(f"{value:.3g}")


@torch.no_grad()
def _condition_number(model, codes) -> float:
    metric = geometry.pullback_metric(model.decode, codes)
    return geometry.condition_number(metric).quantile(0.5, interpolation="nearest").item()


@torch.no_grad()
def _measured(model, dataset) -> tuple[float, float, float, float]:
    """Training error; on validation data the KL and the median condition numbers at codes and at mixup points."""
    x = dataset.validation.to(next(model.parameters()))
    noise = torch.randn(len(x), model.noise_size, generator=generator()).to(x)
    codes = encode(model, x)
    return (
        train_error(model, dataset.train),
        model(x, noise).kl.mean().item(),
        _condition_number(model, codes),
        _condition_number(model, mixup_points(codes)),
    )


def _geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def try_candidate(
    module, dataset, candidate: dict, hyperparameters: dict, seeds: list[int], device, label: str, snapshots=None
) -> dict:
    """Trains a candidate on the training data and measures it on the validation data.

    Args:
        module: the method.
        dataset: its data; the test part is not used.
        candidate: the hyperparameters that the search varies.
        hyperparameters: all of them, the candidate's included.
        seeds: the seeds to train.
        device: where to train.
        label: for the progress lines.
        snapshots: where the training keeps its snapshots. They stay there, so that an interrupted search resumes a finished
            training at its last step.

    Returns:
        ``candidate`` (JSON); ``error`` (C / κ² of the seed farthest from 1; C is measured after training, as by the task
        reconstruction), ``beta`` (the largest at the end), ``kl`` (mean), ``condition_number`` and ``condition_number_mixup``
        (geometric means of the medians), ``settled`` (number of settled seeds), ``qualified`` (number of seeds at equal
        reconstruction and settled), ``eligible`` (0/1: all seeds qualify), ``penalised`` (0/1: the method has a penalty).
    """
    build, _, settings = split_hyperparameters(module, hyperparameters)
    trained = train(module, dataset, hyperparameters, seeds, device=device, label=label, snapshots=snapshots)
    model, found = build_seeded(module, dataset, build, 0).double(), []
    for s in range(len(seeds)):
        model.load_state_dict({name: value[s] for name, value in trained.state.items()})
        found.append(_measured(model, dataset))
    error, kl, at_codes, at_mixup = (list(column) for column in zip(*found, strict=True))
    finite = all(seed["frozen_step"] is None for seed in trained.seeds)
    errors = [value / settings.bound for value in error] if finite else [math.inf]
    still = [bool(seed["settling"]) and settled(**seed["settling"]) for seed in trained.seeds]
    equal = [
        seed["frozen_step"] is None and equal_reconstruction(value, settings.bound)
        for seed, value in zip(trained.seeds, error, strict=True)
    ]
    qualified = sum(a and b for a, b in zip(equal, still, strict=True))
    return {
        "candidate": json.dumps(candidate, sort_keys=True),
        "error": max(errors, key=lambda error: abs(error - 1)),
        "beta": max(seed["beta"] for seed in trained.seeds),
        "kl": sum(kl) / len(kl),
        "condition_number": _geometric_mean(at_codes),
        "condition_number_mixup": _geometric_mean(at_mixup),
        "settled": sum(still),
        "qualified": qualified,
        "eligible": int(qualified == len(seeds)),
        "penalised": int(hasattr(module, "penalty")),
    }


def ranking(table: pd.DataFrame) -> list[int]:
    """Positions of one method's rows, ordered by the rule above, best first."""
    k = table[["condition_number", "condition_number_mixup"]].max(axis=1)
    penalised = bool(table["penalised"].iloc[0])

    def key(position: int) -> tuple:
        row = table.iloc[position]
        if not row["eligible"]:
            return 2, abs(row["error"] - 1), position
        if penalised and k.iloc[position] > FLAT:
            return 1, k.iloc[position], position
        return 0, row["kl"], position

    return sorted(range(len(table)), key=key)


def choose(table: pd.DataFrame) -> int:
    """Position of the candidate that the rule chooses among one method's rows.

    ``confirmed`` is the number of seeds that qualified when a candidate was trained again (NaN: it was not). If the table has it,
    the choice is the first in the ranking with ``NEEDED`` or more; else the one with the most, by ranking where several tie.
    """
    order = ranking(table)
    if "confirmed" not in table or table["confirmed"].isna().all():
        return order[0]
    confirmed = table["confirmed"].fillna(-1).tolist()
    return max(order, key=lambda position: (min(confirmed[position], NEEDED), -order.index(position)))


def search(
    grid: Grid,
    tried: Callable[[dict, int], dict],
    widenings: int,
    confirm: Callable[[dict, int], dict],
    confirmations: int,
) -> pd.DataFrame:
    """Tries a grid and widens it until the choice lies inside; then confirms the choice.

    Args:
        grid: values of each hyperparameter, at least two of each that is searched.
        tried: (candidate, its number) -> a row as ``try_candidate`` returns it.
        widenings: how often the grid is widened, at most.
        confirm: as ``tried``, with ``CONFIRMING`` other seeds.
        confirmations: how many candidates are trained again, at most.

    Returns:
        One row per candidate, in the order tried, with ``confirmed`` (seeds that qualified when it was trained again; NaN: it was
        not), ``chosen`` (0/1), and ``edge``: the hyperparameters at whose edge the chosen candidate lies, separated by spaces.
    """
    rows: list[dict] = []
    for _ in range(widenings + 1):
        known = {row["candidate"] for row in rows}
        for candidate in points(grid):
            if json.dumps(candidate, sort_keys=True) not in known:
                rows.append(tried(candidate, len(rows)))
        table = pd.DataFrame(rows)
        wider = widened(grid, json.loads(table["candidate"][choose(table)]))
        if wider == {name: sorted(values) for name, values in grid.items()}:
            break
        last, grid = grid, wider
    else:
        grid = last
    return confirmed(table, grid, confirm, confirmations)


def confirmed(
    table: pd.DataFrame, grid: Grid, confirm: Callable[[dict, int], dict], confirmations: int
) -> pd.DataFrame:
    """The table with ``confirmed``, ``chosen`` and ``edge``: see ``search``."""
    table = table.assign(confirmed=math.nan)
    for position in ranking(table)[:confirmations]:
        again = confirm(json.loads(table["candidate"][position]), position)
        table.loc[position, "confirmed"] = again["qualified"]
        if again["qualified"] >= NEEDED:
            break
    number = choose(table)
    chosen = json.loads(table["candidate"][number])
    wider = widened(grid, chosen)
    edges = " ".join(name for name in grid if len(wider[name]) > len(grid[name]))
    places = [position == number for position in range(len(table))]
    return table.assign(chosen=[int(one) for one in places], edge=[edges if one else "" for one in places])
