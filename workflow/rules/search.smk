# The hyperparameter search, which runs only on request: snakemake --cores all search
rule search_candidates:
    input:
        f"{OUT}/{{dataset}}/data.json",
    output:
        f"{OUT}/search/{{dataset}}/{{method}}.csv",
    log:
        f"{OUT}/search/{{dataset}}/{{method}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: training_mb(wildcards, config["search"]["seeds"]),
        runtime=lambda wildcards: training_minutes(
            wildcards,
            config["search"]["seeds"],
            3 * grid_size(searched(config, wildcards.dataset, wildcards.method)["grid"]),  # it may widen
        ),
        gpu=gpu,
    params:
        data=data_params,
        seeds=config.get("search", {}).get("seeds"),
        device=config["device"],
        searched=lambda wildcards: searched(config, wildcards.dataset, wildcards.method),
        widenings=config.get("search", {}).get("widenings"),
        confirmations=config.get("search", {}).get("confirmations"),
        code=lambda wildcards: fingerprint(
            "flatvae.selection", *method_modules(wildcards), without=without(wildcards)
        ),
    script:
        "../scripts/search.py"


rule search_table:
    input:
        search_inputs,
    output:
        f"{OUT}/search/{{dataset}}.csv",
    log:
        f"{OUT}/search/{{dataset}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/search_table.py"


rule search:
    input:
        expand(f"{OUT}/search/{{dataset}}.csv", dataset=RUN.datasets),
