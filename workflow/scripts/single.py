"""Allows only one run at a time on a results folder.

Snakemake's own lock survives a killed run, and two runs with different targets do not see each other's. So the profiles switch
it off (nolock), and each run locks the file .lock in its results folder. The system releases this lock whenever the process
ends.
"""

import fcntl
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

_held = []  # kept open, as closing a file releases its lock


def claim(folder: str) -> None:
    """Locks the results folder for this process, until it ends.

    Raises:
        WorkflowError: another run has it.
    """
    lock = Path(folder) / ".lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a")
    except OSError as error:
        raise WorkflowError(
            f"config: results_dir {folder} cannot be written (see {lock}: {error.strerror}); make it writable, or set another"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another run is writing to {folder}; wait for it to end, or give this one its own results_dir"
        ) from None
    except OSError as error:  # some network file systems have no such locks
        logger.warning(f"flatvae: {lock} cannot be locked ({error.strerror}); make sure that no other run writes there")
    _held.append(file)
