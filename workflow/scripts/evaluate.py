"""Runs all tasks of a trained model, for every seed, and skips tasks whose results an earlier job kept."""

import json
import resource
import time
from pathlib import Path

from adapter import job
from kept import Kept, sha256

with job(snakemake):
    import functools
    import importlib

    import numpy as np
    import torch

    from flatvae import datasets, evaluation
    from flatvae.training.devices import choose_device

    torch.set_num_threads(snakemake.threads)
    params, model = snakemake.params, snakemake.input.model
    dataset = datasets.load(params.data["loader"], params.data["root"], **params.data["options"])
    common = {"data": sha256(snakemake.input.data), "model": sha256(model), "torch": torch.__version__}
    record = {}
    for task, *outputs in zip(params.tasks, snakemake.output.metrics, snakemake.output.arrays, strict=True):
        own = params.tasks[task]
        device = choose_device(params.device if task in evaluation.FASTER_ON_A_GPU else "cpu")
        kept = Kept(Path(model).parent / ".evaluated", task, {**common, **own, "device": str(device)})
        if found := kept.restore(outputs):
            record[task] = found
            print(f"{task}: kept from an earlier job")
            continue
        started = time.perf_counter()
        distances = {
            name: functools.partial(importlib.import_module(made["builder"]).distance, **made["options"])
            for name, made in own["distances"].items()
        }
        rows, arrays = evaluation.evaluate_seeds(task, model, dataset, params.builder, distances, device)
        rows.to_csv(outputs[0], index=False)
        with open(outputs[1], "wb") as file:
            np.savez_compressed(file, **arrays)
        seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        record[task] = {"seconds": round(seconds, 3), "max_rss_mb": round(peak, 1)}
        kept.keep(outputs, record[task])
        print(f"{task}: {seconds:.1f} s", flush=True)
    Path(snakemake.output.record).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
