"""Fails where a control does not hold. A separate job, so that the table of controls is written first."""

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
