"""A table of one task, from metrics.csv alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import statistics, tables

    params, task = snakemake.params, snakemake.wildcards.task
    metrics = statistics.read_metrics(snakemake.input[0])
    table = tables.task_table(metrics, task, params.datasets, params.methods, params.n_seeds)
    tables.write(table, Path(snakemake.output.csv).with_suffix(""))
