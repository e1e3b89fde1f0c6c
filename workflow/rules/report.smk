FIGURE_TASK = {"flatness": "flatness", "latent_map": "flatness", "reconstructions": "reconstruction"}


def figures_of(dataset):
    """Figures that can be drawn of a data set: those whose task is run, and a latent map where every method has n = 2."""
    two_dimensional = all(specification(config, dataset, method)["hyperparameters"].get("latent_dim") == 2 for method in METHODS)
    drawn = [figure for figure, task in FIGURE_TASK.items() if task in TASKS]
    return ["training_curves"] + [f for f in drawn if f != "latent_map" or two_dimensional]


def figure_files():
    return [
        f"{OUT}/figures/{dataset}_{figure}.{kind}"
        for dataset in DATASETS
        for figure in figures_of(dataset)
        for kind in ("pdf", "png")
    ]


def figure_inputs(wildcards):
    source = {"training_curves": "history.csv"} | {f: f"{task}.npz" for f, task in FIGURE_TASK.items()}
    return [f"{OUT}/{wildcards.dataset}/{method}/{source[wildcards.figure]}" for method in METHODS]


rule figure:
    input:
        arrays=figure_inputs,
        data=f"{OUT}/{{dataset}}/data.json",
    output:
        pdf=f"{OUT}/figures/{{dataset}}_{{figure}}.pdf",
        png=report(
            f"{OUT}/figures/{{dataset}}_{{figure}}.png",
            caption="../report/figure_{figure}.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{OUT}/logs/figure_{{dataset}}_{{figure}}.log",
    params:
        methods=METHODS,
        bound=lambda wildcards: specification(config, wildcards.dataset, METHODS[0])["hyperparameters"]["bound"],
        code=fingerprint("flatvae.reporting.figures"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/figure.py"
