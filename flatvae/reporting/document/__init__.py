"""The report of a run: a PDF in the form of a paper, from the same summary as the page, for reviewers and supplements.

Typst typesets it offline with the fonts in its package, so that the same results folder gives the same bytes everywhere.

``python -m flatvae.reporting.document results`` writes the report of a folder.
"""

from os import PathLike
from pathlib import Path

from flatvae.errors import InputError
from flatvae.reporting import summary


def make(folder: str | PathLike, output: str | PathLike, fidelity: str | PathLike | None = None) -> None:
    """Write the report of a results folder.

    Args:
        folder: the results folder. Sections without files are left out.
        output: the PDF to write.
        fidelity: a Markdown page on fidelity to the paper; without the file the report has no such section.

    Raises:
        InputError: the folder has no metrics.csv, a file in it is damaged, or a package that the report needs is missing.
    """
    run = summary.read(folder)
    page = Path(fidelity) if fidelity is not None else None
    try:
        import typst

        from flatvae.reporting.document.typesetting import source

        text = source(run, page.read_text(encoding="utf-8") if page and page.is_file() else "")
    except ModuleNotFoundError as error:
        raise InputError(f"the report needs the package {error.name}; install 'flatvae[workflow]'.") from None
    try:
        pdf = typst.compile(text.encode("utf-8"), root=folder, ignore_system_fonts=True)
    except typst.TypstError as error:
        raise InputError(f"{output} cannot be typeset ({_sentence(error)}); make the figures again.") from None
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_bytes(pdf)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
