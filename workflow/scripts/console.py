"""Prints a line for each job that starts or ends and, in a terminal, a bar with the time left.

This replaces Snakemake's output to the terminal, but not its log file, which ``flatvae status`` reads. Snakemake keeps the
terminal with --verbose, --quiet or --debug-dag, with another logger plugin, or if the environment variable FLATVAE_CONSOLE
is ``snakemake``. Runs in Snakemake's own process.
"""

import logging
import os
import re
import sys
import textwrap
import threading
import time

from snakemake.logging import LogEvent, logger
from tqdm import tqdm

VARIABLE = "FLATVAE_CONSOLE"  # jobs read it too: see adapter.py
_WIDTH = 160
# Snakemake's messages about itself, and the reasons of a dry run, whose lines have thousands of characters
_LEFT_OUT = re.compile(
    r"Assuming|Config file|Using shell|Conda env|Building DAG|Provided |Rules claiming|Select jobs|Execute \d|Reasons:|Handing"
    r"|Host:|Job counts"
)
# Seconds of jobs in the default run, on two threads of an Intel machine; trainings are measured, other rules' jobs take less.
_TYPICAL = {"evaluate": 38, "descriptor": 32, "figures": 13, "efficiency": 23}
_SHORT = 4
_ENOUGH = 10.0  # expected seconds of finished jobs before their pace is used
_REFRESH = 2.0  # seconds between two updates of the bar


def install(workflow) -> "Console | None":
    """Takes over the terminal of a run; returns None if Snakemake keeps it."""
    settings = workflow.output_settings
    default = [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]
    kept = settings.verbose or settings.debug_dag or settings.quiet or os.environ.get(VARIABLE) == "snakemake"
    if kept or not default or not workflow.is_main_process:
        return None
    os.environ[VARIABLE] = "quiet"
    console = Console(default[0], settings.dryrun, settings.show_failed_logs)
    logger.removeHandler(default[0])
    logger.addHandler(console)
    return console


def end(console: "Console | None") -> None:
    """Removes the bar before the run's last lines."""
    if console is not None:
        console.end()


def expected_seconds(rule: str, name: str, trainings: dict[str, float]) -> float:
    """Approximate duration of a job.

    Args:
        rule: the job's rule.
        name: the job's wildcards, «pendulum/vae».
        trainings: name -> seconds of a training, measured by the plan.
    """
    if rule == "train" and name in trainings:
        return trainings[name]
    return _SHORT if rule == "efficiency_csv" else _TYPICAL.get(rule.partition("_")[0], _SHORT)


