"""What the run was made with and how long its trainings took: everything that must not be in metrics.csv."""

import json
import platform
from pathlib import Path

from adapter import job

with job(snakemake):
    from importlib.metadata import version

    from flatvae import checkpoint

    packages = ["torch", "numpy", "pandas", "scipy", "scikit-learn", "snakemake"]
    seconds = {}
    for path in map(Path, snakemake.input):
        (line,) = (path.parent / "logs" / "train.benchmark.jsonl").read_text().splitlines()
        measured = json.loads(line)
        seconds["/".join(path.parts[-3:-1])] = {
            "seconds": measured["s"],
            "max_rss_mb": measured["max_rss"],
            "threads": checkpoint.metadata(path)["threads"],
        }
    record = {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "device": snakemake.params.device,
        "seeds": snakemake.params.seeds,
        "training": seconds,
    }
    Path(snakemake.output[0]).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
