"""The device of a training, and its record."""

import contextlib
import subprocess

import torch

from flatvae.errors import InputError


def choose_device(device: str) -> torch.device:
    """The torch device for ``cpu``, ``cuda`` or ``auto`` (the GPU if there is one).

    Raises:
        InputError: the name is unknown, or it is ``cuda`` and there is no GPU.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise InputError(f"device is {device!r}; it must be cpu, cuda or auto")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("config: device is cuda, but torch finds no GPU here; set device to cpu or auto")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def device_record(device: torch.device) -> dict:
    """The device that a training ran on: its name; for a GPU also driver, CUDA version and peak memory so far (MB)."""
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
