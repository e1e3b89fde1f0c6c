"""How far a run is, from a log in Snakemake's own words, logs of jobs, snapshots and a lock."""

import fcntl
import os
from datetime import datetime

import pytest
import torch
from safetensors.torch import save_file

from flatvae.errors import InputError
from flatvae.reporting import run_log, status

HEAD = """
SNAKEMAKE
=========
  Date: 2026-11-28 10:00:00
  Command: /opt/env/bin/snakemake --cores 2 --configfile config/small.yaml
  Working directory: /somewhere/else

Building DAG of jobs...
Provided cores: 2
Job stats:
job                  count
-----------------  -------
data                     1
train                    4
evaluate_pendulum        4
page                     1
all                      1
total                   11

Select jobs to execute...
Execute 2 jobs...
"""
NOW = datetime(2026, 11, 28, 10, 10)


def begins(rule: str, jobid: int, at: str, method: str = "", results: str = "results/small") -> str:
    """An entry as Snakemake 9 writes it when a job begins."""
    dataset = "pendulum"
    name = "train" if rule == "train" else "evaluate"
    log = f"{results}/{dataset}/{method}/logs/{name}.log" if method else f"{results}/{dataset}/logs/{rule}.log"
    wildcards = f"dataset={dataset}" + (f", method={method}" if method else "")
    return (
        f"[Sat Nov 28 {at} 2026]\nlocalrule {rule}:\n    input: {results}/x\n    output: {results}/y, {results}/z\n"
        f"    log: {log}\n    jobid: {jobid}\n    reason: Missing output files: {results}/y\n"
        f"    wildcards: {wildcards}\n    resources: tmpdir=/tmp, mem_mb=1000\n"
    )


def ends(rule: str, jobid: int, at: str, done: int) -> str:
    return f"[Sat Nov 28 {at} 2026]\nFinished jobid: {jobid} (Rule: {rule})\n{done} of 11 steps (9%) done\n"


def fails(rule: str, jobid: int, at: str) -> str:
    log = "results/small/pendulum/vhp_vae/logs/train.log"
    return (
        f"[Sat Nov 28 {at} 2026]\nError in rule {rule}:\n    message: None\n    jobid: {jobid}\n"
        f"    log: {log} (check log file(s) for error details)\n"
    )


UNDER_WAY = (
    HEAD
    + begins("data", 1, "10:00:00")
    + ends("data", 1, "10:00:20", 1)
    + begins("train", 2, "10:00:20", "vae")
    + begins("train", 3, "10:00:20", "vhp_vae")
    + ends("train", 2, "10:02:20", 2)
    + begins("train", 4, "10:02:20", "flat_vae")
    + fails("train", 3, "10:03:00")
    + begins("evaluate_pendulum", 5, "10:09:30", "vae")
)


@pytest.fixture
def results(tmp_path):
    """A results folder with one trained model, next to the log of the run that is making it."""
    logs = tmp_path / ".snakemake" / "log"
    logs.mkdir(parents=True)
    (logs / "2026-11-28T100000.000000.snakemake.log").write_text(UNDER_WAY)
    folder = tmp_path / "results" / "small"
    for method in ("vae", "vhp_vae", "flat_vae"):
        (folder / "pendulum" / method / "logs").mkdir(parents=True)
    (folder / "pendulum" / "vae" / "model.safetensors").touch()
    (folder / "metrics.csv").touch()
    failed = folder / "pendulum" / "vhp_vae" / "logs" / "train.log"
    failed.write_text("Traceback (most recent call last):\n  …\nflatvae: dataset pendulum: it is broken; fix it.\n\n")
    training = folder / "pendulum" / "flat_vae" / "logs" / "train.log"
    text = "error 0.8 (bound 0.77)  beta 0.1  penalty 0  c2 0.1"
    training.write_text(
        "".join(f"pendulum/flat_vae × 5 seeds: step {n}/3000  {text}  5.0 steps/s\n" for n in (600, 1200))
    )
    os.utime(training, (NOW.timestamp() - 60,) * 2)
    (folder / ".lock").touch()
    return folder


