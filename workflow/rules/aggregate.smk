rule metrics:
    input:
        RUN.metrics(),
    output:
        report(
            f"{OUT}/metrics.csv", caption="../report/metrics.rst", category="Tables", subcategory="numbers"
        ),
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
        RUN.times(),
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


rule claims:
    input:
        RUN.numbers(),
    output:
        csv=f"{OUT}/claims.csv",
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
        claims=RUN.claims(),
        datasets=RUN.datasets,
        code=fingerprint("flatvae.reporting.claims"),
    script:
        "../scripts/claims.py"


rule controls:
    input:
        f"{OUT}/metrics.csv",
    output:
        csv=f"{OUT}/controls.csv",
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
        methods=RUN.methods,
        datasets=RUN.datasets,
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
        RUN.metrics(),
        models=RUN.models(),
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
        tasks={dataset: RUN.evaluated(dataset) for dataset in RUN.datasets},
    script:
        "../scripts/run_json.py"


rule manifest:
    input:
        results=RUN.results(),
        models=RUN.models(),
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
    # commit and config are no params: files that they do not change keep their recorded origin
    params:
        code=lambda wildcards: run_code(),
    script:
        "../scripts/manifest.py"
