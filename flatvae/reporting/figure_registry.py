"""Every figure of a run: the task that it shows, the data sets that allow it, and how it is drawn. A new figure is one entry.

Each process of the workflow reads this module, so it imports no plotting: ``draw`` gets the package
``flatvae.reporting.figures`` as an argument.
"""

from collections.abc import Callable
from typing import NamedTuple

PLANE, MOTION, VIDEOS = "plane", "motion", "videos"  # n = 2 for every method; loader human_motion; a data set of videos


class Figure(NamedTuple):
    """A figure of one data set, drawn from the arrays or histories of all methods.

    Attributes:
        task: the figure is made if this task is run; ``training`` always is.
        shows: the content in words; the title is «data set: content».
        draw: (the package figures, ``results.DatasetResults``, title, methods that missed the bound) -> matplotlib figure.
        needs: what the data set must be or have: PLANE, MOTION, VIDEOS.
    """

    task: str
    shows: str
    draw: Callable
    needs: tuple[str, ...] = ()


FIGURES = {
    "training_curves": Figure(
        "training",
        "error, KL, β, penalty and scale in training",
        lambda f, r, *named: f.training_curves(r.histories, r.bound, *named),
    ),
    "flatness": Figure(
        "flatness",
        "condition number and magnification factor of the decoder",
        lambda f, r, *named: f.flatness(r.arrays("flatness"), *named),
    ),
    "latent_map": Figure(
        "flatness",
        "latent codes over the magnification factor",
        lambda f, r, *named: f.latent_map(r.arrays("flatness"), *named, r.factor),
        (PLANE,),
    ),
    "reconstructions": Figure(
        "reconstruction",
        "test data and their reconstructions",
        lambda f, r, *named: f.reconstructions(r.arrays("reconstruction"), r.shape, *named),
    ),
    "equidistance": Figure(
        "distances",
        "points at equal geodesic and at equal Euclidean distance",
        lambda f, r, *named: f.equidistance(r.arrays("distances"), *named),
        (PLANE,),
    ),
    "geodesics": Figure(
        "distances",
        "geodesics and straight lines between codes, and what they decode to",
        lambda f, r, *named: f.geodesics(r.arrays("distances"), r.shape, *named),
    ),
    "distances": Figure(
        "distances",
        "straight lines against geodesics between test codes",
        lambda f, r, *named: f.distances(r.arrays("distances"), *named),
    ),
    "interpolation": Figure(
        "interpolation",
        "smoothness of decoded straight lines between test codes",
        lambda f, r, *named: f.interpolation(r.arrays("interpolation"), *named),
    ),
    "trajectories": Figure(
        "flatness",
        "latent codes of motions in the order of time",
        lambda f, r, *named: f.trajectories(r.arrays("flatness"), r.frames, *named),
        (MOTION, PLANE),
    ),
    "poses": Figure(
        "distances",
        "poses decoded along straight lines and along geodesics",
        lambda f, r, *named: f.poses(*r.poses, *named),
        (MOTION,),
    ),
    "retrieval": Figure(
        "neighbours",
        "pictures of people and the nearest to each",
        lambda f, r, *named: f.retrieval(r.arrays("neighbours"), *r.people, *named),
        (VIDEOS,),
    ),
    "tracks": Figure(
        "tracking",
        "people and the identities that the tracker gives them",
        lambda f, r, *named: f.tracks(r.arrays("tracking"), *r.video, *named),
        (VIDEOS,),
    ),
}

# Figures of the whole run; like efficiency and sweeps they are drawn from metrics.csv and efficiency.csv (``number_figure``).
COMPARISONS = ("pareto", "improvement")


def titled(dataset: str, shows: str) -> str:
    """«human motion: latent codes …»."""
    return f"{dataset.replace('_', ' ')}: {shows}"


def draw(name: str, results) -> object:
    """Draw the figure of this name; it is a sentence if every seed of every method became non-finite."""
    from flatvae.reporting import figures

    figure = FIGURES[name]
    title = titled(results.name, figure.shows)
    found = results.histories if figure.task == "training" else results.arrays(figure.task)
    if not found:
        return figures.note("Every seed of every method became non-finite.", title)
    return figure.draw(figures, results, title, results.missed)


def number_figure(wanted: dict, metrics, efficiency, run: dict) -> object:
    """Draw a figure from numbers alone.

    Args:
        wanted: ``figure`` is one of COMPARISONS, ``efficiency`` or ``sweep``. The last two need ``dataset``; a sweep also needs
            ``hyperparameter``, ``curves`` and ``baseline``.
        metrics: rows of metrics.csv.
        efficiency: rows of efficiency.csv, or None if nothing was timed.
        run: ``datasets``, ``methods`` and ``baseline``, the method that the others are compared with.
    """
    from flatvae.reporting import comparison, figures
    from flatvae.reporting.equality import missed
    from flatvae.reporting.names import display_name

    every = "all data sets" if len(run["datasets"]) > 1 else run["datasets"][0]
    if wanted["figure"] == "pareto":
        return figures.pareto(metrics, run["methods"], titled(every, "flatness against reconstruction"))
    if wanted["figure"] == "improvement":
        found = comparison.improvement(metrics, run["datasets"], run["methods"], run["baseline"])
        title = titled(every, f"probability and size of improvement over {display_name(run['baseline'])}")
        return figures.improvement(found, run["methods"], run["baseline"], title)
    dataset = wanted["dataset"]
    rows = metrics[metrics["dataset"] == dataset]
    if wanted["figure"] == "efficiency":
        title = titled(dataset, "time of a neighbour query and of a training step")
        return figures.efficiency(efficiency[efficiency["dataset"] == dataset], title, missed(rows))
    title = titled(dataset, f"flatness, reconstruction, likelihood and neighbours against {wanted['hyperparameter']}")
    return figures.sweep(rows, wanted["curves"], wanted["hyperparameter"], title, wanted["baseline"])
