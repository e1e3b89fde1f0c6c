"""The console script: ``flatvae run``, ``status``, ``show``, ``new-baseline`` and ``data``; also ``python -m flatvae``.

Snakemake and the baselines lie above the library, so they are called as processes of their own.
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
# arguments of Snakemake that say how many cores there are, or name a profile that may
_CORES_GIVEN = re.compile(r"-[cj]\d*|-[cj]all|--(cores|jobs|profile|workflow-profile)(=.*)?")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; what is wrong with its input ends it with one sentence."""
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
    with contextlib.suppress(AttributeError):  # a stream that is no text file cannot be told
        sys.stdout.reconfigure(errors="backslashreplace")  # where it has no ± and ✓
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
        epilog="flatvae COMMAND --help tells more of each command.",
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
    of_run.description += " What stands after -- goes to Snakemake: targets and options."
    of_run.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a config; without, config/config.yaml")
    of_run.add_argument("--cores", type=_cores, metavar="N", help="how many to use, or all (the default)")
    of_run.add_argument("--device", choices=DEVICES, help="where to train; without, what the config says")
    of_run.add_argument("-n", "--dry-run", action="store_true", help="only tell what would be run")

    folder = {
        "nargs": "?",
        "type": Path,
        "default": RESULTS,
        "metavar": "RESULTS",
        "help": "its folder; without, results",
    }
    command(status, "flatvae status results/paper").add_argument("results", **folder)

    of_show = command(show, "flatvae show results/reference/default --dataset digits")
    of_show.add_argument("results", **folder)
    of_show.add_argument("--dataset", metavar="D", help="of this data set all columns, and each test of a claim")
    of_show.add_argument("--task", metavar="T", help="all numbers of this task, such as flatness")

    of_new = command(new_baseline, "flatvae new-baseline my_method")
    of_new.add_argument("name", metavar="NAME", help="of the method: small letters, digits and _")

    of_data = command(data, "FLATVAE_DATA=~/data flatvae data")
    of_data.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a config whose data_root is looked at")
    return top


def _cores(text: str) -> str:
    if text != "all" and not re.fullmatch("[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither all nor a number from 1")
    return text


# ---------------------------------------------------------------------------------------------------- what is called above


def run(options: argparse.Namespace) -> None:
    """Run the benchmark: call Snakemake in the repository, and show how."""
    folder = required_checkout("run")
    arguments = list(options.further)  # first, because a target after --config would be taken for a part of it
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
    """Write the file of a new baseline, which runs as it is, and a config that compares it."""
    folder = required_checkout("new-baseline")
    _become([sys.executable, "-m", "baselines", options.name], folder)


def _become(command: Sequence[str], folder: Path) -> None:
    """Goes on as another process: its exit status is this one's, and a terminal's signals reach it alone."""
    os.chdir(folder)
    os.execv(command[0], command)


def _snakemake() -> str:
    """Snakemake's executable: that of this Python, else the first on PATH."""
    beside = shutil.which("snakemake", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("snakemake")
    if found is None:
        raise InputError(
            "Snakemake is not installed; call make setup or pip install -e '.[workflow]' in the repository."
        )
    return found


def checkout() -> Path | None:
    """The folder of the repository: the working directory, one above it, or the one that the package is run from."""
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
    """The path of a config, from here or from the repository, as the repository's folder sees it."""
    found = next((path for path in (Path.cwd() / config, folder / config) if path.is_file()), None)
    if found is None:
        known = ", ".join(f"config/{path.name}" for path in sorted((folder / "config").glob("*.yaml")))
        raise InputError(f"{config} is no file; name a config{f': {known}' if known else ''}.")
    path = Path(os.path.abspath(found))
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


# ---------------------------------------------------------------------------------------------------------- what is shown


def status(options: argparse.Namespace) -> None:
    """Tell what of a run is done, running and failed, and how long the rest takes."""
    from flatvae.reporting import status as progress

    folders = [folder for folder in (Path.cwd(), checkout()) if folder]
    print("\n".join(progress.lines(progress.read(options.results, folders))))


def show(options: argparse.Namespace) -> None:
    """Show verdicts and leaderboards of a run."""
    from flatvae.reporting import summary, terminal

    terminal.show(summary.read(options.results), _console(), options.dataset, options.task)


def data(options: argparse.Namespace) -> None:
    """Tell which data sets are at hand, where they are looked for, and how to get them."""
    from rich.table import Table

    from flatvae.datasets import _at_hand

    root, named_by = _data_root(options.config)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("data set", "at hand", "where, or how to get it"):
        table.add_column(heading, overflow="fold")
    for found in _at_hand.at_hand(root):
        table.add_row(*found)
    console = _console()
    console.print(f"data folder: {root} ({named_by})\n", soft_wrap=True)
    console.print(table)


def _data_root(config: Path | None) -> tuple[Path, str]:
    """The folder of data as a run takes it, and what names it: a config, the environment, or nothing."""
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
        raise InputError(f"{source}: data_root is {root!r}; it must be a text.")
    unset = "$FLATVAE_DATA" if os.environ.get("FLATVAE_DATA") else "the default; $FLATVAE_DATA names another"
    return folder / data_root(root), f"data_root of {source}" if root else unset


def _read(config: Path) -> dict:
    try:
        import yaml
    except ModuleNotFoundError:
        raise InputError(f"{config} cannot be read without PyYAML; pip install pyyaml.") from None
    try:
        return dict(yaml.safe_load(config.read_text(encoding="utf-8-sig")))
    except (yaml.YAMLError, ValueError, TypeError):
        raise InputError(f"{config} is no config: it must be a UTF-8 text in YAML, of keys with values.") from None


def _console():
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
