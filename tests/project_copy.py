"""A copy of the project, run by Snakemake for real in an environment where the project itself is not installed."""

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
CORES = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"  # side by side as many runs as cores are enough
TREE = ("Snakefile", "workflow", "flatvae", "baselines", "config", "profiles", "environment.yml")


class Project:
    """The copied project: its folder and a `snakemake` of an environment with its requirements alone."""

    def __init__(self, folder: Path):
        self.folder = folder / "project"
        self.folder.mkdir()
        for name in TREE:
            source = ROOT / name
            ignore = shutil.ignore_patterns("__pycache__")
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, self.folder / name, **({"ignore": ignore} if source.is_dir() else {}))
        # A fresh environment that sees the installed packages by a plain path: packages installed in editable form,
        # that is this project, are not among them.
        venv.create(folder / "environment", with_pip=False)
        self.bin = folder / "environment" / "bin"
        site = next((folder / "environment" / "lib").glob("python*/site-packages"))
        (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.python = self.bin / "python"
        self.started: list[subprocess.Popen] = []
        self.first_run = ""  # what the smoke run printed

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """A run of Snakemake that prints all it does, in a process group of its own as one from a terminal is."""
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "FLATVAE_DATA"}}
        clean |= {
            "PATH": f"{self.bin}:{clean['PATH']}",
            "OMP_NUM_THREADS": "1",
            "FLATVAE_CONSOLE": "snakemake",
            **environment,
        }
        process = subprocess.Popen(
            [str(self.python), "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            # what a shell has put in the background is deaf to Ctrl-C, and so would be what it starts
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def stop(self) -> None:
        """Kills the runs that tests which failed have left."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def snakemake(self, *arguments: str, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess:
        """The same, to its end."""
        with self.start(*arguments, **environment) as process:
            try:
                out = process.communicate(timeout=timeout)[0]
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out)

    def smoke(self, *arguments: str, overlays: tuple[str, ...] = (), **keywords) -> subprocess.CompletedProcess:
        configs = ("--configfile", "config/smoke.yaml", *overlays)
        return self.snakemake(*arguments, "--cores", CORES, *configs, **keywords)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("workflow"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def smoke(project, tmp_path_factory) -> Project:
    """The project after one whole smoke run; pytest's processes share the run, and each goes on in a copy of its own."""
    mine = tmp_path_factory.getbasetemp()
    shared = (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "smoke"
    with FileLock(f"{shared}.lock"):
        if not (shared / "printed.json").is_file():
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir()
            made = Project(shared)
            run = made.smoke()
            assert run.returncode == 0, run.stdout[-5000:]
            (shared / "printed.json").write_text(json.dumps(run.stdout))
    for name in (".snakemake", "results"):  # with their time stamps
        shutil.copytree(shared / "project" / name, project.folder / name, symlinks=True, dirs_exist_ok=True)
    project.first_run = json.loads((shared / "printed.json").read_text())
    return project
