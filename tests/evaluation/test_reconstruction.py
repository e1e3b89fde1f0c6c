"""Models whose reconstruction error and KL are known."""

import dataclasses
import math

import pytest
import torch

from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.evaluation import reconstruction, spread
from flatvae.likelihoods import likelihood
from flatvae.model import LatentVariableModel
from flatvae.networks import MLP, GaussianNetwork
from flatvae.priors import StandardNormal

SIGMA = 0.3  # of the posterior
OFFSET = torch.tensor(
    [0.5, -0.2, 0.1]
)  # of the decoder: what the reconstruction misses by, beside the posterior's noise


def data(rows: int, name: str = "gaussian") -> Dataset:
    values = torch.rand(3 * rows, 3, generator=torch.Generator().manual_seed(1))
    return Dataset("hand", *values.split(rows), name, (3,))


STILL = {"rows": 20, "violation": 0.0, "log_beta_sd": 0.0, "condition_number_active": [7.0, 7.0]}


def model(
    name: str = "gaussian", bound: float = 1.0, sigma: float = SIGMA, settling: dict | None = STILL
) -> LatentVariableModel:
    """q(z|x) = N(2x, σ² I) and decoder output z / 2 + OFFSET, or for Bernoulli the logits OFFSET, whatever z."""
    encoder, decoder = GaussianNetwork(MLP(3, (), 6)), MLP(3, (), 3)
    with torch.no_grad():
        encoder.network[0].weight.copy_(torch.cat([2 * torch.eye(3), torch.zeros(3, 3)]))
        encoder.network[0].bias.copy_(torch.tensor([0.0] * 3 + [2 * math.log(sigma)] * 3))
        decoder[0].weight.copy_((0.5 if name == "gaussian" else 0.0) * torch.eye(3))
        decoder[0].bias.copy_(OFFSET)
    model = LatentVariableModel(encoder, decoder, StandardNormal(), likelihood(name), 3).requires_grad_(False)
    seeds = [{"seed": 0, "beta": 0.9, "settling": None}, {"seed": 6, "beta": 0.25, "settling": settling}]
    model.config = {"training": {"bound": bound}, "seeds": seeds, "seed": 6}
    return model


def metrics(model, dataset) -> dict[str, float]:
    result = reconstruction.evaluate(model, dataset)
    assert {distance for distance, _, _ in result.metrics} == {""}
    return {metric: value for _, metric, value in result.metrics}


def test_gaussian_error_and_kl():
    """E C = ‖OFFSET‖² + 3 (σ/2)²; the mean KL is ½ Σ (σ² + μ² − 1 − log σ²)."""
    dataset = data(5000)
    values = metrics(model(), dataset)
    expected = OFFSET.square().sum().item() + 3 * (SIGMA / 2) ** 2
    spread = math.sqrt(3 * 2 * (SIGMA / 2) ** 4 + 4 * expected * (SIGMA / 2) ** 2) / math.sqrt(5000)
    assert values["train_error"] == pytest.approx(expected, abs=5 * spread)
    assert values["test_error"] == pytest.approx(expected, abs=5 * spread)
    means = 2 * dataset.test.double()
    divergence = 0.5 * (SIGMA**2 + means**2 - 1 - 2 * math.log(SIGMA)).sum(-1).mean().item()
    assert values["kl"] == pytest.approx(divergence, abs=0.1)
    assert values["beta"] == 0.25


def test_posterior_without_spread_leaves_the_offset_alone():
    values = metrics(model(sigma=1e-3), data(100))
    assert values["train_error"] == pytest.approx(OFFSET.square().sum().item(), abs=1e-3)


def test_bernoulli_binarises_training_data_and_takes_test_data_as_they_are():
    """With constant logits o, E C = Σ log(1 + e^o) − x̄ o whether x is binary or grey; the test error is exactly that."""
    dataset = data(4000, "bernoulli")
    values = metrics(model("bernoulli"), dataset)
    constant = torch.log1p(OFFSET.exp()).sum().item()
    test = constant - (dataset.test.double().mean(0) * OFFSET).sum().item()
    assert values["test_error"] == pytest.approx(test, abs=1e-5)
    train = constant - (dataset.train.double().mean(0) * OFFSET).sum().item()
    assert values["train_error"] == pytest.approx(train, abs=5 * 0.5 * OFFSET.norm().item() / math.sqrt(4000))
    assert abs(values["train_error"] - train) > 1e-5  # binarised


