"""One table for each task: numbers as CSV, and the same formatted as Markdown and LaTeX."""

import math
import re
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from flatvae.errors import InputError
from flatvae.reporting.statistics import summarise

# the order of the columns; a metric that is not here comes after these, a task that is not here as metrics.csv has it
TASK_METRICS = {
    "reconstruction": ("train_error", "test_error", "bound", "bound_met", "beta", "kl"),
    "flatness": (
        "condition_number_median",
        "condition_number_q90",
        "mf_std",
        "condition_number_median_mixup",
        "condition_number_q90_mixup",
        "mf_std_mixup",
        "scale",
    ),
    "neighbours": ("knn_accuracy", "precision_at_10", "true_neighbour_recall_at_10", "rank_1", "rank_5", "mAP"),
    "distances": (
        "length_ratio_mean",
        "length_ratio_std",
        "distance_error_median",
        "graph_excess_mean",
        "graph_neighbours",
        "graph_joined_edges",
    ),
    "interpolation": ("second_difference", "velocity_cv"),
    "likelihood": ("nll", "nll_standard_error", "nll_effective_samples"),
    "tracking": (
        "HOTA",
        "MOTA",
        "MOTP",
        "IDF1",
        "IDF1_tracks_low",
        "IDF1_tracks_high",
        "IDP",
        "IDR",
        "CLR_Re",
        "CLR_Pr",
        "MT",
        "PT",
        "ML",
        "FP",
        "FN",
        "IDSW",
        "Frag",
    ),
    "efficiency": (
        "query_seconds",
        "query_ratio",
        "build_seconds",
        "amortised_seconds",
        "graph_query_seconds",
        "graph_query_ratio",
        "graph_build_seconds",
        "graph_amortised_seconds",
        "step_seconds",
        "step_ratio",
        "peak_memory_mb",
    ),
    "performance": ("first_ms", "second_ms", "ratio"),
    "scaling": ("exponent", "first_ms", "last_ms"),
}

CAPTIONS = {
    "compute": "What the run cost: wall time of the trainings, all seeds together, and of the evaluations, in seconds; steps a "
    "second, summed over the seeds; the most memory any of these jobs took, in MB; threads, and whether on a GPU.",
    "reconstruction": "Reconstruction error on training and test data, the bound κ² and the seeds that met it, β, and "
    "KL in nats.",
    "flatness": "Condition number of the pull-back metric (median, 90 % quantile) and standard deviation of MF / mean "
    "MF, at test codes and at mixup points of them (1, 1 and 0 on a flat manifold), and the metric's scale c².",
    "neighbours": "Nearest neighbours by each distance: k-NN label accuracy, precision at 10 and recall of the 10 true "
    "neighbours where a true factor is known; of people in videos rank-1, rank-5 and mAP among pictures of the same video 10 "
    "or more frames away (geodesic: ranks among the 30 nearest by decoded picture, no mAP). Distance data: Euclidean on raw "
    "observations, a control.",
    "tracking": "Tracking people in the test videos, all together, by TrackEval: HOTA to CLR_Pr (recall CLR_Re, precision "
    "CLR_Pr) in percent, then numbers of people mostly, partly and hardly tracked, false positives, misses, identity switches "
    "and fragmentations. IDF1_tracks: 95 % interval of IDF1 over resamples of the people. Descriptor: whether identity labels "
    "were used to make it; none: motion alone. The distance from which on two pictures are of two people is chosen for each "
    "descriptor on the training videos, with their identities.",
    "distances": "Between 100 random pairs of test codes: length of the geodesic over that of the straight line, median relative "
    "error of the scaled Euclidean distance against it, and by what share the neighbour graph alone is longer, with its k "
    "and the edges that had to join it.",
    "interpolation": "Straight latent lines between 100 random pairs of test codes, decoded: mean norm of the second difference, "
    "times (T − 1)² for T points, over the length, and coefficient of variation of the velocity.",
    "likelihood": "−log p(x) of test data by importance sampling in nats, its Monte-Carlo standard error, and the median "
    "number of effective samples.",
    "efficiency": "Seconds, in one process on one thread, with the largest gallery: per query of 10 neighbours, over the "
    "Euclidean query, to build, and with the building spread over as many queries as there are test data (graph: Dijkstra on "
    "the graph of the gallery); a training step per seed, and over the first method's; the most memory that a model's "
    "searches took, in MB.",
    "performance": "CPU milliseconds on one thread, turn about in one process, of the two calls that stand under method, and the "
    "first over the second.",
    "scaling": "How the cost of a training step of all seeds together, and of metric tensors, grows with what stands under "
    "dataset: the exponent p of milliseconds ∝ sizeᵖ at the larger half of the sizes, and milliseconds at the smallest and the "
    "largest.",
}

