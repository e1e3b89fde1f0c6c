import os
import sys
from pathlib import Path

SCRIPTS = str(Path(workflow.current_basedir).parent / "scripts")
sys.path.insert(0, SCRIPTS)

import adapter
import config_files
import console
import kept
import landing
import last_lines
import own_rules
import plan
import single
from fingerprint import ROOT, files_fingerprint, fingerprint, has_penalty, keywords
from outputs import COMPARED_WITH, Run, caption
from places import results_folder
from resolution import (
    bound,
    builder,
    dataset_options,
    descriptor,
    distances,
    loader,
    own_rule,
    grid_size,
    searched,
    seeds,
    specification,
    summary_options,
    takes_distances,
    wants_gpu,
)
from validation import check

from snakemake.exceptions import WorkflowError

CONSOLE = console.install(workflow)
os.environ[adapter.RUN] = str(os.getpid())  # jobs end when this process ends


CONFIG = Path(SCRIPTS).parents[1] / "config"  # the project's folder, wherever a run writes
DEFAULTS = [str(CONFIG / f"{part}.yaml") for part in ("config", "claims", "controls", "search")]

try:
    config_files.check_arguments(sys.argv)
    for file in (*DEFAULTS, *workflow.overwrite_configfiles):
        config_files.check(file)
except ValueError as error:
    raise WorkflowError(str(error)) from None

for file in DEFAULTS:

    configfile: file


try:
    if workflow.is_main_process:  # jobs get the same config, already checked
        check(config, Path(SCRIPTS).parent / "schemas" / "config.schema.yaml")
    OUT = results_folder(config["results_dir"])
except ValueError as error:
    raise WorkflowError(str(error)) from None

RUN = Run(config, OUT)
if any(argument.startswith("--report") for argument in sys.argv):
    # for the report's captions
    config["verdicts"] = landing.verdicts(OUT)
    config["seeds_text"] = landing.seeds({dataset: seeds(config, dataset) for dataset in RUN.datasets})


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    method="|".join(config["methods"]),
    descriptor="|".join(RUN.descriptors),


def data_params(wildcards):
    """What a job needs to load a data set; changing it reruns the job."""
    return {
        "loader": loader(config, wildcards.dataset),
        "root": config["data_root"],
        "options": dataset_options(config, wildcards.dataset),
    }


def methods_of(module):
    """Pattern of the methods that a module builds, for the rules of baselines that have their own."""
    return RUN.built_by(module)


def data_code(wildcards):
    return fingerprint(
        "flatvae.datasets", f"flatvae.datasets.{loader(config, wildcards.dataset)}", "flatvae.variance"
    )


def method_modules(wildcards):
    """Entry modules of the code that builds this method's model on this data set."""
    builder = specification(config, wildcards.dataset, wildcards.method)["builder"]
    return [builder, "flatvae.checkpoint", f"flatvae.datasets.{loader(config, wildcards.dataset)}"]


def without(wildcards):
    """Modules that the training imports but never calls for a method without a penalty."""
    builder = specification(config, wildcards.dataset, wildcards.method)["builder"]
    return [] if has_penalty(builder) else ["flatvae.flattening"]


def evaluation_tasks(wildcards):
    """The tasks of a data set's models, each with everything that its results depend on."""
    found = {}
    for task in RUN.evaluated(wildcards.dataset):
        handed = distances(config, wildcards.dataset) if takes_distances(task) else {}
        entries = [f"flatvae.evaluation.{task}", *method_modules(wildcards)]
        made = [distance["builder"] for distance in handed.values()]
        found[task] = {"distances": handed, "code": fingerprint(*entries, *made, without=without(wildcards))}
    return found


def run_code():
    """Fingerprint of the code behind each task, method and data set of the run; runs of equal ones can be merged."""
    entries = {f"task {task}": [f"flatvae.evaluation.{task}"] for task in RUN.tasks}
    entries |= {f"method {m}": ["flatvae.training.results", builder(config, m)] for m in RUN.methods}
    entries |= {
        f"distance {name}": [distance["builder"]]
        for d in RUN.datasets
        for name, distance in distances(config, d).items()
    }
    entries |= {f"data set {d}": [f"flatvae.datasets.{loader(config, d)}"] for d in RUN.datasets}
    return {name: fingerprint(*modules) for name, modules in entries.items()}


def figure_code(wildcards):
    """Fingerprint of the code behind a data set's figures, including its loader."""
    entries = ["flatvae.reporting.figures", "flatvae.reporting.figure_registry", "flatvae.reporting.results"]
    return fingerprint(*entries, f"flatvae.datasets.{loader(config, wildcards.dataset)}")


def texts(form):
    """Fingerprint of what the page or the document shows besides numbers: templates, figures' captions, fidelity to the paper."""
    folder = ROOT / "flatvae" / "reporting"
    also = [ROOT / "docs" / "fidelity.md"] * (form == "document")
    return files_fingerprint(folder / form / "templates", folder / "figure_captions", *also)


def trained_by_steps(dataset):
    """Methods of a data set that the suite's own training loop trains."""
    return [
        m
        for m in RUN.methods_on(dataset)
        if own_rule(config, m) is None and keywords(builder(config, m), "fit") is None
    ]


def efficiency_code(wildcards):
    methods = RUN.methods_on(wildcards.dataset)
    builders = [specification(config, wildcards.dataset, method)["builder"] for method in methods]
    made = [distance["builder"] for distance in distances(config, wildcards.dataset).values()]
    return fingerprint("flatvae.evaluation.efficiency", "flatvae.training.timing", *builders, *made)


def efficiency_params(wildcards):
    return {
        "methods": RUN.methods_on(wildcards.dataset),
        "trainings": {
            method: specification(config, wildcards.dataset, method)
            for method in trained_by_steps(wildcards.dataset)
        },
        "n_seeds": seeds(config, wildcards.dataset),
        "device": "cpu",  # everything is timed on the CPU: the job asks for no GPU
        "distance": distances(config, wildcards.dataset).get("geodesic"),
        **config["efficiency"],
    }


def search_inputs(wildcards):
    """The search of every method that runs; a method without candidates would be at a disadvantage."""
    for method in RUN.methods_on(wildcards.dataset):
        if method not in config.get("search", {}).get("candidates", {}):
            raise WorkflowError(
                f"config: search.candidates lacks {method}; give it as many as the others, or leave it out of run"
            )
    return [f"{OUT}/search/{wildcards.dataset}/{method}.csv" for method in RUN.methods_on(wildcards.dataset)]
