"""Drawing from torch's global random state without changing it, also in threads."""

import contextlib
import threading
from collections.abc import Iterator

import torch

_LOCK = threading.RLock()  # the global state is one for all threads


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sets torch's global random state to a seed, and puts the old state back at the end. One thread at a time."""
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
