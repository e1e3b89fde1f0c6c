"""What the benchmarks share: the device, candidates, times taken alternately, and ratios, kept for the table ``performance``.

The benchmarks run on the GPU where there is one, and on the CPU elsewhere; CUDA_VISIBLE_DEVICES= (empty) keeps them on the CPU.
On a CPU they measure the CPU time of one process on one thread, so that other jobs on the machine count little; on a GPU
they measure wall time until the GPU has finished. The bounds that tests state are a CPU's: on a GPU the numbers are
written down and not judged.
"""

import platform
import re
import statistics
import time
from pathlib import Path

import torch
from plain_training import PlainTraining

from flatvae.datasets import Dataset
from flatvae.training import Trainer, build_seeded, choose_device, split_hyperparameters

SETTINGS = {
    "bound": 1.0,
    "steps": 10**6,
    "batch_size": 128,
    "beta_rate": 0.05,
    "n_prior_samples": 8,
    "alpha0": 0.2,
    "compile": "never",
}
PENDULUM = {"latent_dim": 2, "hidden": [128, 128], "prior_hidden": [64, 64], **SETTINGS}
PIXELS = {"latent_dim": 32, "hidden": [256, 256], "prior_hidden": [64, 64], **SETTINGS}
REPEATS = 9
DEVICE = choose_device("auto")
RATIOS: list[tuple] = []  # setting, what is compared, metric, round, value
SCALING: list[tuple] = []  # method, quantity, size, round, seconds


def device_name(device: torch.device) -> str:
    """The card's name, or the processor's model as Linux states it, elsewhere what Python knows of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpus.read_text(encoding="utf-8"), re.M) if cpus.is_file() else None
    return model[1].strip() if model else platform.processor() or platform.machine()


NAME = device_name(DEVICE)


def clock() -> float:
    """Seconds of CPU time; with a GPU of wall time, once it has done what it was given."""
    if DEVICE.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def holds(condition: bool) -> bool:
    """Whether a bound is met; on a GPU, where none is known, always."""
    return condition or DEVICE.type != "cpu"


def frozen(module, data: Dataset, build: dict, gain: float = 1.0):
    """An untrained model on the device, with the weights of seed 0 and those of its decoder enlarged."""
    model = build_seeded(module, data, build, 0).to(DEVICE).requires_grad_(False)
    for parameter in model.decoder.parameters():
        parameter.mul_(gain)
    return model


def dataset(dim: int) -> Dataset:
    parts = torch.rand(3, 1000, dim, generator=torch.Generator().manual_seed(0))
    return Dataset("random", *parts, "gaussian", (dim,))


def trainer(module, data, hyperparameters: dict, n_seeds: int = 1, **where):
    """A step of the suite's training, past the initial phase."""
    training = Trainer(module, data, hyperparameters, list(range(n_seeds)), **({"device": DEVICE} | where))
    training.bound.end_initial_phase(force=True)
    return lambda: training.step(training.objective)


def waited_for(step, steps: int = 20):
    """So many steps, and the wait until the GPU has done them."""

    def call():
        for _ in range(steps):
            step()
        torch.cuda.synchronize()

    return call


def plain(module, data, hyperparameters: dict):
    """A step of the plain loop, with the method's own penalty."""
    build, options, _ = split_hyperparameters(module, hyperparameters)
    settings = {"initial_beta": 1e-3, **SETTINGS}

    def penalty(decode, z, noise):
        return module.penalty(decode, z, noise, **options)

    penalty = penalty if hasattr(module, "penalty") else None
    training = PlainTraining(module, data, build, settings, seed=0, penalty=penalty, dtype=torch.float32, device=DEVICE)
    return lambda: training.step(initial=False)


def interleaved(candidates: dict, each: int = 4) -> dict[str, list[float]]:
    """Milliseconds by ``clock`` per call of every candidate in each of several rounds."""
    assert torch.get_num_threads() == 1
    for call in candidates.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(REPEATS):
        for name, call in candidates.items():
            started = clock()
            for _ in range(each):
                call()
            times[name].append(1e3 * (clock() - started) / each)
    for name, values in times.items():
        print(f"  {name:<32} {statistics.median(values):8.2f} ms  ({min(values):.2f} to {max(values):.2f})")
    return times


def ratio(setting: str, times: dict, one: str, other: str, factor: float = 1.0) -> float:
    """Median over the rounds of the ratio of two neighbouring measurements; each round's is kept for the table."""
    comparison = f"{one} / {other}{f' × {factor:g}' if factor != 1 else ''}"
    for repeat, (a, b) in enumerate(zip(times[one], times[other], strict=True)):
        for metric, value in (("first_ms", a), ("second_ms", b), ("ratio", factor * a / b)):
            RATIOS.append((setting, comparison, metric, repeat, value))
    value = factor * statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))
    print(f"  {comparison} = {value:.2f}")
    return value
