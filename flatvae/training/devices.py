"""Where a training runs, and what is recorded of it."""

import contextlib
import subprocess

import torch

from flatvae.errors import InputError


def choose_device(device: str) -> torch.device:
    """``cpu``, ``cuda``, or ``auto``: the GPU where there is one.

    Raises:
        InputError: a GPU is asked for and there is none, or something else is asked for.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise InputError(f"device is {device!r}; it must be cpu, cuda or auto")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("config: device is cuda, but torch finds no GPU here; set device to cpu or auto")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def device_record(device: torch.device) -> dict:
    """What a training ran on, for the records: name, and of a GPU its driver, CUDA and the most memory taken so far (MB)."""
    if device.type == "cpu":
        return {"name": "cpu"}
    record = {
        "name": torch.cuda.get_device_name(device),
        "cuda": torch.version.cuda,
        "memory_mb": torch.cuda.max_memory_allocated(device) / 2**20,
    }
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        driver = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False).stdout
        record["driver"] = driver.strip().split("\n")[0]
    return record
