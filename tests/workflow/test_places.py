"""Where results go and data comes from: odd folders work, or are refused in one sentence before anything runs."""

import copy
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import configs
import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import places  # noqa: E402
import validation  # noqa: E402

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
DEFAULT = configs.default()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder; the home folder is next to it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "here"


FINE = [
    ("results/mine", "results/mine"),
    ("results/mine/", "results/mine"),
    ("results//mine///", "results/mine"),
    ("./results/./mine", "results/mine"),
    ("../mine", "../mine"),
    ("a/../mine", "a/../mine"),
    ("//tmp/mine", "/tmp/mine"),
    ('it\'s a "résumé" #1 & 50% *[x];`', 'it\'s a "résumé" #1 & 50% *[x];`'),
    ("結果", "結果"),
    ("cost$", "cost$"),
    ("5$5", "5$5"),
    ("~/mine", "{home}/mine"),
    ("~root/mine", "/root/mine"),
]


@pytest.mark.parametrize(("text", "folder"), FINE)
def test_a_folder_is_named_as_the_shell_would(text, folder, here):
    if folder == "/root/mine" and not Path("~root").expanduser().samefile("/root"):
        pytest.skip("root has another home here")
    assert places.results_folder(text) == folder.replace("{home}", str(here.parent / "home"))
    assert not list(here.iterdir())  # nothing is made by looking


REFUSED = [
    ("results/res{1}", "is results/res{1}; braces are Snakemake's wildcards"),
    ("res}", "braces are Snakemake's wildcards"),
    ("$HOME/results", "variables such as $HOME are not expanded"),
    ("${HOME}/results", "variables such as ${HOME}/results are not expanded"),
    ("$(pwd)/results", "variables such as $(pwd)/results are not expanded"),
    ("~nosuchuser/results", "there is no user ~nosuchuser"),
    ("results/~/mine", "with ~ only at the beginning"),
    ("s3://bucket/mine", "it must be a folder of this machine"),
    ("a\nb", r"is 'a\nb'; a path cannot hold a line break, a tab"),
    ("a\tb", r"is 'a\tb'; a path cannot hold a line break, a tab"),
    ("a\0b", r"is 'a\x00b'; a path cannot hold"),
    ("results/odd\u00a0", r"is 'results/odd\xa0', which holds an invisible character, U+00A0 (no-break space)"),
    ("o\u200bdd", r"is 'o\u200bdd', which holds an invisible character, U+200B (zero width space)"),
    (" results", "is ' results'; remove the space"),
    ("results ", "is 'results '; remove the space"),
    (".", "the folder {here}; give the results their own folder"),
    ("./", "the folder {here}; give the results their own folder"),
    ("", "the folder {here}; give the results their own folder"),
    ("~", "the folder {home}; give the results their own folder"),
    ("/", "the folder /; give the results their own folder"),
    (str(ROOT), f"the folder {ROOT}; give the results"),
    (f"{ROOT}/flatvae", "in the project's own flatvae"),
    (f"{ROOT}/results/../config/mine", "in the project's own config"),
    ("file", "cannot be written (see {here}/file); make it writable"),
    ("file/mine", "cannot be written (see {here}/file); make it writable"),
    ("nowhere", "cannot be written (see {here}/nowhere); make it writable"),
    ("/dev/null/mine", "cannot be written (see /dev/null); make it writable"),
    ("loop/mine", "cannot be written (see {here}/loop); make it writable"),
    ("a" * 300, "which the system refuses (File name too long)"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED, ids=[repr(text)[:30] for text, _ in REFUSED])
def test_what_is_no_folder_for_results_is_refused(text, sentence, here):
    (here / "file").write_text("")
    (here / "nowhere").symlink_to("missing")
    (here / "loop").symlink_to("loop")
    there = sorted(here.rglob("*"))
    with pytest.raises(ValueError, match=r"^config: results_dir ") as error:
        places.results_folder(text)
    sentence = sentence.replace("{here}", str(here)).replace("{home}", str(here.parent / "home"))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(here.rglob("*")) == there


def test_a_link_to_a_folder_is_a_folder(here):
    (here / "real").mkdir()
    (here / "link").symlink_to("real")
    assert places.results_folder("link/mine") == "link/mine"


def test_a_folder_that_may_not_be_written_is_refused(here, monkeypatch):
    """Root may write everywhere: the system's answer to anybody else is put in its place."""
    (here / "closed").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != here / "closed")
    with pytest.raises(ValueError, match=r"closed/mine cannot be written \(see .*closed\); make it writable"):
        places.results_folder("closed/mine")
    assert places.results_folder("open") == "open"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("$DATA/x", "variables such as $DATA"),
        ("~nosuchuser/x", "no user ~nosuchuser"),
        ("a\nb", "cannot hold a line"),
        ("a" * 300, "(File name too long)"),
    ],
)
@pytest.mark.parametrize(
    "key",
    ["data_root", "datasets.mine.options.path", "datasets.mine.options.path.test", "FLATVAE_DATA", "FLATVAE_CACHE"],
)
def test_every_path_of_data_is_checked(key, text, sentence, monkeypatch):
    config = copy.deepcopy(DEFAULT)
    config["datasets"]["mine"] = {"loader": "arrays", "training": {"bound": 1.0, "steps": 1}}
    if key == "data_root":
        config["data_root"] = text
    elif key.startswith("datasets"):
        config["datasets"]["mine"]["options"] = {"path": {"test": text} if key.endswith("test") else text}
    else:
        monkeypatch.setenv(key, text)
    with pytest.raises(ValueError, match=key) as error:
        validation.check(config, SCHEMA)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["~/data", "da{1}ta", 'it\'s "é"', "../data/", "costs $5 or 5$"])
