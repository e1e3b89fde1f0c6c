"""How costs grow with the latent dimension n, the observation's D and the number of seeds: make performance

One step of all seeds together, batch 128, networks 128-128, and 1,000 metric tensors. Rounds go through all sizes in turn, so that
a disturbance does not meet one size alone.
"""

import measured
import pytest
import torch
from measured import DEVICE, PENDULUM, clock, dataset, frozen, holds, trainer

from baselines import vae, vhp_vae
from flatvae import flat_vae, geometry

ROUNDS = 5
SIZES = {"n": (2, 4, 8, 16, 32, 64), "D": (64, 256, 1024, 4096), "seeds": (1, 2, 4, 8, 16, 32, 64)}
STANDARD = {"n": 2, "D": 256, "seeds": 1}
STEPS = {
    "vae": (vae, {}),
    "vhp_vae": (vhp_vae, {}),
    "flat_vae (forward_mode)": (flat_vae, {"estimator": "forward_mode"}),
    "flat_vae (finite_difference)": (flat_vae, {"estimator": "finite_difference"}),
    "flat_vae (probe)": (flat_vae, {"estimator": "probe"}),
}


def step(method: str, *, n: int, D: int, seeds: int):
    module, options = STEPS[method]
    return trainer(module, dataset(D), PENDULUM | options | {"latent_dim": n}, seeds)


def tensors(*, n: int, D: int, seeds: int):
    """Metric tensors of 1,000 points for one model; it has no seeds."""
    model = frozen(vae, dataset(D), {"latent_dim": n, "hidden": [128, 128]})
    z = torch.randn(1000, n, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    return lambda: geometry.pullback_metric(model.decode, z)


@pytest.mark.parametrize("quantity", SIZES)
@pytest.mark.parametrize("method", [*STEPS, "1,000 metric tensors"])
def test_cost_against(quantity, method):
    if method not in STEPS and quantity == "seeds":
        pytest.skip("metric tensors are of one model")
    calls = {}
    for size in SIZES[quantity]:
        sizes = STANDARD | {quantity: size}
        calls[size] = step(method, **sizes) if method in STEPS else tensors(**sizes)
        calls[size]()
    for repeat in range(ROUNDS):
        for size, call in calls.items():
            started = clock()
            call()
            call()
            measured.SCALING.append((method, quantity, size, repeat, (clock() - started) / 2))
    rows = [row for row in measured.SCALING if row[:2] == (method, quantity)]
    mean = {size: 1e3 * sum(row[4] for row in rows if row[2] == size) / ROUNDS for size in calls}
    print(f"\n{method}, {quantity}: " + ", ".join(f"{size} {ms:.1f} ms" for size, ms in mean.items()))
    smallest, *_, largest = mean
    growth, bound = mean[largest] / mean[smallest], largest / smallest
    assert holds(growth <= (bound**2 if method == "1,000 metric tensors" else 1.5 * bound))
