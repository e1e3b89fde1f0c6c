"""Says, before training starts, what will be trained and about how long that takes here.

``announce`` runs in Snakemake's own process and reads the jobs from its graph; the measuring, which needs torch, in a
process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from configuration import dataset_options, loader, specification


def file_stamp(config: dict, dataset: str) -> list | None:
    """Size and time of change of a user's own data file, so that a change of it is noticed; None for other data sets."""
    path = dataset_options(config, dataset).get("path")
    if path is None or not Path(path).is_file():
        return None
    stat = Path(path).stat()
    return [stat.st_size, stat.st_mtime_ns]


def announce(workflow, config: dict) -> None:
    """Prints the plan for the training jobs that are about to run; nothing where there are none."""
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name == "train"]
    trainings = [
        {
            "dataset": job.wildcards.dataset,
            "method": job.wildcards.method,
            "loader": loader(config, job.wildcards.dataset),
            "options": dataset_options(config, job.wildcards.dataset),
            **specification(config, job.wildcards.dataset, job.wildcards.method),
        }
        for job in sorted(jobs, key=lambda job: str(job.output))
    ]
    if not trainings:
        return
    request = {
        "trainings": trainings,
        "seeds": config["seeds"],
        "root": config["data_root"],
        "device": config["device"],
    }
    request["cores"] = workflow.cores or 1
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve())]
    subprocess.run(command, input=json.dumps(request), text=True, env=environment, stdout=sys.stderr, check=False)


def main() -> None:
    """Measures a few steps of each training of the request on standard input, and prints the plan."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from flatvae import datasets, training
    from flatvae.errors import InputError

    request = json.load(sys.stdin)
    print(f"flatvae: {len(request['trainings'])} trainings to run, {request['seeds']} seeds each")
    known, total = {}, 0.0
    for t in request["trainings"]:
        steps = t["hyperparameters"]["steps"]
        line = f"  {t['dataset']}/{t['method']}: {steps} steps"
        try:
            if t["dataset"] not in known:
                known[t["dataset"]] = datasets.load(t["loader"], request["root"], **t["options"])
            seconds = steps * training.seconds_per_step(
                t["builder"], known[t["dataset"]], t["hyperparameters"], request["seeds"], request["device"]
            )
        except InputError as error:  # the job itself will say so and stop; the plan is not the place to fail
            print(f"{line}, time unknown: {error}")
            continue
        total += seconds
        print(f"{line}, about {seconds / 60:.1f} min")
    parallel = min(request["cores"], len(request["trainings"])) if request["device"] != "cuda" else 1
    print(f"  in all about {total / 60 / parallel:.0f} min of training, {parallel} at a time", flush=True)


if __name__ == "__main__":
    main()
