rule evaluate:
    input:
        data=f"{OUT}/{{dataset}}/data.json",
        model=f"{OUT}/{{dataset}}/{{method}}/model.safetensors",
    output:
        metrics=f"{OUT}/{{dataset}}/{{method}}/{{task}}.csv",
        arrays=f"{OUT}/{{dataset}}/{{method}}/{{task}}.npz",
    log:
        f"{OUT}/{{dataset}}/{{method}}/logs/{{task}}.log",
    benchmark:
        f"{OUT}/{{dataset}}/{{method}}/logs/{{task}}.benchmark.jsonl"
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
        distances=evaluation_distances,
        code=evaluation_code,
    script:
        "../scripts/evaluate.py"


# takes every core, so that nothing runs beside what it times
rule efficiency:
    input:
        data=f"{OUT}/{{dataset}}/data.json",
        models=expand(f"{OUT}/{{{{dataset}}}}/{{method}}/model.safetensors", method=METHODS),
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
