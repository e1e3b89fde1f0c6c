"""Makes an HTML page of each table and ledger of the run."""

from adapter import job

with job(snakemake):
    from flatvae.reporting import html_tables

    for source, target in zip(snakemake.input, snakemake.output, strict=True):
        html_tables.write(source, target)
