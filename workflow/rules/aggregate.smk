rule metrics:
    input:
        metric_files(),
    output:
        report(f"{OUT}/metrics.csv", caption="../report/metrics.rst", category="Tables"),
    log:
        f"{OUT}/logs/metrics.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/metrics.py"


rule efficiency_csv:
    input:
        efficiency_files(),
    output:
        f"{OUT}/efficiency.csv",
    log:
        f"{OUT}/logs/efficiency.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/metrics.py"


rule table:
    input:
        table_inputs,
    output:
        csv=report(
            f"{OUT}/tables/{{task}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"task": "{task}"},
        ),
        md=f"{OUT}/tables/{{task}}.md",
        tex=f"{OUT}/tables/{{task}}.tex",
    log:
        f"{OUT}/logs/table_{{task}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        datasets=DATASETS,
        methods=METHODS,
        n_seeds=config["seeds"],
        code=fingerprint("flatvae.reporting.tables"),
    script:
        "../scripts/table.py"


rule claims:
    input:
        number_files(),
    output:
        csv=report(f"{OUT}/claims.csv", caption="../report/claims.rst", category="Claims"),
        md=f"{OUT}/claims.md",
    log:
        f"{OUT}/logs/claims.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        claims=claims_params,
        datasets=DATASETS,
        code=fingerprint("flatvae.reporting.claims"),
    script:
        "../scripts/claims.py"


rule controls:
    input:
        f"{OUT}/metrics.csv",
    output:
        csv=report(f"{OUT}/controls.csv", caption="../report/controls.rst", category="Claims"),
        md=f"{OUT}/controls.md",
    log:
        f"{OUT}/logs/controls.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        controls=config.get("controls", {}),
        methods=METHODS,
        datasets=DATASETS,
        code=fingerprint("flatvae.reporting.controls"),
    script:
        "../scripts/controls.py"


rule controls_hold:
    input:
        csv=f"{OUT}/controls.csv",
    output:
        f"{OUT}/.controls_hold",
    log:
        f"{OUT}/logs/controls_hold.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/controls_hold.py"


rule run_json:
    input:
        metric_files(),
        models=expand(f"{OUT}/{{dataset}}/{{method}}/model.safetensors", dataset=DATASETS, method=METHODS),
    output:
        f"{OUT}/run.json",
    log:
        f"{OUT}/logs/run_json.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        device=config["device"],
        evaluation_device=config["evaluation_device"],
        seeds=config["seeds"],
        tasks={dataset: evaluated(dataset) for dataset in DATASETS},
    script:
        "../scripts/run_json.py"


rule compute:
    input:
        f"{OUT}/run.json",
    output:
        csv=report(f"{OUT}/tables/compute.csv", caption="../report/compute.rst", category="Tables"),
        md=f"{OUT}/tables/compute.md",
        tex=f"{OUT}/tables/compute.tex",
    log:
        f"{OUT}/logs/compute.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        datasets=DATASETS,
        methods=METHODS,
        code=fingerprint("flatvae.reporting.compute", "flatvae.reporting.tables"),
    script:
        "../scripts/compute.py"


rule manifest:
    input:
        results(),
    output:
        f"{OUT}/manifest.json",
    log:
        f"{OUT}/logs/manifest.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    # commit and config are no params: what they did not change keeps the origin it has
    script:
        "../scripts/manifest.py"
