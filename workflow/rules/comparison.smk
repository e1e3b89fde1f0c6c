# The comparison of all methods over all data sets, from metrics.csv alone.
rule comparison:
    input:
        f"{OUT}/metrics.csv",
    output:
        csv=report(f"{OUT}/tables/comparison.csv", caption="../report/comparison.rst", category="Comparison"),
        md=f"{OUT}/tables/comparison.md",
        tex=f"{OUT}/tables/comparison.tex",
    log:
        f"{OUT}/logs/comparison.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        datasets=DATASETS,
        methods=METHODS,
        baseline=COMPARED_WITH,
        n_seeds=config["seeds"],
        code=fingerprint("flatvae.reporting.comparison"),
    script:
        "../scripts/comparison.py"


rule comparison_figure:
    input:
        f"{OUT}/metrics.csv",
    output:
        pdf=f"{OUT}/figures/comparison_{{comparison}}.pdf",
        png=report(
            f"{OUT}/figures/comparison_{{comparison}}.png",
            caption="../report/comparison_figure.rst",
            category="Comparison",
            labels={"figure": "{comparison}"},
        ),
    log:
        f"{OUT}/logs/figure_comparison_{{comparison}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        datasets=DATASETS,
        methods=METHODS,
        baseline=COMPARED_WITH,
        code=fingerprint("flatvae.reporting.comparison", "flatvae.reporting.figures"),
    script:
        "../scripts/comparison_figure.py"
