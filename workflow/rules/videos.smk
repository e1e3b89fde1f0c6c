# For data sets of videos: the descriptors and the tracker that methods are compared with.
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
        seeds=lambda wildcards: seeds(config, wildcards.dataset),
        tasks=lambda wildcards: RUN.descriptor_tasks(wildcards.dataset),
        code=lambda wildcards: fingerprint(
            *(f"flatvae.evaluation.{task}" for task in RUN.descriptor_tasks(wildcards.dataset)),
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
