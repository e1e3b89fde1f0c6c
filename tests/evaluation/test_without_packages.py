"""Without the packages of an extra: the task that needs them says what to install, and all else works."""

import importlib
import subprocess
import sys

import pytest
from refusal import refused

from flatvae import evaluation

PACKAGES = ("deep_sort_realtime", "supervision", "trackers", "trackeval")
TASKS = ("tracking", "_trackers", "_trackeval")


def without(package: str, monkeypatch) -> None:
    """As if a package were not installed, and nothing that needs it were imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for task in TASKS:
        monkeypatch.delitem(sys.modules, f"flatvae.evaluation.{task}", raising=False)
        monkeypatch.delattr(evaluation, task, raising=False)


@pytest.mark.parametrize("package", PACKAGES)
def test_tracking_says_what_to_install(package, monkeypatch):
    for other in set(PACKAGES) - {package}:
        pytest.importorskip(other)
    without(package, monkeypatch)
    assert refused(importlib.import_module, "flatvae.evaluation.tracking") == (
        f"tracking needs the package {package}, which is not installed; run: pip install 'flatvae[tracking]'."
    )


EVERYTHING_ELSE = """
import importlib, pkgutil, sys
for package in {blocked}:
    sys.modules[package] = None
import flatvae
names = [module.name for module in pkgutil.walk_packages(flatvae.__path__, "flatvae.")]
for name in names:
    if name.rsplit(".", 1)[1] not in {tasks}:
        importlib.import_module(name)
from flatvae import datasets
from flatvae.evaluation._reidentification import reidentification
data = datasets.load("crowd", sequences=2, frames=15, people=5, size=[8, 4])
print(len(names), {{metric: value for _, metric, value in reidentification(data.test, data).metrics}})
"""


def test_everything_else_works_without_the_extras(tmp_path, monkeypatch):
    monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path))
    extras = ("motmetrics", "stochman", "snakemake", "hypothesis", "pytest", "yaml")
    code = EVERYTHING_ELSE.format(blocked=(*PACKAGES, *extras), tasks=TASKS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    count, found = done.stdout.splitlines()[-1].split(" ", 1)
    assert int(count) > 40
    assert "rank_1" in found
