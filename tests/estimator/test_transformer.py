"""FlatVAE in the manner of scikit-learn: its own checks, and what the class promises, on a curved surface."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_dict_unchanged,
    check_estimators_overwrite_params,
    check_fit_idempotent,
    parametrize_with_checks,
)

import flatvae
from baselines import vhp_vae
from flatvae import FlatVAE, InputError, datasets, training
from flatvae.estimator import flatness_score

SMALL = {
    "unexplained": 0.1,
    "eta": 10.0,
    "init": "random",
    "steps": 30,
    "hidden": (8,),
    "batch_size": 16,
    "random_state": 0,
}
AUTOMATIC = {"steps": 12, "hidden": (4,), "batch_size": 8, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore:FlatVAE")  # of thirty steps


@parametrize_with_checks([FlatVAE(**SMALL)])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", [check_dict_unchanged, check_estimators_overwrite_params, check_fit_idempotent])
def test_some_of_them_with_everything_chosen(check):
    check("FlatVAE", FlatVAE(**AUTOMATIC))


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
    return FlatVAE(unexplained=0.03, eta=30.0, steps=2500, hidden=(64, 64), random_state=1).fit(surface[0])


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
    space = FlatVAE(unexplained=0.99, eta=0.0, init="random", random_state=0, steps=600, hidden=(16,)).fit(X)
    expected = multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(X[:100]).mean()
    assert space.score(X[:100]) == pytest.approx(expected, abs=0.3)


def test_in_a_pipeline_with_neighbours(surface):
    X, place = surface
    labels = (place[:, 0] > 0).astype(int)
    steps = (
        StandardScaler(),
        FlatVAE(unexplained=0.1, eta=10.0, steps=800, hidden=(32, 32), random_state=0),
        KNeighborsClassifier(),
    )
    assert make_pipeline(*steps).fit(X[:600], labels[:600]).score(X[600:], labels[600:]) > 0.95


def test_a_seed_is_a_model():
    X = np.random.default_rng(0).normal(size=(60, 4))
    first, again, other = (FlatVAE(**AUTOMATIC | {"random_state": s}).fit(X).transform(X) for s in (1, 1, 2))
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
        ({"hidden": (0,)}, r"hidden is \(0,\); it must be a list of whole numbers ≥ 1"),
        ({"latent_dim": 4}, r"latent_dim is 4 but X has 3 feature\(s\)"),
        ({"unexplained": "best"}, "unexplained is 'best'; it must be a number or 'auto'"),
        ({"init": "pca"}, "init is 'pca'; it must be auto, isomap or random"),
        ({"eta": "auto", "scale_free": False}, "eta='auto' is for scale_free=True"),
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


def test_threads_do_not_disturb_one_another():
    """Nor the process's random state."""
    X = np.random.default_rng(0).normal(size=(60, 3))

    def codes(seed: int) -> np.ndarray:
        return FlatVAE(**AUTOMATIC | {"random_state": seed}).fit(X).transform(X)

    torch.manual_seed(3)
    state = torch.get_rng_state()
    together = Parallel(2, backend="threading")(delayed(codes)(seed) for seed in (0, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for seed, found in enumerate(together):
        np.testing.assert_array_equal(found, codes(seed))


@pytest.mark.parametrize("unit", [1e154, 1e-162])
def test_units_however_large_or_small(unit):
    X = np.random.default_rng(0).normal(size=(100, 3))
    space, other = (FlatVAE(**SMALL).fit(data) for data in (X, unit * X))
    np.testing.assert_allclose(other.transform(unit * X), space.transform(X), atol=1e-3)
    assert other.scale_ == pytest.approx(unit * space.scale_)
    np.testing.assert_allclose(other.score_samples(unit * X) + 3 * np.log(unit), space.score_samples(X), atol=0.01)


@pytest.mark.parametrize("value", [1.0, 14.62])
def test_rows_that_are_all_alike(value):
    """14.62 is no sum of powers of two, and its mean differs from it by rounding."""
    X = np.full((100, 3), value)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        space = FlatVAE(**AUTOMATIC).fit(X)
    assert space.scale_ == 1.0
    np.testing.assert_allclose(space.inverse_transform(space.transform(X)), X, atol=1.0)


def test_two_rows():
    assert FlatVAE(**SMALL).fit(np.eye(2)).transform(np.eye(2)).shape == (2, 2)


def test_a_copy_by_pickle(fitted, surface):
    X, _ = surface
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))


def test_tables_in_and_out(surface):
    X = pd.DataFrame(surface[0][:60], columns=[f"sensor {i}" for i in range(10)])
    space = FlatVAE(**SMALL).set_output(transform="pandas").fit(X)
    codes = space.transform(X)
    assert list(codes.columns) == ["flatvae0", "flatvae1"]
    assert list(space.feature_names_in_) == list(X.columns)
    with pytest.raises(ValueError, match="feature names"):
        space.transform(X[X.columns[::-1]])


def test_polars_tables(surface):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X = polars.DataFrame(surface[0][:60], schema=[f"sensor {i}" for i in range(10)])
    codes = FlatVAE(**SMALL).set_output(transform="polars").fit(X).transform(X)
    assert codes.columns == ["flatvae0", "flatvae1"]


def test_a_row_s_score_depends_on_no_other_row(fitted, surface):
    X, _ = surface
    np.testing.assert_allclose(fitted.score_samples(X[:40])[7:9], fitted.score_samples(X[7:9]), rtol=1e-10)


def test_the_scorer_serves_model_selection(surface):
    X, _ = surface
    search = GridSearchCV(FlatVAE(**SMALL | {"steps": 300}), {"eta": [0.0, 300.0]}, scoring=flatness_score, cv=2)
    assert search.fit(X).best_params_ == {"eta": 300.0}
    score = flatness_score(search.best_estimator_, X)
    assert score == pytest.approx(1 / np.median(search.best_estimator_.condition_number(X)))


def test_geodesics_are_no_longer_than_straight_lines(fitted, surface):
    X, _ = surface
    codes = fitted.transform(X[:4])
    lengths = fitted.geodesic_distances(codes, codes)
    np.testing.assert_allclose(lengths, lengths.T, rtol=1e-3)
    assert (np.diag(lengths) == 0).all()
    line = fitted.inverse_transform(np.linspace(codes[0], codes[1], 400))
    straight = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    chord = np.linalg.norm(line[-1] - line[0])
    assert chord <= lengths[0, 1] * 1.001 <= straight * 1.002
    path = fitted.geodesic(codes[0], codes[1])
    np.testing.assert_allclose(path[[0, -1]], codes[:2])
    decoded = fitted.inverse_transform(path)
    assert np.linalg.norm(np.diff(decoded, axis=0), axis=1).sum() == pytest.approx(lengths[0, 1], rel=0.01)


def test_the_plot_shows_every_code_and_the_geodesics(fitted, surface):
    figure = fitted.plot(surface[0][:50], joined=[(0, 1), (2, 3)])
    (axes, *_) = figure.axes
    assert sum(len(points.get_offsets()) == 50 for points in axes.collections) == 1
    assert len(axes.lines) == 2


def test_progress_is_shown_where_it_is_asked_for(capsys):
    X = np.random.default_rng(0).normal(size=(60, 3))
    FlatVAE(**SMALL).fit(X)
    assert capsys.readouterr().out == ""
    FlatVAE(**SMALL, verbose=1).fit(X)
    assert "FlatVAE × 1 seeds: step" in capsys.readouterr().out
