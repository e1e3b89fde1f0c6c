"""The rule that chooses hyperparameters, and that the config holds what it chose."""

import json
import sys
from pathlib import Path

import configs
import pandas as pd
import pytest

from baselines import vae
from flatvae import datasets, selection
from flatvae.training.resume import Interrupted, Snapshots

ROOT = Path(__file__).resolve().parents[1]
TABLES = sorted((ROOT / "results" / "reference" / "search").glob("*.csv"))


DATA = {"train": 256, "validation": 64, "test": 32}
BASE = {"bound": 30.0, "steps": 100, "latent_dim": 2, "hidden": [16], "batch_size": 32}


def table(penalised: int, *rows: tuple[float, float, float, float, int]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["kl", "condition_number", "condition_number_mixup", "error", "eligible"])
    return found.assign(penalised=penalised)


@pytest.mark.parametrize(
    ("penalised", "rows", "chosen"),
    [
        (0, [(7.0, 3.0, 2.0, 1.0, 1), (6.0, 9.0, 9.0, 1.0, 1)], 1),  # without a penalty the cheapest, however curved
        (
            1,
            [(7.0, 1.09, 1.05, 1.0, 1), (6.0, 1.05, 1.2, 1.0, 1), (8.0, 1.0, 1.0, 1.0, 1)],
            0,
        ),  # the cheapest that is flat
        (
            1,
            [(5.0, 3.0, 2.0, 1.0, 1), (9.0, 2.0, 2.5, 1.0, 1), (1.0, 1.0, 9.0, 1.0, 1)],
            1,
        ),  # none is flat: the flattest
        (1, [(1.0, 1.0, 1.0, 1.0, 0), (5.0, 5.0, 5.0, 1.0, 1)], 1),  # flat and cheap, but not at equal reconstruction
        (
            0,
            [(1.0, 1.0, 1.0, 0.7, 0), (5.0, 5.0, 5.0, 1.1, 0)],
            1,
        ),  # none qualifies: nearest to the bound, from either side
        (1, [(5.0, float("inf"), 1.0, 1.0, 1), (5.0, 5.0, 5.0, 1.0, 1)], 1),
    ],
)
def test_the_rule(penalised, rows, chosen):
    assert selection.choose(table(penalised, *rows)) == chosen


def test_a_grid_widens_on_the_edges_alone():
    grid = {"learning_rate": [5e-4, 1e-3, 2e-3], "eta": [1e4, 3e4], "fixed": [1.0]}
    wider = selection.widened(grid, {"learning_rate": 1e-3, "eta": 3e4, "fixed": 1.0})
    assert wider == {"learning_rate": [5e-4, 1e-3, 2e-3], "eta": [1e4, 3e4, 9e4], "fixed": [1.0]}
    wider = selection.widened(wider, {"learning_rate": 5e-4, "eta": 3e4, "fixed": 1.0})
    assert wider["learning_rate"] == [2.5e-4, 5e-4, 1e-3, 2e-3]
    assert wider["eta"] == [1e4, 3e4, 9e4]


@pytest.mark.parametrize(("best", "tried", "edge"), [(2.0, 3, ""), (8.0, 5, ""), (0.5, 5, ""), (999.0, 5, "eta")])
def test_a_search_ends_inside_its_grid_or_says_on_which_edge(best, tried, edge):
    """KL is least at ``best``; the grid 1, 2, 4 doubles at most twice."""

    def made(candidate, number):
        kl = abs(candidate["eta"] - best)
        numbers = {"kl": kl, "condition_number": 1.0, "condition_number_mixup": 1.0, "error": 1.0, "eligible": 1}
        return {"candidate": json.dumps(candidate), **numbers, "penalised": 1, "qualified": 10}

    found = selection.search({"eta": [1.0, 2.0, 4.0]}, made, 2, made, 1)
    assert len(found) == tried
    (chosen,) = found[found["chosen"] == 1].to_dict("records")
    assert chosen["edge"] == edge
    if not edge:
        assert json.loads(chosen["candidate"])["eta"] == best


