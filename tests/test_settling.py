"""What a training tells of whether it has settled, against its history and its models."""

import math

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from baselines import vae
from flatvae.training import Trainer, build_seeded, train
from flatvae.training.loop import block_length
from flatvae.training.settling import condition_numbers

NETWORK = {"latent_dim": 2, "hidden": [8, 7]}
HYPERPARAMETERS = NETWORK | {"bound": 0.5, "batch_size": 16, "beta_rate": 0.5, "initial_beta": 0.05}


@pytest.mark.parametrize(
    ("steps", "length"), [(1, 1), (99, 1), (199, 1), (250, 2), (3000, 30), (5000, 50), (10**6, 50)]
)
def test_blocks_are_short_enough_for_a_history_that_tells_whether_it_settled(steps, length):
    assert block_length(steps) == length
    rows = math.floor(steps / length) - math.floor(0.8 * steps / length)
    assert rows >= 20 or steps < 100


def test_settling_is_what_the_history_and_the_models_say(tiny):
    """Error and β from the last fifth of the history; k at its end from the trained weights, and at 90 % from a run cut there."""
    settings = HYPERPARAMETERS | {"steps": 200, "bound": 0.6, "learning_rate": 1e-2, "initial_beta": 1e-3}
    outcome = train(vae, tiny, settings, [3, 1])
    cut = Trainer(vae, tiny, settings, [3, 1])
    for _ in range(90):
        cut.run_block(2)
    for index, seed in enumerate(outcome.seeds):
        rows = outcome.history[outcome.history["seed"] == seed["seed"]].tail(20)
        found = seed["settling"]
        assert rows["step"].min() == 162
        assert found["rows"] == 20
        assert found["violation"] == pytest.approx((rows["error"].mean() - 0.6) / 0.6)
        assert found["log_beta_sd"] == pytest.approx(np.log(rows["beta"]).std(ddof=0))
        states = ({name: value[index] for name, value in state.items()} for state in (cut.params, outcome.state))
        for state, value in zip(states, found["condition_number_active"], strict=True):
            model = build_seeded(vae, tiny, NETWORK, 0)
            model.load_state_dict(state)
            with torch.no_grad():
                jacobian = vmap(jacrev(model.double().decode))(model.encode(tiny.train.double()))
                means, log_variances = model.encoder(tiny.train.double())
            assert (means.var(0) > 0.2 * log_variances.exp().mean(0)).all()  # both dimensions are active
            values = torch.linalg.svdvals(jacobian).square()
            condition = (values[:, 0] / values[:, 1]).sort().values
            assert value == pytest.approx(condition[[31, 32]].mean().item(), rel=0.15)
            assert value in [pytest.approx(v.item(), rel=1e-9) for v in condition[[31, 32]]]


def test_measuring_whether_it_settled_changes_nothing_of_a_training(tiny):
    settings = HYPERPARAMETERS | {"steps": 20}
    measured, plain = (Trainer(vae, tiny, settings, [0, 1]) for _ in range(2))
    for trainer in (measured, plain):
        trainer.run_block(10)
        if trainer is measured:
            assert not condition_numbers(trainer).isnan().any()
        trainer.run_block(10)
    for name, value in plain.params.items():
        assert torch.equal(measured.params[name], value)


def test_a_frozen_seed_has_not_settled_and_one_that_diverges_at_the_end_has_no_finite_k(tiny):
    trainer = Trainer(vae, tiny, HYPERPARAMETERS | {"steps": 200, "learning_rate": 1e-2}, [0, 1, 2])
    trainer.run_block(100)
    trainer.alive[1] = False
    with torch.no_grad():
        trainer.params["decoder.0.weight"][2] = math.inf
    finite, frozen, diverged = condition_numbers(trainer).tolist()
    assert 1 <= finite < math.inf
    assert math.isnan(frozen)
    assert diverged == math.inf