@pytest.fixture
def held(results):
    """The lock is held, as a run holds it."""
    with (results / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield results


def rest(found: list[str]) -> list[str]:
    return [line for line in found if not line.startswith(("  log:", "  command:"))]


def test_of_a_run_under_way(held):
    """1800 steps at 5 a second are 360 s, of which 60 are over; the other jobs: one training at 120 s, and no other kind ended."""
    found = status.lines(status.read(held, [], NOW))
    assert rest(found) == [
        f"{held}: running for 10 min 0 s; 2 of 11 jobs done, 2 running, 1 failed",
        "  running:",
        "    train pendulum/flat_vae, for 7 min 40 s: step 1200 of 3000, about 5 min 0 s left",
        "    evaluate pendulum/vae, for 30 s",
        "  failed:",
        f"    train pendulum/vhp_vae: dataset pendulum: it is broken; fix it. ({held}/pendulum/vhp_vae/logs/train.log)",
        "  to do: 3 evaluate_pendulum, 1 train, 1 page",
        "  time left: about 5 min 0 s, if jobs take as long as earlier ones; not counting 4 evaluate_pendulum, 1 page, "
        "whose times are not known",
        "  on disk: 1 models trained, 0 evaluated, metrics.csv",
    ]
    assert "  command: snakemake --cores 2 --configfile config/small.yaml" in found


def test_of_a_run_that_was_killed(results):
    """What the log has as running was not; the training goes on from its snapshot."""
    folder = results / "pendulum" / "flat_vae" / ".checkpoint"
    folder.mkdir()
    identity = '{"hyperparameters": {"steps": 3000}}'
    save_file({"count": torch.tensor([1250, 0])}, folder / "training.safetensors", {"identity": identity})
    (results / "pendulum" / "vae" / ".checkpoint").mkdir()
    (results / "pendulum" / "vae" / ".checkpoint" / "training.safetensors").write_bytes(b"damaged")
    found = rest(status.lines(status.read(results, [], NOW)))
    assert found[0] == (
        f"{results}: the last run stopped with an error at 2026-11-28 10:09, after 9 min 30 s; 2 of 11 jobs done, 1 failed"
    )
    assert "    pendulum/flat_vae at step 1250 of 3000" in found
    assert not any("running" in line or "time left" in line or "pendulum/vae at" in line for line in found)


def test_of_a_run_that_ended(results):
    log = next((results.parents[1] / ".snakemake" / "log").iterdir())
    head = HEAD[: HEAD.index("train  ")] + "all                      1\ntotal                    2\n\n"
    last = "[Sat Nov 28 10:20:00 2026]\nFinished jobid: 0 (Rule: all)\n2 of 2 steps (100%) done\nComplete log(s): /x\n"
    log.write_text(head + begins("data", 1, "10:00:00") + ends("data", 1, "10:00:20", 1) + last)
    found = rest(status.lines(status.read(results, [], NOW)))
    assert found == [
        f"{results}: the last run ended at 2026-11-28 10:20, after 20 min 0 s; 2 of 2 jobs done",
        "  on disk: 1 models trained, 0 evaluated, metrics.csv",
    ]


def test_a_run_that_has_just_begun_is_not_told_by_the_log_of_the_one_before(held):
    log = next((held.parents[1] / ".snakemake" / "log").iterdir())
    log.write_text(UNDER_WAY + "Complete log(s): /x\n")
    found = rest(status.lines(status.read(held, [], NOW)))
    assert found[0] == f"{held}: a run has begun, but none of its jobs yet"
    assert not any("failed" in line for line in found)


def test_a_job_that_is_tried_again_has_not_failed(results):
    log = next((results.parents[1] / ".snakemake" / "log").iterdir())
    log.write_text(UNDER_WAY + "Trying to restart job 3.\n" + begins("train", 3, "10:09:40", "vhp_vae"))
    found = run_log.read(log)
    assert [job.name for job in found.of(run_log.RUNNING)] == [
        "train pendulum/vhp_vae",
        "train pendulum/flat_vae",
        "evaluate pendulum/vae",
    ]
    assert not found.of(run_log.FAILED)


def test_an_entry_that_is_half_written_does_no_harm(results):
    log = next((results.parents[1] / ".snakemake" / "log").iterdir())
    for end in range(len(HEAD), len(UNDER_WAY), 7):
        log.write_text(UNDER_WAY[:end])
        status.lines(status.read(results, [], NOW))


def test_runs_into_other_folders_do_not_count(results):
    """The log of results/small tells nothing of results, nor a newer one of results/other or of nothing to do of results/small."""
    logs = results.parents[1] / ".snakemake" / "log"
    (logs / "2026-11-28T110000.000000.snakemake.log").write_text(
        HEAD + begins("data", 1, "11:00:00", results="results/other")
    )
    (logs / "2026-11-28T120000.000000.snakemake.log").write_text("Nothing to be done.\n")
    assert status.read(results, []).log.path.name.startswith("2026-11-28T100000")
    above = status.read(results.parent, [])
    assert above.log is None
    assert "no Snakemake log belongs to this folder" in status.lines(above)[0]


def test_time_left_of_a_cluster_is_not_known(held):
    log = next((held.parents[1] / ".snakemake" / "log").iterdir())
    log.write_text(UNDER_WAY.replace("Provided cores: 2", "Provided remote nodes: 100"))
    assert "  time left: not known, because the jobs run on a cluster" in status.lines(status.read(held, [], NOW))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="is not a folder; name the results_dir of a run"):
        status.read(tmp_path / "none", [])
