"""One evaluation of every seed of a trained method."""

import functools
import importlib

from adapter import job

with job(snakemake):
    import numpy as np
    import torch

    from flatvae import datasets, evaluation
    from flatvae.training.devices import choose_device

    torch.set_num_threads(snakemake.threads)
    data = snakemake.params.data
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    distances = {
        name: functools.partial(importlib.import_module(made["builder"]).distance, **made["options"])
        for name, made in snakemake.params.distances.items()
    }
    rows, arrays = evaluation.evaluate_seeds(
        snakemake.wildcards.task,
        snakemake.input.model,
        dataset,
        snakemake.params.builder,
        distances,
        choose_device(snakemake.params.device),
    )
    rows.to_csv(snakemake.output.metrics, index=False)
    np.savez_compressed(snakemake.output.arrays, **arrays)
