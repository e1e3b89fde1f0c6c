"""One thread and no chance, so that results repeat and the machine stays usable; and two data sets small enough to train on."""

import os

import pytest
import rounding
import torch
from hypothesis import settings
from project_copy import project, smoke  # noqa: F401  fixtures: one copy and one run for tests/workflow and tests/cluster

from flatvae.datasets import Dataset

FIRST = ("cluster", "workflow")  # folders of the tests that run Snakemake

torch.set_num_threads(1)
if os.environ.get("FLATVAE_TEST_PRODUCTS") == "otherwise":  # see tests/kernels.py
    torch.Tensor.__matmul__ = rounding.otherwise
# the same examples in every run, however long a busy machine takes over one
settings.register_profile("flatvae", deadline=None, derandomize=True)
settings.load_profile("flatvae")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """How tests are dealt to several processes (pytest-xdist): those that take minutes first, one by one.

    All others, and those that share a cluster or a run, go to one process with their file, for the fixtures' sake.
    """
    side_by_side = config.pluginmanager.hasplugin("xdist")
    for item in items if side_by_side else ():
        if item.path.parent.name != "workflow" or item.get_closest_marker("one_process"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: FIRST.index(item.path.parent.name) if item.path.parent.name in FIRST else len(FIRST))


def _dataset(likelihood: str) -> Dataset:
    source = torch.Generator().manual_seed(7)
    factor = torch.randn(112, 2, generator=source)
    values = torch.tanh(factor @ torch.randn(2, 6, generator=source))
    values = (values + 1) / 2 if likelihood == "bernoulli" else values
    train, validation, test = values.split([64, 24, 24])
    return Dataset("tiny", train, validation, test, likelihood, (2, 3))


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """64 + 24 + 24 observations in R^6 on a curved surface."""
    return _dataset("gaussian")


@pytest.fixture(scope="session")
def tiny_bernoulli() -> Dataset:
    """The same with grey values in (0, 1)."""
    return _dataset("bernoulli")
