"""The verdicts on the first page of ``snakemake --report``."""

from pathlib import Path


def seeds(trained: dict[str, int]) -> str:
    """The numbers of seeds of the data sets, in words."""
    from flatvae.reporting.trained import seeds_text

    return seeds_text(trained)


def verdicts(folder: str) -> str:
    """The verdicts of a run's ledger in reStructuredText, or a sentence if there is no ledger."""
    from flatvae.reporting import overview

    ledger = Path(folder, "claims.csv")
    if not ledger.is_file():
        return "This run has no ledger of claims."
    return overview.overview_rst(overview.read(ledger))
