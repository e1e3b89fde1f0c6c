# One job runs all tasks of a model: starting a process and loading data takes longer than most tasks.
# Each data set has its own rule, because its tasks decide which files are made.
for dataset in [dataset for dataset in RUN.datasets if RUN.evaluated(dataset)]:

    rule:
        name:
            f"evaluate_{dataset}"
        input:
            data=f"{OUT}/{{dataset}}/data.json",
            model=f"{OUT}/{{dataset}}/{{method}}/model.safetensors",
        output:
            metrics=[f"{OUT}/{{dataset}}/{{method}}/{task}.csv" for task in RUN.evaluated(dataset)],
            arrays=[f"{OUT}/{{dataset}}/{{method}}/{task}.npz" for task in RUN.evaluated(dataset)],
            record=f"{OUT}/{{dataset}}/{{method}}/evaluation.json",
        log:
            f"{OUT}/{{dataset}}/{{method}}/logs/evaluate.log",
        wildcard_constraints:
            dataset=dataset,
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=evaluation_mb,
            runtime=evaluation_minutes,
            gpu=evaluation_gpu,
        params:
            data=data_params,
            device=config["evaluation_device"],
            builder=lambda wildcards: specification(config, wildcards.dataset, wildcards.method)["builder"],
            tasks=evaluation_tasks,
        script:
            "../scripts/evaluate.py"


# takes every core, so that nothing else runs while it measures times
rule efficiency:
    input:
        data=f"{OUT}/{{dataset}}/data.json",
        models=lambda wildcards: [
            f"{OUT}/{wildcards.dataset}/{method}/model.safetensors"
            for method in RUN.methods_on(wildcards.dataset)
        ],
    output:
        f"{OUT}/{{dataset}}/times.csv",
    log:
        f"{OUT}/{{dataset}}/logs/efficiency.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: workflow.cores or 1
    resources:
        mem_mb=evaluation_mb,
        runtime=evaluation_minutes,
    params:
        data=data_params,
        measured=efficiency_params,
        code=efficiency_code,
    script:
        "../scripts/efficiency.py"


rule control:
    input:
        f"{OUT}/{{dataset}}/data.json",
    output:
        f"{OUT}/{{dataset}}/control_neighbours.csv",
    log:
        f"{OUT}/{{dataset}}/logs/control_neighbours.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=evaluation_mb,
        runtime=60,
    params:
        data=data_params,
        code=lambda wildcards: fingerprint(
            "flatvae.evaluation.neighbours", f"flatvae.datasets.{loader(config, wildcards.dataset)}"
        ),
    script:
        "../scripts/control.py"