@pytest.mark.parametrize(
    ("ratio", "equal"), [(1, 1), (1.0199, 1), (1.0201, 0), (0.9801, 1), (0.9799, 0), (0.84, 0), (2, 0)]
)
def test_reconstruction_is_equal_within_two_per_cent_from_either_side(ratio, equal):
    """By the error that is measured on training data, whatever the training's moving average was."""
    dataset = data(200)
    error = metrics(model(), dataset)["train_error"]
    values = metrics(model(bound=error / ratio), dataset)
    assert values["bound"] == error / ratio
    assert values["equal_reconstruction"] == equal


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 1),
        ({"rows": 19}, 0),
        ({"violation": 0.0099}, 1),
        ({"violation": 0.0101}, 0),
        ({"violation": -0.0101}, 0),
        ({"log_beta_sd": 0.40}, 1),
        ({"log_beta_sd": 0.41}, 0),
        ({"condition_number_active": [10.0, 10.49]}, 1),
        ({"condition_number_active": [10.0, 9.51]}, 1),
        ({"condition_number_active": [10.0, 10.51]}, 0),
        ({"condition_number_active": [10.0, 9.49]}, 0),
        ({"condition_number_active": [10.0, None]}, 0),
        ({"condition_number_active": [None, None]}, 0),
    ],
)
def test_a_seed_has_settled_where_error_beta_and_k_stand_still(change, expected):
    assert metrics(model(settling=STILL | change), data(50))["settled"] == expected


def test_a_method_without_a_bound_is_asked_for_nothing():
    values = metrics(model(settling=None), data(50))
    assert not {"equal_reconstruction", "settled"} & set(values)
    assert "train_error" in values


@pytest.mark.parametrize("rows", [500, 1000, 4000])
@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5])
def test_train_error_is_known_to_a_fraction_of_the_tolerance(rows, sigma):
    """With one z a datum the standard error of these means would be 0.3 to 2.9 %; now it is at most 0.65 %."""
    expected = OFFSET.square().sum().item() + 3 * (sigma / 2) ** 2
    values = metrics(model(bound=expected, sigma=sigma), data(rows))
    assert values["train_error"] == pytest.approx(expected, abs=3 * 0.0065 * expected)


def test_a_checkpoint_that_does_not_tell_whether_it_settled_is_refused():
    old = model()
    for seed in old.config["seeds"]:
        del seed["settling"]
    with pytest.raises(InputError, match="does not say whether its training settled"):
        metrics(old, data(50))


def test_errors_are_told_class_by_class_where_classes_have_names():
    """They add up to the error of all; a class that no test datum has is left out."""
    labels = torch.arange(300) % 3
    dataset = dataclasses.replace(data(300), test_labels=labels, label_names=("a", "b", "c", "d"))
    values = metrics(model(), dataset)
    named = [values[f"test_error_{name}"] for name in "abc"]
    assert "test_error_d" not in values
    assert sum(named) / 3 == pytest.approx(values["test_error"])
    assert len(set(named)) == 3
    first = dataclasses.replace(dataset, test_labels=torch.where(labels == 0, 0, -1))
    assert metrics(model(), first)["test_error_a"] == named[0]
    assert not any("_a" in name for name in metrics(model(), dataclasses.replace(dataset, label_names=None)))


def test_recordings_held_out_have_errors_of_their_own():
    """They are those that the same data have as the test part, of all and class by class."""
    labels = torch.arange(300) % 2
    plain = dataclasses.replace(data(300), test_labels=labels, label_names=("a", "b"))
    swapped = dataclasses.replace(plain, test=plain.validation)
    both = dataclasses.replace(plain, test_recordings=plain.validation, test_recordings_labels=labels)
    values, expected = metrics(model(), both), metrics(model(), swapped)
    for name in ("", "_a", "_b"):
        assert values[f"test_error_recordings{name}"] == expected[f"test_error{name}"]
        assert values[f"test_error{name}"] != expected[f"test_error{name}"]
    assert not any("recordings" in name for name in metrics(model(), plain))
    unlabelled = dataclasses.replace(both, test_recordings_labels=None)
    assert [name for name in metrics(model(), unlabelled) if "recordings" in name] == ["test_error_recordings"]


def test_is_deterministic_and_leaves_the_random_state():
    models = model(), model()
    before = torch.get_rng_state()
    first, second = (metrics(m, data(300)) for m in models)
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


def test_shown_reconstructions_are_those_of_the_posterior_means():
    dataset = data(40)
    _, arrays, common = reconstruction.evaluate(model(), dataset)
    torch.testing.assert_close(torch.from_numpy(common["originals"]), dataset.test[spread(len(dataset.test), 10)])
    torch.testing.assert_close(
        torch.from_numpy(arrays["reconstructions"]), dataset.test[spread(len(dataset.test), 10)] + OFFSET
    )
