"""The console script: what it calls, what it shows, and the one sentence with which it refuses."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import flatvae
from flatvae import cli
from flatvae.reporting import summary

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMMANDS = ["run", "status", "show", "merge", "new-baseline", "data"]
# writes down how it is called; «slow» waits for Ctrl-C as Snakemake does
FAKE = """#!{python}
import os, sys, time
try:
    print(os.getcwd(), *sys.argv[1:], sep="|", flush=True)
    time.sleep(60 * ("slow" in sys.argv))
except KeyboardInterrupt:
    print("cancelled", flush=True)
    sys.exit(1)
sys.exit(7)
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository's folder with nothing in it but what tells it; the working directory is next to it."""
    folder = tmp_path / "repository"
    for name in ("Snakefile", "workflow/Snakefile", "baselines/__main__.py", "config/config.yaml", "config/smoke.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n")
    (folder / "docs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FLATVAE_DATA", raising=False)
    return folder


@pytest.fixture
def installed(checkout, monkeypatch):
    """A working directory outside the repository, for a package that is not run from one either."""
    monkeypatch.setattr(cli, "__file__", str(checkout.parent / "site" / "flatvae" / "cli.py"))
    monkeypatch.chdir(checkout.parent / "elsewhere")


@pytest.fixture
def become(monkeypatch) -> list:
    """What the command goes on as, in place of that."""
    found = []
    monkeypatch.setattr(cli, "_become", lambda command, folder: found.append((list(command), folder)))
    return found


