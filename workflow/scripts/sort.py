"""Runs SORT, which ignores appearance, as a control of the tracking task."""

from adapter import job

with job(snakemake):
    from flatvae import datasets
    from flatvae.evaluation import frame, tracking

    data = snakemake.params.data
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    frame("tracking", 0, tracking.sort(dataset)).to_csv(snakemake.output[0], index=False)
