# Figures for the loader human_motion: what the common ones cannot show of trials and bodies.
rule motion_figure:
    input:
        arrays=lambda wildcards: [
            f"{OUT}/{wildcards.dataset}/{method}/{MOTION_FIGURE_TASK[wildcards.motion_figure]}.npz"
            for method in METHODS
        ],
        data=f"{OUT}/{{dataset}}/data.json",
    output:
        pdf=f"{OUT}/figures/{{dataset}}_{{motion_figure}}.pdf",
        png=report(
            f"{OUT}/figures/{{dataset}}_{{motion_figure}}.png",
            caption="../report/motion_figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"figure": "{motion_figure}"},
        ),
    log:
        f"{OUT}/logs/figure_{{dataset}}_{{motion_figure}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        methods=METHODS,
        data=data_params,
        code=fingerprint("flatvae.datasets.human_motion", "flatvae.reporting.figures"),
    script:
        "../scripts/motion_figure.py"
