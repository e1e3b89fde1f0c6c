"""Data tests keep out of the user's cache; and two small videos that need no download."""

from pathlib import Path

import pytest
from small_video import detections, ground_truth, picture, write

from flatvae.datasets._motchallenge import write_sequence


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    """A cache of each test's own."""
    monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sequence(tmp_path) -> Path:
    """A sequence of three frames of 40 × 30 pixels."""
    frames = [picture(number) for number in (1, 2, 3)]
    truth = ground_truth([(f, i, 5 * i, 4, 6.5, 12, 1, 1, 0.5) for f in (1, 2, 3) for i in (1, 2)])
    found = detections([(f, -1, 5, 4, 6, 12, 0.9) for f in (1, 2, 3)])
    write_sequence(tmp_path / "MADE-01", frames, truth, found, 25)
    return tmp_path / "MADE-01"


@pytest.fixture
def root(tmp_path) -> Path:
    """A root with two made-up sequences, so that these tests need no data."""
    for seed, name in enumerate(("A", "B"), 1):
        write(tmp_path / "root" / "mot" / name, seed)
    return tmp_path / "root"
