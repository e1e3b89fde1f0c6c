"""Checks the config's paths of results and data, and refuses mistaken ones in one sentence."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from config_files import invisible
from fingerprint import ROOT

OWN = ("flatvae", "baselines", "workflow", "config", "profiles", "tests", "docs", ".git", ".snakemake", ".venv")


def expanded(key: str, text: str) -> Path:
    """A path of the config with ``~`` expanded, and without ``//``, ``/./`` and a trailing slash.

    Raises:
        ValueError: it holds a control character or a variable, names a user who does not exist, or the system refuses it.
    """
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise ValueError(f"{key} is {text!r}; a path cannot hold a line break, a tab or another control character")
    if variable := re.search(r"\$([A-Za-z_]\w*|[({]\S*)", text):
        raise ValueError(f"{key} is {text}; variables such as {variable[0]} are not expanded: write the path itself")
    try:
        path = Path(text).expanduser()
        path.exists()
    except RuntimeError:
        user = Path(text).parts[0]
        raise ValueError(f"{key} is {text}; there is no user {user}: write the path without ~") from None
    except OSError as error:  # the name is too long, or a folder is not readable
        raise ValueError(f"{key} is {text}, which the system refuses ({error.strerror}); choose another") from None
    return path


def results_folder(text: str) -> str:
    """The results folder as the rules name it. Writes nothing.

    Raises:
        ValueError: results cannot go there, or the folder cannot be created or written.
    """
    key = "config: results_dir"
    folder = expanded(key, text)
    if "{" in text or "}" in text:
        raise ValueError(f"{key} is {text}; braces are Snakemake's wildcards: leave them out")
    if found := invisible(text):
        raise ValueError(f"{key} is {text!r}, which holds {found}; delete it")
    if text != text.strip():
        raise ValueError(f"{key} is {text!r}; remove the space at its beginning or end")
    if "~" in folder.parts or re.match(r"\w+://", text):
        raise ValueError(f"{key} is {text}; it must be a folder of this machine, with ~ only at the beginning")
    full, target = folder.absolute(), Path(os.path.realpath(folder))
    there = next(path for path in (full, *full.parents) if os.path.lexists(path))
    if target in (Path.cwd(), Path(os.path.realpath(os.path.expanduser("~"))), ROOT, *ROOT.parents):
        raise ValueError(f"{key} is {text!r}, the folder {target}; give the results their own folder")
    if target.is_relative_to(ROOT) and target.relative_to(ROOT).parts[0] in OWN:
        raise ValueError(f"{key} is {text}, in the project's own {target.relative_to(ROOT).parts[0]}; choose another")
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{key} {text} cannot be written (see {there}); make it writable, or set another")
    return re.sub("^//", "/", str(folder))


def _data_paths(config: dict) -> Iterator[tuple[str, object]]:
    """(key, path) of every place where data is read or kept."""
    if config["data_root"]:
        yield "config: data_root", config["data_root"]
    for name in ("FLATVAE_DATA", "FLATVAE_CACHE"):
        if os.environ.get(name):
            yield f"the environment variable {name}", os.environ[name]
    for dataset, section in config["datasets"].items():
        path = section.get("options", {}).get("path")
        key = f"config: datasets.{dataset}.options.path"
        if isinstance(path, dict):
            yield from ((f"{key}.{part}", file) for part, file in path.items())
        elif path is not None:
            yield key, path


def check_data(config: dict) -> None:
    """Checks the paths of the data; the loaders check the data itself.

    Raises:
        ValueError: a path is mistaken.
    """
    for key, path in _data_paths(config):
        if not isinstance(path, str):
            raise ValueError(f"{key} is {path!r}; it must be a text")
        expanded(key, path)
