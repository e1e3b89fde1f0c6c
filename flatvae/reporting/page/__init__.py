"""The HTML page of one or several runs: a file that opens from disk and needs neither network nor server.

The file contains styles, script and the table widget (DataTables from ``itables``, MIT licence). Figures and downloads are
linked by relative paths, so that a results folder can be moved as a whole.

``python -m flatvae.reporting.page results/a results/b --output index.html`` makes a page with a switch between runs.
"""

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from flatvae.errors import InputError
from flatvae.reporting import summary


def make(folders: Sequence[str | PathLike], output: str | PathLike) -> None:
    """Write the page of these results folders.

    Args:
        folders: one for each run, in the order of the switch.
        output: the file to write; links are relative to its folder.

    Raises:
        InputError: a folder has no metrics.csv, a file in it is damaged, or a package that the page needs is missing.
    """
    output_folder = Path(output).resolve().parent
    try:
        from flatvae.reporting.page.html import render

        text = render([(summary.read(folder), _relative(folder, output_folder)) for folder in folders])
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs the package {error.name}; install 'flatvae[workflow]'.") from None
    output_folder.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(text, encoding="utf-8")


def _relative(folder: str | PathLike, output_folder: Path) -> str:
    """The path of a folder as a prefix of links: empty, or ending in a slash."""
    path = Path(os.path.relpath(Path(folder).resolve(), output_folder)).as_posix()
    return "" if path == "." else f"{quote(path)}/"
