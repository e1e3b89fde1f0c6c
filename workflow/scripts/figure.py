"""A figure of one data set, all methods side by side, from stored arrays or histories alone."""

import json
from pathlib import Path

from adapter import job

with job(snakemake):
    import numpy as np
    import pandas as pd

    from flatvae.reporting import figures

    title, kind = snakemake.wildcards.dataset, snakemake.wildcards.figure
    paths = dict(zip(snakemake.params.methods, snakemake.input.arrays, strict=True))
    if kind == "training_curves":
        histories = {method: pd.read_csv(path) for method, path in paths.items()}
        histories = {method: rows for method, rows in histories.items() if len(rows)}
        draw = {"training_curves": lambda: figures.training_curves(histories, snakemake.params.bound, title)}
        drawn = histories
    else:
        arrays = {method: dict(np.load(path)) for method, path in paths.items()}
        arrays = {
            method: a for method, a in arrays.items() if len(a["seeds"])
        }  # others lost every seed: the tables say so
        shape = tuple(json.loads(Path(snakemake.input.data).read_text())["shape"])
        draw = {
            "flatness": lambda: figures.flatness(arrays, title),
            "latent_map": lambda: figures.latent_map(arrays, title),
            "reconstructions": lambda: figures.reconstructions(arrays, shape, title),
            "equidistance": lambda: figures.equidistance(arrays, title),
            "geodesics": lambda: figures.geodesics(arrays, shape, title),
            "distances": lambda: figures.distances(arrays, title),
            "interpolation": lambda: figures.interpolation(arrays, title),
        }
        drawn = arrays
    figure = draw[kind]() if drawn else figures.note("Every seed of every method became non-finite.", title)
    figures.save(figure, Path(snakemake.output.png).with_suffix(""))
