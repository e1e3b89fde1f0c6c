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


def table(*rows: tuple[float, float, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["condition_number", "condition_number_mixup", "error", "eligible"])


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([(3.0, 2.0, 1.0, 1), (2.0, 2.5, 1.0, 1), (1.0, 9.0, 1.0, 1)], 1),  # the larger of the two numbers counts
        ([(1.0, 1.0, 1.0, 0), (5.0, 5.0, 1.0, 1)], 1),  # flat, but without having met the bound
        ([(1.0, 1.0, 1.3, 0), (5.0, 5.0, 1.1, 0)], 1),  # none met it: the one that came nearest
        ([(float("inf"), 1.0, 1.0, 1), (5.0, 5.0, 1.0, 1)], 1),
    ],
)
def test_the_rule(rows, chosen):
    assert selection.choose(table(*rows)) == chosen


def test_candidates_are_measured_on_validation_data_alone():
    data = datasets.load("pendulum", train=256, validation=64, test=32)
    base = {"bound": 30.0, "steps": 100, "latent_dim": 2, "hidden": [16], "batch_size": 32}
    tried = [
        {"candidate": {"learning_rate": rate}, "hyperparameters": base | {"learning_rate": rate}}
        for rate in (1e-3, 1e-2)
    ]
    first = selection.try_candidates(vae, data, tried, [0, 1], "cpu", "")
    hidden = datasets.Dataset(**{**vars(data), "test": data.test * float("nan")})
    pd.testing.assert_frame_equal(first, selection.try_candidates(vae, hidden, tried, [0, 1], "cpu", ""))
    assert [json.loads(c) for c in first["candidate"]] == [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}]
    assert (first["condition_number"] >= 1).all()
    assert first["error"].is_monotonic_decreasing  # a hundred steps go further at ten times the rate


def test_a_search_that_was_interrupted_goes_on(tmp_path, capsys):
    """In the second candidate: the first is not trained again, and the table is that of a search that was left alone."""
    data = datasets.load("pendulum", train=256, validation=64, test=32)
    base = {"bound": 30.0, "steps": 100, "latent_dim": 2, "hidden": [16], "batch_size": 32}
    tried = [{"candidate": {"clip": clip}, "hyperparameters": base | {"clip": clip}} for clip in (10.0, 5.0)]
    whole = selection.try_candidates(vae, data, tried, [0], "cpu", "")

    def snapshots_of(ended: bool):
        def of(number, candidate):
            kept = Snapshots(tmp_path / f"{number}.safetensors", candidate, 1e9)
            kept.interrupted = ended and number == 1
            return kept

        return of

    with pytest.raises(Interrupted):
        selection.try_candidates(vae, data, tried, [0], "cpu", "", snapshots_of(True))
    capsys.readouterr()
    found = selection.try_candidates(vae, data, tried, [0], "cpu", "", snapshots_of(False))
    pd.testing.assert_frame_equal(found, whole)
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
        assert [json.loads(c) for c in rows["candidate"]] == config["search"]["candidates"][method]
        winner = selection.choose(rows)
        assert list(rows["chosen"]) == [int(i == winner) for i in range(len(rows))]
        used = resolution.specification(config, path.stem, method)["hyperparameters"]
        assert json.loads(rows["candidate"][winner]).items() <= used.items(), method
