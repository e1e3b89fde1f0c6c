"""The committed reference results agree with one another: tables, ledgers and controls are what their metrics.csv says."""

from pathlib import Path

import configs
import pandas as pd
import pytest

from flatvae.reporting import claims, controls, equality, ledgers
from flatvae.reporting.statistics import read_metrics, summarise

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "results" / "reference"
RUNS = sorted(path.parent for path in REFERENCE.rglob("metrics.csv"))
GROUP = ["dataset", "method", "distance", "metric"]


def judged_as_today(run: Path) -> bool:
    """Whether a run's trainings told whether they settled; the ledgers and tables of older runs followed other rules."""
    return (read_metrics(run / "metrics.csv")["metric"] == "settled").any()


TODAYS = [run for run in RUNS if judged_as_today(run)]


def name(run: Path) -> str:
    return run.relative_to(REFERENCE).as_posix()


def test_the_default_run_is_of_this_version():
    assert REFERENCE / "default" in TODAYS


@pytest.mark.parametrize("run", TODAYS, ids=name)
def test_the_ledger_is_that_of_the_numbers(run):
    """Decided again from the committed numbers alone, with today's thresholds."""
    kept = ledgers.read(run / "claims.csv")
    config = configs.default()["claims"]
    datasets = list(dict.fromkeys(kept["dataset"]))
    for claim, own in kept.groupby("claim")["dataset"]:
        config[claim]["datasets"] = list(own)
    efficiency = read_metrics(run / "efficiency.csv") if (run / "efficiency.csv").exists() else None
    again = claims.ledger(read_metrics(run / "metrics.csv"), efficiency, config, datasets)
    columns = ["claim", "dataset", "test", "n", "left_out", "verdict", "all_seeds", "marks", "note"]
    pd.testing.assert_frame_equal(again[columns], kept[columns].astype(again[columns].dtypes.to_dict()))
    assert claims.to_markdown(kept) == (run / "claims.md").read_text()


def test_the_ledger_of_all_runs_is_made_of_theirs():
    """The merged ledger is that of the runs it names, or of the default run where it names none."""
    together = ledgers.read(REFERENCE / "claims.csv")
    if "run" in together:
        again = ledgers.merged({run: ledgers.read(REFERENCE / run / "claims.csv") for run in together["run"].unique()})
    else:
        again = ledgers.read(REFERENCE / "default" / "claims.csv")
    pd.testing.assert_frame_equal(together, again)
    assert claims.to_markdown(again) == (REFERENCE / "claims.md").read_text()
    assert set(again["claim"]) == set(configs.default()["claims"])


@pytest.mark.parametrize("run", [run for run in TODAYS if (run / "controls.csv").exists()], ids=name)
def test_every_control_holds(run):
    """Checked again from the committed numbers, with today's config."""
    kept, metrics = pd.read_csv(run / "controls.csv"), read_metrics(run / "metrics.csv")
    methods = list(dict.fromkeys(metrics.loc[metrics["task"] == "training", "method"]))
    again = controls.check(metrics, configs.default()["controls"], methods, list(dict.fromkeys(metrics["dataset"])))
    columns = ["control", "dataset", "test", "value", "holds"]
    both = [frame[columns].sort_values(columns[:2], ignore_index=True) for frame in (again, kept)]
    pd.testing.assert_frame_equal(both[0], both[1].astype(both[0].dtypes.to_dict()))
    assert again["holds"].all()


@pytest.mark.parametrize("run", RUNS, ids=name)
def test_tables_are_those_of_the_metrics(run):
    """The column of the condition number: geometric means, in older runs arithmetic ones."""
    metrics = read_metrics(run / "metrics.csv")
    means = summarise(metrics).set_index(GROUP)["mean"] if run in TODAYS else metrics.groupby(GROUP)["value"].mean()
    table = pd.read_csv(run / "tables" / "flatness.csv", keep_default_na=False)
    for row in table.to_dict("records"):
        expected = means[row["dataset"], row["method"], "", "condition_number_median"]
        assert float(row["condition_number_median"]) == pytest.approx(expected)


def test_the_default_run_shows_what_the_method_promises():
    """Pendulum: every method ends at equal reconstruction; the flat VAE is flat, the VHP-VAE at least five times less so."""
    metrics = read_metrics(REFERENCE / "default" / "metrics.csv")
    pendulum = metrics[metrics["dataset"] == "pendulum"]
    equal = equality.equal_seeds(pendulum)
    assert set(equal) == set(configs.default()["run"]["methods"])
    assert all(sum(seeds.values()) >= 4 for seeds in equal.values())
    mean = summarise(pendulum).set_index(["method", "metric"])["mean"]
    for suffix in ("", "_mixup"):
        flat = mean["flat_vae", f"condition_number_median{suffix}"]
        assert flat <= 1.1
        assert mean["vhp_vae", f"condition_number_median{suffix}"] >= 5 * flat
    assert mean["flat_vae", "mf_std"] <= 0.05
