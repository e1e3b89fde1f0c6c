"""What a step costs, as ratios measured interleaved in one process on one thread: python -m pytest -s tests/performance

CPU time, not wall time, so that other jobs on the machine count as little as may be; medians of several repeats.
"""

import statistics
import time

import pytest
import torch
from plain_training import PlainTraining

from baselines import vhp_vae
from flatvae import flat_vae
from flatvae.datasets import Dataset
from flatvae.training import Trainer, split_hyperparameters

SETTINGS = {"bound": 1.0, "steps": 10**6, "batch_size": 128, "beta_rate": 0.05, "n_prior_samples": 8, "alpha0": 0.2}
PENDULUM = {"latent_dim": 2, "hidden": [128, 128], "prior_hidden": [64, 64], **SETTINGS}
PIXELS = {"latent_dim": 32, "hidden": [256, 256], "prior_hidden": [64, 64], **SETTINGS}
REPEATS = 9


def dataset(dim: int) -> Dataset:
    parts = torch.rand(3, 1000, dim, generator=torch.Generator().manual_seed(0))
    return Dataset("random", *parts, "gaussian", (dim,))


def trainer(module, data, hyperparameters: dict, n_seeds: int = 1):
    """A step of the suite's training, past the initial phase."""
    training = Trainer(module, data, hyperparameters, list(range(n_seeds)))
    training.bound.end_initial_phase(force=True)
    return lambda: training.step(training.objective)


def plain(module, data, hyperparameters: dict):
    """A step of the plain loop, with the method's own penalty."""
    build, options, _ = split_hyperparameters(module, hyperparameters)
    settings = {"initial_beta": 1e-3, **SETTINGS}

    def penalty(decode, z, noise):
        return module.penalty(decode, z, noise, **options)

    penalty = penalty if hasattr(module, "penalty") else None
    training = PlainTraining(module, data, build, settings, seed=0, penalty=penalty, dtype=torch.float32)
    return lambda: training.step(initial=False)


def interleaved(steps: dict, each: int = 4) -> dict[str, list[float]]:
    """CPU milliseconds per step of every candidate in each of several rounds."""
    assert torch.get_num_threads() == 1
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(REPEATS):
        for name, step in steps.items():
            started = time.process_time()
            for _ in range(each):
                step()
            times[name].append(1e3 * (time.process_time() - started) / each)
    for name, values in times.items():
        print(f"  {name:<32} {statistics.median(values):8.2f} ms  ({min(values):.2f} to {max(values):.2f})")
    return times


def ratio(times: dict, one: str, other: str, factor: float = 1.0) -> float:
    """Median over the rounds of the ratio of two neighbouring measurements."""
    value = factor * statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))
    print(f"  {one} / {other}{f' × {factor:g}' if factor != 1 else ''} = {value:.2f}")
    return value


@pytest.mark.parametrize("n_seeds", [1, 5])
def test_flat_penalty_in_two_dimensions(n_seeds):
    """With one seed a good part of a step is overhead, the same for both; with five the arithmetic shows (alone: 2.1)."""
    print(f"\nn = 2, 256-128-128, {n_seeds} seeds")
    data = dataset(256)
    steps = {
        "vhp_vae": trainer(vhp_vae, data, PENDULUM, n_seeds),
        "forward_mode": trainer(flat_vae, data, PENDULUM | {"estimator": "forward_mode"}, n_seeds),
        "finite_difference": trainer(flat_vae, data, PENDULUM | {"estimator": "finite_difference"}, n_seeds),
        "probe": trainer(flat_vae, data, PENDULUM | {"estimator": "probe"}, n_seeds),
    }
    times = interleaved(steps)
    ratio(times, "finite_difference", "vhp_vae")
    ratio(times, "probe", "vhp_vae")
    assert ratio(times, "forward_mode", "vhp_vae") <= 1.8


def test_flat_penalty_in_thirty_two_dimensions():
    print("\nn = 32, 784-256-256, 1 seed")
    data = dataset(784)
    times = interleaved(
        {
            "vhp_vae": trainer(vhp_vae, data, PIXELS),
            "probe": trainer(flat_vae, data, PIXELS | {"estimator": "probe"}),
            "full Jacobian (forward_mode)": trainer(flat_vae, data, PIXELS | {"estimator": "forward_mode"}),
        },
        each=1,
    )
    assert ratio(times, "full Jacobian (forward_mode)", "probe") > 1
    assert ratio(times, "probe", "vhp_vae") <= 2.5


def test_five_seeds_together_outdo_five_plain_loops():
    print("\nflat_vae, forward_mode, n = 2, 256-128-128")
    data, hyperparameters = dataset(256), PENDULUM | {"estimator": "forward_mode"}
    times = interleaved(
        {
            "five seeds together": trainer(flat_vae, data, hyperparameters, 5),
            "one seed through the Trainer": trainer(flat_vae, data, hyperparameters, 1),
            "plain loop": plain(flat_vae, data, hyperparameters),
        }
    )
    ratio(times, "one seed through the Trainer", "plain loop")
    assert ratio(times, "plain loop", "five seeds together", 5) >= 1.3
