"""What every script of the workflow does around its one call: a log, and one sentence for bad input."""

import contextlib
import sys
import traceback
from pathlib import Path

# the packages are found also where they are not installed: beside the workflow
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


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


@contextlib.contextmanager
def job(snakemake):
    """Runs a script's body with its output, warnings and traceback in the rule's log.

    Output goes to the terminal too where that is no terminal (CI, a cluster's own log); on one, progress bars are shown
    instead. Bad input (InputError) ends the job with its sentence alone; a training that was asked to end, with a
    status of its own.
    """
    from flatvae.errors import InputError
    from flatvae.resume import EXIT_STATUS, Interrupted

    terminal = sys.__stderr__
    with open(snakemake.log[0], "w", buffering=1, encoding="utf-8") as log:
        tee = _Tee(log) if terminal.isatty() else _Tee(log, terminal)
        with contextlib.redirect_stdout(tee), contextlib.redirect_stderr(tee):
            try:
                yield
            except InputError as error:
                log.write(traceback.format_exc())
                terminal.write(f"\nflatvae: {error}\n\n")
                terminal.flush()
                sys.exit(1)
            except Interrupted as interrupted:
                print(interrupted)
                sys.exit(EXIT_STATUS)
            except BaseException:
                log.write(traceback.format_exc())
                raise
