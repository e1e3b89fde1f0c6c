"""The project's own files agree with one another."""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch": "torch", "snakemake-minimal": "snakemake"}
MODULES = {
    "markdown_it": "markdown-it-py",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "jsonschema": "snakemake",
    "markupsafe": "jinja2",
    "supervision": "trackers",
}


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(*groups: str) -> dict[str, Requirement]:
    project = pyproject()
    lines = [*project["dependencies"], *(r for g in groups for r in project["optional-dependencies"][g])]
    return {r.name: r for r in map(Requirement, lines)}


def conda() -> dict[str, Requirement]:
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (from_pip,) = (entry["pip"] for entry in lines if isinstance(entry, dict))
    lines = [line for line in lines if isinstance(line, str) and line != "pip"] + from_pip
    found = {r.name: r for r in map(Requirement, lines)}
    return {CONDA_NAMES.get(name, name): r for name, r in found.items()}


def test_environment_and_pyproject_ask_for_the_same():
    wanted, given = requirements("workflow", "tracking"), conda()
    assert given.pop("python").specifier == Requirement("python" + pyproject()["requires-python"]).specifier
    given.pop("pygments")  # what snakemake[reports] stands for
    assert set(given) == set(wanted)
    for name in wanted:
        assert given[name].specifier == wanted[name].specifier, name


def test_constraints_pin_every_requirement_within_its_range():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {r.name.lower(): r for r in map(Requirement, (line for line in lines if line and not line.startswith("#")))}
    for name, wanted in requirements("workflow", "tracking", "parquet", "test", "docs").items():
        (specifier,) = pins[name.lower()].specifier
        assert specifier.operator == "=="
        assert specifier.version in wanted.specifier, name


@pytest.mark.parametrize("name", sorted(conda()))
def test_what_environment_yml_asks_for_is_what_runs_here(name):
    if name == "python":
        assert f"{sys.version_info.major}.{sys.version_info.minor}" in conda()[name].specifier
        return
    try:
        assert version(name).split("+")[0] in conda()[name].specifier
    except PackageNotFoundError:
        if name not in requirements():
            pytest.skip(f"{name} is not installed; it belongs to an extra")
        pytest.fail(f"{name} is asked for by environment.yml and not installed")


def test_every_import_is_a_stated_requirement():
    known = (
        {name.lower().replace("-", "_") for name in requirements("workflow", "tracking")}
        | set(sys.stdlib_module_names)
        | {"flatvae", "baselines"}
    )
    own_scripts = {p.stem for p in (ROOT / "workflow" / "scripts").glob("*.py")}
    for folder in ("flatvae", "baselines", "workflow"):
        for path in (ROOT / folder).rglob("*.py"):
            for module in imported(path):
                assert module in own_scripts or MODULES.get(module, module).replace("-", "_") in known | {"pyyaml"}, (
                    f"{path}: {module}"
                )


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_doors_go_one_way_only():
    allowed = {"flatvae": {"flatvae"}, "baselines": {"flatvae", "baselines"}}
    for folder, rooms in allowed.items():
        for path in (ROOT / folder).rglob("*.py"):
            assert not imported(path) & ({"flatvae", "baselines", "workflow", "snakemake"} - rooms), path
    for path in (ROOT / "flatvae" / "reporting").glob("*.py"):
        assert "torch" not in imported(path), path


def test_importing_the_package_is_cheap():
    code = "import sys, flatvae; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_citation_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    assert citation["title"] == "Learning Flat Latent Manifolds with VAEs"
    assert [a["family-names"] for a in citation["authors"]] == ["Chen", "Klushyn", "Ferroni", "Bayer", "van der Smagt"]
