"""The report of the run as a PDF."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from fingerprint import ROOT

    from flatvae.reporting import document

    output = Path(snakemake.output[0])
    document.make(output.parent, output, ROOT / "docs" / "fidelity.md")
