"""Says, before training starts, what will be trained and about how long that takes here; refuses methods out of contract.

``announce`` runs in Snakemake's own process and reads the jobs from its graph; the measuring, which needs torch, in a
process of its own.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from adapter import end_with_parent
from resolution import candidates, dataset_options, loader, specification, wants_gpu
from snakemake.exceptions import WorkflowError

BROKEN = 3  # status of the process that finds a method which does not keep its contract


def file_stamp(config: dict, dataset: str) -> list | None:
    """Size and time of change of a user's own data file, so that a change of it is noticed; None for other data sets."""
    path = dataset_options(config, dataset).get("path")
    if path is None or not Path(path).expanduser().is_file():
        return None
    stat = Path(path).expanduser().stat()
    return [stat.st_size, stat.st_mtime_ns]


def announce(workflow, config: dict) -> None:
    """Prints the plan for the trainings, those of a search included, that are about to run; nothing where there are none.

    On a cluster the methods are only checked, on the CPU: where Snakemake runs there is neither the device nor the number of
    machines that the trainings will have.

    Raises:
        WorkflowError: a method does not keep its contract.
    """
    trainings = []
    for job in sorted(workflow.dag.needrun_jobs(), key=lambda job: str(job.output)):
        searching = job.rule.name == "search_candidates"
        if not searching and not hasattr(job.output, "model"):
            continue
        dataset, method = job.wildcards.dataset, job.wildcards.method
        trainings.append(
            {
                "dataset": dataset,
                "method": method,
                "loader": loader(config, dataset),
                "options": dataset_options(config, dataset),
                "seeds": config["search"]["seeds"] if searching else config["seeds"],
                "times": len(candidates(config, dataset, method)["candidates"]) if searching else 1,
                "by": job.rule.name,
                **specification(config, dataset, method),
            }
        )
    if not trainings:
        return
    cluster = workflow.non_local_exec
    device = "cpu" if cluster else config["device"]
    request = {"trainings": trainings, "root": config["data_root"], "device": device, "timed": not cluster}
    request["parallel"] = 1 if wants_gpu(config["device"]) else min(workflow.cores or 1, len(trainings))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve())]
    done = subprocess.run(
        command, input=json.dumps(request), text=True, env=environment, stdout=sys.stderr, check=False
    )
    # where it failed otherwise, for want of memory or of a GPU that is free, there is no reason not to try
    if done.returncode == BROKEN:
        raise WorkflowError("a method does not keep its contract (see above); nothing was run")


_data: dict[str, object] = {}  # every data set that is trained on, or the sentence of why it cannot be loaded


def _load(request: dict) -> None:
    """Fills _data, before the processes part that share it. Where one cannot be loaded the job itself will say so and stop."""
    from flatvae import datasets
    from flatvae.errors import InputError

    for t in request["trainings"]:
        if t["dataset"] not in _data:
            try:
                _data[t["dataset"]] = datasets.load(t["loader"], request["root"], **t["options"])
            except InputError as error:
                _data[t["dataset"]] = str(error)


def _tried(device: str, t: dict) -> dict[str, str | float]:
    """A training after a few of its steps: the ``seconds`` it takes, or why they are ``unknown``, or what is ``broken``."""
    from flatvae import training
    from flatvae.errors import ContractError, InputError

    data = _data[t["dataset"]]
    if isinstance(data, str):
        return {"unknown": data}
    try:
        if t["by"] not in {"train", "search_candidates"}:  # a rule of its own makes the models
            training.check_build(t["builder"], data, t["hyperparameters"])
            return {"unknown": f"the rule {t['by']} makes the models"}
        measured = training.estimated_seconds(t["builder"], data, t["hyperparameters"], t["seeds"], device)
        return {"seconds": t["times"] * measured}
    except ContractError as error:
        return {"broken": str(error)}
    except InputError as error:  # so will the job
        return {"unknown": str(error)}


def main() -> None:
    """Measures a few steps of each training of the request on standard input, side by side as they will run; prints the plan."""
    end_with_parent()
    from flatvae import training  # noqa: F401  once, before the processes part

    request = json.load(sys.stdin)
    trainings, tried = request["trainings"], functools.partial(_tried, request["device"])
    print(f"flatvae: {sum(t['times'] for t in trainings)} trainings to run", flush=True)
    _load(request)
    side_by_side = request["parallel"] if sys.platform == "linux" else 1
    pool = contextlib.nullcontext()
    if side_by_side > 1:
        pool = ProcessPoolExecutor(side_by_side, get_context("fork"), initializer=end_with_parent)
    broken, total = [], 0.0
    with pool as processes:
        for t, found in zip(trainings, (processes.map if processes else map)(tried, trainings), strict=True):
            repeated = f"{t['times']} × " if t["times"] > 1 else ""
            line = (
                f"  {t['dataset']}/{t['method']}: {repeated}{t['hyperparameters']['steps']} steps × {t['seeds']} seeds"
            )
            if "broken" in found:
                broken.append(found["broken"])
            elif "unknown" in found:
                print(f"{line}, time unknown: {found['unknown']}")
            else:
                total += found["seconds"]
                print(f"{line}, about {found['seconds'] / 60:.1f} min" if request["timed"] else line)
    if broken:
        print("\n" + "\n".join(f"flatvae: {sentence}" for sentence in dict.fromkeys(broken)) + "\n", flush=True)
        sys.exit(BROKEN)
    minutes = total / 60 / request["parallel"]
    if total and request["timed"]:
        print(f"  in all about {minutes:.1f} min for training alone, {request['parallel']} at a time", flush=True)


if __name__ == "__main__":
    main()
