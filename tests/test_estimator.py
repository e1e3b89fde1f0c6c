"""FlatVAE in the manner of scikit-learn: its own checks, and what the class promises, on a curved surface."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import flatvae
from baselines import vhp_vae
from flatvae import FlatVAE, InputError, datasets, training

SMALL = {"steps": 30, "hidden": (8,), "batch_size": 16, "random_state": 0}


@parametrize_with_checks([FlatVAE(**SMALL)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def surface():
    """A stretched, bent sheet in ten dimensions, in units of its own, and the place on it of each row."""
    draw = np.random.default_rng(0)
    place = draw.uniform(-1, 1, (800, 2))
    u, v = (3 * place).T
    X = np.stack([np.sin(u), np.cos(u), 0.3 * v, 0.1 * u * v], axis=1) @ draw.normal(size=(4, 10))
    return 40 * X + 7, place


@pytest.fixture(scope="module")
def fitted(surface):
    return FlatVAE(unexplained=0.03, steps=2500, hidden=(64, 64), random_state=1).fit(surface[0])


def test_the_bound_is_met_and_the_space_is_flat(fitted, surface):
    X, _ = surface
    assert fitted.bound_met_
    rest = ((fitted.inverse_transform(fitted.transform(X)) - X) ** 2).sum() / ((X - X.mean(0)) ** 2).sum()
    assert rest < 0.04
    bent = FlatVAE(unexplained=0.03, steps=2500, hidden=(64, 64), random_state=1, eta=0.0).fit(X)
    assert np.median(fitted.condition_number(X)) < 1.3
    assert np.median(bent.condition_number(X)) > 2 * np.median(fitted.condition_number(X))


def test_units_do_not_matter(fitted, surface):
    X, _ = surface
    other = clone(fitted).fit(X / 40)
    np.testing.assert_allclose(
        other.inverse_transform(other.transform(X / 40)) * 40,
        fitted.inverse_transform(fitted.transform(X)),
        rtol=0.05,
        atol=2,
    )
    # a density in units forty times larger is 40^10 times larger
    np.testing.assert_allclose(
        np.median(other.score_samples(X[:20] / 40)) - 10 * np.log(40), np.median(fitted.score_samples(X[:20])), atol=2
    )


def test_the_score_is_a_log_density():
    """Where the decoder's part is nothing (one latent dimension of ten, all variance unexplained): a Gaussian of that variance."""
    draw = np.random.default_rng(1)
    X = draw.normal(size=(500, 6)) * 3 + 5
    space = FlatVAE(unexplained=0.99, eta=0.0, random_state=0, steps=600, hidden=(16,)).fit(X)
    expected = multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(X[:100]).mean()
    assert space.score(X[:100]) == pytest.approx(expected, abs=0.3)


def test_in_a_pipeline_with_neighbours(surface):
    X, place = surface
    labels = (place[:, 0] > 0).astype(int)
    steps = (
        StandardScaler(),
        FlatVAE(unexplained=0.1, steps=800, hidden=(32, 32), random_state=0),
        KNeighborsClassifier(),
    )
    assert make_pipeline(*steps).fit(X[:600], labels[:600]).score(X[600:], labels[600:]) > 0.95


def test_a_seed_is_a_model():
    X = np.random.default_rng(0).normal(size=(60, 4))
    with pytest.warns(ConvergenceWarning, match="of the variance is unexplained and not 0.1; take more steps"):
        first, again, other = (FlatVAE(**SMALL | {"random_state": s}).fit(X).transform(X) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_models_of_a_run(tmp_path):
    data = datasets.load("pendulum", train=64, validation=8, test=8)
    settings = {"bound": 2.0, "steps": 5, "latent_dim": 3, "hidden": [8], "prior_hidden": [4]}
    path = tmp_path / "model.safetensors"
    files = {"history_path": tmp_path / "h.csv", "metrics_path": tmp_path / "m.csv"}
    training.train_and_save(
        "baselines.vhp_vae", data, settings, [4, 5], device="cpu", label="", model_path=path, **files
    )
    space, model = FlatVAE.from_results(path, seed=5), flatvae.load(path, 5).double()
    assert vhp_vae.build.__name__ == "build"
    X = data.test.double()
    np.testing.assert_allclose(space.transform(X.numpy()), model.encode(X).numpy(), rtol=1e-12, atol=1e-12)
    decoded = model.decode(torch.ones(2, 3).double()).numpy()
    np.testing.assert_allclose(space.inverse_transform(np.ones((2, 3))), decoded, rtol=1e-12, atol=1e-12)
    assert space.get_params()["latent_dim"] == 3
    assert space.unexplained == 2.0 / 256


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unexplained": 1.5}, "unexplained is 1.5; it must be inside"),
        ({"latent_dim": 0}, "latent_dim is 0; it must be a whole number ≥ 1"),
        ({"latent_dim": 2.5}, "latent_dim is 2.5; it must be a whole number ≥ 1"),
        ({"hidden": 8}, "hidden is 8; it must be a list of whole numbers"),
        ({"eta": "a"}, "eta is 'a'; it must be a number"),
        ({"device": "tpu"}, "device is 'tpu'; it must be cpu, cuda or auto"),
        ({"eta": -1.0}, "eta is -1.0; it must be finite"),
        ({"activation": "relu"}, "'relu'"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_bad_settings_are_refused(change, why):
    with pytest.raises(InputError, match=why):
        FlatVAE(**SMALL | change).fit(np.random.default_rng(0).normal(size=(20, 3)))
