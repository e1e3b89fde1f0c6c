"""The wheel, built and installed where nothing of this repository is at hand: it imports, fits, and loads what it saved."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

USED = """
import torch, baselines, flatvae
from baselines import vae
from flatvae import datasets, training

torch.manual_seed(0)
x = torch.randn(60, 4) @ torch.randn(4, 4)
model = flatvae.FlatVAE(latent_dim=2, hidden=(8,), steps=40, random_state=0, unexplained=0.5, eta=1.0, init="random").fit(x)
model.save("mine.safetensors")
assert (flatvae.FlatVAE.load("mine.safetensors").transform(x) == model.transform(x)).all()

data = datasets.load("pendulum", train=64, validation=16, test=16)
settings = {"bound": 1.0, "steps": 3, "latent_dim": 2, "hidden": [8]}
paths = {f"{kind}_path": f"{kind}.csv" for kind in ("history", "metrics")}
training.train_and_save("baselines.vae", data, settings, [0], device="cpu", label="", model_path="m.safetensors", **paths)
assert flatvae.load("m.safetensors", 0).latent_dim == 2
assert flatvae.load_pretrained("pendulum/flat_vae").latent_dim == 2
print(flatvae.__version__, flatvae.__file__)
"""


def run(*command, **keywords) -> str:
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=clean, **keywords)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """Python of an environment with the wheel and what it depends on, and without this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = run("git", "ls-files", "-z", cwd=ROOT).split("\0") if (ROOT / ".git").exists() else []
    if not tracked:
        pytest.skip("needs a git checkout: the wheel is built from what is tracked")
    for name in filter(None, tracked):
        if not name.startswith(("results/", "tests/")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--outdir", folder, source)
    venv.create(folder / "environment", with_pip=True)
    site = next((folder / "environment" / "lib").glob("python*/site-packages"))
    (site / "requirements.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )  # not what is installed in editable form
    made = folder / "environment" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    run(made, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel)
    return made


def test_an_installed_wheel_fits_saves_and_loads(python, tmp_path):
    version, place = run(python, "-c", USED, cwd=tmp_path).split()[-2:]
    assert Path(place).is_relative_to(python.parents[1])
    assert run(python.with_name("flatvae"), "--version").split() == ["flatvae", version]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_wheel_holds_every_module_and_file_of_the_packages(python):
    (sdist,) = python.parents[2].glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {re.sub(r"^[^/]+/", "", name) for name in archive.getnames()}
    site = next((python.parents[1] / "lib").glob("python*/site-packages"))
    for package in ("flatvae", "baselines"):
        tracked = run("git", "ls-files", package, cwd=ROOT).split()
        files = [name for name in tracked if (ROOT / name).is_file()]
        assert files
        assert [name for name in files if not (site / name).is_file()] == []
        assert [name for name in files if name not in held] == []


def test_a_tagged_commit_has_the_version_of_its_tag():
    tags = run("git", "tag", "--points-at", "HEAD", "--list", "v*", cwd=ROOT).split()
    stated = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert tags in ([], [f"v{stated}"])
