"""What every script of the workflow does around its one call: a log, and one sentence for bad input."""

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

# the packages stand next to the workflow and need not be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# Imports create no garbage, yet scanning for it costs a quarter of their time; later, few objects refer to each other in circles.
gc.set_threshold(50_000)

RUN = "FLATVAE_RUN"  # environment variable with the number of the Snakemake process that starts jobs, see common.smk


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
    """Whether a process is this one's parent, or the parent's parent, and so on."""
    pid = os.getpid()
    while pid not in (0, ancestor):
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            return False
    return pid == ancestor


def end_with_parent() -> None:
    """Has the system send SIGTERM when the parent dies: an orphan would go on writing what the next run makes anew."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if not _descends_from(int(os.environ[RUN])):
            sys.exit("the run that began this job has ended")


def keep_memory() -> None:
    """Has the C library keep what is freed: tensors come and go, and to be given memory anew costs a fifth of some trainings."""
    with contextlib.suppress(AttributeError):  # another C library than glibc
        for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            ctypes.CDLL(None).mallopt(parameter, 1 << 30)


@contextlib.contextmanager
def _whole(snakemake):
    """Lets a script write beside its outputs, which get their names once all is written: none is ever half there."""
    names, here = list(snakemake.output), f".part-{socket.gethostname()}-"
    for name in names:  # of a process that was killed; one that lives, on this machine or another, may still write
        for left in Path(name).parent.glob(f"{here}*-{Path(name).name}"):
            pid = left.name.removeprefix(here).removesuffix(f"-{Path(name).name}")
            if pid.isdigit() and not Path("/proc", pid).exists():
                left.unlink(missing_ok=True)
    beside = {name: str(Path(name).with_name(f"{here}{os.getpid()}-{Path(name).name}")) for name in names}
    snakemake.output = type(snakemake.output)(toclone=snakemake.output, custom_map=beside.get)
    yield
    for name in names:
        os.replace(beside[name], name)


@contextlib.contextmanager
def job(snakemake):
    """Runs a script's body with its output, warnings and traceback in the rule's log, and its files whole or not there.

    Output goes to Snakemake's own too where that is no terminal and the run prints as Snakemake does (see console.py). Bad
    input (InputError) ends the job with its sentence alone; a training that was asked to end, with a status of its own.
    """
    end_with_parent()  # before the imports, which take seconds: Snakemake may die meanwhile
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
                log.write(f"flatvae: {error}\n")  # the sentence alone: a cluster's profile shows the log
                terminal.write(f"\nflatvae: {error}\n\n")
                terminal.flush()
                sys.exit(1)
            except Interrupted as interrupted:
                print(interrupted)
                sys.exit(EXIT_STATUS)
            except BaseException:
                log.write(traceback.format_exc())
                raise
