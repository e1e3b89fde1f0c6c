import sys
from pathlib import Path

SCRIPTS = str(Path(workflow.current_basedir).parent / "scripts")
sys.path.insert(0, SCRIPTS)

import plan
from configuration import check, dataset_options, loader, specification, hyperparameters
from fingerprint import fingerprint, has_penalty

from snakemake.exceptions import WorkflowError


configfile: "config/config.yaml"


try:
    check(config, Path(SCRIPTS).parent / "schemas" / "config.schema.yaml")
except ValueError as error:
    raise WorkflowError(str(error)) from None

OUT = config["results_dir"]
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
    return int(config["device"] == "cuda")
