"""Runs the neighbours task on raw observations, as a control without a method."""

from adapter import job

with job(snakemake):
    from flatvae import datasets
    from flatvae.evaluation import frame, neighbours

    data = snakemake.params.data
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    frame("neighbours", 0, neighbours.control(dataset)).to_csv(snakemake.output[0], index=False)
