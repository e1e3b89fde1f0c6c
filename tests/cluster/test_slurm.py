"""Runs on a real Slurm of one node: the local numbers, GPUs for trainings alone, and trainings that are ended go on."""

import os
import re
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml

MODEL = "pendulum/vae/model.safetensors"
LOG = "pendulum/vae/logs/train.log"
SUBMITTED = {"train", "evaluate", "efficiency", "control", "figures"}  # the first word of rules
TARGETS = ("metrics.csv", "efficiency.csv", "figures/pendulum_distances.png")  # for which all of these are needed


def arguments(profile: str, *overlays: str) -> tuple[str, ...]:
    """Those of a run on the cluster."""
    return ("--workflow-profile", profile, "--configfile", "config/smoke.yaml", *overlays)


def overlay(tmp_path: Path, name: str, steps: int, method: str = "vae", **training) -> str:
    """One training, of so many steps."""
    content = {
        "results_dir": f"results/{name}",
        "run": {"methods": [method], "tasks": ["reconstruction"]},
        "datasets": {"pendulum": {"training": {"steps": steps, **training}}},
    }
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def rule(job: dict[str, str]) -> str:
    """First word of the name of a job's rule; then comes the data set, and the wildcards."""
    return re.match("rule_([a-z]+)", job["Comment"])[1]


def trainings(slurm, method: str) -> list[dict[str, str]]:
    """The jobs so far that train a method."""
    return [job for job in slurm.jobs() if job["Comment"] == f"rule_train_wildcards_pendulum_{method}"]


def wait_for(what, process: subprocess.Popen, timeout: float = 400):
    """The first true value of ``what()``, as long as the run is alive."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the run has ended: {process.communicate()[0][-3000:]}")
        value = what()
        if value:
            return value
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    pytest.fail(f"waited too long: {process.communicate(timeout=200)[0][-3000:]}")


def logged(path: Path, pattern: str) -> re.Match | None:
    return re.search(pattern, path.read_text()) if path.is_file() else None


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_smoke_run_ends_with_the_numbers_of_the_local_one(smoke, slurm, profile):
    first, started = len(slurm.jobs()), time.monotonic()
    run = smoke.snakemake("--config", "results_dir=results/slurm", *arguments(profile), timeout=1500)
    print(f"the smoke config through Slurm: {time.monotonic() - started:.0f} s")
    assert run.returncode == 0, run.stdout[-5000:]
    results = smoke.folder / "results"
    assert (results / "slurm" / "metrics.csv").read_bytes() == (results / "smoke" / "metrics.csv").read_bytes()
    assert files(results / "slurm") == files(results / "smoke")
    jobs = slurm.jobs()[first:]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {rule(job) for job in jobs} == SUBMITTED
    assert not [job for job in jobs if "gpu" in job.get("TresPerJob", "")]


def test_trainings_ask_for_a_gpu_and_nothing_else_does(smoke, slurm, profile, tmp_path):
    """A job's own work, for which a real GPU is needed, is replaced by copies of the files that it would write."""
    results, sbatch = smoke.folder / "results", tmp_path / "sbatch"
    shutil.copytree(results / "smoke", tmp_path / "kept")
    copy = f"flock {tmp_path} cp -rn {tmp_path}/kept/. {results}/cuda"  # one at a time
    sbatch.write_text(
        "#!/usr/bin/env python3\nimport os, sys\n"
        f"arguments = [a for a in sys.argv[1:] if not a.startswith('--wrap')] + ['--wrap={copy}']\n"
        f"os.execv({shutil.which('sbatch')!r}, ['sbatch', *arguments])\n"
    )
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    first = len(slurm.jobs())
    run = smoke.snakemake(
        *(f"results/cuda/{name}" for name in TARGETS),
        *("--config", "results_dir=results/cuda", "device=cuda"),
        *arguments(profile),
        PATH=f"{tmp_path}:{smoke.bin}:{os.environ['PATH']}",
    )
    assert run.returncode == 0, run.stdout[-5000:]
    jobs = slurm.jobs()[first:]
    assert {rule(job) for job in jobs} == SUBMITTED
    asked = {rule(job): job.get("TresPerJob", "").endswith("gpu:1") for job in jobs}
    assert asked == dict.fromkeys(SUBMITTED, False) | {"train": True}


