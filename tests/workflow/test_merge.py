"""Runs that were made in parts are one again after ``flatvae merge``, and parts that do not belong together are refused."""

import copy
import hashlib
import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

PARTS = {"plain": ["vae", "vhp_vae"], "flat": ["flat_vae", "flat_vae_scale_free"]}


@pytest.fixture(scope="module")
def whole(smoke) -> Path:
    """The results of a run of four methods."""
    return smoke.folder / "results" / "smoke"


@pytest.fixture
def units(whole, tmp_path) -> dict[str, Path]:
    """The same results as two runs would have left them, each with two of the methods."""
    manifest, record = (json.loads((whole / f"{name}.json").read_text()) for name in ("manifest", "run"))
    for name, methods in PARTS.items():
        folder = tmp_path / name
        folder.mkdir()
        for file in ("metrics.csv", "efficiency.csv"):
            rows = pd.read_csv(whole / file, dtype=str, keep_default_na=False)
            others = [method for part in PARTS.values() for method in part if method not in methods]
            rows[~rows["method"].isin(others)].to_csv(folder / file, index=False)
        own = copy.deepcopy(manifest)
        own["config"]["run"]["methods"] = methods
        own["code"] = {part: code for part, code in own["code"].items() if part.removeprefix("method ") not in others}
        (folder / "manifest.json").write_text(json.dumps(own))
        kept = {
            part: {job: cost for job, cost in record[part].items() if job.split("/")[1] in methods}
            for part in ("training", "evaluation")
        }
        (folder / "run.json").write_text(json.dumps(record | kept))
    return {name: tmp_path / name for name in PARTS}


def merged(smoke, units, output: Path) -> subprocess.CompletedProcess:
    command = [str(smoke.python), "workflow/scripts/merge.py", *map(str, units), "--output", str(output)]
    return subprocess.run(command, cwd=smoke.folder, capture_output=True, text=True, check=False)


def edited(folder: Path, change) -> None:
    """Changes a unit's manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_parts_of_a_run_merge_into_the_run(smoke, whole, units, tmp_path):
    """Numbers, ledgers and tables are those of the undivided run, byte for byte; one part is merged with itself already."""
    done = merged(smoke, [units["plain"]], tmp_path / "one")
    assert done.returncode == 0, done.stderr
    done = merged(smoke, [tmp_path / "one", units["flat"]], tmp_path / "all")
    assert done.returncode == 0, done.stderr
    for name in ("metrics.csv", "claims.csv", "claims.md", "controls.csv"):
        assert (tmp_path / "all" / name).read_bytes() == (whole / name).read_bytes(), name
    times = [sorted((folder / "efficiency.csv").read_text().splitlines()) for folder in (tmp_path / "all", whole)]
    assert times[0] == times[1]  # sorted by method in one, by size in the other
    for table in (whole / "tables").glob("*.csv"):
        assert (tmp_path / "all" / "tables" / table.name).read_bytes() == table.read_bytes(), table
    manifest = json.loads((tmp_path / "all" / "manifest.json").read_text())
    assert [unit["methods"] for unit in manifest["units"]] == list(PARTS.values())
    assert manifest["code"] == json.loads((whole / "manifest.json").read_text())["code"]
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((tmp_path / "all" / name).read_bytes()).hexdigest() == digest
    assert (tmp_path / "all" / "figures" / "comparison_pareto.png").is_file()
    assert (tmp_path / "all" / "index.html").is_file()
    assert (tmp_path / "all" / "report.pdf").is_file()
    config = yaml.safe_load((tmp_path / "all" / "config.yaml").read_text())
    assert config["run"]["methods"] == [method for part in PARTS.values() for method in part]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m["code"].update({"task flatness": "0"}), "were made by different code of the task flatness"),
        (lambda m: m["config"]["training"].update({"clip": 1.0}), "was run with training.clip = 1.0"),
        (
            lambda m: m["config"]["datasets"]["pendulum"]["training"].update({"steps": 7}),
            "was run with datasets.pendulum.training.steps = 7",
        ),
        (lambda m: m["config"].update({"seeds": 9}), "was run with datasets.pendulum.seeds = 9"),
        (lambda m: m.pop("code"), "does not tell the code's fingerprints; run the unit again"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(smoke, units, tmp_path, change, sentence):
    edited(units["flat"], change)
    done = merged(smoke, units.values(), tmp_path / "all")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "all").exists()


def test_two_numbers_for_one_seed_are_refused(smoke, units, tmp_path):
    rows = pd.read_csv(units["plain"] / "metrics.csv", dtype=str, keep_default_na=False)
    other = pd.read_csv(units["flat"] / "metrics.csv", dtype=str, keep_default_na=False)
    pd.concat([other, rows.iloc[:1].assign(value="17")]).to_csv(units["flat"] / "metrics.csv", index=False)
    done = merged(smoke, units.values(), tmp_path / "all")
    assert done.returncode == 1
    assert f"{units['plain']} and {units['flat']} have different numbers of pendulum" in done.stderr
    assert not (tmp_path / "all").exists()


def test_a_folder_without_a_run_is_refused(smoke, tmp_path):
    done = merged(smoke, [tmp_path], tmp_path / "all")
    assert done.returncode == 1
    assert "has no metrics.csv; name the results folder of a run that has ended" in done.stderr
