"""Digits: scikit-learn's bundled 8×8 handwritten digits. Needs no files and no network."""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from flatvae.datasets import MAX_SEED, Dataset, check_range

_CLASSES = 10
_LEVELS = 16  # the grey levels are counts 0..16


def load(root: Path | None = None, *, validation: int = 297, test: int = 500, seed: int = 0) -> Dataset:
    """The 1,797 digits with values in [0, 1] (divided by 16), in a random split stratified by class.

    Args:
        root: not used; the images come with scikit-learn.
        validation, test: numbers of images in these parts; the rest (1,000 by default) is the training part.
        seed: of the split.

    Raises InputError where a part would be smaller than the ten classes.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI; its test half.
    """
    images, labels = load_digits(return_X_y=True)  # (1797, 64), (1797,)
    check_range("digits", "test", test, _CLASSES, len(images) - 2 * _CLASSES)
    check_range("digits", "validation", validation, _CLASSES, len(images) - test - _CLASSES)
    check_range("digits", "seed", seed, 0, MAX_SEED)
    rest, test_rows = train_test_split(np.arange(len(images)), test_size=test, stratify=labels, random_state=seed)
    train_rows, validation_rows = train_test_split(rest, test_size=validation, stratify=labels[rest], random_state=seed)
    rows = {"train": train_rows, "validation": validation_rows, "test": test_rows}
    values = {part: torch.from_numpy(images[index] / _LEVELS).float() for part, index in rows.items()}
    classes = {f"{part}_labels": torch.from_numpy(labels[index]).long() for part, index in rows.items()}
    return Dataset(name="digits", likelihood="gaussian", shape=(8, 8), **values, **classes)
