"""What a step costs, as ratios measured interleaved in one process on one thread: make performance

CPU time, not wall time, so that other jobs on the machine count as little as may be; medians of several repeats.
"""

import pytest
from measured import PENDULUM, PIXELS, dataset, interleaved, plain, ratio, trainer

from baselines import vae, vhp_vae
from flatvae import flat_vae


@pytest.mark.parametrize("n_seeds", [1, 5])
def test_flat_penalty_in_two_dimensions(n_seeds):
    """With one seed a good part of a step is overhead, the same for both; with five the arithmetic shows."""
    setting = f"n = 2, 256-128-128, {n_seeds} seed{'s' * (n_seeds > 1)}"
    print(f"\n{setting}")
    data = dataset(256)
    steps = {
        "vae": trainer(vae, data, PENDULUM, n_seeds),
        "vhp_vae": trainer(vhp_vae, data, PENDULUM, n_seeds),
        "flat_vae (forward_mode)": trainer(flat_vae, data, PENDULUM | {"estimator": "forward_mode"}, n_seeds),
        "flat_vae (finite_difference)": trainer(flat_vae, data, PENDULUM | {"estimator": "finite_difference"}, n_seeds),
        "flat_vae (probe)": trainer(flat_vae, data, PENDULUM | {"estimator": "probe"}, n_seeds),
    }
    times = interleaved(steps)
    ratio(setting, times, "flat_vae (finite_difference)", "vhp_vae")
    ratio(setting, times, "flat_vae (probe)", "vhp_vae")
    assert ratio(setting, times, "flat_vae (forward_mode)", "vhp_vae") <= 2
    # the plain VAE lacks the hierarchical prior, which is a good part of the difference
    assert ratio(setting, times, "flat_vae (forward_mode)", "vae") <= 4


@pytest.mark.parametrize("n", [32, 64])
def test_flat_penalty_in_many_dimensions(n):
    setting = f"n = {n}, 784-256-256, 1 seed"
    print(f"\n{setting}")
    data, settings = dataset(784), PIXELS | {"latent_dim": n}
    times = interleaved(
        {
            "vae": trainer(vae, data, settings),
            "vhp_vae": trainer(vhp_vae, data, settings),
            "flat_vae (probe)": trainer(flat_vae, data, settings | {"estimator": "probe"}),
            "flat_vae (forward_mode)": trainer(flat_vae, data, settings | {"estimator": "forward_mode"}),
        },
        each=1,
    )
    assert ratio(setting, times, "flat_vae (forward_mode)", "flat_vae (probe)") > 1
    assert ratio(setting, times, "flat_vae (probe)", "vhp_vae") <= 2
    assert ratio(setting, times, "flat_vae (probe)", "vae") <= 3


@pytest.mark.parametrize(("method", "module"), [("vhp_vae", vhp_vae), ("flat_vae", flat_vae)])
def test_five_seeds_together_outdo_five_plain_loops(method, module):
    setting = f"{method}, n = 2, 256-128-128"
    print(f"\n{setting}")
    data, hyperparameters = dataset(256), PENDULUM | {"estimator": "forward_mode"}
    times = interleaved(
        {
            "five seeds together": trainer(module, data, hyperparameters, 5),
            "one seed through the Trainer": trainer(module, data, hyperparameters, 1),
            "plain loop": plain(module, data, hyperparameters),
        }
    )
    ratio(setting, times, "plain loop", "one seed through the Trainer")
    assert ratio(setting, times, "plain loop", "five seeds together", 5) >= 1.5
