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
        runtime=30,
    params:
        methods=METHODS,
        bound=lambda wildcards: specification(config, wildcards.dataset, METHODS[0])["hyperparameters"][
            "bound"
        ],
        code=fingerprint("flatvae.reporting.figures"),
    script:
        "../scripts/figure.py"
