rule figure:
    input:
        arrays=figure_inputs,
        data=f"{OUT}/{{dataset}}/data.json",
    output:
        pdf=f"{OUT}/figures/{{dataset}}_{{figure}}.pdf",
        png=report(
            f"{OUT}/figures/{{dataset}}_{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{OUT}/logs/figure_{{dataset}}_{{figure}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        methods=METHODS,
        bound=lambda wildcards: specification(config, wildcards.dataset, METHODS[0])["hyperparameters"][
            "bound"
        ],
        code=fingerprint("flatvae.reporting.figures"),
    script:
        "../scripts/figure.py"


rule number_figure:
    input:
        lambda wildcards: f"{OUT}/"
        + ("efficiency" if wildcards.number_figure == "efficiency" else "metrics")
        + ".csv",
    output:
        pdf=f"{OUT}/figures/{{dataset}}_{{number_figure}}.pdf",
        png=report(
            f"{OUT}/figures/{{dataset}}_{{number_figure}}.png",
            caption="../report/number_figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"figure": "{number_figure}"},
        ),
    log:
        f"{OUT}/logs/figure_{{dataset}}_{{number_figure}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        sweep=number_figure_params,
        code=fingerprint("flatvae.reporting.figures"),
    script:
        "../scripts/number_figure.py"


rule left_out:
    output:
        report(f"{OUT}/figures/left_out.md", caption="../report/left_out.rst", category="Figures"),
    log:
        f"{OUT}/logs/left_out.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        left_out={dataset: left_out(dataset) for dataset in DATASETS},
    script:
        "../scripts/left_out.py"
