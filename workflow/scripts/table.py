"""A table of one task, from metrics.csv alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import statistics, tables

    params, task = snakemake.params, snakemake.wildcards.task
    metrics = statistics.read_metrics(snakemake.input[0])
    stem = Path(snakemake.output.csv).with_suffix("")
    if (metrics["task"] == task).any():
        tables.write(tables.task_table(metrics, task, params.datasets, params.methods, params.n_seeds), stem)
    else:
        tables.write_note(f"No data set and method of this run has numbers of the task {task}.", stem)
