"""The frame of every workflow script: a log, atomic outputs, and one sentence for bad input."""

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

# the packages lie next to the workflow and need not be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# Imports create no garbage, yet scanning for it costs a quarter of their time. Later code makes few reference cycles.
gc.set_threshold(50_000)

RUN = "FLATVAE_RUN"  # environment variable with the id of the Snakemake process that starts jobs, see common.smk


class _Tee:
    """Writes to several streams."""

    def __init__(self, *streams):
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()

    def isatty(self) -> bool:
        return False


def _descends_from(ancestor: int) -> bool:
    """Whether a process is an ancestor of this one."""
    pid = os.getpid()
    while pid not in (0, ancestor):
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            return False
    return pid == ancestor


def end_with_parent() -> None:
    """Asks the system for SIGTERM when the parent dies: an orphan would keep writing files that the next run makes again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if not _descends_from(int(os.environ[RUN])):
            sys.exit("the run that started this job has ended")


def keep_memory() -> None:
    """Makes the C library keep freed memory: requesting it again for new tensors costs a fifth of some trainings' time."""
    with contextlib.suppress(AttributeError):  # another C library than glibc
        for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            ctypes.CDLL(None).mallopt(parameter, 1 << 30)


@contextlib.contextmanager
def _whole(snakemake):
    """Lets a script write to temporary files, which get the outputs' names once all are written."""
    names, here = list(snakemake.output), f".part-{socket.gethostname()}-"
    for name in names:  # delete leftovers of killed processes; a live one, here or on another machine, may still write
        for left in Path(name).parent.glob(f"{here}*-{Path(name).name}"):
            pid = left.name.removeprefix(here).removesuffix(f"-{Path(name).name}")
            if pid.isdigit() and not Path("/proc", pid).exists():
                left.unlink(missing_ok=True)
    partial = {name: str(Path(name).with_name(f"{here}{os.getpid()}-{Path(name).name}")) for name in names}
    snakemake.output = type(snakemake.output)(toclone=snakemake.output, custom_map=partial.get)
    yield
    for name in names:
        os.replace(partial[name], name)


@contextlib.contextmanager
def job(snakemake):
    """Runs a script's body, writes its output, warnings and traceback to the rule's log, and its files atomically.

    If stderr is no terminal and the run prints as Snakemake does (see console.py), output goes there too. Bad input
    (InputError) ends the job with one sentence. An interrupted training ends with its own status.
    """
    end_with_parent()  # before the imports: they take seconds, in which Snakemake may die
    keep_memory()
    from flatvae.errors import InputError
    from flatvae.training.resume import EXIT_STATUS, Interrupted

    terminal = sys.__stderr__
    with open(snakemake.log[0], "w", buffering=1, encoding="utf-8") as log:
        quiet = terminal.isatty() or os.environ.get("FLATVAE_CONSOLE") == "quiet"
        tee = _Tee(log) if quiet else _Tee(log, terminal)
        with contextlib.redirect_stdout(tee), contextlib.redirect_stderr(tee):
            try:
                with _whole(snakemake):
                    yield
            except InputError as error:
                log.write(f"flatvae: {error}\n")  # only the sentence: a cluster's profile shows the log
                terminal.write(f"\nflatvae: {error}\n\n")
                terminal.flush()
                sys.exit(1)
            except Interrupted as interrupted:
                print(interrupted)
                sys.exit(EXIT_STATUS)
            except BaseException:
                log.write(traceback.format_exc())
                raise
