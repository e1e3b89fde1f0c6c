"""What train() takes besides the method and its data: weights of the penalty, a start, a shorter course, who hears of progress."""

from itertools import pairwise

import torch

from baselines import vhp_vae
from flatvae import flat_vae
from flatvae.training import Trainer, train

D64 = torch.float64
SETTINGS = {"latent_dim": 2, "hidden": [8], "prior_hidden": [4], "n_prior_samples": 2, "bound": 0.5, "batch_size": 16}
FLAT = SETTINGS | {"steps": 40, "scale_free": True, "estimator": "forward_mode", "eta": 1.0, "initial_fraction": 0.1}


def test_a_penalty_s_weight_for_each_seed_is_its_eta(tiny):
    """The same seed twice with weights 2 and 30, and alone with these η."""
    together = train(flat_vae, tiny, FLAT, [3, 3], dtype=D64, penalty_weights=[2.0, 30.0], say=None)
    for place, eta in enumerate((2.0, 30.0)):
        alone = train(flat_vae, tiny, FLAT | {"eta": eta}, [3], dtype=D64, say=None)
        for name, value in alone.state.items():
            torch.testing.assert_close(together.state[name][place], value[0], rtol=0, atol=1e-8)
    assert not torch.equal(together.state["decoder.0.weight"][0], together.state["decoder.0.weight"][1])


def test_a_training_begins_where_it_is_told_to(tiny):
    given = {name: value.clone() for name, value in Trainer(vhp_vae, tiny, FLAT, [7, 8]).params.items()}
    settings = SETTINGS | {"steps": 1, "learning_rate": 1e-12}
    trained = train(vhp_vae, tiny, settings, [0, 1], start=given, say=None)
    for name, value in given.items():
        torch.testing.assert_close(trained.state[name], value, rtol=0, atol=1e-9)


def test_nothing_is_said_where_nobody_listens(tiny, capfd):
    train(vhp_vae, tiny, SETTINGS | {"steps": 5}, [0], say=None)
    assert capfd.readouterr() == ("", "")
    lines: list[str] = []
    train(vhp_vae, tiny, SETTINGS | {"steps": 5}, [0], label="own", say=lines.append)
    assert capfd.readouterr() == ("", "")
    assert lines[-1].startswith("own × 1 seeds: step 5/5")


def test_a_training_that_stands_still_leaves_out_the_rest_of_its_constant_rate(tiny):
    """It goes on from a trained model with next to no learning rate, under the bound that this model meets."""
    start = train(vhp_vae, tiny, SETTINGS | {"steps": 300, "learning_rate": 5e-3}, [0], say=None).state
    settings = SETTINGS | {"steps": 200, "learning_rate": 1e-9, "batch_size": 4096, "initial_fraction": 0.1}
    settings |= {
        "bound": train(vhp_vae, tiny, settings | {"beta_rate": 0}, [0], start=start, say=None).seeds[0]["error"]
    }
    settings |= {"decay_fraction": 0.3}
    whole = train(vhp_vae, tiny, settings, [0], start=start, say=None)
    short = train(vhp_vae, tiny, settings, [0], start=start, say=None, shorten=True)
    assert len(whole.history) == 100  # blocks of two steps
    steps = short.history["step"].tolist()
    ((before, after),) = [(a, b) for a, b in pairwise(steps) if b - a > 2]
    assert before < 100
    assert after == 142  # the end of the first block after the rate begins to fall, at 70 % of the steps
    assert steps[-1] == 200
    assert short.seeds[0]["settling"]["rows"] == 20


def test_a_training_that_moves_is_not_shortened(tiny):
    settings = SETTINGS | {"steps": 200, "learning_rate": 5e-3, "bound": 0.01, "initial_fraction": 0.1}
    history = train(vhp_vae, tiny, settings, [0], say=None, shorten=True).history
    assert len(history) == 100
