"""A table of one task, from the tidy files alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    import pandas as pd

    from flatvae.reporting import statistics, tables

    params, task = snakemake.params, snakemake.wildcards.task
    metrics = pd.concat([statistics.read_metrics(path) for path in snakemake.input])
    metrics = metrics[
        ~metrics["metric"].str.contains("_seconds_at_")
    ]  # these are for the figure: the table has the largest N
    stem = Path(snakemake.output.csv).with_suffix("")
    if (metrics["task"] == task).any():
        tables.write(tables.task_table(metrics, task, params.datasets, params.methods, params.n_seeds), stem)
    else:
        tables.write_note(f"No data set and method of this run has numbers of the task {task}.", stem)
