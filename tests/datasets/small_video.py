"""Videos of a few pixels and people, written in the benchmark's layout."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from flatvae import datasets
from flatvae.datasets import PARTS
from flatvae.datasets._boxes import DETECTIONS, GROUND_TRUTH
from flatvae.datasets._motchallenge import write_sequence

PEOPLE = 6


def walk(identity: int, frame: int) -> tuple[int, int, int, int]:
    """Box of a made-up person: they stand apart, except that the second stands half before the first."""
    return (1 + 30 * (identity - 1) - (20 if identity == 2 else 0) + frame % 5, 8, 24, 60)


def write(folder: Path, seed: int, frames: int = 15, truth_of=None) -> None:
    """A made-up sequence: noise in which each person is a block of one colour."""
    draw = np.random.default_rng(seed)
    colours = draw.integers(0, 256, (PEOPLE + 1, 3))
    pictures, truth, found = [], [], []
    for frame in range(1, frames + 1):
        picture = np.full((80, 200, 3), colours[0], dtype=np.uint8)
        for identity in range(1, PEOPLE + 1):
            left, top, width, height = walk(identity, frame)
            picture[top - 1 : top - 1 + height, left - 1 : left - 1 + width] = colours[identity]
            truth.append((frame, identity, left, top, width, height, 1, 1, 1.0))
            found.append((frame, -1, left + 1.5, top - 1, width, height, 0.9))
        found.append((frame, -1, 100, 70, 10, 10, 0.1))
        pictures.append(picture)
    truth = truth if truth_of is None else truth_of(truth)
    tables = pd.DataFrame(truth, columns=GROUND_TRUTH[len(truth[0])]), pd.DataFrame(found, columns=DETECTIONS[7])
    write_sequence(folder, pictures, *tables, 25)


def ground_truth(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=GROUND_TRUTH[len(rows[0])])


def detections(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=DETECTIONS[7])


def picture(number: int) -> np.ndarray:
    """A smooth frame of 40 × 30 pixels, which JPEG keeps."""
    rows, columns = np.mgrid[:30, :40]
    return np.stack([6 * columns, 8 * rows, np.full_like(rows, 80 * number)], axis=-1).astype(np.uint8)


OPTIONS = {"train": ["A"], "test": ["B"]}


def load(root: Path, **options) -> datasets.Dataset:
    return datasets.load("mot", root, **{**OPTIONS, **options})


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def all_rows(data: datasets.Dataset) -> torch.Tensor:
    return torch.cat([getattr(data, part) for part in PARTS])
