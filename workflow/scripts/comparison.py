"""The table of all methods over one of them, from the tidy file alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import comparison, statistics, tables

    params, stem = snakemake.params, Path(snakemake.output.csv).with_suffix("")
    metrics = statistics.read_metrics(snakemake.input[0])
    if comparison.improvement(metrics, params.datasets, params.methods, params.baseline).empty:
        tables.write_note(f"There are no numbers of {params.baseline} to compare with.", stem)
    else:
        chosen = params.datasets, params.methods, params.n_seeds, params.baseline
        tables.write(comparison.table(metrics, *chosen), stem)
