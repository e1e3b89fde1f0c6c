"""The choice of hyperparameters: one rule and one budget for every method, on validation data.

Every method has the same number of candidates, trained alike; flatness is what the suite compares, so flatness on
validation data is what chooses, for the baselines as for the flat methods.

The rule: among the candidates of a method whose training met the bound in every seed with β inside (0, 1), the one with
the least condition number on validation data (the larger of the medians at codes and at mixup points, mean over the seeds);
where no candidate met the bound, the one with the least training error relative to the bound.
"""

import json
from collections.abc import Callable

import pandas as pd
import torch

import flatvae.geometry.metric as geometry
from flatvae.constraint import TOLERANCE
from flatvae.evaluation import encode
from flatvae.evaluation.flatness import mixup_points
from flatvae.training.loop import train
from flatvae.training.resume import Snapshots
from flatvae.training.settings import split_hyperparameters
from flatvae.training.step import build_seeded

BETA_INSIDE = 0.98  # β must end below this to count as inside (0, 1)


@torch.no_grad()
def _condition_number(model, codes) -> float:
    metric = geometry.pullback_metric(model.decode, codes)
    return geometry.condition_number(metric).quantile(0.5, interpolation="nearest").item()


def try_candidates(
    module,
    dataset,
    candidates: list[dict],
    seeds: list[int],
    device,
    label: str,
    snapshots_of: Callable[[int, dict], Snapshots | None] = lambda number, candidate: None,
) -> pd.DataFrame:
    """Trains each candidate on the training data and measures it on the validation data.

    Args:
        module: the method.
        dataset: its data; the test part is not looked at.
        candidates: each {"candidate": what is tried, "hyperparameters": all of them}.
        seeds: repetitions.
        device: where to train.
        label: for the progress lines.
        snapshots_of: by a candidate's number and itself, where its training keeps its snapshots. They
            are left there, so that a search that is interrupted takes up the finished ones at their last step.

    Returns:
        One row per candidate: ``candidate`` (JSON), ``error`` (largest Ĉ / κ² of the seeds), ``beta`` (largest), ``kl``
        (mean at the end of training), ``condition_number`` and ``condition_number_mixup`` (means of the medians on
        validation data), ``eligible`` (0/1).
    """
    rows = []
    for number, candidate in enumerate(candidates):
        hyperparameters = candidate["hyperparameters"]
        build, _, settings = split_hyperparameters(module, hyperparameters)
        kept, own = snapshots_of(number, candidate), f"{label} candidate {number}"
        trained = train(module, dataset, hyperparameters, seeds, device=device, label=own, snapshots=kept)
        at_codes, at_mixup = [], []
        for s, _ in enumerate(seeds):
            model = build_seeded(module, dataset, build, 0)
            model.load_state_dict({name: value[s] for name, value in trained.state.items()})
            codes = encode(model.double(), dataset.validation)
            at_codes.append(_condition_number(model, codes))
            at_mixup.append(_condition_number(model, mixup_points(codes)))
        finite = all(s["frozen_step"] is None for s in trained.seeds)
        error = max(s["error"] / settings.bound for s in trained.seeds) if finite else float("inf")
        beta = max(s["beta"] for s in trained.seeds)
        last = trained.history[trained.history["step"] > 0.95 * settings.steps]
        rows.append(
            {
                "candidate": json.dumps(candidate["candidate"], sort_keys=True),
                "error": error,
                "beta": beta,
                "kl": last["kl"].mean(),
                "condition_number": sum(at_codes) / len(seeds),
                "condition_number_mixup": sum(at_mixup) / len(seeds),
                "eligible": int(finite and error <= TOLERANCE and beta < BETA_INSIDE),
            }
        )
    return pd.DataFrame(rows)


def choose(table: pd.DataFrame) -> int:
    """Position of the candidate that the rule above chooses among the rows of one method."""
    eligible = table[table["eligible"] == 1]
    if eligible.empty:
        return int(table["error"].argmin())
    worst = eligible[["condition_number", "condition_number_mixup"]].max(axis=1)
    return table.index.get_loc(worst.idxmin())
