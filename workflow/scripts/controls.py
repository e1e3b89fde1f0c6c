"""Makes the table of controls from metrics.csv alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import controls, statistics

    metrics, params = statistics.read_metrics(snakemake.input[0]), snakemake.params
    table = controls.check(metrics, params.controls, params.methods, params.datasets)
    controls.write(table, Path(snakemake.output.csv).with_suffix(""))
    print(controls.to_markdown(table))
