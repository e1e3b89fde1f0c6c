"""Trains the candidates of one method on one data set and measures them on its validation data."""

import importlib

from adapter import job

with job(snakemake):
    import torch

    from flatvae import datasets, selection, training

    torch.set_num_threads(snakemake.threads)
    data, params = snakemake.params.data, snakemake.params
    table = selection.try_candidates(
        importlib.import_module(params.candidates["builder"]),
        datasets.load(data["loader"], data["root"], **data["options"]),
        params.candidates["candidates"],
        list(range(params.seeds)),
        training.choose_device(params.device),
        f"{snakemake.wildcards.dataset}/{snakemake.wildcards.method}",
    )
    table.insert(0, "method", snakemake.wildcards.method)
    table["chosen"] = [int(i == selection.choose(table)) for i in range(len(table))]
    table.to_csv(snakemake.output[0], index=False, float_format="%.6g")
