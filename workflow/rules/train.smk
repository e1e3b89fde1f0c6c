rule train:
    input:
        f"{OUT}/{{dataset}}/data.json",
    output:
        model=f"{OUT}/{{dataset}}/{{method}}/model.safetensors",
        history=f"{OUT}/{{dataset}}/{{method}}/history.csv",
        metrics=f"{OUT}/{{dataset}}/{{method}}/training.csv",
    log:
        f"{OUT}/{{dataset}}/{{method}}/logs/train.log",
    benchmark:
        f"{OUT}/{{dataset}}/{{method}}/logs/train.benchmark.jsonl"
    wildcard_constraints:
        method=RUN.trained_here(),
    # the longest training first, and before any evaluation: else the last one would run alone
    priority: training_priority
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: training_mb(wildcards, seeds(config, wildcards.dataset), attempt),
        runtime=lambda wildcards: training_minutes(wildcards, seeds(config, wildcards.dataset)),
        gpu=gpu,
    params:
        data=data_params,
        seeds=lambda wildcards: seeds(config, wildcards.dataset),
        device=config["device"],
        specification=lambda wildcards: specification(config, wildcards.dataset, wildcards.method),
        code=lambda wildcards: fingerprint(
            "flatvae.training.results", *method_modules(wildcards), without=without(wildcards)
        ),
    script:
        "../scripts/train.py"


# Some baselines have a rule file next to their module; its rule makes the same three files and the benchmark.
for own in sorted({str(own_rule(config, method)) for method in RUN.methods if own_rule(config, method)}):

    include: own


own_rules.check(workflow.rules, RUN)
