"""Makes all tables from the tidy files and the run's record."""

import json
from pathlib import Path

from adapter import job

with job(snakemake):
    import pandas as pd

    from flatvae.reporting import comparison, compute, statistics, tables

    params = snakemake.params
    record = json.loads(Path(snakemake.input.run).read_text(encoding="utf-8"))
    numbers = [statistics.read_metrics(path) for path in snakemake.input.numbers]
    metrics = numbers[0]
    sources = {"compute": compute.rows(record), "efficiency": pd.concat(numbers)}
    for name, csv in zip(params.tables, snakemake.output.csv, strict=True):
        stem = Path(csv).with_suffix("")
        chosen = params.datasets, params.methods, 1 if name == "compute" else params.n_seeds
        if name == "comparison":
            comparison.write(metrics, *chosen, params.baseline, stem)
        else:
            tables.write_task(sources.get(name, metrics), name, *chosen, stem)
