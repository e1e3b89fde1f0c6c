import os
import sys
from pathlib import Path

SCRIPTS = str(Path(workflow.current_basedir).parent / "scripts")
sys.path.insert(0, SCRIPTS)

import adapter
import config_files
import plan
import single
from fingerprint import fingerprint, has_penalty, keywords
from places import results_folder
from resolution import (
    builder,
    candidates,
    dataset_options,
    descriptor,
    distances,
    has_videos,
    loader,
    own_rule,
    specification,
    sweep_values,
    takes_distances,
    tasks,
    wants_gpu,
)
from validation import check

from snakemake.exceptions import WorkflowError

os.environ[adapter.RUN] = str(os.getpid())  # a job ends with the process that started it


CONFIG = Path(SCRIPTS).parents[1] / "config"  # the project's, also where a run is in another folder
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
    if workflow.is_main_process:  # the jobs' processes have the same config
        check(config, Path(SCRIPTS).parent / "schemas" / "config.schema.yaml")
    OUT = results_folder(config["results_dir"])
except ValueError as error:
    raise WorkflowError(str(error)) from None

DATASETS = config["run"]["datasets"]
METHODS = config["run"]["methods"]
TASKS = [t for t in config["run"]["tasks"] if any(t in tasks(config, dataset) for dataset in DATASETS)]
SWEEPS = config.get("sweeps", {})
DESCRIPTORS = [d for d in config.get("descriptors", {}) if d not in METHODS]  # methods are evaluated as such

FIGURE_TASK = {
    "flatness": "flatness",
    "latent_map": "flatness",
    "reconstructions": "reconstruction",
    "equidistance": "distances",
    "geodesics": "distances",
    "distances": "distances",
    "interpolation": "interpolation",
}
MOTION_FIGURE_TASK = {"trajectories": "flatness", "poses": "distances"}  # for the loader human_motion
VIDEO_FIGURE_TASK = {"retrieval": "neighbours", "tracks": "tracking"}  # for data sets of videos
ONLY_2D = ("latent_map", "equidistance", "trajectories")
COMPARISONS = ("pareto", "improvement")
COMPARED_WITH = "vhp_vae"  # what the paper's method adds its penalty to


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    method="|".join(config["methods"]),
    task="|".join(TASKS),
    figure="|".join(["training_curves", *FIGURE_TASK]),
    motion_figure="|".join(MOTION_FIGURE_TASK),
    video_figure="|".join(VIDEO_FIGURE_TASK),
    descriptor="|".join(DESCRIPTORS),
    comparison="|".join(COMPARISONS),
    number_figure="|".join(["efficiency", *(f"sweep_{sweep}" for sweep in SWEEPS)]),


def data_params(wildcards):
    """What a job needs to load a data set; a change of it reruns the job."""
    return {
        "loader": loader(config, wildcards.dataset),
        "root": config["data_root"],
        "options": dataset_options(config, wildcards.dataset),
    }


def methods_of(module):
    """Names of the methods that a module builds, as a pattern: for a rule that a baseline has of its own."""
    return "|".join(method for method in METHODS if builder(config, method) == module)


def trained_here():
    """Names of the methods without a rule of their own, as a pattern."""
    return "|".join(m for m in config["methods"] if own_rule(config, m) is None) or "(?!)"


def check_own_rules(rules):
    """Whether every baseline's own rule makes the three files of its methods, and those of no other."""
    files = {"model": "model.safetensors", "history": "history.csv", "metrics": "training.csv"}
    for method in METHODS:
        path = own_rule(config, method)
        own = [rule for rule in rules if path and Path(str(rule.snakefile)) == path]
        for key, file in files.items() if path else ():
            made = [rule for rule in own if makes(rule, key, method, file)]
            if len(made) != 1:
                raise WorkflowError(
                    f"{path.relative_to(Path(SCRIPTS).parents[1])}: {len(made)} rules have {OUT}/{{dataset}}/{method}/{file} for "
                    f"their output {key}; there must be one"
                )
            if not made[0].benchmark:
                raise WorkflowError(
                    f"{path.relative_to(Path(SCRIPTS).parents[1])}: the rule {made[0].name} has no benchmark; give it "
                    f"{OUT}/{{dataset}}/{{method}}/logs/train.benchmark.jsonl"
                )
            for other in METHODS:
                if builder(config, other) != builder(config, method) and makes(made[0], key, other, file):
                    raise WorkflowError(
                        f"{path.relative_to(Path(SCRIPTS).parents[1])}: the rule {made[0].name} would make {other}'s files, too; give "
                        f'it wildcard_constraints: method=methods_of("{builder(config, method)}")'
                    )


