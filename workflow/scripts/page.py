"""Makes the HTML page of the run."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import page

    output = Path(snakemake.output[0])
    page.make([output.parent], output)