def test_paths_of_data_may_hold_what_reaches_no_rule_as_a_pattern(text):
    config = copy.deepcopy(DEFAULT) | {"data_root": text}
    config["datasets"]["mine"] = {
        "loader": "arrays",
        "options": {"path": f"{text}/x.npz"},
        "training": {"bound": 1.0, "steps": 1},
    }
    validation.check(config, SCHEMA)


# Snakemake itself


def snakemake(project, folder, *arguments, **environment):
    """Snakemake on the project, run in another folder."""
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "FLATVAE_DATA"}}
    return subprocess.run(
        [str(project.python), "-m", "snakemake", "-s", str(project.folder / "Snakefile"), "--cores", "1", *arguments],
        cwd=folder,
        env=clean
        | {
            "PATH": f"{project.bin}:{clean['PATH']}",
            "OMP_NUM_THREADS": "1",
            "FLATVAE_CONSOLE": "snakemake",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


ODD = 'it\'s a "résumé" #1 & 50% *[x];`'
TINY = {
    "results_dir": ODD,
    "seeds": 2,
    "run": {"datasets": ["mine"], "methods": ["vae"], "tasks": ["flatness"]},
    "datasets": {
        "mine": {
            "loader": "arrays",
            "options": {"path": "da{1} 'ta'/é.npz"},
            "training": {"bound": 1.0, "latent_dim": 2, "hidden": [8], "batch_size": 16, "steps": 10},
        }
    },
}


@pytest.fixture(scope="module")
def elsewhere(project, tmp_path_factory):
    """A run in a folder that is not the project's: odd names, two config files, one as Windows' editor saves it."""
    folder = tmp_path_factory.mktemp("else where")
    (folder / "da{1} 'ta'").mkdir()
    draw = np.random.default_rng(0)
    parts = {part: draw.random((40, 4), dtype=np.float32) for part in ("train", "validation", "test")}
    np.savez(folder / "da{1} 'ta'" / "é.npz", **parts)
    text = yaml.safe_dump(TINY, allow_unicode=True).replace("\n", "\r\n")
    (folder / "my {1} 'file'.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (folder / "second.yaml").write_text("seeds: 1\n")
    run = snakemake(project, folder, *CONFIGS, "--", f"{ODD}/tables/flatness.csv")
    assert run.returncode == 0, run.stdout[-3000:]
    assert "6 of 6 steps (100%) done" in run.stdout
    return folder


CONFIGS = ("--configfile", "my {1} 'file'.yaml", "second.yaml")


def test_it_runs_in_another_folder_with_odd_names(elsewhere, project):
    assert {p.name for p in elsewhere.iterdir()} == {
        *(ODD, "my {1} 'file'.yaml", "second.yaml", "da{1} 'ta'", ".snakemake")
    }
    table = pd.read_csv(elsewhere / ODD / "metrics.csv")
    assert set(table["dataset"]) == {"mine"}
    assert set(table["seed"]) == {0}  # the second config file wins
    assert not (project.folder / ODD).exists()


def copied(elsewhere, tmp_path):
    """The folder with new time stamps in an order of their own, and without Snakemake's records."""
    folder = tmp_path / "copy"
    shutil.copytree(elsewhere, folder, ignore=shutil.ignore_patterns(".snakemake"), copy_function=shutil.copy)
    files = sorted(path for path in (folder / ODD).rglob("*") if path.is_file())
    random.Random(1).shuffle(files)
    for number, path in enumerate(files):
        os.utime(path, (1.7e9 + number, 1.7e9 + number))
    return folder


def test_copied_results_are_kept_with_touch(elsewhere, project, tmp_path):
    """As docs/running.md says: --touch computes nothing, and afterwards nothing is to be done."""
    folder = copied(elsewhere, tmp_path)
    target = ("--", f"{ODD}/tables/flatness.csv")
    before = {path: path.read_bytes() for path in (folder / ODD).rglob("*") if path.is_file()}
    assert "Nothing to be done" not in snakemake(project, folder, "-n", *CONFIGS, *target).stdout
    touched = snakemake(project, folder, "--touch", *CONFIGS, *target)
    assert touched.returncode == 0, touched.stdout[-3000:]
    assert "trainings to run" not in touched.stdout  # and nothing is measured
    assert before.items() <= {path: path.read_bytes() for path in (folder / ODD).rglob("*") if path.is_file()}.items()
    assert "Nothing to be done" in snakemake(project, folder, "-n", *CONFIGS, *target).stdout
    # a change after that is noticed: --touch recorded the params
    changed = snakemake(project, folder, "-n", *CONFIGS, "--config", "seeds=3", *target).stdout
    assert "Params have changed since last execution" in changed, changed[-3000:]


def test_the_home_folder_and_the_directory_option(elsewhere, project, tmp_path):
    run = snakemake(
        *(project, tmp_path, "-n", "--directory", str(elsewhere), "--configfile", str(elsewhere / CONFIGS[1])),
        *("--config", "results_dir=~/mine/", "--", f"{tmp_path}/mine/mine/data.json"),
        HOME=str(tmp_path),
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert f"output: {tmp_path}/mine/mine/data.json" in run.stdout
    assert not list(tmp_path.rglob("~"))


REFUSALS = [
    (["--config", "results_dir=results/res{1}"], "config: results_dir is results/res{1}; braces are Snakemake's"),
    (["--config", "results_dir=/proc/flatvae"], "config: results_dir /proc/flatvae cannot be written (see /proc/flat"),
    (["--configfile", "twice.yaml"], "twice.yaml, line 2 gives seeds a second time; keep one of them"),
    (
        ["--configfile", "nbsp.yaml", "--configfile", "one.yaml"],
        "--configfile is given twice, but Snakemake uses only the last",
    ),
    (["--configfile", "nbsp.yaml"], r"config: '\xa0\xa0tasks' holds an invisible character, U+00A0 (no-break space)"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS, ids=[s[:40] for _, s in REFUSALS])
def test_a_refusal_is_one_sentence_before_anything_runs(arguments, sentence, project, tmp_path):
    (tmp_path / "one.yaml").write_text("seeds: 1\n")
    (tmp_path / "twice.yaml").write_text("seeds: 1\nseeds: 2\n")
    (tmp_path / "nbsp.yaml").write_text("run:\n\u00a0\u00a0tasks: [flatness]\n", encoding="utf-8")
    run = snakemake(project, tmp_path, *arguments)
    assert run.returncode == 1
    assert sentence in run.stdout
    assert "Traceback" not in run.stdout
    assert "Finished job" not in run.stdout
    assert not (tmp_path / "results").exists()


def test_a_default_config_in_utf_16_is_named(project, tmp_path):
    path = project.folder / "config" / "config.yaml"
    clean = path.read_bytes()
    try:
        path.write_bytes(clean.decode().encode("utf-16"))
        run = snakemake(project, tmp_path, "-n")
    finally:
        path.write_bytes(clean)
    assert run.returncode == 1
    assert f"config: {path}, line 1 is not UTF-8; save the file as UTF-8" in run.stdout
    assert "Traceback" not in run.stdout