def makes(rule, key, method, file):
    """Whether a rule's output of that name is the method's file."""
    output = getattr(rule.output, key, None)
    return output is not None and bool(output.match(f"{OUT}/{DATASETS[0]}/{method}/{file}"))


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


def evaluation_distances(wildcards):
    """The distances that a task is handed, with their options."""
    return distances(config, wildcards.dataset) if takes_distances(wildcards.task) else {}


def evaluation_code(wildcards):
    entries = [f"flatvae.evaluation.{wildcards.task}", *method_modules(wildcards)]
    made = [distance["builder"] for distance in evaluation_distances(wildcards).values()]
    return fingerprint(*entries, *made, without=without(wildcards))


def trained_by_steps():
    """Methods of the run whose models the suite's own training makes."""
    return [m for m in METHODS if own_rule(config, m) is None and keywords(builder(config, m), "fit") is None]


def efficiency_code(wildcards):
    builders = [specification(config, wildcards.dataset, method)["builder"] for method in METHODS]
    made = [distance["builder"] for distance in distances(config, wildcards.dataset).values()]
    return fingerprint("flatvae.evaluation.efficiency", "flatvae.training.timing", *builders, *made)


def efficiency_params(wildcards):
    return {
        "methods": METHODS,
        "trainings": {
            method: specification(config, wildcards.dataset, method) for method in trained_by_steps()
        },
        "n_seeds": config["seeds"],
        "device": "cpu",  # where all that is timed here runs: the job asks for no GPU
        "distance": distances(config, wildcards.dataset).get("geodesic"),
        **config["efficiency"],
    }


def search_inputs(wildcards):
    """The search of every method that runs: without candidates of its own, a method would be at a disadvantage."""
    for method in METHODS:
        if method not in config.get("search", {}).get("candidates", {}):
            raise WorkflowError(
                f"config: search.candidates lacks {method}; give it as many as the others, or leave it out of run"
            )
    return [f"{OUT}/search/{wildcards.dataset}/{method}.csv" for method in METHODS]


def evaluated(dataset):
    """Tasks of the rule evaluate on a data set; efficiency has a rule of its own."""
    return [task for task in tasks(config, dataset) if task != "efficiency"]


def metric_files():
    files = []
    for dataset in DATASETS:
        done = tasks(config, dataset)
        evaluated = [
            "training",
            *(task for task in done if task != "efficiency"),
        ]  # that has a rule of its own
        files += expand(f"{OUT}/{dataset}/{{method}}/{{task}}.csv", method=METHODS, task=evaluated)
        files += [f"{OUT}/{dataset}/control_neighbours.csv"] * ("neighbours" in done)
        files += [f"{OUT}/{dataset}/sort/control.csv"] * ("tracking" in done)
        if has_videos(config, dataset) and descriptor_tasks(dataset):
            files += expand(f"{OUT}/{dataset}/{{descriptor}}/control.csv", descriptor=DESCRIPTORS)
    return files


def descriptor_tasks(dataset):
    """Tasks that any descriptor can be put to."""
    return [task for task in ("neighbours", "tracking") if task in tasks(config, dataset)]


def efficiency_files():
    return [f"{OUT}/{dataset}/times.csv" for dataset in DATASETS if "efficiency" in tasks(config, dataset)]


def table_files():
    return expand(f"{OUT}/tables/{{task}}.{{kind}}", task=[*TASKS, "compute"], kind=["csv", "md", "tex"])


def number_files():
    """The tidy files that tables, figures and claims are made from."""
    return [f"{OUT}/metrics.csv"] + [f"{OUT}/efficiency.csv"] * ("efficiency" in TASKS)


