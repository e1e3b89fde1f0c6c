"""Descriptors that the methods are compared with: what each is by its formula, and how it is drawn."""

import pytest
import torch
from refusal import refused
from torch.nn.functional import normalize

from baselines import constant, pca, random_encoder, supervised
from flatvae.datasets import Dataset

NETWORK = {"latent_dim": 3, "hidden": (16,), "activation": "silu", "channels": (4,)}


@pytest.fixture(scope="module")
def pictures() -> Dataset:
    """Pictures of 4 × 4 whose label is where their bright row is; of the rows of test none was in training."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 4
    values = 0.3 * torch.rand(600, 4, 4, generator=draw)
    values[torch.arange(600), labels] += 0.5
    parts = dict(zip(("train", "validation", "test"), values.flatten(1).split([400, 50, 150]), strict=True))
    named = {f"{name}_labels": part for name, part in zip(parts, labels.split([400, 50, 150]), strict=True)}
    return Dataset(name="rows", likelihood="gaussian", shape=(4, 4), **parts, **named)


def test_the_constant_is_constant(pictures):
    assert constant.descriptor(pictures)(pictures.test).tolist() == [[0.0]] * 150


def test_principal_components_are_those_of_the_covariance(pictures):
    found = pca.descriptor(pictures, latent_dim=3)(pictures.test)
    train = pictures.train.double()
    vectors = torch.linalg.eigh(torch.cov(train.T)).eigenvectors
    expected = (pictures.test.double() - train.mean(0)) @ vectors[:, -3:].flip(1)
    torch.testing.assert_close(found.abs(), expected.abs())  # a component's sign is anybody's choice


@pytest.mark.parametrize("make", [random_encoder.descriptor, supervised.descriptor])
def test_a_seed_is_a_descriptor(pictures, make):
    settings = NETWORK | ({"steps": 3} if make is supervised.descriptor else {})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (make(pictures, seed=s, **settings)(pictures.test) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_supervised_descriptor_tells_labels_apart_and_lies_on_the_sphere(pictures):
    codes = supervised.descriptor(pictures, seed=0, **NETWORK, steps=150, batch_size=32, learning_rate=1e-2)
    codes = codes(pictures.test)
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(150))
    same = pictures.test_labels[:, None] == pictures.test_labels
    distances = torch.cdist(codes, codes)
    assert distances[same].max() < distances[~same].min()


def test_the_loss_is_the_cosine_softmax(pictures):
    draw = torch.Generator().manual_seed(1)
    weight, x = torch.randn(4, 3, generator=draw), pictures.train[:6]

    class Identity:
        def encode(self, x):
            return x[:, :3]

    cosine = normalize(x[:, :3], dim=1) @ normalize(weight, dim=1).T
    expected = -(5.0 * cosine).log_softmax(1)[torch.arange(6), pictures.train_labels[:6]].mean()
    found = supervised._loss(Identity(), weight, torch.tensor(5.0).log(), x, pictures.train_labels[:6])
    torch.testing.assert_close(found, expected)


def test_without_labels_there_is_no_supervision(pictures):
    bare = Dataset("bare", pictures.train, pictures.validation, pictures.test, "gaussian", (4, 4))
    assert "no two labels" in refused(lambda: supervised.descriptor(bare, seed=0, **NETWORK))
