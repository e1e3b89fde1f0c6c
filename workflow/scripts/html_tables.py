"""The run's tables and ledgers as pages of HTML."""

from adapter import job

with job(snakemake):
    from flatvae.reporting import html_tables

    for source, target in zip(snakemake.input, snakemake.output, strict=True):
        html_tables.write(source, target)
