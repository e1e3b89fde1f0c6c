"""A figure of all methods on all data sets, from the tidy file alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import comparison, figures, statistics

    params = snakemake.params
    metrics = statistics.read_metrics(snakemake.input[0])
    if snakemake.wildcards.comparison == "pareto":
        figure = figures.pareto(metrics, params.methods, "flatness against reconstruction")
    else:
        found = comparison.improvement(metrics, params.datasets, params.methods, params.baseline)
        title = f"probability of improvement over {params.baseline}"
        figure = figures.improvement(found, params.methods, params.baseline, title)
    figures.save(figure, Path(snakemake.output.png).with_suffix(""))
