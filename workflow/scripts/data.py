"""Loads a data set before anything is trained on it: downloads it, checks it and records its description."""

import json
from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae import datasets, variance

    data = snakemake.params.data
    dataset = datasets.load(data["loader"], data["root"], **data["options"])
    summary = variance.summary(dataset, **snakemake.params.summary)
    record = {**dataset.description(), "sha256": dataset.fingerprint(), **summary}
    print(f"{snakemake.wildcards.dataset}: {record}")
    Path(snakemake.output[0]).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
