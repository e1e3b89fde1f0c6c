"""Draws the figures that need only the tidy files."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import figure_registry, figures, statistics

    metrics, *efficiency = map(statistics.read_metrics, snakemake.input)
    for wanted, png in zip(snakemake.params.figures, snakemake.output.png, strict=True):
        numbers = metrics, efficiency[0] if efficiency else None
        figure = figure_registry.number_figure(wanted, *numbers, snakemake.params.run)
        figures.save(figure, Path(png).with_suffix(""))
