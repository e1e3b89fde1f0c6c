import sys
from pathlib import Path

SCRIPTS = str(Path(workflow.current_basedir).parent / "scripts")
sys.path.insert(0, SCRIPTS)

import plan
from configuration import candidates, check, dataset_options, loader, specification, wants_gpu
from fingerprint import fingerprint, has_penalty

from snakemake.exceptions import WorkflowError


configfile: "config/config.yaml"


try:
    check(config, Path(SCRIPTS).parent / "schemas" / "config.schema.yaml")
except ValueError as error:
    raise WorkflowError(str(error)) from None

OUT = config["results_dir"].rstrip("/")
DATASETS = config["run"]["datasets"]
METHODS = config["run"]["methods"]
TASKS = config["run"]["tasks"]


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    method="|".join(config["methods"]),
    task="|".join(TASKS),
    figure="flatness|latent_map|reconstructions|training_curves",


def data_params(wildcards):
    """What a job needs to load a data set; a change of it reruns the job."""
    return {
        "loader": loader(config, wildcards.dataset),
        "root": config["data_root"],
        "options": dataset_options(config, wildcards.dataset),
    }


def data_code(wildcards):
    return fingerprint("flatvae.datasets", f"flatvae.datasets.{loader(config, wildcards.dataset)}")


def method_modules(wildcards):
    """Entry modules of the code that makes a model of this method on this data set."""
    builder = specification(config, wildcards.dataset, wildcards.method)["builder"]
    return [builder, "flatvae.checkpoint", f"flatvae.datasets.{loader(config, wildcards.dataset)}"]


def without(wildcards):
    """Modules that a method without a penalty never calls, though the training can."""
    builder = specification(config, wildcards.dataset, wildcards.method)["builder"]
    return [] if has_penalty(builder) else ["flatvae.flattening"]


def gpu(wildcards):
    return int(wants_gpu(config))


def search_inputs(wildcards):
    """The search of every method that runs: without candidates of its own, a method would be at a disadvantage."""
    for method in METHODS:
        if method not in config.get("search", {}).get("candidates", {}):
            raise WorkflowError(
                f"config: search.candidates lacks {method}; give it as many as the others, or leave it out of run"
            )
    return [f"{OUT}/search/{wildcards.dataset}/{method}.csv" for method in METHODS]


def metric_files():
    files = expand(
        f"{OUT}/{{dataset}}/{{method}}/{{task}}.csv",
        dataset=DATASETS,
        method=METHODS,
        task=["training", *TASKS],
    )
    if "neighbours" in TASKS:
        files += expand(f"{OUT}/{{dataset}}/control_neighbours.csv", dataset=DATASETS)
    return files


def table_files():
    return expand(f"{OUT}/tables/{{task}}.{{kind}}", task=TASKS, kind=["csv", "md", "tex"])


FIGURE_TASK = {"flatness": "flatness", "latent_map": "flatness", "reconstructions": "reconstruction"}


def figures_of(dataset):
    """Figures that can be drawn of a data set: those whose task is run, and a latent map where every method has n = 2."""
    two_dimensional = all(
        specification(config, dataset, method)["hyperparameters"].get("latent_dim") == 2 for method in METHODS
    )
    drawn = [figure for figure, task in FIGURE_TASK.items() if task in TASKS]
    return ["training_curves"] + [f for f in drawn if f != "latent_map" or two_dimensional]


def figure_files():
    return [
        f"{OUT}/figures/{dataset}_{figure}.{kind}"
        for dataset in DATASETS
        for figure in figures_of(dataset)
        for kind in ("pdf", "png")
    ]


def figure_inputs(wildcards):
    source = {"training_curves": "history.csv"} | {f: f"{task}.npz" for f, task in FIGURE_TASK.items()}
    return [f"{OUT}/{wildcards.dataset}/{method}/{source[wildcards.figure]}" for method in METHODS]
