"""The digits against scikit-learn's own copy."""

import pytest
import torch
from sklearn.datasets import load_digits

from flatvae import datasets
from flatvae.datasets import PARTS
from flatvae.errors import InputError


def labelled_rows(images, labels) -> list[tuple]:
    """Rows with their labels, sorted: a multiset that can be compared."""
    return sorted((*row, label) for row, label in zip(images.tolist(), labels.tolist(), strict=True))


def test_the_parts_together_are_the_whole_set_with_its_labels():
    dataset = datasets.load("digits", seed=5)
    images = torch.cat([getattr(dataset, part) for part in PARTS])
    labels = torch.cat([getattr(dataset, f"{part}_labels") for part in PARTS])
    known = load_digits()
    assert labelled_rows(images, labels) == labelled_rows(torch.from_numpy(known.data / 16), known.target)


def test_every_class_is_in_proportion_in_every_part():
    dataset = datasets.load("digits")
    share = torch.bincount(torch.from_numpy(load_digits().target)) / 1797
    for part, rows in {"train": 1000, "validation": 297, "test": 500}.items():
        counts = torch.bincount(getattr(dataset, f"{part}_labels"))
        assert counts.sum() == rows
        assert (counts - rows * share).abs().max() < 1.5


def test_a_known_image():
    """The set's first image, a zero, in the form that scikit-learn's documentation prints."""
    first = torch.tensor([0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]) / 16
    dataset = datasets.load("digits")
    found = [(getattr(dataset, part)[:, :16] == first).all(dim=1) for part in PARTS]
    labels = [getattr(dataset, f"{part}_labels")[rows] for part, rows in zip(PARTS, found, strict=True)]
    assert torch.cat(labels).tolist() == [0]


@pytest.mark.parametrize("options", [{"test": 9}, {"validation": 0}, {"test": 1790}, {"validation": 1290}])
def test_parts_without_room_for_every_class_are_refused(options):
    option, value = next(iter(options.items()))
    with pytest.raises(InputError, match=rf"^dataset digits: option {option} is {value}; it must be between .*\.$"):
        datasets.load("digits", **options)
