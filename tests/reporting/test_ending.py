"""The last lines of a run: short, few, and what the ledger and the tables say."""

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest
import results_folder

from flatvae.reporting import ending, summary

DEFAULT = Path(__file__).parents[2] / "results" / "reference" / "default"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> summary.Summary:
    return summary.read(results_folder.write(tmp_path_factory.mktemp("results") / "made_up"))


def test_what_came_out(run):
    condition = run.leaderboards["pendulum"].text(run.leaderboards["pendulum"].flattest[0], "condition_number_median")
    assert ending.lines(run, "results/index.html", 628.4) == [
        "flatvae: 5 tests of the paper's claims: 1 supported, 1 not supported, 0 undecided, 1 not testable, 2 not run",
        "  flattest at equal reconstruction:",
        f"    pendulum: Flat VAE, k {condition}, error 0.771 ± 0.009 (bound 0.774), tied with Flat VAE (scale-free)",
        "  seeds that missed the bound or had not settled: pendulum VAE 2 of 5, pendulum Flat VAE 1 of 5",
        "  took 10 min 28 s; trainings and evaluations 5 min 10 s of job time",
        "  open results/index.html",
    ]


@pytest.mark.parametrize("datasets", [1, 5, 6, 20])
def test_ten_lines_of_a_terminal_whatever_was_run(run, datasets):
    own = run.leaderboards["pendulum"]
    many = {f"data_{number}": dataclasses.replace(own, dataset=f"data_{number}") for number in range(datasets)}
    setting = dataclasses.replace(run.setting, missed=[f"{name} VAE 1 of 5" for name in many])
    found = ending.lines(dataclasses.replace(run, leaderboards=many, setting=setting), "results/index.html", 60)
    assert len(found) <= 10
    assert max(map(len, found)) <= 160
    assert found[-1] == "  open results/index.html"
    assert any("more data sets" in line for line in found) == (datasets > 5)


def test_a_run_without_claims_record_or_comparable_methods(run):
    leaders = {"pendulum": dataclasses.replace(run.leaderboards["pendulum"], flattest=[])}
    setting = dataclasses.replace(run.setting, missed=[], seconds=None)
    bare = dataclasses.replace(run, board=None, leaderboards=leaders, setting=setting)
    assert ending.lines(bare, "index.html", 9) == [
        "flatvae: no claims were tested",
        "  flattest at equal reconstruction:",
        "    pendulum: no method at equal reconstruction",
        "  seeds that missed the bound or had not settled: none",
        "  took 9 s",
        "  open index.html",
    ]


def test_of_the_default_run():
    found = ending.lines(summary.read(DEFAULT), "results/index.html", 628)
    assert len(found) == 8
    verdicts = pd.read_csv(DEFAULT / "claims.csv")["verdict"].value_counts()
    assert f"{verdicts['supported']} supported, {verdicts['not supported']} not supported" in found[0]
    text = (DEFAULT / "tables" / "flatness.md").read_text(encoding="utf-8")
    heading, row = (
        [cell.strip() for cell in re.search(rf"^\| {start} .*$", text, re.MULTILINE)[0].split("|")]
        for start in ("dataset", "crowd +\\| flat_vae_scale_free")
    )
    k = row[heading.index("condition_number_median")]
    assert found[4].startswith(f"    crowd: Flat VAE (scale-free), k {k}, error ")
