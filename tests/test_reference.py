"""The README shows the numbers of the committed reference runs, and these are what their metrics.csv says."""

from pathlib import Path

import pandas as pd
import pytest

from flatvae.reporting.statistics import read_metrics, summarise

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "results" / "reference"
RUNS = sorted(path.parent for path in REFERENCE.glob("*/metrics.csv"))


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_the_readme_shows_the_table(run):
    rows = [line for line in (run / "tables" / "flatness.md").read_text().splitlines() if line.startswith("|")]
    readme = (ROOT / "README.md").read_text()
    assert "\n".join(rows) in readme


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_tables_are_those_of_the_metrics(run):
    summary = summarise(read_metrics(run / "metrics.csv")).set_index(["dataset", "method", "distance", "metric"])[
        "mean"
    ]
    table = pd.read_csv(run / "tables" / "flatness.csv", keep_default_na=False)
    for row in table.to_dict("records"):
        value = summary[row["dataset"], row["method"], "", "condition_number_median"]
        assert float(row["condition_number_median"]) == pytest.approx(value)


def test_the_default_run_shows_what_the_method_promises():
    """Pendulum: every method meets the bound; the flat VAE is flat, the VHP-VAE at least five times less so."""
    metrics = read_metrics(REFERENCE / "default" / "metrics.csv")
    pendulum = metrics[metrics["dataset"] == "pendulum"]
    assert (pendulum.loc[pendulum["metric"] == "bound_met", "value"] == 1).all()
    mean = pendulum.groupby(["method", "metric"])["value"].mean()
    for suffix in ("", "_mixup"):
        flat = mean["flat_vae", f"condition_number_median{suffix}"]
        assert flat <= 1.1
        assert mean["vhp_vae", f"condition_number_median{suffix}"] >= 5 * flat
    assert mean["flat_vae", "mf_std"] <= 0.05
