"""A figure of one data set that is drawn from the tidy files alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import figures, statistics

    dataset, sweep = snakemake.wildcards.dataset, snakemake.params.sweep
    numbers = statistics.read_metrics(snakemake.input[0])
    numbers = numbers[numbers["dataset"] == dataset]
    figure = (
        figures.sweep(numbers, sweep["curves"], sweep["hyperparameter"], dataset, sweep["baseline"])
        if sweep
        else figures.efficiency(numbers, dataset)
    )
    figures.save(figure, Path(snakemake.output.png).with_suffix(""))
