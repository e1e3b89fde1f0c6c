"""The console script: ``flatvae run``, ``status``, ``show``, ``merge``, ``new-baseline`` and ``data``; or ``python -m flatvae``.

Snakemake and the baselines may import the library, not the reverse: so they are called as subprocesses.
"""

import argparse
import contextlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import flatvae
from flatvae.errors import InputError

RESULTS = Path("results")
DEVICES = ("cpu", "cuda", "auto")
# Snakemake's arguments that set the number of cores, or name a profile that may set it
_CORES_GIVEN = re.compile(r"-[cj]\d*|-[cj]all|--(cores|jobs|profile|workflow-profile)(=.*)?")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; bad input ends it with a message of one sentence."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    own, further = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        own, further = arguments[:at], arguments[at + 1 :]
    if not own:
        parser().print_help()
        return
    options = parser().parse_args(own)
    options.further = further
    with contextlib.suppress(AttributeError):  # a stream that is not a text file has no reconfigure
        sys.stdout.reconfigure(errors="backslashreplace")  # for encodings without ± and ✓
    try:
        if further and options.function is not run:
            raise InputError(f"flatvae {options.command} takes nothing after --; leave it out.")
        options.function(options)
    except (InputError, OSError) as error:
        sys.exit(f"flatvae: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="flatvae",
        description="Flat latent manifolds: run the benchmark, follow a run, look at its results.",
        epilog="flatvae COMMAND --help explains each command.",
    )
    top.add_argument("--version", action="version", version=f"flatvae {flatvae.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(function, example: str, usage: str | None = None) -> argparse.ArgumentParser:
        text = function.__doc__.splitlines()[0]
        name = function.__name__.replace("_", "-")
        keywords = {"help": text.rstrip("."), "description": text, "epilog": f"example: {example}", "usage": usage}
        added = commands.add_parser(name, **keywords)
        added.set_defaults(function=function)
        return added

    usage = "flatvae run [-h] [CONFIG] [--cores N] [--device DEVICE] [-n] [-- ARGUMENT …]"
    of_run = command(run, "flatvae run config/smoke.yaml --cores 2 -- --forceall", usage)
    of_run.description += " Arguments after -- (targets and options) go to Snakemake."
    of_run.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a config (default: config/config.yaml)")
    of_run.add_argument("--cores", type=_cores, metavar="N", help="number of cores, or all (default: all)")
    of_run.add_argument("--device", choices=DEVICES, help="where to train (default: the config's device)")
    of_run.add_argument("-n", "--dry-run", action="store_true", help="list the jobs, run none")

    folder = {
        "nargs": "?",
        "type": Path,
        "default": RESULTS,
        "metavar": "RESULTS",
        "help": "the run's results folder (default: results)",
    }
    command(status, "flatvae status results/paper").add_argument("results", **folder)

    of_show = command(show, "flatvae show results/reference/default --dataset digits")
    of_show.add_argument("results", **folder)
    of_show.add_argument("--dataset", metavar="D", help="this data set with all columns, and each test of a claim")
    of_show.add_argument("--task", metavar="T", help="all numbers of this task, for example flatness")

    usage = "flatvae merge [-h] UNIT [UNIT …] --output FOLDER"
    of_merge = command(merge, "flatvae merge results/pendulum results/digits --output results/both", usage)
    of_merge.add_argument("units", nargs="+", type=Path, metavar="UNIT", help="results folders of runs that have ended")
    of_merge.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="the folder of the merged results"
    )

    of_new = command(new_baseline, "flatvae new-baseline my_method")
    of_new.add_argument("name", metavar="NAME", help="the method's name: lowercase letters, digits and _")

    of_data = command(data, "FLATVAE_DATA=~/data flatvae data")
    of_data.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a config that may set data_root")
    return top


def _cores(text: str) -> str:
    if text != "all" and not re.fullmatch("[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither all nor a number from 1")
    return text


# ------------------------------------------------------------------------------------------ commands that call a subprocess


def run(options: argparse.Namespace) -> None:
    """Run the benchmark: call Snakemake in the repository, and print the call."""
    folder = required_checkout("run")
    arguments = list(options.further)  # first: Snakemake would read a target after --config as one of its values
    if options.cores or not any(_CORES_GIVEN.fullmatch(argument) for argument in arguments):
        arguments += ["--cores", options.cores or "all"]
    if options.dry_run:
        arguments.append("--dry-run")
    if options.config:
        arguments += ["--configfile", _named(options.config, folder)]
    if options.device:
        arguments += ["--config", f"device={options.device}"]
    program = _snakemake()
    there = "" if folder == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    print(f"$ {there}{shlex.join(['snakemake', *arguments])}", file=sys.stderr, flush=True)
    _become([program, *arguments], folder)


