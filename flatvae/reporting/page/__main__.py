"""The command ``python -m flatvae.reporting.page``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from flatvae.errors import InputError
from flatvae.reporting.page import make


def main(arguments: Sequence[str] | None = None) -> None:
    """Write an HTML page of one or several runs."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.reporting.page", description=main.__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of results")
    parser.add_argument("--output", type=Path, help="the file to write; default for one run: index.html in its folder")
    options = parser.parse_args(arguments)
    if options.output is None and len(options.results) > 1:
        parser.error("several runs need --output; name the page to write")
    output = options.output or options.results[0] / "index.html"
    try:
        make(options.results, output)
    except (InputError, OSError) as error:
        parser.error(str(error))
    print(f"open {output}")


if __name__ == "__main__":
    main()
