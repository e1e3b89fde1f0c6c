"""Reads Snakemake's log of a run: the number of jobs, when each began and ended, and which failed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

RUNNING, DONE, FAILED = "running", "done", "failed"
LOGS = Path(".snakemake", "log")  # in the folder that Snakemake ran in

_STAMP = re.compile(r"\[(\w+ \w+ +\d+ [\d:]+ \d{4})\]")
_BEGINS = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
_FAILS = re.compile(r"Error in rule \w+:")
_ENDS = re.compile(r"Finished jobid: (\d+)\b.*")
_STEPS = re.compile(r"(\d+) of (\d+) steps .*")
_COUNT = re.compile(r"(\w+) {2,}(\d+)")
_CORES = re.compile(r"Provided cores: (\d+).*")
_FIELD = re.compile(r" {4}(\w+): (.*)")
_COMMAND = re.compile(r"^  Command: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A job that has begun.

    Attributes:
        rule: its rule.
        wildcards: «dataset» -> «pendulum», in the order of the log.
        log: the file with its output; None if the rule has no log.
        began: when it began last.
        ended: when it ended successfully; otherwise None.
        state: RUNNING, DONE or FAILED according to the log; if the run was killed, its jobs stay RUNNING.
    """

    rule: str
    wildcards: dict[str, str]
    log: Path | None
    began: datetime
    ended: datetime | None = None
    state: str = RUNNING

    @property
    def name(self) -> str:
        """«train pendulum/vae»."""
        dataset = self.wildcards.get("dataset", "")
        return f"{self.rule.removesuffix(f'_{dataset}')} {'/'.join(self.wildcards.values())}".strip()


@dataclass(frozen=True)
class RunLog:
    """The content of a log.

    Attributes:
        path: the log.
        command: the command line as Snakemake logs it, without quotes.
        counts: rule -> number of its jobs in the run.
        jobs: the jobs that have begun, in the order of their first start.
        done, total: numbers of jobs as Snakemake counts them.
        cores: number of cores of the run; None on a cluster.
        began, last: times of the first and the last entry.
        ended: whether Snakemake exited by itself, with or without errors.
    """

    path: Path
    command: str
    counts: dict[str, int]
    jobs: list[Job]
    done: int
    total: int
    cores: int | None
    began: datetime
    last: datetime
    ended: bool

    def of(self, state: str) -> list[Job]:
        """The jobs in a state."""
        return [job for job in self.jobs if job.state == state]


def find(results: Path, folders: list[Path]) -> RunLog | None:
    """The newest Snakemake log, searched in ``folders``, of a run that wrote into the results folder; None if there is none.

    Logs of runs without jobs, which had nothing to do, are skipped.
    """
    paths = {path for folder in folders for path in (folder.resolve() / LOGS).glob("*.snakemake.log")}
    for path in sorted(paths, key=lambda path: path.name, reverse=True):  # file names begin with the time
        found = read(path)
        if found and any(_belongs(job, results.resolve()) for job in found.jobs):
            return found
    return None


def _belongs(job: Job, results: Path) -> bool:
    """Whether a job writes into this results folder, not into another run's folder inside it."""
    if job.log is None or not job.log.is_relative_to(results):
        return False
    return job.log.relative_to(results).parts[0] in {"logs", "search", job.wildcards.get("dataset")}


def read(path: Path) -> RunLog | None:
    """Parses a log; None if no job has begun."""
    text = path.read_text(encoding="utf-8", errors="replace")
    text = text[: text.rfind("\n") + 1]  # the last line may be incomplete
    jobs: dict[int, Job] = {}
    counts: dict[str, int] = {}
    stamps, done, cores, ended = [], 0, None, False
    for stamp, head, fields in _entries(text):
        stamps += [stamp] * (stamp is not None)
        job = int(fields.get("jobid", -1))  # the entry may be incomplete
        if (found := _BEGINS.fullmatch(head)) and job >= 0:
            jobs[job] = _begun(found[1], fields, stamp, path.parents[2])
        elif _FAILS.fullmatch(head) and job in jobs:
            jobs[job] = replace(jobs[job], state=FAILED)
        elif (found := _ENDS.fullmatch(head)) and int(found[1]) in jobs:
            job = int(found[1])
            jobs[job] = replace(jobs[job], state=DONE, ended=stamp)
        elif found := _STEPS.fullmatch(head):
            done = int(found[1])
        elif found := _CORES.fullmatch(head):
            cores = int(found[1])
        elif (found := _COUNT.fullmatch(head)) and not jobs:
            counts[found[1]] = int(found[2])
        ended = ended or head.startswith("Complete log")
    if not jobs:
        return None
    command = _COMMAND.search(text)
    total = counts.pop("total", len(jobs))
    known = (path, command[1] if command else "", counts, list(jobs.values()), done, total, cores)
    return RunLog(*known, stamps[0], stamps[-1], ended)


def _begun(rule: str, fields: dict[str, str], stamp: datetime, folder: Path) -> Job:
    pairs = (part.partition("=") for part in fields.get("wildcards", "").split(", ") if part)
    log = fields.get("log", "").split(", ")[0]
    return Job(rule, {name: value for name, _, value in pairs}, (folder / log).resolve() if log else None, stamp)


def _entries(text: str) -> Iterator[tuple[datetime | None, str, dict[str, str]]]:
    """The entries of a log: the last time stamp before each, its first line, and the fields below it."""
    stamp, head, fields = None, "", {}
    for line in text.splitlines():
        if found := _FIELD.fullmatch(line):
            fields[found[1]] = found[2]
            continue
        if head:
            yield stamp, head, fields
        head, fields = line, {}
        if found := _STAMP.fullmatch(line):
            stamp, head = datetime.strptime(found[1], "%a %b %d %H:%M:%S %Y"), ""
    if head:
        yield stamp, head, fields