def refused(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    sentence = str(caught.value)
    assert sentence.startswith("flatvae: ")
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


# ------------------------------------------------------------------------------------------------------ help and version


def test_alone_it_prints_help(capsys):
    cli.main([])
    shown = capsys.readouterr().out
    assert all(re.search(rf"^    {name}\b", shown, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_one_example_that_can_be_called(name, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([name, "--help"])
    assert caught.value.code == 0
    (example,) = re.findall(r"^example: .*?flatvae (.*)$", capsys.readouterr().out, re.MULTILINE)
    words = example.partition(" -- ")[0].split()
    assert words[0] == name
    assert cli.parser().parse_args(words).command == name


def test_versions_agree():
    assert flatvae.__version__ == VERSION
    done = subprocess.run([sys.executable, "-m", "flatvae", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"flatvae {VERSION}\n"


def test_the_version_of_a_folder_that_is_not_installed(monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert flatvae.__version__ == VERSION


def test_what_comes_before_work_needs_no_torch():
    """Help, run and status answer at once."""
    code = "import sys, flatvae.cli, flatvae.reporting.status; assert not {'torch', 'pandas', 'snakemake'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_make_alone_tells_every_target():
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = re.findall(r"^  make (\w+) +\S", done.stdout, re.MULTILINE)
    assert sorted(shown) == sorted(targets.split())
    assert max(map(len, done.stdout.splitlines())) <= 110


# ------------------------------------------------------------------------------------------------------------------- run


RUNS = [
    ("", "--cores all"),
    ("config/smoke.yaml", "--cores all --configfile config/smoke.yaml"),
    ("config/smoke.yaml --cores 2 -n", "--cores 2 --dry-run --configfile config/smoke.yaml"),
    ("--device cuda -- results/a.csv --forceall", "results/a.csv --forceall --cores all --config device=cuda"),
    ("-- --workflow-profile profiles/slurm", "--workflow-profile profiles/slurm"),
    ("-- --workflow-profile=profiles/slurm", "--workflow-profile=profiles/slurm"),
    ("--cores 3 -- --workflow-profile profiles/slurm", "--workflow-profile profiles/slurm --cores 3"),
    ("-- -j4", "-j4"),
    ("-- -c all", "-c all"),
    ("-- -C seeds=2", "-C seeds=2 --cores all"),
]


@pytest.mark.parametrize(("given", "called"), RUNS)
def test_how_snakemake_is_called(given, called, checkout, become, capsys):
    cli.main(["run", *given.split()])
    ((command, folder),) = become
    assert Path(command[0]).name == "snakemake"
    assert command[1:] == called.split()
    assert folder == checkout
    assert capsys.readouterr().err == f"$ snakemake {called}\n"


def test_a_config_is_looked_for_from_here_and_then_in_the_repository(checkout, become, monkeypatch, capsys):
    monkeypatch.chdir(checkout / "docs")
    (checkout / "docs" / "mine.yaml").write_text("{}")
    (checkout.parent / "far.yaml").write_text("{}")
    for given in ("mine.yaml", "../config/smoke.yaml", "config/smoke.yaml", "../../far.yaml"):
        cli.main(["run", given])
    named = [command[-1] for command, _ in become]
    assert named == ["docs/mine.yaml", "config/smoke.yaml", "config/smoke.yaml", str(checkout.parent / "far.yaml")]
    assert f"$ cd {checkout} && snakemake" in capsys.readouterr().err


@pytest.fixture
def started(checkout, tmp_path):
    """Starts ``flatvae run`` with a Snakemake that tells how it was called."""
    fake = tmp_path / "bin" / "snakemake"
    fake.parent.mkdir()
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o755)

    def start(python: Path, *arguments: str) -> subprocess.Popen:
        code = f"import sys; sys.executable = {str(python)!r}; from flatvae.cli import main; main()"
        environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", code, "run", *arguments]
        # what a shell has put in the background is deaf to Ctrl-C, and so would be what it starts
        streams["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(command, cwd=checkout / "docs", env=environment, start_new_session=True, **streams)

    return start


def test_snakemake_gets_arguments_and_gives_its_exit_status(started, checkout, tmp_path):
    """Found on PATH where this Python has none next to it."""
    process = started(tmp_path / "none" / "python", "--cores", "2", "--", "a target", "--quiet")
    out, err = process.communicate(timeout=60)
    assert out == f"{checkout}|a target|--quiet|--cores|2\n"
    assert err == f"$ cd {checkout} && snakemake 'a target' --quiet --cores 2\n"
    assert process.returncode == 7


def test_ctrl_c_is_snakemake_s_own_affair(started, tmp_path):
    process = started(tmp_path / "bin" / "python", "--", "slow")
    assert process.stdout.readline().endswith("|slow|--cores|all\n")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("cancelled\n", 1)
    assert "Traceback" not in err


def test_the_snakemake_next_to_this_python_goes_before_that_on_path(tmp_path, monkeypatch):
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "snakemake").write_text("")
        (tmp_path / folder / "snakemake").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "own" / "python"))
    assert cli._snakemake() == str(tmp_path / "own" / "snakemake")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert cli._snakemake() == str(tmp_path / "other" / "snakemake")


def test_what_run_refuses(checkout, become, monkeypatch, tmp_path, capsys):
    assert "none.yaml is not a file; name a config: config/config.yaml, config/smoke.yaml." in refused(
        "run", "none.yaml"
    )
    assert "flatvae status takes nothing after --" in refused("status", "results", "--", "--quiet")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert "Snakemake is not installed; call make setup" in refused("run")
    assert not become
    for cores in ("0", "-1", "two"):
        with pytest.raises(SystemExit) as caught:
            cli.main(["run", "--cores", cores])
        assert caught.value.code == 2
    assert "'two' is neither all nor a number from 1" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------- outside a repository


@pytest.mark.parametrize("command", [["run"], ["new-baseline", "mine"], ["merge", "a", "--output", "b"]])
def test_what_lies_in_the_repository_is_said_to_be_there(command, installed):
    assert f"git clone the repository and call flatvae {command[0]} in its folder" in refused(*command)


def test_new_baseline_is_the_baselines_own_affair(checkout, become):
    cli.main(["new-baseline", "mine"])
    assert become == [([sys.executable, "-m", "baselines", "mine"], checkout)]


def test_merge_hands_the_workflow_paths_that_hold_in_the_repository(checkout, become, monkeypatch):
    monkeypatch.chdir(checkout / "docs")
    cli.main(["merge", "a", "../b", "--output", "c"])
    ((command, folder),) = become
    assert folder == checkout
    assert command[:2] == [sys.executable, "workflow/scripts/merge.py"]
    paths = [Path(word).resolve() for word in command[2:] if word != "--output"]
    assert paths == [checkout / "docs" / "a", checkout / "b", checkout / "docs" / "c"]


def test_installed_baselines_refuse_a_new_one_in_one_sentence(tmp_path):
    shutil.copytree(ROOT / "baselines", tmp_path / "site" / "baselines", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "baselines", "mine"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    folder = tmp_path / "site" / "baselines"
    assert (
        done.stderr
        == f"flatvae: {folder} is an installed package; git clone the repository and call this in its folder\n"
    )
    assert not (folder / "mine.py").exists()


# -------------------------------------------------------------------------------------------------- status, show and data


def test_status_of_a_folder(tmp_path, capsys):
    cli.main(["status", str(tmp_path)])
    assert capsys.readouterr().out.startswith(f"{tmp_path}: no run is in progress")
    assert "is not a folder; name the results_dir of a run." in refused("status", str(tmp_path / "none"))


def test_show_in_a_pipe_is_plain_text_of_80_columns(monkeypatch):
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "FORCE_COLOR"}} | {
        "PYTHONPATH": str(ROOT)
    }
    command = [sys.executable, "-m", "flatvae", "show", "results/reference/default", "--dataset", "digits"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    digits = summary.read(ROOT / "results" / "reference" / "default").leaderboards["digits"]
    assert digits.text(digits.flattest[0], "condition_number_median") + "*" in done.stdout
    assert "\x1b" not in done.stdout
    assert 60 < max(map(len, done.stdout.splitlines())) <= 80
    assert not done.stderr


def test_show_refuses_in_one_sentence(tmp_path):
    assert "has no metrics.csv; name the results folder of a run that has ended." in refused("show", str(tmp_path))
    assert "has no data set moon" in refused(
        "show", str(ROOT / "results" / "reference" / "default"), "--dataset", "moon"
    )


def data(capsys, *arguments: str) -> str:
    cli.main(["data", *arguments])
    return capsys.readouterr().out.splitlines()[0]


def test_where_data_is_looked_for(checkout, monkeypatch, capsys):
    """As in a run, which works in the repository's folder: the config that is named, the default one, the environment, data/."""
    monkeypatch.chdir(checkout / "docs")
    assert data(capsys) == f"data folder: {checkout}/data (the default; set $FLATVAE_DATA to change it)"
    monkeypatch.setenv("FLATVAE_DATA", "there")
    assert data(capsys) == f"data folder: {checkout}/there ($FLATVAE_DATA)"
    (checkout / "config" / "config.yaml").write_text("data_root: ours\n")
    assert data(capsys) == f"data folder: {checkout}/ours (data_root of {checkout}/config/config.yaml)"
    (checkout / "config" / "smoke.yaml").write_text("data_root: /mine\n")
    assert data(capsys, "config/smoke.yaml") == f"data folder: /mine (data_root of {checkout}/config/smoke.yaml)"
    (checkout / "config" / "smoke.yaml").write_text("data_root: null\n")  # a later config is laid over the default
    assert data(capsys, "config/smoke.yaml") == f"data folder: {checkout}/there ($FLATVAE_DATA)"
    (checkout / "config" / "smoke.yaml").write_text("data_root: 5\n")
    assert "smoke.yaml: data_root is 5; it must be a string." in refused("data", "config/smoke.yaml")
    for broken in ("[1, 2]\n", "a: [\n", ""):
        (checkout / "config" / "smoke.yaml").write_text(broken)
        assert "smoke.yaml is not a config: it must be a UTF-8 YAML file" in refused("data", "config/smoke.yaml")


def test_data_outside_a_repository(installed, capsys, tmp_path):
    assert data(capsys) == f"data folder: {tmp_path}/elsewhere/data (the default; set $FLATVAE_DATA to change it)"
    assert refused("data", "none.yaml") == "flatvae: none.yaml is not a file; name a config."
