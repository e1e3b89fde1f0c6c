"""The files that a run of a config makes. Imports neither torch nor plotting libraries nor Snakemake."""

import os
from pathlib import Path

from resolution import builder, has_videos, loader, methods, own_rule, specification, sweep_values, tasks

from flatvae.reporting.captions import FIGURE_CAPTIONS
from flatvae.reporting.figure_registry import COMPARISONS, FIGURES, MOTION, PLANE, VIDEOS

COMPARED_WITH = "vhp_vae"  # the method to which the paper adds its penalty
PICTURE = ("pdf", "png")
TABLE = ("csv", "md", "tex")
CAPTIONS = {"figures": FIGURE_CAPTIONS, "tables": Path(__file__).resolve().parents[1] / "report" / "tables"}
RULES = Path(__file__).resolve().parents[1] / "rules"


def caption(kind: str, name: str) -> str:
    """The caption file of a figure or table in Snakemake's report, relative to the rules; ``other`` if it has none."""
    name = name if (CAPTIONS[kind] / f"{name}.rst").is_file() else "other"
    return os.path.relpath(CAPTIONS[kind] / f"{name}.rst", RULES)


class Run:
    """What a run of a checked config makes.

    Attributes:
        out: the folder of its results.
        datasets, methods: names.
        tasks: the tasks that run on at least one data set.
        descriptors: the configured descriptors.
    """

    def __init__(self, config: dict, out: str):
        self.config, self.out = config, out
        self.datasets, self.methods = config["run"]["datasets"], config["run"]["methods"]
        self.tasks = [t for t in config["run"]["tasks"] if any(t in tasks(config, d) for d in self.datasets)]
        self.descriptors = list(config.get("descriptors", {}))

    def evaluated(self, dataset: str) -> list[str]:
        """Tasks of a single trained model on a data set; efficiency is measured on all models together."""
        return [task for task in tasks(self.config, dataset) if task != "efficiency"]

    def methods_on(self, dataset: str) -> list[str]:
        """Methods that run on a data set."""
        return methods(self.config, dataset)

    def descriptor_tasks(self, dataset: str) -> list[str]:
        """Tasks that evaluate any descriptor."""
        return [task for task in ("neighbours", "tracking") if task in tasks(self.config, dataset)]

    def trained_here(self) -> str:
        """Pattern of the methods without their own rule."""
        return "|".join(m for m in self.config["methods"] if own_rule(self.config, m) is None) or "(?!)"

    def built_by(self, module: str) -> str:
        """Pattern of the methods that a module builds."""
        return "|".join(method for method in self.methods if builder(self.config, method) == module)

    # ---------------------------------------------------------------------------------------------------------- numbers

    def models(self) -> list[str]:
        return [
            f"{self.out}/{dataset}/{method}/model.safetensors"
            for dataset in self.datasets
            for method in self.methods_on(dataset)
        ]

    def metrics(self) -> list[str]:
        """The files that are gathered in metrics.csv."""
        files = []
        for dataset in self.datasets:
            folder, done = f"{self.out}/{dataset}", self.evaluated(dataset)
            files += [
                f"{folder}/{method}/{task}.csv" for method in self.methods_on(dataset) for task in ["training", *done]
            ]
            files += [f"{folder}/control_neighbours.csv"] * ("neighbours" in done)
            files += [f"{folder}/sort/control.csv"] * ("tracking" in done)
            if has_videos(self.config, dataset) and self.descriptor_tasks(dataset):
                others = [descriptor for descriptor in self.descriptors if descriptor not in self.methods_on(dataset)]
                files += [f"{folder}/{descriptor}/control.csv" for descriptor in others]
        return files

    def times(self) -> list[str]:
        return [f"{self.out}/{d}/times.csv" for d in self.datasets if "efficiency" in tasks(self.config, d)]

    def numbers(self) -> list[str]:
        """The tidy files that tables, figures and claims are made from."""
        return [f"{self.out}/metrics.csv"] + [f"{self.out}/efficiency.csv"] * bool(self.times())

    # ---------------------------------------------------------------------------------------------------------- figures

    def shown(self, dataset: str) -> list[str]:
        """Figures of a data set whose task runs, including those that need a two-dimensional latent space."""
        has = {PLANE, *[MOTION] * (loader(self.config, dataset) == "human_motion")}
        has |= {VIDEOS} if has_videos(self.config, dataset) else set()
        done = {"training", *tasks(self.config, dataset)}
        return [name for name, figure in FIGURES.items() if figure.task in done and set(figure.needs) <= has]

    def left_out(self, dataset: str) -> dict[str, str]:
        """Figures that cannot be drawn for a data set, with the reason."""
        sizes = {
            m: specification(self.config, dataset, m)["hyperparameters"].get("latent_dim")
            for m in self.methods_on(dataset)
        }
        higher = [f"{method} has latent_dim {n}" for method, n in sizes.items() if n != 2]
        if not higher:
            return {}
        reason = f"it needs a latent space of two dimensions for every method, and {', '.join(higher)}"
        return {name: reason for name in self.shown(dataset) if PLANE in FIGURES[name].needs}

    def figures(self, dataset: str) -> list[str]:
        """Figures that are drawn for a data set."""
        left_out = self.left_out(dataset)
        return [name for name in self.shown(dataset) if name not in left_out]

    def figure_inputs(self, dataset: str) -> list[str]:
        """Arrays and histories behind a data set's figures, and the numbers that show which methods missed the bound."""
        sources = {FIGURES[name].task for name in self.figures(dataset)}
        files = ["history.csv" if task == "training" else f"{task}.npz" for task in sorted(sources)]
        files += ["reconstruction.csv"] * ("reconstruction" in self.evaluated(dataset))
        return [f"{self.out}/{dataset}/{method}/{file}" for method in self.methods_on(dataset) for file in files]

    def sweeps(self, dataset: str) -> dict[str, dict]:
        """Sweeps that apply to a data set and whose methods all run, with the values that their figure needs."""
        found = {}
        for name, sweep in self.config.get("sweeps", {}).items():
            baseline = sweep.get("baseline")
            needed = {method for curve in sweep["curves"].values() for method in curve}
            needed |= {baseline or self.methods[0]}
            if dataset in sweep.get("datasets", self.datasets) and needed <= set(self.methods_on(dataset)):
                curves = sweep_values(self.config, dataset, sweep)
                found[name] = {"hyperparameter": sweep["hyperparameter"], "curves": curves, "baseline": baseline}
        return found

    def compared(self) -> bool:
        """Whether methods can be compared: needs several, and a data set with both flatness and reconstruction."""
        both = any({"flatness", "reconstruction"} <= set(tasks(self.config, dataset)) for dataset in self.datasets)
        return len(self.methods) > 1 and both

    def number_figures(self) -> dict[str, dict]:
        """Figures that are drawn from numbers alone: file name -> arguments of ``figure_registry.number_figure``."""
        found = {}
        for dataset in self.datasets:
            if "efficiency" in tasks(self.config, dataset):
                found[f"{dataset}_efficiency"] = {"figure": "efficiency", "dataset": dataset}
            for name, sweep in self.sweeps(dataset).items():
                found[f"{dataset}_sweep_{name}"] = {"figure": "sweep", "dataset": dataset, **sweep}
        if self.compared():
            found |= {f"comparison_{name}": {"figure": name} for name in COMPARISONS}
        return found

    # ----------------------------------------------------------------------------------------------------------- tables

    def tables(self) -> list[str]:
        """Names of the tables."""
        return [*self.tasks, "compute", *["comparison"] * self.compared()]

    def claims(self) -> dict[str, dict]:
        """The claims, each with its data sets.

        A claim that names none applies to those on which its task runs, or to all if it runs on none; but not to a data set
        whose `only_methods` leaves out a method that the claim compares and that runs elsewhere.
        """
        found = {}
        for name, claim in self.config.get("claims", {}).items():
            task = claim["subject"]["task"]
            compared = {claim[side].get("method") for side in ("subject", "versus") if side in claim} & {*self.methods}
            done = [
                dataset
                for dataset in self.datasets
                if task in tasks(self.config, dataset) and compared <= {*self.methods_on(dataset)}
            ]
            found[name] = {"datasets": done or self.datasets} | claim
        return found

    def readable(self) -> dict[str, str]:
        """Name -> Markdown file of each table and ledger that has an HTML page."""
        files = {name: f"{self.out}/tables/{name}.md" for name in self.tables()}
        files |= {"claims": f"{self.out}/claims.md"} if self.config.get("claims") else {}
        return files | {"controls": f"{self.out}/controls.md", "left_out": f"{self.out}/figures/left_out.md"}

    def results(self) -> list[str]:
        """The final files of a run."""
        figures = [f"{dataset}_{name}" for dataset in self.datasets for name in self.figures(dataset)]
        return [
            f"{self.out}/metrics.csv",
            f"{self.out}/run.json",
            *(f"{self.out}/tables/{name}.{kind}" for name in self.tables() for kind in TABLE),
            *(f"{self.out}/figures/{name}.{kind}" for name in [*figures, *self.number_figures()] for kind in PICTURE),
            f"{self.out}/figures/left_out.md",
            *[f"{self.out}/claims.csv", f"{self.out}/claims.md"] * bool(self.config.get("claims")),
            f"{self.out}/controls.csv",
            f"{self.out}/controls.md",
        ]
