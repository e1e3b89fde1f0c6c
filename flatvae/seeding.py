"""Seeds torch's global random state for a while and restores it; thread-safe."""

import contextlib
import threading
from collections.abc import Iterator

import torch

_LOCK = threading.RLock()  # all threads share the global state


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sets torch's global random state to a seed and restores the old state at the end. One thread at a time."""
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
