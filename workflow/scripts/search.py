"""Trains the candidates of one method on one data set and measures them on its validation data."""

import importlib
import shutil
from pathlib import Path

from adapter import job

with job(snakemake):
    import torch

    from flatvae import datasets, selection, training

    torch.set_num_threads(snakemake.threads)
    training.keep_cache(Path(snakemake.config["results_dir"], ".cache", "inductor"))
    data, params = snakemake.params.data, snakemake.params
    dataset, seeds = datasets.load(data["loader"], data["root"], **data["options"]), list(range(params.seeds))
    builder, folder = params.candidates["builder"], Path(snakemake.output[0]).parent
    folder = folder / f".checkpoint-{snakemake.wildcards.method}"

    def snapshots_of(number, candidate):
        settings, seconds = candidate["hyperparameters"], 60 * snakemake.config["checkpoint_minutes"]
        path = folder / f"{number}.safetensors"
        return training.snapshots_at(path, builder, dataset, settings, seeds, params.device, params.code, seconds)

    table = selection.try_candidates(
        importlib.import_module(builder),
        dataset,
        params.candidates["candidates"],
        seeds,
        training.choose_device(params.device),
        f"{snakemake.wildcards.dataset}/{snakemake.wildcards.method}",
        snapshots_of,
    )
    table.insert(0, "method", snakemake.wildcards.method)
    table["chosen"] = [int(i == selection.choose(table)) for i in range(len(table))]
    table.to_csv(snakemake.output[0], index=False, float_format="%.6g")
    shutil.rmtree(folder, ignore_errors=True)