HIDDEN = ("appearance_threshold_quantile",)  # a choice from a grid, of which a mean says nothing; metrics.csv has it
# what a tracker's descriptor was made with; every other is unsupervised
SUPERVISION = {"sort": "none", "constant": "none", "supervised": "supervised"}

KEYS = ["dataset", "method", "distance"]
CONTROL = "(raw data)"
UNMET, FEWER = "†", "‡"


def task_table(
    metrics: pd.DataFrame, task: str, dataset_order: Sequence[str], method_order: Sequence[str], n_seeds: int
) -> pd.DataFrame:
    """Numbers of one task: columns dataset, method, distance, n, then for each metric `m` the columns m, m_low, m_high.

    Means and 95 % t-intervals over seeds as in `summarise`; NaN where a metric does not apply. n is the least number of
    seeds behind any number of the row. Datasets, methods and metrics that no order names come after those that
    one does; the control (empty method) closes its dataset. A method that was trained on the dataset and has no row in this
    task has n = 0. Numbers of one video of a dataset (a metric with a /) have rows of their own.
    `n_seeds` seeds were trained for each method. What the marks of the formatted tables need (bounds met, frozen seeds)
    goes along in `.attrs`. Raises InputError where metrics have no row of the task.
    """
    metrics = _by_sequence(metrics)
    of_task = metrics[(metrics["task"] == task) & ~metrics["metric"].isin(HIDDEN)]
    if of_task.empty:
        raise InputError(f"metrics: no row has the task '{task}'; evaluate it or leave its table out")
    summary = summarise(of_task)
    names = _ordered(summary["metric"], TASK_METRICS.get(task, ()))
    cells = {key: group.set_index("metric") for key, group in summary.groupby(KEYS, sort=False)}
    rows = [
        _row(key, cells.get(key), names)
        for dataset in _ordered(summary["dataset"], dataset_order)
        for method in _methods(metrics, of_task, dataset, method_order)
        for key in _keys(cells, dataset, method)
    ]
    caption = (
        f"{CAPTIONS.get(task, f'Task {task}.')} Mean ± half-width of the 95 % Student t-interval over n seeds "
        f"({n_seeds} trained); a number alone is a single value or the same in every seed; –: does not apply."
    )
    return annotated(pd.DataFrame(rows), metrics, task, n_seeds, caption)


def annotated(table: pd.DataFrame, metrics: pd.DataFrame, task: str, n_seeds: int, caption: str) -> pd.DataFrame:
    """A table with the columns of `task_table`, and in `.attrs` its caption and what its marks † and ‡ need."""
    table.attrs = {
        "task": task,
        "n_seeds": n_seeds,
        "caption": caption,
        "trained": _trained(metrics),
        "bound_met": bound_met(metrics),
        "frozen": _frozen(metrics),
    }
    return table


def _by_sequence(metrics: pd.DataFrame) -> pd.DataFrame:
    """Metrics of one video of a data set, as HOTA/CROWD-03, moved to a data set of their own, as crowd/CROWD-03."""
    parts = metrics["metric"].str.partition("/")
    return metrics.assign(metric=parts[0], dataset=metrics["dataset"] + parts[1] + parts[2])


