"""Says, before training starts, what will be trained and about how long that takes here.

``announce`` runs in Snakemake's own process and reads the jobs from its graph; the measuring, which needs torch, in a
process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from configuration import candidates, dataset_options, loader, specification, wants_gpu


def file_stamp(config: dict, dataset: str) -> list | None:
    """Size and time of change of a user's own data file, so that a change of it is noticed; None for other data sets."""
    path = dataset_options(config, dataset).get("path")
    if path is None or not Path(path).expanduser().is_file():
        return None
    stat = Path(path).expanduser().stat()
    return [stat.st_size, stat.st_mtime_ns]


def announce(workflow, config: dict) -> None:
    """Prints the plan for the trainings, those of a search included, that are about to run; nothing where there are none.

    Nor on a cluster: where Snakemake runs there is neither the device nor the number of machines that they will have.
    """
    if workflow.non_local_exec:
        return
    trainings = []
    for job in sorted(workflow.dag.needrun_jobs(), key=lambda job: str(job.output)):
        if job.rule.name not in {"train", "search_candidates"}:
            continue
        dataset, method = job.wildcards.dataset, job.wildcards.method
        searching = job.rule.name == "search_candidates"
        trainings.append(
            {
                "dataset": dataset,
                "method": method,
                "loader": loader(config, dataset),
                "options": dataset_options(config, dataset),
                "seeds": config["search"]["seeds"] if searching else config["seeds"],
                "times": len(candidates(config, dataset, method)["candidates"]) if searching else 1,
                **specification(config, dataset, method),
            }
        )
    if not trainings:
        return
    request = {"trainings": trainings, "root": config["data_root"], "device": config["device"]}
    request["parallel"] = 1 if wants_gpu(config) else min(workflow.cores or 1, len(trainings))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve())]
    subprocess.run(command, input=json.dumps(request), text=True, env=environment, stdout=sys.stderr, check=False)


def main() -> None:
    """Measures a few steps of each training of the request on standard input, and prints the plan."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from flatvae import datasets, training
    from flatvae.errors import InputError

    request = json.load(sys.stdin)
    print(f"flatvae: {sum(t['times'] for t in request['trainings'])} trainings to run")
    known, total = {}, 0.0
    for t in request["trainings"]:
        steps = t["hyperparameters"]["steps"]
        repeated = f"{t['times']} × " if t["times"] > 1 else ""
        line = f"  {t['dataset']}/{t['method']}: {repeated}{steps} steps × {t['seeds']} seeds"
        try:
            if t["dataset"] not in known:
                known[t["dataset"]] = datasets.load(t["loader"], request["root"], **t["options"])
            seconds = (
                steps
                * t["times"]
                * training.seconds_per_step(
                    t["builder"], known[t["dataset"]], t["hyperparameters"], t["seeds"], request["device"]
                )
            )
        except InputError as error:  # the job itself will say so and stop; the plan is not the place to fail
            print(f"{line}, time unknown: {error}")
            continue
        total += seconds
        print(f"{line}, about {seconds / 60:.1f} min")
    minutes = total / 60 / request["parallel"]
    if total:
        print(f"  in all about {minutes:.1f} min for training alone, {request['parallel']} at a time", flush=True)


if __name__ == "__main__":
    main()
