rule data:
    output:
        f"{OUT}/{{dataset}}/data.json",
    log:
        f"{OUT}/{{dataset}}/logs/data.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        data=data_params,
        summary=lambda wildcards: summary_options(config, wildcards.dataset),
        stamp=lambda wildcards: plan.file_stamp(config, wildcards.dataset),
        code=data_code,
    script:
        "../scripts/data.py"
