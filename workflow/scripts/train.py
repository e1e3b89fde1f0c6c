"""Trains every seed of a method on a data set and stores models, history and each seed's result."""

from pathlib import Path

from adapter import job
from resolution import with_bound

with job(snakemake):
    import torch

    from flatvae import datasets, training

    torch.set_num_threads(snakemake.threads)
    training.keep_cache(Path(snakemake.config["results_dir"], ".cache", "inductor"))
    data, wildcards = snakemake.params.data, snakemake.wildcards
    seconds = training.train_and_save(
        builder=snakemake.params.specification["builder"],
        dataset=datasets.load(data["loader"], data["root"], **data["options"]),
        hyperparameters=with_bound(snakemake.params.specification["hyperparameters"], snakemake.input[0]),
        seeds=range(snakemake.params.seeds),
        device=snakemake.params.device,
        label=f"{wildcards.dataset}/{wildcards.method}",
        model_path=snakemake.output.model,
        history_path=snakemake.output.history,
        metrics_path=snakemake.output.metrics,
        code=snakemake.params.code,
        # not in params: the interval between snapshots does not change the result
        snapshot_seconds=60 * snakemake.config["checkpoint_minutes"],
    )
    # Snakemake measures only the last try
    Path(snakemake.log[0]).with_suffix(".seconds").write_text(f"{seconds:.3f}\n")
