"""Interrupted trainings resume where they stopped and end with the same result as uninterrupted ones.

A *snapshot* holds everything that the rest of a training depends on: parameters, optimiser, generators, multipliers, history. It
is a file next to the outputs, written at fixed intervals, and at once when the process is asked to end (SIGTERM, which a cluster
sends before a time limit or to free a node). The file is complete or absent. It also holds the training's *identity*: everything
that its result depends on. A damaged snapshot, or one of another identity, is not used, and a line says so.
"""

import contextlib
import glob
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flatvae.checkpoint import digest
from flatvae.datasets import expanded
from flatvae.training.compiled import lacking
from flatvae.training.devices import choose_device

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: interrupted, run it again
_KEY = "identity"


class Interrupted(Exception):
    """The process was asked to end, and the snapshot is written."""


class Snapshots:
    """The snapshot file of one training.

    As a context in the main thread, it treats SIGTERM as a request to end.

    Args:
        path: the file, ``….safetensors``; its folder is made.
        identity: anything that JSON can hold; equal if and only if two trainings have the same result.
        seconds: seconds between two snapshots.
    """

    def __init__(self, path: str | Path, identity: dict, seconds: float):
        self.path = expanded(path)
        self.identity = json.dumps(identity, sort_keys=True)
        self.seconds = seconds
        self.interrupted = False
        self._written = time.monotonic()
        self._previous = None

    def __enter__(self) -> "Snapshots":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._interrupt)
        return self

    def __exit__(self, *exception) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _interrupt(self, number, frame) -> None:
        self.interrupted = True

    def due(self) -> bool:
        """Whether it is time to write one."""
        return self.interrupted or time.monotonic() - self._written >= self.seconds

    def write(self, tensors: dict[str, Tensor]) -> None:
        """Writes a snapshot over the previous one."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        kept = {_KEY: self.identity, "sha256": digest(tensors, self.identity)}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: t.detach().contiguous() for name, t in tensors.items()}, temporary, kept)
            os.replace(temporary, self.path)
        except (OSError, SafetensorError) as error:  # the training is fine, and may never need the snapshot
            print(f"warning: {self.path} could not be written ({error}); the training goes on", flush=True)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()  # there only if something went wrong
        self._written = time.monotonic()

    def read(self) -> dict[str, Tensor] | None:
        """The snapshot's tensors, on the CPU; None if no snapshot can be used. If one exists, prints a line that says why."""
        if not os.path.isfile(self.path):
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                kept = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no iterator
            damaged = kept.get("sha256") != digest(tensors, kept.get(_KEY, ""))
        except OSError as error:
            print(f"{self.path} cannot be read ({error.strerror or error}); the training starts anew")
            return None
        except (SafetensorError, TypeError):  # TypeError: damage can give a tensor a type that NumPy lacks
            damaged = True
        if damaged:
            print(f"{self.path} is damaged; the training starts anew")
            return None
        if kept[_KEY] != self.identity:
            print(f"{self.path} is of other code, settings or data; the training starts anew")
            return None
        return tensors

    def remove(self) -> None:
        """Deletes the file, temporary files of killed processes, and the folder if it is then empty."""
        with contextlib.suppress(OSError):  # the folder may be read-only
            for path in (self.path, *self.path.parent.glob(f".{glob.escape(self.path.name)}.*")):
                path.unlink(missing_ok=True)
            self.path.parent.rmdir()


def snapshots_at(
    path: str | Path,
    builder: str,
    dataset,
    hyperparameters: dict,
    seeds: Iterable[int],
    device: str,
    code: str,
    seconds: float,
) -> Snapshots:
    """The snapshots of a training, one every ``seconds``; one made with another ``code`` is not used."""
    identity = {
        "code": code,
        "builder": builder,
        "hyperparameters": hyperparameters,
        "seeds": list(seeds),
        "data": dataset.fingerprint(),
        "device": str(choose_device(device)),
        "compiler": lacking(choose_device(device).type),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return Snapshots(path, identity, seconds)
