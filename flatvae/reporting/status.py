"""The progress of a run: jobs done, running and failed, and the time left, read from the files that it writes.

Nothing is guessed. Facts that no file records are reported as not known.
"""

import fcntl
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path

from safetensors import SafetensorError, safe_open

from flatvae.errors import InputError
from flatvae.reporting import run_log
from flatvae.reporting.formatting import format_duration
from flatvae.reporting.run_log import DONE, FAILED, RUNNING, Job, RunLog

TRAINING, TARGET = "train", "all"  # the rule whose log reports steps; the rule that requests all outputs
ENDS = ("metrics.csv", "claims.csv", "run.json", "manifest.json", "report.pdf", "index.html")  # the last files of a run
NAMED = 6  # at most so many rules are named in a line

_STEP = re.compile(r"step (\d+)/(\d+) .* ([\d.]+) steps/s")
_LENGTH = 200  # characters shown of a failed job's last line


@dataclass(frozen=True)
class Status:
    """The progress of a run.

    Attributes:
        folder: its results folder, as given.
        alive: whether a run holds the folder now; None if the file system cannot say.
        log: Snakemake's log of the newest run into the folder; None if there is none.
        now: the time of this status.
        steps: log file of a training -> (last step, number of steps, seconds left at its pace or None).
        failures: log file of a failed job -> its last line.
        snapshots: «pendulum/vae» -> (step, number of steps) of interrupted trainings that can be resumed.
        trained, evaluated: numbers of models.
        files: those of ENDS that exist.
    """

    folder: Path
    alive: bool | None
    log: RunLog | None
    now: datetime
    steps: dict[Path, tuple[int, int, float | None]]
    failures: dict[Path, str]
    snapshots: dict[str, tuple[int, int]]
    trained: int
    evaluated: int
    files: list[str]


def read(path: str | PathLike, folders: list[Path], now: datetime | None = None) -> Status:
    """Reads the progress of the run in a results folder.

    Args:
        path: the results folder.
        folders: where Snakemake may have run; the parents of the results folder are searched too.
        now: the time; default: the clock's.

    Raises:
        InputError: the folder does not exist.
    """
    folder, now = Path(path), now or datetime.now()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the results_dir of a run.")
    log = run_log.find(folder, [*folder.resolve().parents, *folders])
    alive = _held(folder / ".lock")
    jobs = log.jobs if log else []
    logs = {state: [job.log for job in jobs if job.state == state and job.log] for state in (RUNNING, FAILED)}
    training_logs = (
        [job.log for job in jobs if job.state == RUNNING and job.rule == TRAINING and job.log] if alive else []
    )
    return Status(
        folder=folder,
        alive=alive,
        log=log,
        now=now,
        steps={path: found for path in training_logs if (found := _steps(path, now))},
        failures={path: _last_line(path) for path in logs[FAILED]},
        snapshots={} if alive else _snapshots(folder),
        trained=len(list(folder.glob("*/*/model.safetensors"))),
        evaluated=len(list(folder.glob("*/*/evaluation.json"))),
        files=[name for name in ENDS if (folder / name).is_file()],
    )


def _held(lock: Path) -> bool | None:
    """Whether a run holds the lock of its folder (workflow/scripts/single.py)."""
    if not lock.is_file():
        return False
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # not readable, or a file system without such locks
        return None
    return False


def _steps(path: Path, now: datetime) -> tuple[int, int, float | None] | None:
    """The last step in a training's log, the number of steps, and the seconds left at that pace; None if no step is logged."""
    if not path.is_file() or not (found := _STEP.findall(path.read_text(encoding="utf-8", errors="replace"))):
        return None
    step, steps, pace = int(found[-1][0]), int(found[-1][1]), float(found[-1][2])
    since = now.timestamp() - path.stat().st_mtime
    return step, steps, max(0.0, (steps - step) / pace - since) if pace else None


def _last_line(path: Path) -> str:
    if not path.is_file():
        return "its log is missing"
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
    return last.removeprefix("flatvae: ")[:_LENGTH]


