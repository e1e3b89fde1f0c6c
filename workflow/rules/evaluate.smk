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
        mem_mb=6000,
        runtime=4 * 60,
    params:
        data=data_params,
        builder=lambda wildcards: specification(config, wildcards.dataset, wildcards.method)["builder"],
        code=lambda wildcards: fingerprint(
            f"flatvae.evaluation.{wildcards.task}", *method_modules(wildcards), without=without(wildcards)
        ),
    script:
        "../scripts/evaluate.py"


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
        mem_mb=6000,
        runtime=60,
    params:
        data=data_params,
        code=lambda wildcards: fingerprint(
            "flatvae.evaluation.neighbours", f"flatvae.datasets.{loader(config, wildcards.dataset)}"
        ),
    script:
        "../scripts/control.py"
