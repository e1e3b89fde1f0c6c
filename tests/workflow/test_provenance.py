"""Where tables and figures come from, and what the run cost, is written down beside them."""

import datetime
import hashlib
import json
import os
import shutil
import subprocess

import pandas as pd
import yaml


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


def test_the_commit_is_that_of_the_folder_and_a_plus_says_that_files_differ(project, tmp_path):
    """In a repository: as committed, and with a new file."""

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=project.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit_of_a_run():
        overlay = tmp_path / "own.yaml"
        content = {"results_dir": "results/commit", "run": {"methods": ["vae"], "tasks": ["reconstruction"]}}
        overlay.write_text(yaml.safe_dump(content))
        target = "results/commit/manifest.json"
        run = project.smoke(target, "--forcerun", "manifest", overlays=(str(overlay),))
        assert run.returncode == 0, run.stdout[-3000:]
        return json.loads((project.folder / target).read_text())["commit"]

    git("init", "-q")
    try:
        (project.folder / ".git" / "info" / "exclude").write_text("results\n.snakemake\n__pycache__\n")
        git("add", "-A")
        git("commit", "-qm", "all")
        assert commit_of_a_run() == git("rev-parse", "HEAD")
        (project.folder / "new.txt").write_text("a file that git does not know")
        assert commit_of_a_run() == git("rev-parse", "HEAD") + "+"
    finally:
        shutil.rmtree(project.folder / ".git")
        (project.folder / "new.txt").unlink(missing_ok=True)


def test_the_record_has_versions_device_threads_time_and_memory_and_the_table_sums_them(smoke):
    folder = smoke.folder / "results" / "smoke"
    record = json.loads((folder / "run.json").read_text())
    assert record["packages"].keys() >= {"torch", "numpy", "snakemake"}
    assert record["cpus"] == os.cpu_count()
    assert "\n" not in record["processor"]
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
