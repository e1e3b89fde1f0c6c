"""Where tables and figures come from, and what the run cost, is written down beside them."""

import datetime
import hashlib
import json

import pandas as pd


def test_the_manifest_has_commit_config_date_and_every_table_and_figure(smoke):
    folder = smoke.folder / "results" / "smoke"
    manifest = json.loads((folder / "manifest.json").read_text())
    config = json.dumps(manifest["config"], sort_keys=True)
    assert manifest["config_sha256"] == hashlib.sha256(config.encode()).hexdigest()
    assert manifest["config"]["datasets"]["pendulum"]["training"]["steps"] == 100
    assert manifest["commit"] == "unknown"  # the copy is no repository
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(manifest["date"])
    assert datetime.timedelta(0) < age < datetime.timedelta(days=1)
    made = [path for kind in ("tables", "figures") for path in (folder / kind).iterdir()]
    made += [folder / name for name in ("metrics.csv", "claims.csv", "claims.md", "run.json")]
    hashes = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in made}
    assert hashes.items() <= manifest["sha256"].items()


def test_the_record_has_versions_device_threads_time_and_memory_and_the_table_sums_them(smoke):
    folder = smoke.folder / "results" / "smoke"
    record = json.loads((folder / "run.json").read_text())
    assert record["packages"].keys() >= {"torch", "numpy", "snakemake"}
    table = pd.read_csv(folder / "tables" / "compute.csv").set_index("method")
    assert {f"pendulum/{method}" for method in table.index} == set(record["training"])
    for name, training in record["training"].items():
        assert training["device"] == {"name": "cpu"}
        assert training["threads"] == 1
        evaluations = record["evaluation"][name].values()
        row = table.loc[name.split("/")[1]]
        assert row["train_seconds"] == training["seconds"] > 0
        assert abs(row["evaluation_seconds"] - sum(job["seconds"] for job in evaluations)) < 1e-6
        assert row["peak_memory_mb"] == max(job["max_rss_mb"] for job in (training, *evaluations)) > 50
