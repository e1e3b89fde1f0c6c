"""Announces, before training starts, the trainings and their approximate times; refuses methods that break their contract.

``announce`` runs in Snakemake's own process and reads the jobs from its graph. The measurement needs torch and runs in a
separate process.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from adapter import end_with_parent
from resolution import dataset_options, grid_size, loader, searched, seeds, specification, summary_options, wants_gpu
from snakemake.exceptions import WorkflowError

BROKEN = 3  # exit status of the measuring process if a method breaks its contract


def file_stamp(config: dict, dataset: str) -> list | None:
    """Size and modification time of each of a user's own data files, to notice changes; None for other data sets."""
    path = dataset_options(config, dataset).get("path")
    files = [Path(file).expanduser() for file in (path.values() if isinstance(path, dict) else [path]) if file]
    if not files or not all(file.is_file() for file in files):
        return None
    return [number for file in files for number in (file.stat().st_size, file.stat().st_mtime_ns)]


def announce(workflow, config: dict, console=None) -> None:
    """Prints the plan for the trainings that are about to run, including those of a search, and the run's estimated time.

    Methods are tried on the CPU. For a GPU or a cluster it prints no times: a CPU's would not carry over.

    Raises:
        WorkflowError: a method breaks its contract.
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
                "summary": summary_options(config, dataset),
                "seeds": config["search"]["seeds"] if searching else seeds(config, dataset),
                "times": grid_size(searched(config, dataset, method)["grid"]) if searching else 1,
                "by": job.rule.name,
                **specification(config, dataset, method),
            }
        )
    timed = not workflow.non_local_exec and not wants_gpu(config["device"])
    seconds = _measured(workflow, config, trainings, timed) if trainings else {}
    if console is None:
        return
    about = console.expect(workflow, seconds)
    known = timed and len(seconds) == len(trainings) and all(t["by"] == "train" for t in trainings)
    duration = f", about {max(1, about / 60):.0f} min in all" if known else ""
    counted = [f"{n} {what}{'s' * (n != 1)}" for n, what in ((console.total, "job"), (console.cores, "core"))]
    print(f"flatvae: {' on '.join(counted)}{duration}", flush=True)


def _measured(workflow, config: dict, trainings: list[dict], timed: bool) -> dict[str, float]:
    """Tries a step of each training in a separate process, which prints the plan; returns «pendulum/vae» -> seconds.

    Raises:
        WorkflowError: see ``announce``.
    """
    request = {
        "trainings": trainings,
        "root": config["data_root"],
        "timed": timed,
        "parallel": min(workflow.cores or 1, len(trainings)),
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile("r", suffix=".json") as measured:
        command = [sys.executable, str(Path(__file__).resolve()), measured.name]
        done = subprocess.run(
            command, input=json.dumps(request), text=True, env=environment, stdout=sys.stderr, check=False
        )
        if done.returncode == BROKEN:
            raise WorkflowError("a method breaks its contract (see above); nothing was run")
        # other failures, such as too little memory or a busy GPU, need not stop the run
        return json.loads(measured.read() or "{}")


def _tried(t: dict, data) -> dict[str, str | float]:
    """Tries one step of a training; returns its ``seconds``, why they are ``unknown``, or how the method is ``broken``."""
    from flatvae.errors import ContractError, InputError
    from flatvae.training import timing

    try:
        if t["by"] not in {"train", "search_candidates"}:  # the baseline's own rule makes the models
            timing.check_build(t["builder"], data, t["hyperparameters"])
            return {"unknown": f"the rule {t['by']} makes the models"}
        return {"seconds": t["times"] * timing.estimated_seconds(t["builder"], data, t["hyperparameters"], t["seeds"])}
    except ContractError as error:
        return {"broken": str(error)}
    except InputError as error:  # the job itself will report it and stop
        return {"unknown": str(error)}


def _about(summary: dict, bound: float) -> str:
    """A data set's size and bound: «D = 4, total variance 4.573, PCA with n = 2 leaves 0.1019 (2.2%), bound 0.4573 (10.0%)»."""
    if "total_variance" not in summary:
        return f"D = {summary['dim']}, bound {bound:.4g} nats"
    variance = summary["total_variance"]
    text = f"D = {summary['dim']}, total variance {variance:.4g}"
    if "pca_error" in summary:
        left = f"{summary['pca_error']:.4g} ({summary['pca_unexplained']:.1%})"
        text += f", PCA with n = {summary['latent_dim']} leaves {left}"
    return f"{text}, bound {bound:.4g}" + (f" ({bound / variance:.1%})" if variance else "")


def _loaded(request: dict) -> dict[str, tuple | str]:
    """Every training data set with the summary of its variance, or the sentence that says why it cannot be loaded."""
    from flatvae import datasets, variance
    from flatvae.errors import InputError

    found = {}
    for t in request["trainings"]:
        if t["dataset"] not in found:
            try:
                data = datasets.load(t["loader"], request["root"], **t["options"])
                found[t["dataset"]] = data, variance.summary(data, **t["summary"])
            except InputError as error:
                found[t["dataset"]] = str(error)
    return found


def main() -> None:
    """Reads a request from standard input, tries a step of each of its trainings and prints the plan."""
    end_with_parent()
    request = json.load(sys.stdin)
    trainings, data = request["trainings"], _loaded(request)
    print(f"flatvae: {sum(t['times'] for t in trainings)} trainings to run", flush=True)
    broken, seconds, told = [], {}, set()
    for t in trainings:
        of_data = data[t["dataset"]]
        if isinstance(of_data, str):
            found = {"unknown": of_data}
        else:
            t["hyperparameters"].setdefault("bound", of_data[1].get("bound"))
            if t["dataset"] not in told:
                print(f"  {t['dataset']}: {_about(of_data[1], t['hyperparameters']['bound'])}", flush=True)
                told.add(t["dataset"])
            found = _tried(t, of_data[0])
        repeated = f"{t['times']} × " if t["times"] > 1 else ""
        line = f"  {t['dataset']}/{t['method']}: {repeated}{t['hyperparameters']['steps']} steps × {t['seeds']} seeds"
        if "broken" in found:
            broken.append(found["broken"])
        elif "unknown" in found:
            print(f"{line}, time unknown: {found['unknown']}")
        else:
            seconds[f"{t['dataset']}/{t['method']}"] = found["seconds"]
            print(f"{line}, about {found['seconds'] / 60:.1f} min" if request["timed"] else line, flush=True)
    if broken:
        print("\n" + "\n".join(f"flatvae: {sentence}" for sentence in dict.fromkeys(broken)) + "\n", flush=True)
        sys.exit(BROKEN)
    Path(sys.argv[1]).write_text(json.dumps(seconds), encoding="utf-8")
    minutes = sum(seconds.values()) / 60 / request["parallel"]
    if minutes and request["timed"]:
        print(f"  in all about {minutes:.1f} min for training alone, {request['parallel']} at a time", flush=True)


if __name__ == "__main__":
    main()
