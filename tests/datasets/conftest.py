"""Data tests keep out of the user's cache."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    """A cache of each test's own."""
    monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