class Console(logging.Handler):
    """A log handler that reports jobs that start, end and fail, and draws the bar.

    Attributes:
        default: Snakemake's handler; formats messages that do not concern a job, such as warnings.
        dryrun: whether this is a dry run, in which no job starts.
        show_logs: whether the log of a failed job is printed (--show-failed-logs).
        jobs: id of a running job -> its name, expected seconds and start time.
        waiting: id of a job that has not started -> its expected seconds.
    """

    def __init__(self, default: logging.Handler, dryrun: bool, show_logs: bool):
        super().__init__()
        self.default, self.dryrun, self.show_logs = default, dryrun, show_logs
        self.terminal = sys.__stderr__.isatty()
        self.filters = default.filters
        self.jobs: dict[int, tuple[str, float, float]] = {}
        self.waiting: dict[int, float] = {}
        self.done, self.total, self.cores = 0, 0, 1
        self.expected = self.taken = 0.0  # seconds of the finished jobs
        self.bar: tqdm | None = None
        self.closed = threading.Event()

    def expect(self, workflow, trainings: dict[str, float]) -> float:
        """Registers the run's jobs before it starts; returns the approximate seconds of the run."""
        jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name != "all"]
        self.total, self.cores = len(jobs), workflow.cores or 1
        self.waiting = {job.jobid: expected_seconds(job.rule.name, "/".join(job.wildcards), trainings) for job in jobs}
        return self.seconds_left()

    def seconds_left(self) -> float:
        """Expected seconds until the run ends, on its cores and at the pace of the finished jobs.

        A job that exceeds its expected time is assumed to need another tenth of its time so far.
        """
        now = time.monotonic()
        pace = self.taken / self.expected if self.expected > _ENOUGH else 1.0
        elapsed = [(pace * seconds, now - started) for _, seconds, started in self.jobs.values()]
        running = [max(seconds - since, since / 10) for seconds, since in elapsed]
        return max([(sum(running) + pace * sum(self.waiting.values())) / self.cores, *running])

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line for a job's event, and other messages unless they are left out."""
        try:
            event = getattr(record, "event", None)
            if event in _HANDLED:
                _HANDLED[event](self, record)
            elif record.levelno >= logging.WARNING or event == LogEvent.SHELLCMD:
                self.say(self.default.format(record))
            elif event is None and not _LEFT_OUT.match(str(record.msg).strip()):
                self.say("\n".join(textwrap.shorten(line, _WIDTH) for line in str(record.msg).splitlines()))
        except Exception:  # as in the standard library's handlers: logging never ends a run
            self.handleError(record)

    def say(self, text: str) -> None:
        """Prints above the bar."""
        if text.strip():
            tqdm.write(text, file=sys.__stderr__)
            sys.__stderr__.flush()

    def _counted(self, record: logging.LogRecord) -> None:
        """Prints the number of jobs of a dry run once; Snakemake reports it twice."""
        if self.dryrun and not self.total:
            self.total = len(record.stats)
            self.say(f"{record.msg}\n{VARIABLE}=snakemake snakemake -n … names each job and its reason.")

    def _started(self, record: logging.LogRecord) -> None:
        if record.rule_name == "all" or self.dryrun:
            return
        name = _name(record)
        self.jobs[record.jobid] = name, self.waiting.pop(record.jobid, _SHORT), time.monotonic()
        self.say(f"  started   {name}")
        self._draw()

    def _finished(self, record: logging.LogRecord) -> None:
        if record.job_id not in self.jobs:
            return
        name, expected, started = self.jobs.pop(record.job_id)
        seconds = time.monotonic() - started
        self.done, self.expected, self.taken = self.done + 1, self.expected + expected, self.taken + seconds
        self.say(f"  finished  {name}  {_duration(seconds)}  ({self.done} of {self.total})")
        self._draw()

    def _failed(self, record: logging.LogRecord) -> None:
        name, _, started = self.jobs.pop(record.jobid, (_name(record), 0.0, time.monotonic()))
        log = f"; see {record.log[0]}" if record.log else ""
        self.say(f"  FAILED    {name}  {_duration(time.monotonic() - started)}{log}"[:_WIDTH])
        if self.show_logs:
            self.say(self.default.format(record))

    def _draw(self) -> None:
        if not self.terminal or not self.total:
            return
        if self.bar is None:
            self.bar = tqdm(
                total=1.0, bar_format="{desc} |{bar}|", file=sys.__stderr__, dynamic_ncols=True, leave=False
            )
            self.whole = self.seconds_left()
            threading.Thread(target=self._keep_drawing, daemon=True).start()
        left = self.seconds_left()
        self.whole = max(self.whole, left)
        self.bar.n = 1 - left / self.whole if self.whole else 1.0
        self.bar.set_description_str(f"{self.done} of {self.total} jobs, about {_duration(left)} left")

    def _keep_drawing(self) -> None:
        while not self.closed.wait(_REFRESH):
            with self.lock:
                if self.bar is not None:
                    self._draw()

    def end(self) -> None:
        """Removes the bar."""
        self.closed.set()
        with self.lock:
            if self.bar is not None:
                self.bar.close()
                self.bar, self.terminal = None, False


def _name(record: logging.LogRecord) -> str:
    """A job's name, «train pendulum/vae», whether or not its rule's name contains the data set."""
    wildcards = getattr(record, "wildcards", None) or {}
    dataset = wildcards.get("dataset", "")
    return f"{record.rule_name.removesuffix(f'_{dataset}')} {'/'.join(map(str, wildcards.values()))}".strip()


def _duration(seconds: float) -> str:
    from flatvae.reporting.formatting import format_duration  # imported late, only if a job runs

    return format_duration(seconds)


_HANDLED = {
    LogEvent.RUN_INFO: Console._counted,
    LogEvent.JOB_INFO: Console._started,
    LogEvent.JOB_FINISHED: Console._finished,
    LogEvent.JOB_ERROR: Console._failed,
    LogEvent.PROGRESS: lambda console, record: None,
    LogEvent.WORKFLOW_STARTED: lambda console, record: None,
    LogEvent.RESOURCES_INFO: lambda console, record: None,
    LogEvent.JOB_STARTED: lambda console, record: None,
}
