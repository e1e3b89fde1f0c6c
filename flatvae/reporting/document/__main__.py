"""The command ``python -m flatvae.reporting.document``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from flatvae.errors import InputError
from flatvae.reporting.document import make


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report of a run as a PDF."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.reporting.document", description=main.__doc__)
    parser.add_argument("results", type=Path, help="a folder of results")
    parser.add_argument("--output", type=Path, help="the file to write; default: report.pdf in the folder")
    parser.add_argument(
        "--fidelity", type=Path, help="the page on fidelity to the paper, docs/fidelity.md; default: none"
    )
    options = parser.parse_args(arguments)
    output = options.output or options.results / "report.pdf"
    try:
        make(options.results, output, options.fidelity)
    except (InputError, OSError) as error:
        parser.error(str(error))
    print(f"open {output}")


if __name__ == "__main__":
    main()
