"""Fails where a control does not hold; a job of its own, so that the table of controls is there to be read."""

from pathlib import Path

from adapter import job

with job(snakemake):
    import pandas as pd

    from flatvae.errors import InputError
    from flatvae.reporting import controls

    broken = controls.broken(pd.read_csv(snakemake.input.csv))
    if broken:
        raise InputError("\nflatvae: ".join(broken))
    Path(snakemake.output[0]).touch()
