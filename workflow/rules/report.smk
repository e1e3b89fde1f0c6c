# Figures. One process draws all figures of a data set: importing the plotting library takes longer than most of them.
# Each data set has its own rule, because its tasks and its kind decide which figures are drawn.
for dataset in [dataset for dataset in RUN.datasets if RUN.figures(dataset)]:

    rule:
        name:
            f"figures_{dataset}"
        input:
            RUN.figure_inputs(dataset),
            data=f"{OUT}/{dataset}/data.json",
        output:
            pdf=[f"{OUT}/figures/{{dataset}}_{name}.pdf" for name in RUN.figures(dataset)],
            png=[
                report(
                    f"{OUT}/figures/{{dataset}}_{name}.png",
                    caption=caption("figures", name),
                    category="Figures",
                    subcategory="{dataset}",
                    labels={"figure": name},
                )
                for name in RUN.figures(dataset)
            ],
        log:
            f"{OUT}/logs/figures_{{dataset}}.log",
        wildcard_constraints:
            dataset=dataset,
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=20,
        params:
            figures=RUN.figures(dataset),
            methods=RUN.methods_on(dataset),
            data=data_params,
            bound=lambda wildcards: bound(config, wildcards.dataset),
            code=figure_code,
        script:
            "../scripts/figures.py"


if RUN.number_figures():

    rule number_figures:
        input:
            RUN.numbers(),
        output:
            pdf=[f"{OUT}/figures/{name}.pdf" for name in RUN.number_figures()],
            png=[
                report(
                    f"{OUT}/figures/{name}.png",
                    caption=caption("figures", figure["figure"]),
                    category="Figures" if "dataset" in figure else "Comparison",
                    subcategory=figure.get("dataset", "all data sets"),
                    labels={"figure": name.removeprefix(f"{figure.get('dataset', 'comparison')}_")},
                )
                for name, figure in RUN.number_figures().items()
            ],
        log:
            f"{OUT}/logs/number_figures.log",
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            figures=list(RUN.number_figures().values()),
            run={"datasets": RUN.datasets, "methods": RUN.methods, "baseline": COMPARED_WITH},
            code=fingerprint(
                "flatvae.reporting.comparison",
                "flatvae.reporting.figures",
                "flatvae.reporting.figure_registry",
            ),
        script:
            "../scripts/number_figures.py"


rule left_out:
    output:
        f"{OUT}/figures/left_out.md",
    log:
        f"{OUT}/logs/left_out.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        left_out={dataset: RUN.left_out(dataset) for dataset in RUN.datasets},
    script:
        "../scripts/left_out.py"


rule tables:
    input:
        numbers=RUN.numbers(),
        run=f"{OUT}/run.json",
    output:
        csv=[f"{OUT}/tables/{name}.csv" for name in RUN.tables()],
        md=[f"{OUT}/tables/{name}.md" for name in RUN.tables()],
        tex=[f"{OUT}/tables/{name}.tex" for name in RUN.tables()],
    log:
        f"{OUT}/logs/tables.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        tables=RUN.tables(),
        datasets=RUN.datasets,
        methods=RUN.methods,
        baseline=COMPARED_WITH,
        n_seeds={dataset: seeds(config, dataset) for dataset in RUN.datasets},
        code=fingerprint("flatvae.reporting.comparison", "flatvae.reporting.compute"),
    script:
        "../scripts/tables.py"


# Tables and ledgers for `snakemake --report`, which offers other text files only as downloads
rule html_tables:
    input:
        RUN.readable().values(),
    output:
        [
            report(
                f"{OUT}/html/{name}.html",
                caption=caption("tables", name) if name in RUN.tables() else f"../report/{name}.rst",
                category="Claims" if name in ("claims", "controls") else "Tables",
                subcategory=(
                    "left out"
                    if name == "left_out"
                    else "ledgers" if name in ("claims", "controls") else "tasks"
                ),
                labels={"table": name},
            )
            for name in RUN.readable()
        ],
    log:
        f"{OUT}/logs/html_tables.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=fingerprint("flatvae.reporting.html_tables"),
    script:
        "../scripts/html_tables.py"


# The report and the page show the manifest, so they are made later and their hashes are not in the manifest.
rule document:
    input:
        RUN.results(),
        f"{OUT}/manifest.json",
    output:
        f"{OUT}/report.pdf",
    log:
        f"{OUT}/logs/document.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=fingerprint("flatvae.reporting.document"),
        texts=texts("document"),
    script:
        "../scripts/document.py"


rule page:
    input:
        RUN.results(),
        f"{OUT}/manifest.json",
        f"{OUT}/report.pdf",
    output:
        f"{OUT}/index.html",
    log:
        f"{OUT}/logs/page.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=fingerprint("flatvae.reporting.page", "flatvae.reporting.page.html"),
        texts=texts("page"),
    script:
        "../scripts/page.py"
