"""Searches the hyperparameters of one method on one data set's validation data."""

import importlib
import shutil
from pathlib import Path

from adapter import job
from resolution import with_bound

with job(snakemake):
    import torch

    from flatvae import datasets, selection, training

    torch.set_num_threads(snakemake.threads)
    training.keep_cache(Path(snakemake.config["results_dir"], ".cache", "inductor"))
    data, params = snakemake.params.data, snakemake.params
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    seeds = [selection.FIRST_SEED + s for s in range(params.seeds)]
    others = [selection.FIRST_SEED + params.seeds + s for s in range(selection.CONFIRMING)]
    module, device = importlib.import_module(params.searched["builder"]), training.choose_device(params.device)
    common = with_bound(params.searched["hyperparameters"], snakemake.input[0])
    folder = Path(snakemake.output[0]).parent / f".checkpoint-{snakemake.wildcards.method}"

    def trained(candidate, number, seeds, name):
        settings, seconds = common | candidate, 60 * snakemake.config["checkpoint_minutes"]
        snapshots = training.snapshots_at(
            folder / f"{name}{number}.safetensors",
            params.searched["builder"],
            dataset,
            settings,
            seeds,
            params.device,
            params.code,
            seconds,
        )
        label = f"{snakemake.wildcards.dataset}/{snakemake.wildcards.method} candidate {number}"
        return selection.try_candidate(module, dataset, candidate, settings, seeds, device, label, snapshots)

    def tried(candidate, number):
        return trained(candidate, number, seeds, "")

    def confirm(candidate, number):
        return trained(candidate, number, others, "again")

    grid = params.searched["grid"]
    table = selection.search(grid, tried, params.widenings, confirm, params.confirmations)
    table.insert(0, "method", snakemake.wildcards.method)
    table.to_csv(snakemake.output[0], index=False, float_format="%.6g")
    shutil.rmtree(folder, ignore_errors=True)