@pytest.fixture(scope="module")
def limited(project, slurm, profile, tmp_path_factory) -> subprocess.Popen:
    """A run with a minute for a training of hours. Most of the time it waits for that minute: the next test runs meanwhile."""
    # not compiled: on a busy machine the minute would end before the compilation
    config = overlay(tmp_path_factory.mktemp("limited"), "limited", 10**6, "vhp_vae", compile="never")
    limit = ("--set-resources", "train:runtime=1", "--retries", "50")  # on a busy machine the next test takes minutes
    return project.start("results/limited/pendulum/vhp_vae/model.safetensors", *limit, *arguments(profile, config))


def test_a_cancelled_training_goes_on_and_ends_in_the_same_bits(project, slurm, profile, tmp_path, limited):
    config = overlay(tmp_path, "cancelled", 4000)
    target, folder = f"results/cancelled/{MODEL}", project.folder / "results" / "cancelled"
    first = len(trainings(slurm, "vae"))
    process = project.start(target, "--retries", "0", *arguments(profile, config))
    wait_for(lambda: logged(folder / LOG, r"step \d+/4000"), process)
    (job,) = trainings(slurm, "vae")[first:]
    subprocess.run(["scancel", job["JobId"]], check=True, timeout=60)
    out = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    stopped = re.search(r"asked to end at step (\d+); the same command goes on from there", out)
    assert stopped, out[-3000:]
    assert not (folder / MODEL).exists()
    run = project.snakemake(target, *arguments(profile, config))
    assert run.returncode == 0, run.stdout[-3000:]
    assert logged(folder / LOG, r"goes on from step (\d+) of 4000")[1] == stopped[1]
    assert [job["JobState"] for job in trainings(slurm, "vae")[first:]] == ["CANCELLED", "COMPLETED"]
    whole = overlay(tmp_path, "uninterrupted", 4000)
    run = project.smoke(f"results/uninterrupted/{MODEL}", overlays=(whole,))
    assert run.returncode == 0, run.stdout[-3000:]
    assert (folder / MODEL).read_bytes() == (folder.parent / "uninterrupted" / MODEL).read_bytes()


def test_a_time_limit_ends_in_a_resume(project, slurm, limited):
    """Slurm counts in minutes and looks now and then: the training is far longer, and the run is broken off."""
    log = project.folder / "results" / "limited" / "pendulum" / "vhp_vae" / "logs" / "train.log"
    steps = wait_for(lambda: logged(log, r"goes on from step (\d+) of 1000000"), limited)
    assert int(steps[1]) > 0
    os.killpg(limited.pid, signal.SIGINT)
    out = limited.communicate(timeout=200)[0]  # the plugin first waits for its next look at the queue
    assert "SLURM status is: 'TIMEOUT'" in out
    before, last = [job["JobState"] for job in trainings(slurm, "vhp_vae")[-2:]]
    assert before == "TIMEOUT"
    assert last in {"CANCELLED", "TIMEOUT"}  # on a slow machine the next limit may come first


def test_what_the_node_has_not_got_is_refused_with_the_reason(project, slurm, profile, tmp_path):
    config = overlay(tmp_path, "large", 10)
    first = len(slurm.jobs())
    large = ("--set-resources", "train:mem_mb=100000000")
    run = project.snakemake(f"results/large/{MODEL}", *large, *arguments(profile, config))
    assert run.returncode == 1
    assert re.search(r"sbatch: error: .*(emory|onfiguration)", run.stdout), run.stdout[-3000:]
    assert {job["JobState"] for job in slurm.jobs()[first:]} <= {"FAILED"}  # Slurm keeps what it refused


def test_the_gpu_profile_has_trainings_ask_for_the_gpu(project):
    """And nothing else: they share it, and the rest runs beside them."""
    run = project.snakemake("--dry-run", "--workflow-profile", "profiles/gpu", "--configfile", "config/smoke.yaml")
    assert run.returncode == 0, run.stdout[-3000:]
    jobs = re.split(r"\n(?=(?:local)?rule )", run.stdout)[1:]
    asked = {(re.match(r"(?:local)?rule (\w+):", job)[1], re.search(r"gpu=(\d)", job)) for job in jobs}
    assert {name for name, found in asked if found and found[1] == "1"} == {"train"}
    profile = yaml.safe_load((project.folder / "profiles" / "gpu" / "profile.yaml").read_text())
    assert profile["resources"] == {"gpu": 4}