@pytest.mark.parametrize(
    ("again", "confirmations", "chosen"),
    [
        ({0: 10}, 3, 0),
        ({0: 8, 1: 9}, 3, 1),  # the best fails with other seeds
        ({0: 1, 1: 2, 2: 2}, 3, 1),  # none has nine: the most, and of several the best
        ({0: 1, 1: 2}, 2, 1),
    ],
)
def test_a_choice_is_confirmed_with_other_seeds(again, confirmations, chosen):
    """Candidates 1, 2, 4, the cheapest first; ``again`` says how many of ten seeds qualify."""
    rows = [
        {"candidate": json.dumps({"eta": eta}), "kl": eta, "condition_number": 1.0, "condition_number_mixup": 1.0}
        for eta in (1.0, 2.0, 4.0)
    ]
    given = pd.DataFrame(rows).assign(error=1.0, eligible=1, penalised=1)
    asked = []

    def confirm(candidate, number):
        asked.append(number)
        return {"qualified": again[number]}

    found = selection.confirmed(given, {"eta": [1.0, 2.0, 4.0]}, confirm, confirmations)
    assert asked == list(again)
    assert found["chosen"].tolist() == [int(position == chosen) for position in range(3)]
    assert selection.choose(found) == chosen
    assert found["edge"].tolist() == ["eta" if position == chosen == 0 else "" for position in range(3)]


def tried_with(data, rate: float) -> dict:
    candidate = {"learning_rate": rate}
    return selection.try_candidate(vae, data, candidate, BASE | candidate, [100, 101], "cpu", "")


def test_candidates_are_measured_on_validation_data_alone():
    data = datasets.load("pendulum", **DATA)
    first, second = (tried_with(data, rate) for rate in (1e-3, 1e-2))
    hidden = datasets.Dataset(**{**vars(data), "test": data.test * float("nan")})
    assert first == tried_with(hidden, 1e-3)
    assert json.loads(first["candidate"]) == {"learning_rate": 1e-3}
    assert first["condition_number"] >= 1
    assert first["error"] > second["error"]  # a hundred steps go further at ten times the rate
    assert first["penalised"] == 0


def test_a_search_that_was_interrupted_goes_on(tmp_path, capsys):
    """In the second candidate: the first is not trained again, and the table is that of a search that was left alone."""
    data = datasets.load("pendulum", **DATA)
    grid = {"clip": [10.0, 5.0]}

    def searched(kept_by=lambda number, candidate: None):
        def tried(candidate, number):
            kept = kept_by(number, candidate)
            label = f"candidate {number}"
            return selection.try_candidate(vae, data, candidate, BASE | candidate, [100], "cpu", label, kept)

        return selection.search(grid, tried, 0, tried, 0)

    def snapshots_of(ended: bool):
        def of(number, candidate):
            kept = Snapshots(tmp_path / f"{number}.safetensors", candidate, 1e9)
            kept.interrupted = ended and number == 1
            return kept

        return of

    whole = searched()
    with pytest.raises(Interrupted):
        searched(snapshots_of(True))
    capsys.readouterr()
    pd.testing.assert_frame_equal(searched(snapshots_of(False)), whole)
    said = capsys.readouterr().out
    assert "candidate 0: goes on from step 100 of 100" in said
    assert "candidate 1: goes on from step 0 of 100" in said


@pytest.mark.skipif(not TABLES, reason="no search table is committed")
@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_the_config_holds_what_the_search_chose(path):
    sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
    import resolution

    config = configs.default()
    search = pd.read_csv(path)
    for method, rows in search.groupby("method"):
        rows = rows.reset_index(drop=True)
        first = selection.points(resolution.searched(config, path.stem, method)["grid"])
        assert [json.loads(c) for c in rows["candidate"]][: len(first)] == first
        winner = selection.choose(rows)
        assert list(rows["chosen"]) == [int(i == winner) for i in range(len(rows))]
        used = resolution.specification(config, path.stem, method)["hyperparameters"]
        assert json.loads(rows["candidate"][winner]).items() <= used.items(), method