def table_inputs(wildcards):
    return number_files() if wildcards.task == "efficiency" else [f"{OUT}/metrics.csv"]


def figures_by_task(dataset):
    """Figures of a data set whose task is run."""
    motion = MOTION_FIGURE_TASK if loader(config, dataset) == "human_motion" else {}
    videos = VIDEO_FIGURE_TASK if has_videos(config, dataset) else {}
    drawn = FIGURE_TASK | motion | videos
    return [figure for figure, task in drawn.items() if task in tasks(config, dataset)]


def left_out(dataset):
    """Figures that cannot be drawn of a data set, with the reason."""
    sizes = {
        method: specification(config, dataset, method)["hyperparameters"].get("latent_dim")
        for method in METHODS
    }
    higher = [f"{method} has latent_dim {n}" for method, n in sizes.items() if n != 2]
    if not higher:
        return {}
    reason = f"it needs a latent space of two dimensions for every method, and {', '.join(higher)}"
    return {figure: reason for figure in ONLY_2D if figure in figures_by_task(dataset)}


def figures_of(dataset):
    """Figures that can be drawn of a data set: those whose task is run, and maps where every method has n = 2."""
    return ["training_curves"] + [f for f in figures_by_task(dataset) if f not in left_out(dataset)]


def sweeps_of(dataset):
    """Sweeps of which every method runs, and that are not kept to other data sets."""
    return [
        sweep
        for sweep, entry in SWEEPS.items()
        if dataset in entry.get("datasets", DATASETS)
        and {method for methods in entry["curves"].values() for method in methods}
        | {entry.get("baseline", METHODS[0])}
        <= set(METHODS)
    ]


def number_figures_of(dataset):
    timed = "efficiency" in tasks(config, dataset)
    return ["efficiency"] * timed + [f"sweep_{sweep}" for sweep in sweeps_of(dataset)]


def figure_files():
    return [
        f"{OUT}/figures/{dataset}_{figure}.{kind}"
        for dataset in DATASETS
        for figure in figures_of(dataset) + number_figures_of(dataset)
        for kind in ("pdf", "png")
    ]


def figure_inputs(wildcards):
    source = {"training_curves": "history.csv"} | {f: f"{task}.npz" for f, task in FIGURE_TASK.items()}
    return [f"{OUT}/{wildcards.dataset}/{method}/{source[wildcards.figure]}" for method in METHODS]


def number_figure_params(wildcards):
    """Of a sweep: its hyperparameter, and for every curve the methods with their values of it."""
    if wildcards.number_figure == "efficiency":
        return {}
    sweep = SWEEPS[wildcards.number_figure.removeprefix("sweep_")]
    return {
        "hyperparameter": sweep["hyperparameter"],
        "curves": sweep_values(config, wildcards.dataset, sweep),
        "baseline": sweep.get("baseline"),
    }


def comparison_files():
    """What compares all methods: where there are several, and a data set with both flatness and reconstruction."""
    both = any({"flatness", "reconstruction"} <= set(tasks(config, dataset)) for dataset in DATASETS)
    if len(METHODS) < 2 or not both:
        return []
    figures = expand(f"{OUT}/figures/comparison_{{name}}.{{kind}}", name=COMPARISONS, kind=["pdf", "png"])
    return figures + expand(f"{OUT}/tables/comparison.{{kind}}", kind=["csv", "md", "tex"])


def claims_params(wildcards):
    """The claims; one that names no data sets is for those on which its task is done, or all where it is on none."""
    found = {}
    for name, claim in config.get("claims", {}).items():
        done = [dataset for dataset in DATASETS if claim["subject"]["task"] in tasks(config, dataset)]
        found[name] = {"datasets": done or DATASETS} | claim
    return found


def claims_results():
    return [f"{OUT}/claims.csv", f"{OUT}/claims.md"] * bool(config.get("claims"))


def results():
    """What a run ends with."""
    return [
        f"{OUT}/metrics.csv",
        f"{OUT}/run.json",
        *table_files(),
        *figure_files(),
        *comparison_files(),
        f"{OUT}/figures/left_out.md",
        *claims_results(),
        f"{OUT}/controls.csv",
        f"{OUT}/controls.md",
    ]
