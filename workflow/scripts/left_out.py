"""Lists the figures that are left out, with the reasons."""

from pathlib import Path

from adapter import job

with job(snakemake):
    lines = [
        f"- {dataset}, {figure}: {reason}."
        for dataset, figures in snakemake.params.left_out.items()
        for figure, reason in figures.items()
    ]
    text = "\n".join(["# Figures left out", "", *(lines or ["None."])])
    Path(snakemake.output[0]).write_text(text + "\n", encoding="utf-8")
