def metric_files():
    files = expand(
        f"{OUT}/{{dataset}}/{{method}}/{{task}}.csv", dataset=DATASETS, method=METHODS, task=["training", *TASKS]
    )
    if "neighbours" in TASKS:
        files += expand(f"{OUT}/{{dataset}}/control_neighbours.csv", dataset=DATASETS)
    return files


def table_files():
    return expand(f"{OUT}/tables/{{task}}.{{kind}}", task=TASKS, kind=["csv", "md", "tex"])


rule metrics:
    input:
        metric_files(),
    output:
        report(f"{OUT}/metrics.csv", caption="../report/metrics.rst", category="Tables"),
    log:
        f"{OUT}/logs/metrics.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/metrics.py"


rule table:
    input:
        f"{OUT}/metrics.csv",
    output:
        csv=report(
            f"{OUT}/tables/{{task}}.csv",
            caption="../report/table_{task}.rst",
            category="Tables",
            labels={"task": "{task}"},
        ),
        md=f"{OUT}/tables/{{task}}.md",
        tex=f"{OUT}/tables/{{task}}.tex",
    log:
        f"{OUT}/logs/table_{{task}}.log",
    params:
        datasets=DATASETS,
        methods=METHODS,
        n_seeds=config["seeds"],
        code=fingerprint("flatvae.reporting.tables"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/table.py"


rule run_json:
    input:
        expand(f"{OUT}/{{dataset}}/{{method}}/model.safetensors", dataset=DATASETS, method=METHODS),
    output:
        f"{OUT}/run.json",
    log:
        f"{OUT}/logs/run_json.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/run_json.py"
