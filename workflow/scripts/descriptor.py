"""Evaluates a descriptor that is no method of the run; every seed if the descriptor is random."""

import importlib
import inspect

from adapter import job

with job(snakemake):
    import pandas as pd
    import torch

    from flatvae import datasets
    from flatvae.evaluation import frame, neighbours, tracking

    torch.set_num_threads(snakemake.threads)
    data, made = snakemake.params.data, snakemake.params.descriptor
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    make = importlib.import_module(made["builder"]).descriptor
    random = "seed" in inspect.signature(make).parameters
    evaluate = {"neighbours": neighbours.described, "tracking": tracking.track}
    rows = []
    for seed in range(snakemake.params.seeds) if random else [0]:
        describe = make(dataset, **({"seed": seed} if random else {}), **made["options"])
        rows += [frame(task, seed, evaluate[task](describe, dataset)) for task in snakemake.params.tasks]
    pd.concat(rows).to_csv(snakemake.output[0], index=False)
