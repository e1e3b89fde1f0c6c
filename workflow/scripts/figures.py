"""Draws all figures of one data set, with all methods, from stored arrays and histories."""

from pathlib import Path

from adapter import job
from resolution import with_bound

with job(snakemake):
    from flatvae.reporting import figure_registry, figures
    from flatvae.reporting.results import DatasetResults

    params, folder = snakemake.params, Path(snakemake.input.data).parents[1]
    bound = with_bound(params.bound, snakemake.input.data)["bound"]
    results = DatasetResults(folder, snakemake.wildcards.dataset, params.methods, params.data, bound)
    for name, png in zip(params.figures, snakemake.output.png, strict=True):
        figures.save(figure_registry.draw(name, results), Path(png).with_suffix(""))
        print(name)