def new_baseline(options: argparse.Namespace) -> None:
    """Write the file of a new baseline, which runs unchanged, and a config that compares it."""
    folder = required_checkout("new-baseline")
    _become([sys.executable, "-m", "baselines", options.name], folder)


def merge(options: argparse.Namespace) -> None:
    """Merge runs of the same code and settings, such as one per data set, into one results folder."""
    folder = required_checkout("merge")
    paths = [str(path.absolute()) for path in (*options.units, options.output)]
    _become([sys.executable, "workflow/scripts/merge.py", *paths[:-1], "--output", paths[-1]], folder)


def _become(command: Sequence[str], folder: Path) -> None:
    """Replaces this process by another: its exit status becomes this one's, and only it gets the terminal's signals."""
    os.chdir(folder)
    os.execv(command[0], command)


def _snakemake() -> str:
    """Snakemake's executable: the one next to this Python, else the first on PATH."""
    next_to_python = shutil.which("snakemake", path=str(Path(sys.executable).parent))
    found = next_to_python or shutil.which("snakemake")
    if found is None:
        raise InputError(
            "Snakemake is not installed; call make setup or pip install -e '.[workflow]' in the repository."
        )
    return found


def checkout() -> Path | None:
    """The repository's folder: the working directory, one above it, or the folder that holds this package."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[1]):
        if all((folder / file).is_file() for file in ("Snakefile", "workflow/Snakefile", "baselines/__main__.py")):
            return folder
    return None


def required_checkout(command: str) -> Path:
    """The folder of the repository.

    Raises:
        InputError: there is none.
    """
    folder = checkout()
    if folder is None:
        lacks = "workflow, configs and baselines to edit are in the repository, not in the installed package"
        raise InputError(f"{lacks}; git clone the repository and call flatvae {command} in its folder.")
    return folder


def _named(config: Path, folder: Path) -> str:
    """The path of a config, relative to the repository; it is looked up in the working directory, then in the repository."""
    found = next((path for path in (Path.cwd() / config, folder / config) if path.is_file()), None)
    if found is None:
        known = ", ".join(f"config/{path.name}" for path in sorted((folder / "config").glob("*.yaml")))
        raise InputError(f"{config} is not a file; name a config{f': {known}' if known else ''}.")
    path = Path(os.path.abspath(found))
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


# ---------------------------------------------------------------------------------------------------- commands that print


def status(options: argparse.Namespace) -> None:
    """Show which jobs of a run are done, running and failed, and how long the rest will take."""
    from flatvae.reporting import status as progress

    folders = [folder for folder in (Path.cwd(), checkout()) if folder]
    print("\n".join(progress.lines(progress.read(options.results, folders))))


def show(options: argparse.Namespace) -> None:
    """Show the verdicts and leaderboards of a run."""
    from flatvae.reporting import summary, terminal

    terminal.show(summary.read(options.results), _console(), options.dataset, options.task)


def data(options: argparse.Namespace) -> None:
    """Show which data sets are available, where they are searched for, and how to get them."""
    from rich.table import Table

    from flatvae.datasets import _at_hand

    root, named_by = _data_root(options.config)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("data set", "available", "where, or how to get it"):
        table.add_column(heading, overflow="fold")
    for found in _at_hand.at_hand(root):
        table.add_row(*found)
    console = _console()
    console.print(f"data folder: {root} ({named_by})\n", soft_wrap=True)
    console.print(table)


def _data_root(config: Path | None) -> tuple[Path, str]:
    """The data folder that a run uses, and what sets it: a config, the environment or the default."""
    from flatvae.datasets import data_root

    folder = checkout() or Path.cwd()
    configs = [path for path in [folder / "config" / "config.yaml"] if path.is_file()]
    configs += [folder / _named(config, folder)] if config else []
    root, source = None, None
    for path in configs:
        found = _read(path)
        if "data_root" in found:
            root, source = found["data_root"], path
    if not isinstance(root, str | None):
        raise InputError(f"{source}: data_root is {root!r}; it must be a string.")
    unset = "$FLATVAE_DATA" if os.environ.get("FLATVAE_DATA") else "the default; set $FLATVAE_DATA to change it"
    return folder / data_root(root), f"data_root of {source}" if root else unset


def _read(config: Path) -> dict:
    try:
        import yaml
    except ModuleNotFoundError:
        raise InputError(f"{config} cannot be read without PyYAML; pip install pyyaml.") from None
    try:
        return dict(yaml.safe_load(config.read_text(encoding="utf-8-sig")))
    except (yaml.YAMLError, ValueError, TypeError):
        raise InputError(f"{config} is not a config: it must be a UTF-8 YAML file of keys with values.") from None


def _console():
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
