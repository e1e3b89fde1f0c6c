"""One run at a time on a results folder.

Snakemake's own lock outlives a run that was killed, and two runs with different targets do not see each other's. So the profiles
switch it off (nolock), and a run holds the file .lock in its results folder as long as it lives: the system lets go of that
whatever happens to the process.
"""

import fcntl
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

_held = []  # open files: closed, they would hold nothing


def check(folder: str) -> None:
    """Looks whether the results folder can be written, or made; writes nothing.

    Raises:
        WorkflowError: it cannot.
    """
    there = next(path for path in [Path(folder).absolute(), *Path(folder).absolute().parents] if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise WorkflowError(
            f"results_dir {folder} cannot be written (see {there}); make it writable, or set another in the config"
        )


def claim(folder: str) -> None:
    """Takes the results folder for this process, until it ends.

    Raises:
        WorkflowError: another run has it.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = Path(folder) / ".lock"
    try:
        file = lock.open("a")
    except OSError as error:
        raise WorkflowError(f"{lock} cannot be opened ({error.strerror}); make it writable, or delete it") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another run is writing to {folder}; wait for it to end, or give this one a results_dir of its own"
        ) from None
    except OSError as error:  # some network file systems have no such locks
        logger.warning(f"flatvae: {lock} cannot be locked ({error.strerror}): see to it that no other run writes there")
    _held.append(file)
