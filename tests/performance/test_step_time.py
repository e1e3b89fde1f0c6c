"""What a step costs, as ratios measured alternately in one process on one thread: make performance

Medians of several repeats, on the CPU or the GPU (see ``measured``).
"""

import pytest
import torch
from measured import PENDULUM, PIXELS, dataset, holds, interleaved, plain, ratio, trainer, waited_for

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
    assert holds(ratio(setting, times, "flat_vae (forward_mode)", "vhp_vae") <= 2)
    # the plain VAE lacks the hierarchical prior, which is a good part of the difference
    assert holds(ratio(setting, times, "flat_vae (forward_mode)", "vae") <= 4)


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
    assert holds(ratio(setting, times, "flat_vae (forward_mode)", "flat_vae (probe)") > 1)
    assert holds(ratio(setting, times, "flat_vae (probe)", "vhp_vae") <= 2)
    assert holds(ratio(setting, times, "flat_vae (probe)", "vae") <= 3)


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
    assert holds(ratio(setting, times, "plain loop", "five seeds together", 5) >= 1.5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    ("dim", "settings"),
    [(256, PENDULUM | {"estimator": "forward_mode"}), (784, PIXELS | {"latent_dim": 64, "estimator": "probe"})],
    ids=["n=2", "n=64"],
)
def test_ten_seeds_on_a_gpu(dim, settings):
    """Wall time of steps as graphs against steps kernel by kernel, and of the flat VAE's against the plain VAE's."""
    setting = f"n = {settings['latent_dim']}, {dim}-{'-'.join(map(str, settings['hidden']))}, 10 seeds, 20 steps"
    print(f"\n{setting}")
    data = dataset(dim)
    steps = {
        f"{name}{' by graphs' * graphs}": waited_for(trainer(module, data, settings, 10, graphs=graphs))
        for name, module in (("vae", vae), ("flat_vae", flat_vae))
        for graphs in (True, False)
    }
    times = interleaved(steps, each=5)
    assert ratio(setting, times, "flat_vae by graphs", "vae by graphs") <= 2
    assert ratio(setting, times, "flat_vae", "flat_vae by graphs") >= 5