def _snapshots(folder: Path) -> dict[str, tuple[int, int]]:
    """The steps of interrupted trainings, from their snapshots (flatvae/training/resume.py)."""
    found = {}
    for path in sorted(folder.glob("*/*/.checkpoint/training.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                identity = json.loads((file.metadata() or {})["identity"])
                step = int(file.get_tensor("count")[0])
            found["/".join(path.parts[-4:-2])] = step, identity["hyperparameters"]["steps"]
        except (OSError, SafetensorError, ValueError, KeyError):  # the training ignores a damaged snapshot too
            continue
    return found


# ---------------------------------------------------------------------------------------------------------------- as text


def lines(status: Status) -> list[str]:
    """The status as lines for a terminal."""
    log = status.log
    found = [f"{status.folder}: {_state(status)}"]
    if log and not (status.alive and log.ended):
        if status.alive:
            found += _block("running", [_running(job, status) for job in log.of(RUNNING)])
        found += _block("failed", [_failed(job, status) for job in log.of(FAILED)])
        left = _left(log)
        found += [f"  to do: {_counted(left)}"] * bool(left)
        found += [f"  time left: {_time_left(status, left)}"] * bool(status.alive)
    where = [f"{name} at step {step} of {steps}" for name, (step, steps) in status.snapshots.items()]
    found += _block("interrupted trainings, which the same command resumes", where)
    models = f"{status.trained} models trained, {status.evaluated} evaluated" if status.trained else "no trained model"
    found.append(f"  on disk: {', '.join([models, *status.files])}")
    if log:
        found += [f"  command: {_command(log)}"] * bool(log.command) + [f"  log: {_short(log.path)}"]
    return found


def _state(status: Status) -> str:
    log = status.log
    if status.alive and (log is None or log.ended):
        return "a run has begun, but none of its jobs yet"
    if log is None:
        held = "no run is in progress" if status.alive is False else "it is not known whether a run is in progress"
        return f"{held}; finished and failed jobs are not known, because no Snakemake log belongs to this folder"
    jobs = f"{log.done} of {log.total} jobs done"
    failed = f", {len(log.of(FAILED))} failed" if log.of(FAILED) else ""
    if status.alive:
        since = format_duration((status.now - log.began).total_seconds())
        return f"running for {since}; {jobs}, {len(log.of(RUNNING))} running{failed}"
    when = f"{log.last:%Y-%m-%d %H:%M}, after {format_duration((log.last - log.began).total_seconds())}"
    if log.done == log.total:
        return f"the last run ended at {when}; {jobs}"
    if status.alive is None and not log.ended:
        return f"{jobs}{failed}, the last at {when}; it is not known whether the run is still in progress"
    how = "stopped with an error" if failed else "was interrupted"
    return f"the last run {how} at {when}; {jobs}{failed}"


def _block(title: str, rows: list[str]) -> list[str]:
    return [f"  {title}:", *(f"    {row}" for row in rows)] if rows else []


def _running(job: Job, status: Status) -> str:
    text = f"{job.name}, for {format_duration((status.now - job.began).total_seconds())}"
    if job.log not in status.steps:
        return text
    step, steps, seconds = status.steps[job.log]
    rest = "" if seconds is None else f", about {format_duration(seconds)} left"
    return f"{text}: step {step} of {steps}{rest}"


def _failed(job: Job, status: Status) -> str:
    return f"{job.name}: {status.failures[job.log]} ({_short(job.log)})" if job.log in status.failures else job.name


def _left(log: RunLog) -> Counter:
    """Rule -> how many of its jobs have not begun, without the target rule, which takes no time."""
    left = Counter(log.counts) - Counter(job.rule for job in log.jobs)
    del left[TARGET]
    return left


def _counted(rules: Counter) -> str:
    """«4 train, 3 evaluate_crowd, and 8 more»."""
    named = rules.most_common(NAMED)
    rest = rules.total() - sum(count for _, count in named)
    return ", ".join([f"{count} {rule}" for rule, count in named] + [f"and {rest} more"] * bool(rest))


def _time_left(status: Status, left: Counter) -> str:
    """The time left, from the pace of trainings and the mean time of this run's finished jobs of the same rule."""
    log = status.log
    if log.cores is None:
        return "not known, because the jobs run on a cluster"
    finished: dict[str, list[float]] = {}
    for job in log.of(DONE):
        finished.setdefault(job.rule, []).append((job.ended - job.began).total_seconds())
    mean = {rule: sum(times) / len(times) for rule, times in finished.items()}
    known, unknown = [], Counter()
    for job in log.of(RUNNING):
        seconds = status.steps.get(job.log, (0, 0, None))[2]
        if seconds is None and job.rule in mean:
            seconds = max(0.0, mean[job.rule] - (status.now - job.began).total_seconds())
        known += [seconds] * (seconds is not None)
        unknown[job.rule] += seconds is None
    for rule, count in left.items():
        if rule in mean:
            known += [mean[rule]] * count
        else:
            unknown[rule] += count
    unknown = +unknown
    if not known:
        return "not known, because no job of the same kind has ended"
    together = max(max(known), sum(known) / log.cores)
    text = f"about {format_duration(together)}, if jobs take as long as earlier ones"
    return f"{text}; not counting {_counted(unknown)}, whose times are not known" if unknown else text


def _command(log: RunLog) -> str:
    program, _, arguments = log.command.partition(" ")
    return f"snakemake {arguments}" if program.endswith(("snakemake", "__main__.py")) else log.command


def _short(path: Path) -> Path:
    """The path relative to the working directory, if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
