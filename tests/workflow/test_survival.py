"""Runs that are killed: the same command goes on, no file is ever half there, and the numbers are those of a quiet run."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib.image import imread
from safetensors.torch import load_file

KILLS = int(os.environ.get("FLATVAE_KILLS", "5"))


def load_pdf(path: Path) -> None:
    assert path.read_bytes().rstrip().endswith(b"%%EOF"), path


LOADERS = {
    ".csv": pd.read_csv,
    ".npz": lambda path: dict(np.load(path)),
    ".png": imread,
    ".pdf": load_pdf,
    ".json": lambda path: json.loads(path.read_text()),
    ".safetensors": load_file,
}


def overlay(tmp_path: Path, name: str, steps: int = 400) -> str:
    content = {
        "results_dir": f"results/{name}",
        "checkpoint_minutes": 0.01,
        "run": {"methods": ["vae", "flat_vae"], "tasks": ["reconstruction", "flatness", "interpolation"]},
        "datasets": {"pendulum": {"training": {"steps": steps}}},
    }
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def targets(name: str) -> tuple[str, str]:
    return f"results/{name}/metrics.csv", f"results/{name}/figures/pendulum_flatness.png"


def start(project, config: str, name: str) -> subprocess.Popen:
    return project.start(*targets(name), "--cores", "2", "--configfile", "config/smoke.yaml", config)


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found]


def assert_ended(jobs: list[int]) -> None:
    """Jobs end with their run."""
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{job}").exists() for job in jobs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{job}").exists() for job in jobs)


def load_all(folder: Path) -> int:
    """Loads every file of results; one that is half there would not load."""
    files = [path for path in folder.rglob("*") if path.suffix in LOADERS and not path.name.startswith(".")]
    for path in files:
        LOADERS[path.suffix](path)
    return len(files)


def test_kills_at_random_moments_change_nothing(project, tmp_path):
    quiet = start(project, overlay(tmp_path, "quiet"), "quiet")
    out = quiet.communicate(timeout=600)[0]
    assert quiet.returncode == 0, out[-3000:]
    draw, config, results = random.Random(7), overlay(tmp_path, "killed"), project.folder / "results"
    kills = 0
    while kills < KILLS:
        run = start(project, config, "killed")
        time.sleep(draw.uniform(3, 14))
        jobs = children(run.pid)
        victim = draw.choice(jobs) if jobs and kills % 2 else run.pid
        if run.poll() is not None:  # done already, and well: begin anew
            out = run.communicate()[0]
            assert run.returncode == 0, out[-3000:]
            assert (results / "killed" / "metrics.csv").read_bytes() == (results / "quiet" / "metrics.csv").read_bytes()
            shutil.rmtree(results / "killed")
            continue
        os.kill(victim, signal.SIGKILL)
        kills += 1
        if victim == run.pid:
            run.wait()
            assert_ended(jobs)
        else:
            run.communicate(timeout=600)
        load_all(results / "killed")
    last = start(project, config, "killed")
    out = last.communicate(timeout=600)[0]
    assert last.returncode == 0, out[-3000:]
    assert load_all(results / "killed") > 10
    for name in ("metrics.csv", "pendulum/flat_vae/model.safetensors", "pendulum/vae/history.csv"):
        assert (results / "killed" / name).read_bytes() == (results / "quiet" / name).read_bytes(), name
    assert not list((results / "killed").rglob(".checkpoint"))


def test_a_job_that_only_begins_ends_with_its_run_too(project, tmp_path):
    """While it imports torch, which takes seconds, and another may only be starting; their trainings would take hours."""
    run = start(project, overlay(tmp_path, "begun", 10**6), "begun")
    begun = []
    while not begun and run.poll() is None:
        for job in children(run.pid):
            with contextlib.suppress(OSError):  # it has ended
                proc = Path(f"/proc/{job}")
                if b".train.py" in (proc / "cmdline").read_bytes() and "libtorch" in (proc / "maps").read_text():
                    begun.append(job)
        time.sleep(0.02)
    jobs = children(run.pid)
    run.kill()
    run.wait()
    assert begun
    assert_ended(jobs)


def command_of(pid: int) -> str:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_plan_that_is_killed_does_not_stop_the_run(project, tmp_path):
    run = start(project, overlay(tmp_path, "unplanned"), "unplanned")
    deadline, plans = time.monotonic() + 120, []
    while not plans and time.monotonic() < deadline:
        time.sleep(0.02)
        plans = [pid for pid in children(run.pid) if "plan.py" in command_of(pid)]
    os.kill(plans[0], signal.SIGKILL)
    out = run.communicate(timeout=600)[0]
    assert run.returncode == 0, out[-3000:]


def test_a_second_run_on_the_same_folder_is_refused(project, tmp_path):
    config = overlay(tmp_path, "shared")
    first = start(project, config, "shared")
    lock = project.folder / "results" / "shared" / ".lock"
    deadline = time.monotonic() + 60
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = start(project, config, "shared")
    out = second.communicate(timeout=120)[0]
    assert second.returncode == 1
    assert "another run is writing to results/shared; wait for it to end" in out
    assert first.wait(timeout=600) == 0


def test_a_file_system_without_locks_is_no_reason_not_to_run(project, tmp_path):
    """Where the system refuses the lock itself, not for another run's sake; the refusal is put into the run's process."""
    hook = (
        "import errno, fcntl\ndef refuse(*_): raise OSError(errno.ENOLCK, 'No locks available')\nfcntl.flock = refuse\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hook)
    config = overlay(tmp_path, "unlocked", 10)
    command = ("results/unlocked/pendulum/data.json", "--cores", "1", "--configfile", "config/smoke.yaml", config)
    run = project.snakemake(*command, PYTHONPATH=str(tmp_path))
    assert run.returncode == 0, run.stdout[-3000:]
    assert "results/unlocked/.lock cannot be locked (No locks available)" in run.stdout


def test_a_folder_that_cannot_be_written_is_named(project, tmp_path):
    (project.folder / "results").mkdir(exist_ok=True)
    (project.folder / "results" / "blocked").write_text("a file where the folder is to be")
    run = start(project, overlay(tmp_path, "blocked"), "blocked")
    out = run.communicate(timeout=120)[0]
    assert run.returncode == 1
    assert "results_dir results/blocked cannot be written (see " in out
