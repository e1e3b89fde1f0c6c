"""Measures neighbour searches and training steps on one data set, for every method, in one process on one thread."""

import importlib

from adapter import job
from resolution import with_bound

with job(snakemake):
    import torch
    from threadpoolctl import threadpool_limits

    from flatvae import datasets
    from flatvae.evaluation import efficiency
    from flatvae.training.timing import step_timer

    torch.set_num_threads(1)
    data, measured = snakemake.params.data, snakemake.params.measured
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    distance = importlib.import_module(measured["distance"]["builder"])
    options = {"n_neighbours": measured["distance"]["options"].get("n_neighbours", 40)}
    trainings = {
        method: {
            "builder": specification["builder"],
            "hyperparameters": with_bound(specification["hyperparameters"], snakemake.input.data),
            "n_seeds": measured["n_seeds"],
            "device": measured["device"],
        }
        for method, specification in measured["trainings"].items()
    }
    with threadpool_limits(1):
        table = efficiency.measure(
            dict(zip(measured["methods"], snakemake.input.models, strict=True)),
            dataset,
            trainings,
            lambda model, nodes: distance.GeodesicDistance(model.decode, nodes, **options),
            measured["sizes"],
            measured["queries"],
            step_timer,
        )
    table.insert(0, "dataset", snakemake.wildcards.dataset)
    table.to_csv(snakemake.output[0], index=False)
