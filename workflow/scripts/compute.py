"""The table of what the run cost, from its record."""

import json
from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import compute, tables

    record = json.loads(Path(snakemake.input[0]).read_text(encoding="utf-8"))
    params = snakemake.params
    table = tables.task_table(compute.rows(record), "compute", params.datasets, params.methods, 1)
    tables.write(table, Path(snakemake.output.csv).with_suffix(""))
