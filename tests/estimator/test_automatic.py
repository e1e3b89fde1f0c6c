"""What FlatVAE chooses by itself, and what it warns of."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, make_s_curve, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import trustworthiness

from flatvae import FlatVAE
from flatvae.estimator import BoundMissedWarning, FoldedWarning, NotFlatWarning
from flatvae.estimator.automatic import ETAS, isomap_codes
from flatvae.estimator.warnings import bound_missed, folded, not_flat


def fitted(X, **settings):
    """A fit and its warnings of the project's own classes."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        space = FlatVAE(random_state=0, **settings).fit(X)
    own = (BoundMissedWarning, FoldedWarning, NotFlatWarning)
    return space, [warning.category for warning in seen if issubclass(warning.category, own)]


@pytest.fixture(scope="module")
def roll():
    return make_swiss_roll(1500, random_state=0)[0]


@pytest.fixture(scope="module")
def unrolled(roll):
    return fitted(roll)


def test_a_swiss_roll_is_unrolled_and_flat(unrolled, roll):
    space, warned = unrolled
    assert trustworthiness(roll, space.transform(roll)) > 0.99
    assert space.trustworthiness_ > 0.99
    assert space.graph_rank_correlation_ > 0.98
    assert space.condition_number_.median < 1.1
    assert space.bound_met_
    assert not warned


def test_from_random_networks_it_is_folded_and_said_to_be(roll):
    space, warned = fitted(roll, init="random", unexplained=0.1, eta=30.0, hidden=(64, 64))
    assert space.condition_number_.median < 1.1  # flat, and yet
    assert FoldedWarning in warned
    assert space.graph_rank_correlation_ < 0.8


def test_an_s_curve_needs_no_warning():
    space, warned = fitted(make_s_curve(1000, random_state=0)[0], hidden=(64, 64), steps=2000)
    assert not warned
    assert space.condition_number_.median < 1.1


def test_columns_of_unlike_units():
    """One column of raw breast-cancer data has 98 % of the variance."""
    space, warned = fitted(load_breast_cancer().data, hidden=(64, 64))
    assert space.condition_number_.median <= 1.5 or NotFlatWarning in warned


def test_the_choices_follow_what_was_tried(unrolled, roll):
    space, _ = unrolled
    tried = space.tried_.set_index("what")
    free = tried.loc["free training"].set_index("start")["unexplained"]
    linear = 1 - PCA(2).fit(roll).explained_variance_ratio_.sum()
    assert tried.loc["PCA", "unexplained"] == pytest.approx(linear, abs=0.02)  # of nine tenths of the rows
    assert space.bound_ == pytest.approx(np.sqrt(max(free.min(), 1e-3) * tried.loc["PCA", "unexplained"]))
    short = tried.loc["short training"]
    assert tuple(short["eta"]) == ETAS
    flat = short[(short["condition_number"] <= 1.07) & (short["unexplained"] <= 1.15 * space.bound_)]
    assert space.eta_ == flat["eta"].min()


def test_what_is_given_is_kept():
    X = make_s_curve(200, random_state=0)[0]
    space, _ = fitted(X, unexplained=0.2, eta=7.0, init="random", steps=20)
    assert (space.bound_, space.eta_, len(space.tried_)) == (0.2, 7.0, 0)


def test_a_bound_out_of_reach_is_said_to_be_missed():
    X = np.random.default_rng(0).normal(size=(300, 6))
    space, warned = fitted(X, unexplained=0.01, eta=10.0, steps=200, hidden=(16,))
    assert not space.bound_met_
    assert BoundMissedWarning in warned
    assert issubclass(BoundMissedWarning, ConvergenceWarning)
    with torch.no_grad():
        rest = X - space.inverse_transform(space.transform(X))
    assert space.unexplained_ >= (rest**2).sum() / ((X - X.mean(0)) ** 2).sum()  # sampled codes leave more than means


def test_no_flatness_asked_for_none_missed():
    X = make_s_curve(300, random_state=0)[0] * [1, 1, 10]
    _, warned = fitted(X, unexplained=0.1, eta=0.0, init="random", steps=300, hidden=(16,))
    assert NotFlatWarning not in warned


def test_the_warnings_say_how_far_and_what_to_do():
    assert "20% more than the 0.1" in bound_missed(0.12, 0.1)
    assert "eta" not in bound_missed(0.12, 0.1)
    assert "only 1 of the 3 latent dimensions" in not_flat(9.0, 1, 3)
    assert "larger eta" in not_flat(9.0, 3, 3)
    assert folded(0.99, 0.99) is None
    assert folded(None, 0.2) is None  # of twenty rows or fewer
    assert "trustworthiness 0.90" in folded(0.9, 0.95)
    assert "graph_rank_correlation 0.20" in folded(0.99, 0.2)


def test_isomap_s_codes_of_a_plane_are_the_plane():
    draw = np.random.default_rng(0)
    plane = draw.uniform(-1, 1, (500, 2))
    codes = isomap_codes(plane @ np.linalg.qr(draw.normal(size=(5, 2)))[0].T, 2)
    np.testing.assert_allclose(codes.var(axis=0).mean(), 1)
    place = plane - plane.mean(0)
    fit, *_ = np.linalg.lstsq(codes, place, rcond=None)
    assert ((codes @ fit - place) ** 2).sum() < 0.01 * (place**2).sum()


@pytest.mark.parametrize("rows", [np.zeros((50, 3)), np.eye(5)])
def test_where_isomap_has_no_codes_there_are_none(rows):
    assert isomap_codes(rows, 2) is None
