# For data sets of videos: what the methods' codes are compared with, and figures of people and tracks.
rule descriptor:
    input:
        f"{OUT}/{{dataset}}/data.json",
    output:
        f"{OUT}/{{dataset}}/{{descriptor}}/control.csv",
    log:
        f"{OUT}/{{dataset}}/{{descriptor}}/logs/control.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=4 * 60,
    params:
        data=data_params,
        descriptor=lambda wildcards: descriptor(config, wildcards.dataset, wildcards.descriptor),
        seeds=config["seeds"],
        tasks=lambda wildcards: descriptor_tasks(wildcards.dataset),
        code=lambda wildcards: fingerprint(
            *(f"flatvae.evaluation.{task}" for task in descriptor_tasks(wildcards.dataset)),
            descriptor(config, wildcards.dataset, wildcards.descriptor)["builder"],
            f"flatvae.datasets.{loader(config, wildcards.dataset)}",
        ),
    script:
        "../scripts/descriptor.py"


rule sort:
    input:
        f"{OUT}/{{dataset}}/data.json",
    output:
        f"{OUT}/{{dataset}}/sort/control.csv",
    log:
        f"{OUT}/{{dataset}}/sort/logs/control.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        data=data_params,
        code=lambda wildcards: fingerprint(
            "flatvae.evaluation.tracking", f"flatvae.datasets.{loader(config, wildcards.dataset)}"
        ),
    script:
        "../scripts/sort.py"


rule video_figure:
    input:
        arrays=lambda wildcards: [
            f"{OUT}/{wildcards.dataset}/{method}/{VIDEO_FIGURE_TASK[wildcards.video_figure]}.npz"
            for method in METHODS
        ],
        data=f"{OUT}/{{dataset}}/data.json",
    output:
        pdf=f"{OUT}/figures/{{dataset}}_{{video_figure}}.pdf",
        png=report(
            f"{OUT}/figures/{{dataset}}_{{video_figure}}.png",
            caption="../report/video_figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"figure": "{video_figure}"},
        ),
    log:
        f"{OUT}/logs/figure_{{dataset}}_{{video_figure}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=5,
    params:
        methods=METHODS,
        data=data_params,
        code=lambda wildcards: fingerprint(
            f"flatvae.datasets.{loader(config, wildcards.dataset)}", "flatvae.reporting.figures"
        ),
    script:
        "../scripts/video_figure.py"
