"""Gathers the candidates of all methods on one data set in one table."""

from adapter import job

with job(snakemake):
    import pandas as pd

    table = pd.concat([pd.read_csv(path) for path in snakemake.input])
    table.to_csv(snakemake.output[0], index=False)
    print(table.to_string(index=False))
