"""README and site: the site builds, code blocks run or parse, what they name exists, links lead somewhere."""

import functools
import importlib.util
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from flatvae import FlatVAE, cli, datasets, training, variance
from flatvae.reporting import overview

ROOT = Path(__file__).resolve().parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("examples/*.md"))]
OWN = {
    "config/mine.yaml",
    "config/my_method.yaml",
    "baselines/my_method.py",
    "baselines/weight_decay.py",
}  # the reader's own
OWN |= {f"baselines/{name}" for name in ("sk_autoencoder.py", "sk_autoencoder.smk", "_sk_autoencoder.py")}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {"adding_a_baseline.md"}  # its files are run by tests/workflow/test_adding_a_baseline.py


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text()) if found == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


SHELL = [(page, line) for page in PAGES for block in blocks(page, "bash") for line in block.splitlines() if line]
COMMANDS = [(page, part.strip().split("   #")[0].split()) for page, line in SHELL for part in line.split("&&")]
EVERY_COMMAND = [(page, words[1:] if "=" in words[0] else words) for page, words in COMMANDS]


def commands(program: str) -> list[list[str]]:
    return [words[1:] for _, words in EVERY_COMMAND if words[0] == program]


# -------------------------------------------------------------------------------------------------------------- the site


def test_the_site_builds_without_warnings(tmp_path):
    for package in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(package, reason=f"{package} is not installed; it belongs to the extra docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        tmp_path / "trees",
        DOCS,
        tmp_path / "site",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    runs = {path.parent.parent for path in (ROOT / "results" / "reference").rglob("tables/*.md")}
    for run in runs:
        page = "_".join(run.relative_to(ROOT / "results" / "reference").parts)
        shown = (tmp_path / "site" / "generated" / f"{page}.html").read_text()
        assert all(f"Table: {table.stem}" in shown for table in (run / "tables").glob("*.md")), run
        assert shown.count("<table") >= len(list((run / "tables").glob("*.md"))), run


@pytest.fixture
def docstrings(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    import docstrings

    return docstrings


def test_formulas_of_docstrings_become_literal_blocks(docstrings):
    text = [
        "A sum |x|.",
        "",
        "    a = |b|",
        "    c = *d*",
        "",
        "Args:",
        "    x_: ``a|b``, *any*, 2 * y.",
        "",
        "    more",
    ]
    assert docstrings.converted(text) == [
        *("A sum \\|x\\|.", "", "::", "", "    a = |b|", "    c = *d*", "", "Args:"),
        *("    x\\_: ``a|b``, *any*, 2 \\* y.", "", "    more"),
    ]


def test_pages_of_runs_that_are_gone_are_deleted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    import reference_results

    run = tmp_path / "reference" / "a" / "b"
    for name in ("tables/flatness.md", "claims.md", "figures/x_flatness.png", "SOURCE.md"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("")
    monkeypatch.setattr(reference_results, "REFERENCE", tmp_path / "reference")
    monkeypatch.setattr(reference_results, "GENERATED", tmp_path / "generated")
    reference_results.write()
    page = (tmp_path / "generated" / "a_b.md").read_text()
    for wanted in ("tables/flatness.md", "claims.md", "figures/x_flatness.png", "SOURCE.md"):
        assert f"../../results/reference/a/b/{wanted}" in page
    assert "Condition number and normalised magnification factor" in page  # the figure's caption
    (run / "tables" / "flatness.md").unlink()
    (run / "figures" / "x_flatness.png").unlink()
    reference_results.write()
    assert not list((tmp_path / "generated").iterdir())


# ------------------------------------------------------------------------------------------------------------ the README


def test_the_readme_is_one_page():
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    assert len(text.encode()) <= 12_000
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= 100


def test_the_readme_s_verdicts_are_those_of_the_ledger():
    """Made by: python -m flatvae.reporting.overview results/reference/claims.csv README.md"""
    table = overview.overview(overview.read(ROOT / "results" / "reference" / "claims.csv"))
    assert overview.inserted(README.read_text(), table) == README.read_text()


def test_every_page_of_the_site_is_in_the_readme():
    """But for those without text of their own."""
    text = README.read_text()
    named = {page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" in text}
    assert {page.name for page in DOCS.glob("*.md")} - named <= {"index.md", "config.md", "api.md"}


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_sections(page):
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        target, _, section = link.partition("#")
        if "://" not in link:
            path = page.parent / target if target else page
            assert path.exists(), link
            assert not section or section in anchors(path), link


# ---------------------------------------------------------------------------------------------------------- code blocks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_marked(page):
    for language, _ in FENCE.findall(page.read_text()):
        assert language in {"bash", "python", "yaml", "text"} or language.startswith("{"), language


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a trained model of the pendulum where the pages have one, and an estimator that trains shortly."""
    path = tmp_path / "results" / "pendulum" / "flat_vae" / "model.safetensors"
    path.parent.mkdir(parents=True)
    data = datasets.load("pendulum", train=64, validation=8, test=8)
    settings = {"bound": 2.0, "steps": 5, "latent_dim": 2, "hidden": [8], "prior_hidden": [4]}
    files = {"history_path": tmp_path / "h.csv", "metrics_path": tmp_path / "m.csv"}
    training.train_and_save("flatvae.flat_vae", data, settings, [0], device="cpu", label="", model_path=path, **files)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(FlatVAE.__init__.__kwdefaults__, "steps", 30)
    return tmp_path


RUN = [page for page in PAGES if blocks(page, "python") and page.name not in ELSEWHERE]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_python_of_a_page_runs(page, folder, monkeypatch):
    """Its blocks one after another, in one namespace."""
    data = os.environ.get("FLATVAE_DATA") or ROOT.parent / "shared" / "data"
    monkeypatch.setenv("FLATVAE_DATA", str(data))
    if page.name == "motion.md" and not Path(data, "cmu_mocap").is_dir():
        pytest.skip("the CMU files are not there: set FLATVAE_DATA to a folder that holds cmu_mocap/")
    names: dict = {}
    for block in blocks(page, "python"):
        if "pythae" not in block or importlib.util.find_spec("pythae"):
            exec(block, names)
    for figure in re.findall(r"!\[[^\]]*\]\((\w+\.png)\)", page.read_text()) if page.parent.name == "examples" else ():
        assert (folder / figure).stat().st_size > 5000
    if page.name == "your_data.md":
        assert (folder / "roll.png").stat().st_size > 5000
        assert (folder / "latent_space.png").stat().st_size > 5000
        ends = names["decoder"](names["codes"]).detach()
        assert (names["lengths"] >= torch.cdist(ends[:3], ends[:5]) * 0.9999).all()
        (entry,) = blocks(page, "yaml")
        mine = yaml.safe_load(entry)["datasets"]["mine"]
        data = datasets.load(mine["loader"], None, **mine["options"])
        assert [data.train.shape, data.test.shape] == [(720, 3), (200, 3)]
        assert data.label_names == ("lower", "upper")
        found = variance.summary(data, mine["training"]["latent_dim"], mine["training"]["unexplained"])
        (told,) = blocks(page, "text")  # as workflow/scripts/plan.py prints it
        (known,) = re.findall(r"variance (\S+), PCA with n = 2 leaves (\S+) \((\S+)%\), bound (\S+) \(2.0%\)", told)
        wanted = [found["total_variance"], found["pca_error"], 100 * found["pca_unexplained"], found["bound"]]
        assert list(map(float, known)) == pytest.approx(wanted, rel=2e-3)


def test_the_config_of_your_data_passes_the_check(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "workflow" / "scripts")
    monkeypatch.syspath_prepend(ROOT / "tests" / "workflow")
    pytest.importorskip("snakemake", reason="snakemake is not installed")
    import validation
    from test_configuration import DEFAULT, SCHEMA, merge

    (block,) = blocks(DOCS / "your_data.md", "yaml")
    config = merge(DEFAULT, yaml.safe_load(block))
    config["datasets"]["mine"]["options"]["path"] = str(tmp_path / "mine.csv")
    validation.check(config, SCHEMA)


# -------------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_commands_parse(page):
    for block in blocks(page, "bash"):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_commands_are_of_known_programs():
    programs = {words[0] for _, words in EVERY_COMMAND}
    assert programs <= {"make", "snakemake", "conda", "source", "python", "flatvae"}


def test_flatvae_commands_can_be_called():
    assert len(commands("flatvae")) >= 5
    for words in commands("flatvae"):
        cli.parser().parse_args(words)


def test_make_targets_exist():
    named = {words[0] for words in commands("make")}
    for page in PAGES:
        named |= set(re.findall(r"`make (\w+)", prose(page)))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"results", "test", "docs", "smoke", "paper", "mnist"} <= named <= targets


@functools.cache
def snakemake_options() -> set[str]:
    pytest.importorskip("snakemake", reason="snakemake is not installed")
    shown = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"--[a-z][\w-]*", shown))


def test_snakemake_commands_name_what_exists():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    assert len(commands("snakemake")) >= 8
    for words in commands("snakemake"):
        assert {word for word in words if word.startswith("--")} <= snakemake_options()
        for option, value in itertools.pairwise(words):
            if option == "--configfile":
                assert value in OWN or (ROOT / value).is_file(), value
            if option == "--workflow-profile":
                assert (ROOT / value / "profile.yaml").is_file(), value
        if words[:2] == ["--cores", "all"] and len(words) > 2 and not words[2].startswith("--"):
            target = words[2]
            if target.startswith("results/"):
                _, dataset, method, task = target.removesuffix(".csv").split("/")
                assert dataset in config["datasets"]
                assert method in config["methods"]
                assert task in config["run"]["tasks"]
            else:
                rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
                assert f"rule {target}:" in rules, target


def test_python_commands_name_modules():
    assert commands("python")
    for words in commands("python"):
        assert words[0] == "-m"
        assert importlib.util.find_spec(words[1]) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    roots = r"(?:flatvae|baselines|config|workflow|profiles|tests|docs|results/reference)"
    for named in re.findall(rf"`({roots}/[\w./-]+)`", prose(page)):
        assert named in OWN or (ROOT / named).exists(), named
