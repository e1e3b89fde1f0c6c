"""The multiplier's update against a loop over plain floats."""

import math

import pytest
import torch

from flatvae.constraint import ReconstructionBound

D64 = torch.float64


def start(n_seeds: int, bound=2.0, rate=0.05, initial_beta=1e-2, initial=False) -> ReconstructionBound:
    state = ReconstructionBound.start(n_seeds, bound, rate, initial_beta, D64, "cpu")
    if not initial:
        state.end_initial_phase(force=True)
    return state


def all_alive(n_seeds: int) -> torch.Tensor:
    return torch.ones(n_seeds, dtype=torch.bool)


def update(state: ReconstructionBound, *errors: float) -> None:
    state.update(torch.tensor(errors, dtype=D64), all_alive(len(errors)))


@pytest.mark.parametrize("rate", [0.02, 0.4, 5.0])
def test_equals_a_plain_loop(rate):
    """With a learning rate that falls to zero."""
    generator = torch.Generator().manual_seed(0)
    errors = 2 + 3 * torch.randn(300, 3, dtype=D64, generator=generator).abs() * torch.linspace(1, 0, 300)[:, None]
    errors = errors - torch.linspace(0, 1.5, 300)[:, None]  # far above the bound at first, then below it
    state = start(3, rate=rate)
    plain = [{"beta": 1e-2, "history": []} for _ in range(3)]
    for number, row in enumerate(errors):
        speed = 1 - number / 300
        state.update(row, all_alive(3), speed)
        for seed, error in zip(plain, row.tolist(), strict=True):
            seed["history"].append(error)
            weights = [0.95**age for age in range(len(seed["history"]))]
            mean = math.fsum(w * c for w, c in zip(weights, reversed(seed["history"]), strict=True)) / math.fsum(
                weights
            )
            delta = max(-0.1, min(0.1, mean / 2.0 - 1))
            h = -1 if delta > 0 else math.tanh(3 * (seed["beta"] - 1))
            factor = math.exp(rate * (0.25 + 0.75 * speed) * h * delta)
            seed["beta"] = max(1e-3, min(1.0, seed["beta"] * factor))
            seed["error"] = mean
        assert state.error.tolist() == pytest.approx([s["error"] for s in plain], rel=1e-10)
        assert state.beta.tolist() == pytest.approx([s["beta"] for s in plain], rel=1e-9)


def test_beta_falls_above_the_bound_and_rises_below_it():
    state = start(4)
    update(state, 2.1, 2.0, 1.9, 9.0)
    worse, on, better, far = state.beta.tolist()
    assert worse == pytest.approx(1e-2 * math.exp(-0.05 * 0.05))
    assert on == 1e-2
    assert better == pytest.approx(1e-2 * math.exp(0.05 * math.tanh(3 * 0.99) * 0.05))
    assert far == pytest.approx(1e-2 * math.exp(-0.05 * 0.1))  # as if the error were a tenth above the bound


def test_beta_follows_the_error_of_a_plant_that_drifts():
    """log error = ½ log β − drift: as in a training whose learning rate falls, β has to rise for the error to stay."""
    state, steps = start(1, bound=1.0, rate=0.4), 3000
    ratio = []
    for number in range(steps):
        error = 0.3 * math.log(state.beta.item() / 0.05) + 1 - 0.3 * number / steps
        update_at = torch.tensor([error], dtype=D64)
        state.update(update_at, all_alive(1), 1 - number / steps)
        ratio.append(error)
    assert abs(sum(ratio[-600:]) / 600 - 1) < 0.01


def test_beta_stays_between_its_floor_and_one():
    state = start(2, rate=3.0)
    for _ in range(200):
        update(state, 1000.0, 1e-6)
        assert state.beta.max() <= 1
    assert state.beta[0].item() == pytest.approx(1e-3)
    assert state.beta[1].item() == pytest.approx(1.0, abs=1e-2)
    update(state, 1000.0, 1e-6)
    assert state.beta.isfinite().all()


def test_beta_returns_from_its_floor():
    state = start(1, rate=3.0)
    for _ in range(50):
        update(state, 1000.0)
    for _ in range(3000):
        update(state, 0.0)
    assert state.beta.item() > 0.9


def test_initial_phase_holds_beta_and_ends_once_for_each_seed():
    state = start(2, initial=True)
    for _ in range(10):
        update(state, 5.0, 1.0)
    assert state.beta.tolist() == [1e-2, 1e-2]
    assert state.initial.tolist() == [True, True]  # ends only where it is looked at
    state.end_initial_phase()
    assert state.initial.tolist() == [True, False]
    for _ in range(200):
        update(state, 5.0, 9.0)
    state.end_initial_phase()
    assert state.error[1] > state.bound
    assert state.initial.tolist() == [True, False]  # above the bound again, and not back in the phase
    assert state.beta[0].item() == 1e-2
    assert state.beta[1].item() < 1e-2
    state.end_initial_phase(force=True)
    assert state.initial.tolist() == [False, False]


def test_seeds_that_are_not_alive_stay_as_they_are():
    state = start(3)
    update(state, 3.0, 3.0, 3.0)
    before = state.beta[1].item(), state.error[1].item()
    alive = torch.tensor([True, False, True])
    for _ in range(5):
        state.update(torch.tensor([3.0, math.nan, 1.0], dtype=D64), alive)
    assert (state.beta[1].item(), state.error[1].item()) == before
    assert state.beta.isfinite().all()
    assert state.error.tolist() == pytest.approx(
        [3.0, 3.0, (3 * 0.95**5 + sum(0.95**k for k in range(5))) / sum(0.95**k for k in range(6))]
    )


def test_a_seed_that_never_was_alive_does_not_leave_the_initial_phase_as_if_it_had_met_the_bound():
    state = start(2, initial=True)
    state.update(torch.tensor([math.nan, 1.0], dtype=D64), torch.tensor([False, True]))
    state.end_initial_phase()
    assert state.initial.tolist() == [True, False]
