"""One run at a time on a results folder.

Snakemake's own lock outlives a run that was killed, and two runs with different targets do not see each other's. So the profiles
switch it off (nolock), and a run holds the file .lock in its results folder as long as it lives: the system lets go of that
whatever happens to the process.
"""

import fcntl
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

_held = []  # open files: closed, they would hold nothing


def claim(folder: str) -> None:
    """Takes the results folder for this process, until it ends.

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
            f"another run is writing to {folder}; wait for it to end, or give this one a results_dir of its own"
        ) from None
    except OSError as error:  # some network file systems have no such locks
        logger.warning(f"flatvae: {lock} cannot be locked ({error.strerror}): see to it that no other run writes there")
    _held.append(file)
