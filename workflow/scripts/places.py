"""Where results go and where data is read: the paths of the config, refused in one sentence where they cannot be meant."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from config_files import invisible
from fingerprint import ROOT

OWN = ("flatvae", "baselines", "workflow", "config", "profiles", "tests", "docs", ".git", ".snakemake", ".venv")


def expanded(key: str, text: str) -> Path:
    """A path of the config with its ``~`` expanded, and without ``//``, ``/./`` and a slash at its end.

    Raises:
        ValueError: it holds a control character or a variable, names a user who does not exist, or the system refuses it.
    """
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise ValueError(f"{key} is {text!r}; a path cannot hold a line break, a tab or another control character")
    if variable := re.search(r"\$([A-Za-z_]\w*|[({]\S*)", text):
        raise ValueError(f"{key} is {text}; variables such as {variable[0]} are not expanded, so write the path itself")
    try:
        path = Path(text).expanduser()
        path.exists()
    except RuntimeError:
        user = Path(text).parts[0]
        raise ValueError(f"{key} is {text}; there is no user {user}, so write the path without ~") from None
    except OSError as error:  # too long a name, or a folder that may not be read
        raise ValueError(f"{key} is {text}, which the system refuses ({error.strerror}); choose another") from None
    return path


def results_folder(text: str) -> str:
    """The results folder as the rules name it. Nothing is written here.

    Raises:
        ValueError: it is no folder for results, or it cannot be made or written.
    """
    key = "config: results_dir"
    folder = expanded(key, text)
    if "{" in text or "}" in text:
        raise ValueError(f"{key} is {text}; braces are Snakemake's wildcards, so leave them out")
    if found := invisible(text):
        raise ValueError(f"{key} is {text!r}, which holds {found}; delete it")
    if text != text.strip():
        raise ValueError(f"{key} is {text!r}; take away the space at its beginning or end")
    if "~" in folder.parts or re.match(r"\w+://", text):
        raise ValueError(f"{key} is {text}; it must be a folder of this machine, with ~ at the beginning alone")
    full, target = folder.absolute(), Path(os.path.realpath(folder))
    there = next(path for path in (full, *full.parents) if os.path.lexists(path))
    if target in (Path.cwd(), Path(os.path.realpath(os.path.expanduser("~"))), ROOT, *ROOT.parents):
        raise ValueError(f"{key} is {text!r}, the folder {target}; give the results a folder of their own")
    if target.is_relative_to(ROOT) and target.relative_to(ROOT).parts[0] in OWN:
        raise ValueError(f"{key} is {text}, in the project's own {target.relative_to(ROOT).parts[0]}; choose another")
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{key} {text} cannot be written (see {there}); make it writable, or set another")
    return re.sub("^//", "/", str(folder))


def _data_paths(config: dict) -> Iterator[tuple[str, object]]:
    """(key, path) of everything that data is read from or kept in."""
    if config["data_root"]:
        yield "config: data_root", config["data_root"]
    for name in ("FLATVAE_DATA", "FLATVAE_CACHE"):
        if os.environ.get(name):
            yield f"the environment variable {name}", os.environ[name]
    for dataset, of in config["datasets"].items():
        path = of.get("options", {}).get("path")
        key = f"config: datasets.{dataset}.options.path"
        if isinstance(path, dict):
            yield from ((f"{key}.{part}", file) for part, file in path.items())
        elif path is not None:
            yield key, path


def check_data(config: dict) -> None:
    """Checks the paths of the data; whether data is there, its loader says.

    Raises:
        ValueError: one cannot be meant.
    """
    for key, path in _data_paths(config):
        if not isinstance(path, str):
            raise ValueError(f"{key} is {path!r}; it must be a text")
        expanded(key, path)
