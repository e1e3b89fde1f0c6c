"""What all tests share: one thread, the same random examples in every run, two data sets small enough to train on.

Tests of a package that is not installed are skipped, and say so.
"""

import importlib.util
import os
from pathlib import Path

import pytest
import rounding
import torch
from hypothesis import settings
from project_copy import project, smoke  # noqa: F401  fixtures: one copy and one run for tests/workflow and tests/cluster

from flatvae.datasets import Dataset

FIRST = ("cluster", "workflow")  # folders of the tests that run Snakemake
ONE_BY_ONE = ("test_adding_a_baseline.py", "test_places.py", "test_survival.py", "test_workflow.py")
TRACKING = ("deep_sort_realtime", "supervision", "trackeval", "trackers")
NEEDED = {  # packages of an extra that may not be installed, by the tests that cannot do without
    "workflow": ("snakemake", "itables", "typst"),
    "cluster": ("snakemake", "itables", "typst"),
    "reporting/test_document.py": ("typst",),
    "reporting/test_page.py": ("itables",),
    "reporting/test_page_in_browser.py": ("itables", "playwright"),
    "evaluation/test_tracking.py": TRACKING,
    "evaluation/test_trackers.py": TRACKING,
    "evaluation/test_trackeval.py": (*TRACKING, "motmetrics"),
    "performance/test_tracking.py": TRACKING,
}

torch.set_num_threads(1)
if os.environ.get("FLATVAE_TEST_PRODUCTS") == "otherwise":  # see tests/kernels.py
    torch.Tensor.__matmul__ = rounding.otherwise
# the same examples in every run, however long a busy machine takes over one
settings.register_profile("flatvae", deadline=None, derandomize=True)
settings.load_profile("flatvae")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run Snakemake come first: they take longest."""
    items.sort(key=lambda item: FIRST.index(item.path.parent.name) if item.path.parent.name in FIRST else len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """How tests are dealt to several processes: a file at a time, for its fixtures' sake, but those of ONE_BY_ONE singly."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if Path(file).name in ONE_BY_ONE else file

    return Scheduling(config, log)


class _Skipped(pytest.Module):
    """A test file that is not imported, because a package is missing."""

    def collect(self):
        pytest.skip(f"{', '.join(missing(self.path))} is not installed", allow_module_level=True)


def missing(path: Path) -> list[str]:
    """Packages that a test file needs and that are not installed."""
    own = path.relative_to(Path(__file__).parent)
    needed = [name for place, names in NEEDED.items() if own.is_relative_to(place) for name in names]
    return [name for name in needed if importlib.util.find_spec(name) is None]


def pytest_pycollect_makemodule(module_path, parent):
    return _Skipped.from_parent(parent, path=module_path) if missing(module_path) else None


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