def _ordered(found: Iterable[str], order: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(found))
    return [name for name in order if name in found] + [name for name in found if name not in order]


def _methods(metrics: pd.DataFrame, of_task: pd.DataFrame, dataset: str, order: Sequence[str]) -> list[str]:
    trained = {method for of, method in _trained(metrics) if of == dataset}
    here = metrics["dataset"] == dataset
    # a descriptor is put to a few tasks alone, a method of the suite is missed where it has no row
    rows = here & ((metrics["task"] == of_task["task"].iloc[0]) | metrics["method"].isin(trained))
    found = _ordered(metrics.loc[rows, "method"], order)
    control = "" in set(of_task.loc[of_task["dataset"] == dataset, "method"])
    return [method for method in found if method] + [""] * control


def _keys(cells: dict, dataset: str, method: str) -> list[tuple[str, str, str]]:
    return [key for key in cells if key[:2] == (dataset, method)] or [(dataset, method, "")]


def _row(key: tuple[str, str, str], cells: pd.DataFrame | None, names: Sequence[str]) -> dict:
    row = dict(zip(KEYS, key, strict=True)) | {"n": 0 if cells is None else int(cells["n"].min())}
    for name in names:
        known = cells is not None and name in cells.index
        for column, suffix in (("mean", ""), ("low", "_low"), ("high", "_high")):
            row[name + suffix] = float(cells.loc[name, column]) if known else math.nan
    return row


def _pairs(rows: pd.DataFrame):
    return rows.groupby(["dataset", "method"], sort=False)


