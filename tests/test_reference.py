"""The README shows the numbers of the committed reference runs, and these are what their metrics.csv says."""

from pathlib import Path

import configs
import pandas as pd
import pytest
import yaml

from flatvae.reporting import claims, controls, equality, ledgers
from flatvae.reporting.statistics import read_metrics, summarise

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "results" / "reference"
RUNS = sorted(path.parent for path in (*REFERENCE.glob("*/metrics.csv"), *REFERENCE.glob("*/*/metrics.csv")))


SHOWN = (
    [
        "performance/tables/performance.md",
        "default/tables/flatness.md",
        "default/claims.md",
        "baselines/tables/flatness.md",
        "paper/tables/flatness.md",
        "paper_mnist/tables/flatness.md",
    ]
    + [f"human_motion/tables/{task}.md" for task in ("flatness", "reconstruction", "neighbours", "distances")]
    + [f"mnist/tables/{task}.md" for task in ("flatness", "reconstruction", "neighbours", "distances", "likelihood")]
)


TOGETHER = ["paper", "paper_mnist", "default", "ablations", "human_motion", "mnist", "mot"]


def rows_of(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.startswith("|")]


@pytest.mark.parametrize("path", SHOWN)
def test_the_readme_shows_the_table(path):
    assert "\n".join(rows_of(REFERENCE / path)) in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", ["mot/tables/tracking.md", "mot/tables/neighbours.md", "default/tables/tracking.md"])
def test_the_readme_shows_the_rows(path):
    """In tables of several runs, where blanks may differ."""
    shown = (ROOT / "README.md").read_text().replace(" ", "")
    rows = [row for row in rows_of(REFERENCE / path) if row.startswith(("| mot ", "| crowd "))]
    assert len(rows) >= 9
    assert all(row.replace(" ", "") in shown for row in rows)


def test_the_readme_shows_the_ablations_claims():
    readme = (ROOT / "README.md").read_text()
    shown = [row for row in rows_of(REFERENCE / "ablations" / "claims.md") if row.startswith(("| 4", "| 5"))]
    assert len(shown) == 6
    assert all(row in readme for row in shown)


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_the_ledger_is_that_of_the_numbers(run):
    """Decided again from the committed numbers alone, with today's thresholds."""
    kept = pd.read_csv(run / "claims.csv", keep_default_na=False)
    config = configs.default()["claims"]
    datasets = list(dict.fromkeys(kept["dataset"]))
    for claim, own in kept.groupby("claim")["dataset"]:
        config[claim]["datasets"] = list(own)
    efficiency = read_metrics(run / "efficiency.csv") if (run / "efficiency.csv").exists() else None
    again = claims.ledger(read_metrics(run / "metrics.csv"), efficiency, config, datasets)
    columns = ["claim", "dataset", "test", "n", "left_out", "verdict", "note"]
    pd.testing.assert_frame_equal(again[columns], kept[columns].astype(again[columns].dtypes.to_dict()))


def test_the_ledger_of_all_runs_is_made_of_theirs():
    """Every claim of the config is in it; made by: python -m flatvae.reporting.ledgers (results/reference/README.md)."""
    again = ledgers.merged({run: ledgers.read(REFERENCE / run / "claims.csv") for run in TOGETHER})
    assert claims.to_markdown(again) == (REFERENCE / "claims.md").read_text()
    pd.testing.assert_frame_equal(ledgers.read(REFERENCE / "claims.csv"), again)
    assert set(again["claim"]) == set(configs.default()["claims"])


def test_every_control_holds():
    """Checked again from the committed numbers of the run that has them all, with today's config."""
    run = REFERENCE / "baselines"
    chosen = configs.default()["controls"]
    methods = yaml.safe_load((ROOT / "config" / "baselines.yaml").read_text())["run"]["methods"]
    again = controls.check(read_metrics(run / "metrics.csv"), chosen, methods, ["pendulum", "digits"])
    kept = pd.read_csv(run / "controls.csv")
    pd.testing.assert_frame_equal(again, kept.astype(again.dtypes.to_dict()))
    assert len(again) == 16
    assert again["holds"].all()


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
