"""Gathers the numbers of all jobs in one tidy file. A file without dataset and method columns gets them from its path."""

from pathlib import Path

from adapter import job

with job(snakemake):
    import pandas as pd

    from flatvae.reporting.statistics import COLUMNS, read_metrics

    frames = []
    for path in map(Path, snakemake.input):
        *_, dataset, method = path.parts[:-1]
        if path.name.startswith("control_"):
            dataset, method = method, ""
        rows = pd.read_csv(path, keep_default_na=False)
        frames.append(rows if "method" in rows else rows.assign(dataset=dataset, method=method))
    pd.concat(frames)[COLUMNS].to_csv(snakemake.output[0], index=False, float_format="%.9g")
    read_metrics(snakemake.output[0])  # refuses NaN and repeated rows