def _trained(metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """Every (dataset, method) that has a row of training; where none has, all that have a method."""
    training = metrics[metrics["task"] == "training"]
    rows = training if len(training) else metrics[metrics["method"] != ""]
    return [key for key, _ in _pairs(rows)]


def bound_met(metrics: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """(dataset, method) -> (seeds that met the bound, seeds that have a say)."""
    of_bound = metrics[metrics["metric"] == "bound_met"]
    training = of_bound[of_bound["task"] == "training"]  # always there in a run of the workflow, whatever its tasks
    frozen = metrics[(metrics["metric"] == "frozen") & (metrics["value"] == 1)]
    lost = set(zip(frozen["dataset"], frozen["method"], frozen["seed"], strict=True))
    rows = training if len(training) else of_bound
    keys = zip(rows["dataset"], rows["method"], rows["seed"], strict=True)
    rows = rows[pd.Series([key not in lost for key in keys], index=rows.index, dtype=bool)]
    return {key: (int((group["value"] == 1).sum()), len(group)) for key, group in _pairs(rows)}


def _frozen(metrics: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """(dataset, method) -> its frozen seeds, each as «seed 3 at step 1200»."""
    training = metrics[metrics["task"] == "training"]
    rows = training[(training["metric"] == "frozen") & (training["value"] == 1)]
    steps = training[training["metric"] == "frozen_step"].set_index(["dataset", "method", "seed"])["value"].to_dict()
    return {key: [_frozen_seed(seed, steps.get((*key, seed))) for seed in group["seed"]] for key, group in _pairs(rows)}


def _frozen_seed(seed: int, step: float | None) -> str:
    return f"seed {seed}" if step is None else f"seed {seed} at step {step:.0f}"


def metric_names(table: pd.DataFrame) -> list[str]:
    """The metrics of a task table, in its order."""
    return list(table.columns[len(KEYS) + 1 :: 3])


def format_cell(mean: float, low: float, high: float) -> str:
    """A number as «1.023 ± 0.012»: mean ± half-width of its interval, both to the half-width's last digit.

    The half-width has one significant digit, two where the first is 1 or where it reaches the mean. Without an
    interval, and where all seeds agree to six digits, the number stands alone with three significant digits. Below 10⁻³
    and from 10⁵ on: «(1.2 ± 0.3)·10⁵». NaN is «–».
    """
    if math.isnan(mean):
        return "–"
    if math.isinf(mean):
        return "∞" if mean > 0 else "−∞"
    half = 0.0 if math.isnan(low) else (high - low) / 2
    if half <= 1e-6 * abs(mean):
        half = 0.0
    largest = max(abs(mean), half)
    exponent = int(f"{largest:.2e}".split("e")[1])  # after rounding: 9.9999·10⁻⁶ is 10⁻⁵
    shift = exponent if not -3 <= exponent < 5 else 0
    power = f"·10{_superscript(shift)}" if shift else ""
    mean, half = mean / 10.0**shift, half / 10.0**shift
    if not half:
        return fixed(mean, 2 - exponent + shift, trim=True) + power
    text = f"{fixed(mean, _decimals(mean, half))} ± {fixed(half, _decimals(mean, half))}"
    return f"({text}){power}" if power else text


def format_share(share: float, low: float, high: float) -> str:
    """A share in [0, 1] as «0.96 [0.84, 1]», for its interval is not symmetric; alone where that has no width or is none."""
    if math.isnan(share):
        return "–"
    share, low, high = ("" if math.isnan(end) else fixed(end, 3, trim=True) for end in (share, low, high))
    return share if low == high else f"{share} [{low}, {high}]"


def _decimals(mean: float, half: float) -> int:
    lead = math.floor(math.log10(half))
    digits = 2 if half < 2 * 10.0**lead or half >= abs(mean) else 1
    return digits - 1 - lead


def fixed(value: float, decimals: int, trim: bool = False) -> str:
    """A number with so many decimals (< 0: rounded before the point), without zeros at the end where ``trim``."""
    text = f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _marks(row: pd.Series, attrs: dict) -> str:
    pair = (row["dataset"], row["method"])
    met, of = attrs["bound_met"].get(pair, (0, 0))
    # n = 0 is a task that this method does not have, unless every seed was lost
    lost = len(attrs["frozen"].get(pair, ())) == attrs["n_seeds"]
    fewer = pair in attrs["trained"] and (0 < row["n"] < attrs["n_seeds"] or lost)
    return UNMET * (met < of) + FEWER * fewer


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """The formatted table, its heading first; the column distance is there only where one applies."""
    if "bound_met" not in table.attrs:
        raise InputError("table: it lacks the notes on seeds and bounds; make it with task_table")
    names, distances = metric_names(table), bool(table["distance"].ne("").any())
    descriptor = table.attrs["task"] == "tracking"
    cells = [["dataset", "method", *["distance"] * distances, *["descriptor"] * descriptor, "n", *names]]
    for _, row in table.iterrows():
        marks = _marks(row, table.attrs)
        method = (row["method"] or CONTROL) + (f" {marks}" if marks else "")
        numbers = [_number_cell(row, name, table.attrs) for name in names]
        by = [row["distance"] or "–"] * distances + [SUPERVISION.get(row["method"], "unsupervised")] * descriptor
        cells.append([row["dataset"], method, *by, str(row["n"]), *numbers])
    return cells


def _number_cell(row: pd.Series, name: str, attrs: dict) -> str:
    # a count says more than the mean of a handful of zeros and ones
    pair = (row["dataset"], row["method"])
    if name == "bound_met" and attrs["task"] == "reconstruction" and pair in attrs["bound_met"]:
        return "{}/{}".format(*attrs["bound_met"][pair])
    format_number = format_share if attrs["task"] == "comparison" else format_cell
    return format_number(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _footnotes(table: pd.DataFrame) -> list[str]:
    attrs, unmet, fewer = table.attrs, {}, {}
    for _, row in table.iterrows():
        pair, marks = (row["dataset"], row["method"]), _marks(row, table.attrs)
        if UNMET in marks:
            unmet.setdefault("{} of {}".format(*attrs["bound_met"][pair]), []).append(" ".join(pair))
        if FEWER in marks:
            why = "; non-finite: " + ", ".join(attrs["frozen"][pair]) if pair in attrs["frozen"] else ""
            fewer.setdefault(f"{row['n']} of {attrs['n_seeds']} seeds count{why}", []).append(" ".join(pair))
    return [f"{UNMET} reconstruction bound met in {count} seeds ({_unique(who)})" for count, who in unmet.items()] + [
        f"{FEWER} {count} ({_unique(who)})" for count, who in fewer.items()
    ]


def _unique(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def to_markdown(table: pd.DataFrame) -> str:
    """A task table as Markdown: caption, pipe table, footnotes of the marks † (bound not met) and ‡ (seeds missing)."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in _cells(table)]
    n_left = cells[0].index("n")
    columns = [
        _pad(column, str.ljust if i < n_left else str.rjust) for i, column in enumerate(zip(*cells, strict=True))
    ]
    lines = ["| " + " | ".join(row) + " |" for row in zip(*columns, strict=True)]
    return "\n\n".join([table.attrs["caption"], "\n".join(lines), *_footnotes(table)]) + "\n"


def _pad(column: Sequence[str], justify) -> list[str]:
    """A column at one width, with the Markdown rule that aligns it under its heading."""
    width = max(2, *map(len, column))
    heading, *cells = [justify(cell, width) for cell in column]
    return [heading, justify(":", width).replace(" ", "-"), *cells]


_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "∞": r"$\infty$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "₀": "$_0$",
    "κ": r"$\kappa$",
    "β": r"$\beta$",
}
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def escape_latex(text: str) -> str:
    """Text for LaTeX: its special characters escaped, the signs of these tables as its own, «10⁻⁴» as `10$^{-4}$`."""
    text = text.translate(str.maketrans(_LATEX))
    return re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"$^{{{found[0].translate(_SUPERSCRIPTS)}}}$", text)


def to_latex(table: pd.DataFrame) -> str:
    r"""A task table as a LaTeX float with caption and label `tab:<task>`; needs the packages booktabs and graphicx."""
    heading, *rows = _cells(table)
    left = heading.index("n")
    body, previous = [], rows[0][0]
    for row in rows:
        if row[0] != previous:
            body.append(r"\midrule")
        body.append(_latex_row(row))
        previous = row[0]
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.attrs['caption'])}}}",
        rf"\label{{tab:{table.attrs['task']}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(heading) - left)}}}",
        r"\toprule",
        " & ".join(_latex_heading(name) for name in heading) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        *[rf"\par\footnotesize {escape_latex(note)}" for note in _footnotes(table)],
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(row: list[str]) -> str:
    return " & ".join(escape_latex(cell) for cell in row) + r" \\"


def _latex_heading(name: str) -> str:
    """A metric's name over two lines where it is long: numbers are narrower than their names."""
    breaks = [i + 1 for i, character in enumerate(name) if character == "_" and len(name) > 12]
    if not breaks:
        return escape_latex(name)
    middle = min(breaks, key=lambda i: abs(i - len(name) / 2))
    return rf"\shortstack[r]{{{escape_latex(name[:middle])}\\{escape_latex(name[middle:])}}}"


def write_note(note: str, stem: str | PathLike) -> None:
    """A table without rows: stem.csv with its heading, stem.md and stem.tex with a sentence that says why."""
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".csv").write_text(",".join([*KEYS, "n"]) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(note + "\n", encoding="utf-8")
    stem.with_suffix(".tex").write_text(escape_latex(note) + "\n", encoding="utf-8")


def write(table: pd.DataFrame, stem: str | PathLike) -> None:
    """Write stem.csv (the numbers, unrounded), stem.md and stem.tex."""
    table.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    Path(f"{stem}.md").write_text(to_markdown(table), encoding="utf-8")
    Path(f"{stem}.tex").write_text(to_latex(table), encoding="utf-8")
