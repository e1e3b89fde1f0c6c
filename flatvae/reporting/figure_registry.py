"""Every figure of a run: the task that it shows, where it can be drawn, and how. A new figure is one line here.

The workflow reads this in each of its processes, so it imports no plotting: ``draw`` is handed the package
``flatvae.reporting.figures`` when a figure is made.
"""

from collections.abc import Callable
from typing import NamedTuple

PLANE, MOTION, VIDEOS = "plane", "motion", "videos"  # n = 2 for every method; loader human_motion; a data set of videos


class Figure(NamedTuple):
    """A figure of one data set, drawn from the arrays or histories of all methods.

    Attributes:
        task: the figure is made where this task is run; ``training`` is always.
        draw: (the package figures, ``results.DatasetResults``) -> matplotlib figure.
        needs: what the data set must be or have, of the words above.
    """

    task: str
    draw: Callable
    needs: tuple[str, ...] = ()


FIGURES = {
    "training_curves": Figure("training", lambda f, r: f.training_curves(r.histories, r.bound, r.name)),
    "flatness": Figure("flatness", lambda f, r: f.flatness(r.arrays("flatness"), r.name)),
    "latent_map": Figure("flatness", lambda f, r: f.latent_map(r.arrays("flatness"), r.name), (PLANE,)),
    "reconstructions": Figure(
        "reconstruction", lambda f, r: f.reconstructions(r.arrays("reconstruction"), r.shape, r.name)
    ),
    "equidistance": Figure("distances", lambda f, r: f.equidistance(r.arrays("distances"), r.name), (PLANE,)),
    "geodesics": Figure("distances", lambda f, r: f.geodesics(r.arrays("distances"), r.shape, r.name)),
    "distances": Figure("distances", lambda f, r: f.distances(r.arrays("distances"), r.name)),
    "interpolation": Figure("interpolation", lambda f, r: f.interpolation(r.arrays("interpolation"), r.name)),
    "trajectories": Figure(
        "flatness", lambda f, r: f.trajectories(r.arrays("flatness"), r.frames, r.name), (MOTION, PLANE)
    ),
    "poses": Figure("distances", lambda f, r: f.poses(*r.poses, r.name), (MOTION,)),
    "retrieval": Figure("neighbours", lambda f, r: f.retrieval(r.arrays("neighbours"), *r.people, r.name), (VIDEOS,)),
    "tracks": Figure("tracking", lambda f, r: f.tracks(r.arrays("tracking"), *r.video, r.name), (VIDEOS,)),
}

# Figures of a whole run, and of one data set, that are drawn from metrics.csv and efficiency.csv: see ``number_figure``.
COMPARISONS = ("pareto", "improvement")


def draw(name: str, results) -> object:
    """The figure of this name; a page with one sentence where every seed of every method became non-finite."""
    from flatvae.reporting import figures

    figure = FIGURES[name]
    found = results.histories if figure.task == "training" else results.arrays(figure.task)
    if not found:
        return figures.note("Every seed of every method became non-finite.", results.name)
    return figure.draw(figures, results)


def number_figure(wanted: dict, metrics, efficiency, run: dict) -> object:
    """A figure of numbers alone.

    Args:
        wanted: ``figure``: one of COMPARISONS, ``efficiency`` or ``sweep``; the last two with their ``dataset``; a sweep
            with its ``hyperparameter``, ``curves`` and ``baseline`` besides.
        metrics: rows of metrics.csv.
        efficiency: rows of efficiency.csv, or None where nothing was timed.
        run: ``datasets``, ``methods`` and ``baseline``, the method that comparisons are made with.
    """
    from flatvae.reporting import comparison, figures

    if wanted["figure"] == "pareto":
        return figures.pareto(metrics, run["methods"], "flatness against reconstruction")
    if wanted["figure"] == "improvement":
        found = comparison.improvement(metrics, run["datasets"], run["methods"], run["baseline"])
        title = f"probability of improvement over {run['baseline']}"
        return figures.improvement(found, run["methods"], run["baseline"], title)
    dataset = wanted["dataset"]
    if wanted["figure"] == "efficiency":
        return figures.efficiency(efficiency[efficiency["dataset"] == dataset], dataset)
    rows = metrics[metrics["dataset"] == dataset]
    return figures.sweep(rows, wanted["curves"], wanted["hyperparameter"], dataset, wanted["baseline"])
