"""Records the run's environment and the times of its jobs: everything that must not be in metrics.csv."""

import json
import os
import platform
from pathlib import Path

from adapter import job

with job(snakemake):
    from importlib.metadata import version

    from flatvae import checkpoint

    def measured(path):
        """Wall time and memory of a job, as Snakemake measured them."""
        (line,) = path.read_text().splitlines()
        record = json.loads(line)
        return {"seconds": record["s"], "max_rss_mb": record["max_rss"]}

    def processor():
        """The processor's name; empty if the system does not tell it."""
        path = Path("/proc/cpuinfo")
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(names, platform.processor())

    packages = ["torch", "numpy", "pandas", "scipy", "scikit-learn", "snakemake"]
    trainings, evaluations = {}, {}
    for path in map(Path, snakemake.input.models):
        name, logs, kept = "/".join(path.parts[-3:-1]), path.parent / "logs", checkpoint.metadata(path)
        trainings[name] = measured(logs / "train.benchmark.jsonl")
        if (tries := logs / "train.seconds").exists():  # the steps of all tries of an interrupted training
            trainings[name]["seconds"] = max(trainings[name]["seconds"], float(tries.read_text()))
        trainings[name] |= {
            "steps": kept["training"]["steps"],
            "seeds": len(kept["seeds"]),
            "threads": kept["threads"],
            "device": kept["device"],
            "torch": kept["torch"],
        }
        evaluations[name] = {}
        if snakemake.params.tasks[path.parts[-3]]:
            evaluations[name] = json.loads((path.parent / "evaluation.json").read_text(encoding="utf-8"))
    record = {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "device": snakemake.params.device,
        "evaluation_device": snakemake.params.evaluation_device,
        "training": trainings,
        "evaluation": evaluations,
    }
    Path(snakemake.output[0]).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
