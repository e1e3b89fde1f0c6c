rule data:
    output:
        f"{OUT}/{{dataset}}/data.json",
    log:
        f"{OUT}/{{dataset}}/logs/data.log",
    params:
        data=data_params,
        stamp=lambda wildcards: plan.file_stamp(config, wildcards.dataset),
        code=data_code,
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/data.py"
