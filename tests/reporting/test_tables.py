import math

import numpy as np
import pandas as pd
import pytest

from flatvae.errors import InputError
from flatvae.reporting import formatting, tables
from flatvae.reporting.statistics import COLUMNS, summarise

INTERVAL = (
    "Mean ± half-width of the 95 % Student t-interval over n seeds (3 trained); "
    "intervals end at the bounds of their metric; a number without interval is a single value or the same in every seed; –: does not apply."
)
BOTH = INTERVAL.replace(
    "(3 trained)", "(3 trained), or geometric mean [95 % t-interval of the logarithms] for positive and skewed metrics"
)


def rows(method, task, metric, values, dataset="pendulum", distance="", seeds=None):
    seeds = range(len(values)) if seeds is None else seeds
    return [(dataset, method, distance, task, metric, s, float(v)) for s, v in zip(seeds, values, strict=True)]


def frame(*groups):
    return pd.DataFrame([row for group in groups for row in group], columns=COLUMNS)


@pytest.fixture
def metrics():
    """Three seeds; vae missed equal reconstruction once; seed 1 of flat_vae is frozen; the control has one value."""
    return frame(
        rows("vae", "training", "frozen", [0, 0, 0]),
        rows("vae", "training", "frozen_step", [-1, -1, -1]),
        rows("flat_vae", "training", "frozen", [0, 1, 0]),
        rows("flat_vae", "training", "frozen_step", [-1, 1200, -1]),
        rows("vae", "reconstruction", "equal_reconstruction", [1, 0, 1]),
        rows("vae", "reconstruction", "settled", [1, 1, 1]),
        rows("vae", "reconstruction", "bound", [0.9216] * 3),
        rows("vae", "reconstruction", "beta", [1e-4, 2e-4, 4e-4]),
        rows("flat_vae", "reconstruction", "equal_reconstruction", [1, 1], seeds=[0, 2]),
        rows("flat_vae", "reconstruction", "settled", [1, 1], seeds=[0, 2]),
        rows("flat_vae", "reconstruction", "bound", [0.9216] * 2, seeds=[0, 2]),
        rows("vae", "neighbours", "knn_accuracy", [0.90, 0.91, 0.92], distance="euclidean"),
        rows("", "neighbours", "knn_accuracy", [0.97], distance="data"),
        rows("flat_vae", "neighbours", "knn_accuracy", [0.95, 0.97], distance="euclidean", seeds=[0, 2]),
        rows("flat_vae", "neighbours", "new_metric", [math.inf, 1], distance="euclidean", seeds=[0, 2]),
    )


def table(metrics, task):
    return tables.task_table(metrics, task, ["pendulum"], ["flat_vae", "vae"], 3)


def test_markdown_of_reconstruction(metrics):
    """β is averaged in logarithms: of 1, 2 and 4 · 10⁻⁴ the mean is 2 · 10⁻⁴, and t₂ s/√3 = 4.303 · log 2/√3 = log 5.6."""
    caption = (
        "Reconstruction error on training and test data, the bound κ² on the training error, how many seeds ended within 2 % of "
        "it (equal_reconstruction) and how many had settled, β, and KL of test data in nats. "
    )
    expected = """

| dataset  | method     |  n | bound | equal_reconstruction | settled |                        beta |
| :------- | :--------- | -: | ----: | -------------------: | ------: | --------------------------: |
| pendulum | flat_vae ‡ |  2 | 0.922 |                  2/2 |     2/2 |                           – |
| pendulum | vae †      |  3 | 0.922 |                  2/3 |     3/3 | 2·10⁻⁴ [3.57·10⁻⁵, 0.00112] |

† at equal reconstruction and settled in 2 of 3 seeds (pendulum vae)

‡ 2 of 3 seeds count; non-finite: seed 1 at step 1200 (pendulum flat_vae)
"""
    assert tables.to_markdown(table(metrics, "reconstruction")) == caption + BOTH + expected


def test_errors_of_recordings_and_classes_come_after_the_main_columns():
    names = ["test_error_walking", "test_error_recordings_walking", "kl", "test_error_recordings", "test_error"]
    found = table(frame(*(rows("vae", "reconstruction", name, [1, 2, 3]) for name in names)), "reconstruction")
    wanted = ["test_error", "kl", "test_error_recordings", "test_error_walking", "test_error_recordings_walking"]
    assert tables.metric_names(found) == wanted


def test_markdown_of_neighbours_has_the_control_and_unknown_metrics_last(metrics):
    text = tables.to_markdown(table(metrics, "neighbours"))
    assert "Distance data: Euclidean on raw observations, a control. knn_accuracy and precision_at_10: " in text
    assert text.split("\n\n")[1:] == [
        """| dataset  | method     | distance  |  n |   knn_accuracy |                   new_metric |
| :------- | :--------- | :-------- | -: | -------------: | ---------------------------: |
| pendulum | flat_vae ‡ | euclidean |  2 | 0.96 [0.83, 1] | median ∞ (∞ in 1 of 2 seeds) |
| pendulum | vae †      | euclidean |  3 |    0.91 ± 0.02 |                            – |
| pendulum | (raw data) | data      |  1 |           0.97 |                            – |""",
        "† at equal reconstruction and settled in 2 of 3 seeds (pendulum vae)",
        "‡ 2 of 3 seeds count; non-finite: seed 1 at step 1200 (pendulum flat_vae)\n",
    ]


def test_tracking_says_what_a_descriptor_was_made_with_and_keeps_videos_apart(metrics):
    """Descriptors that are no methods have rows here alone; of a video, numbers come after those of all together."""
    found = pd.concat(
        [
            metrics,
            frame(
                rows("vae", "tracking", "HOTA", [50, 51, 52]),
                rows("vae", "tracking", "HOTA/A-1", [40, 41, 42]),
                rows("sort", "tracking", "HOTA", [45]),
                rows("vae", "tracking", "appearance_threshold_quantile", [0.1, 1, 0.1]),
                rows("supervised", "tracking", "HOTA", [60, 60, 60]),
            ),
        ]
    )
    lines = tables.to_markdown(table(found, "tracking")).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| pend")] == [
        ["pendulum", "flat_vae", "unsupervised", "0", "–"],
        ["pendulum", "vae †", "unsupervised", "3", "51 ± 2"],
        ["pendulum", "sort", "none", "1", "45"],
        ["pendulum", "supervised", "supervised", "3", "60"],
        ["pendulum/A-1", "vae", "unsupervised", "3", "41 ± 2"],
    ]
    assert "sort" not in set(table(found, "neighbours")["method"])


def test_latex_of_neighbours(metrics):
    caption = (
        "Nearest neighbours of test data by each distance. Distance data: Euclidean on raw observations, a control. "
        r"knn\_accuracy and precision\_at\_10: agreement of labels. " + INTERVAL
    )
    caption = caption.replace("±", r"$\pm$").replace("%", r"\%").replace("–", "--")
    assert tables.to_latex(table(metrics, "neighbours")) == (
        r"""% needs \usepackage{booktabs,graphicx}
\begin{table}
\centering
\caption{CAPTION}
\label{tab:neighbours}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{lllrrr}
\toprule
dataset & method & distance & n & knn\_accuracy & new\_metric \\
\midrule
pendulum & flat\_vae $^{\ddagger}$ & euclidean & 2 & 0.96 [0.83, 1] & median $\infty$ ($\infty$ in 1 of 2 seeds) \\
pendulum & vae $^{\dagger}$ & euclidean & 3 & 0.91 $\pm$ 0.02 & -- \\
pendulum & (raw data) & data & 1 & 0.97 & -- \\
\bottomrule
\end{tabular}}
\par\footnotesize $^{\dagger}$ at equal reconstruction and settled in 2 of 3 seeds (pendulum vae)
\par\footnotesize $^{\ddagger}$ 2 of 3 seeds count; non-finite: seed 1 at step 1200 (pendulum flat\_vae)
\end{table}
""".replace("CAPTION", caption)
    )


def test_latex_escapes_and_breaks():
    assert formatting.escape_latex(r"a_b & 5 % #1 {x} $ ~^\ ") == (
        r"a\_b \& 5 \% \#1 \{x\} \$ \textasciitilde{}\textasciicircum{}\textbackslash{} "
    )
    assert formatting.escape_latex("(2.0 ± 0.5)·10⁻⁴ †") == r"(2.0 $\pm$ 0.5)$\cdot$10$^{-4}$ $^{\dagger}$"
    metrics = frame(
        rows("my_vae", "flatness", "mf_std", [0.5]), rows("b", "flatness", "condition_number_median_mixup", [2], "d_2")
    )
    text = tables.to_latex(tables.task_table(metrics, "flatness", ["pendulum", "d_2"], [], 1))
    assert r"\shortstack[r]{condition\_number\_\\median\_mixup}" in text
    assert "pendulum & my\\_vae & 1 & 0.5 & -- \\\\\n\\midrule\nd\\_2 & b & 1 & -- & 2 \\\\\n\\bottomrule" in text


def test_markdown_escapes_the_column_separator():
    metrics = frame(rows("a|b", "t", "m", [1]))
    assert r"| pendulum | a\|b   |  1 |  1 |" in tables.to_markdown(tables.task_table(metrics, "t", [], [], 1))


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (1.0234, 0.0231, "1.02 ± 0.02"),
        (1.0234, 0.0123, "1.023 ± 0.012"),  # one digit of 0.012 would be 17 % off
        (30.83, 4.2, "31 ± 4"),
        (5230.0, 210.0, "5200 ± 200"),
        (-3.21, 0.4, "−3.2 ± 0.4"),
        (0.4, 3.04, "0.4 ± 3.0"),
        (0.0, 0.3, "0.00 ± 0.30"),
        (1.234e6, 5.6e4, "(1.23 ± 0.06)·10⁶"),
        (2.5e-4, 3e-5, "(2.5 ± 0.3)·10⁻⁴"),
        (0.9216, None, "0.922"),
        (90.0, None, "90"),
        (12345.0, None, "12300"),
        (5e-7, None, "5·10⁻⁷"),
        (9.99999975e-06, None, "1·10⁻⁵"),  # 10⁻⁵ in float32
        (0.0, None, "0"),
        (0.5, 0.0, "0.5"),
        (math.inf, None, "∞"),
        (-math.inf, None, "−∞"),
        (math.nan, None, "–"),
    ],
)
def test_cells(mean, half, text):
    ends = (math.nan, math.nan) if half is None else (mean - half, mean + half)
    assert formatting.format_cell(mean, *ends) == text


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (1.0412, 1.0123, 1.0711, "1.04 [1.01, 1.07]"),
        (0.99977, 0.99954, 0.99991, "0.9998 [0.9995, 0.9999]"),  # three digits would leave it no width
        (69.04, 26.37, 180.4, "69 [26, 180]"),
        (2e-4, 3.57e-5, 1.12e-3, "2·10⁻⁴ [3.57·10⁻⁵, 0.00112]"),
        (-4.3, -11.62, 2.94, "−4.3 [−11.6, 2.9]"),
        (2.5, 2.5, 2.5, "2.5"),
        (2.5, math.nan, math.nan, "2.5"),
        (2.5, None, None, "2.5"),
        (math.nan, math.nan, math.nan, "–"),
    ],
)
def test_intervals(mean, low, high, text):
    assert formatting.format_interval(mean, low, high) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0346, "0.035"), (0.2, "0.2"), (1.0, "1"), (0.0009, "< 0.001"), (0.0, "< 0.001"), (math.nan, "–")]
)
def test_p_values(p, text):
    assert formatting.format_p(p) == text


def test_a_cut_interval_is_written_with_its_ends():
    """0.90 ± 0.22 would pass 1."""
    near, far = [0.98773, 0.98831, 0.58117, 0.98274, 0.98094], [0.6, 0.61, 0.62, 0.63, 0.64]
    metrics = frame(*(rows(m, "neighbours", "graph_rank_correlation", v) for m, v in (("a", near), ("b", far))))
    made = tables.to_markdown(tables.task_table(metrics, "neighbours", [], [], 5))
    assert "0.9 [0.68, 1]" in made
    assert "0.620 ± 0.020" in made


def test_numbers_are_those_of_summarise_and_csv_keeps_every_digit(tmp_path):
    values = np.random.default_rng(0).lognormal(size=(2, 3))
    metrics = frame(*(rows(f"m{i}", "flatness", "mf_std", row) for i, row in enumerate(values)))
    made = tables.task_table(metrics, "flatness", [], [], 3)
    assert list(made.columns) == ["dataset", "method", "distance", "n", "mf_std", "mf_std_low", "mf_std_high"]
    tables.write(made, tmp_path / "flatness.v1")
    read = pd.read_csv(tmp_path / "flatness.v1.csv", dtype=str, keep_default_na=False)
    summary = summarise(metrics)
    for numbers in (made, read):
        np.testing.assert_array_equal(
            numbers[["mf_std", "mf_std_low", "mf_std_high"]].astype(float).to_numpy(),
            summary[["mean", "low", "high"]].to_numpy(),
        )
    assert (tmp_path / "flatness.v1.md").read_text(encoding="utf-8") == tables.to_markdown(made)
    assert (tmp_path / "flatness.v1.tex").read_text(encoding="utf-8") == tables.to_latex(made)


def test_medians_where_there_is_no_logarithm_and_zeros_in_every_seed():
    """Principal components are an isometry: mf_std is 0 in every seed; a rank-deficient metric has k = ∞."""
    metrics = frame(
        rows("pca", "flatness", "mf_std", [0, 0, 0, 0]),
        rows("vae", "flatness", "mf_std", [0, 0.1, 0.4, 0.5]),
        rows("vae", "flatness", "condition_number_median", [20, math.inf, 80, 60]),
        rows("b", "flatness", "condition_number_median", [math.inf] * 4),
    )
    made = tables.task_table(metrics, "flatness", [], [], 4)
    lines = [line.split("|")[4:-1] for line in tables.to_markdown(made).split("\n\n")[1].splitlines()[2:]]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["–", "0"],
        ["median 70 (∞ in 1 of 4 seeds)", "median 0.25 (0 in 1 of 4 seeds)"],
        ["∞", "–"],
    ]


def test_order_and_strangers():
    """Known names in the orders given, the unknown after them, a method without the task as a row of n = 0."""
    metrics = frame(
        rows("new", "flatness", "zeta", [1], "other"),
        rows("new", "flatness", "zeta", [1]),
        rows("new", "flatness", "scale", [1]),
        rows("vae", "flatness", "mf_std", [1]),
        rows("flat_vae", "reconstruction", "kl", [1]),
    )
    made = tables.task_table(metrics, "flatness", ["absent", "pendulum"], ["vae", "flat_vae"], 1)
    assert tables.metric_names(made) == ["mf_std", "scale", "zeta"]
    assert list(zip(made["dataset"], made["method"], made["n"], strict=True)) == [
        ("pendulum", "vae", 1),
        ("pendulum", "flat_vae", 0),
        ("pendulum", "new", 1),
        ("other", "new", 1),
    ]
    assert "| pendulum | flat_vae |  0 |      – |     – |    – |" in tables.to_markdown(made)


def test_a_method_that_lost_every_seed_says_so():
    metrics = frame(
        rows("vae", "training", "frozen", [1, 1]),
        rows("vae", "training", "frozen_step", [5, 7]),
        rows("sort", "tracking", "HOTA", [0.4]),  # never trained: one value is all that there is
    )
    text = tables.to_markdown(tables.task_table(metrics, "tracking", [], [], 2))
    assert "| pendulum | vae ‡  | unsupervised |  0 |    – |" in text
    assert "| pendulum | sort   | none         |  1 |  0.4 |" in text
    assert text.endswith("\n‡ 0 of 2 seeds count; non-finite: seed 0 at step 5, seed 1 at step 7 (pendulum vae)\n")


def test_equal_notes_share_a_footnote():
    metrics = frame(
        *(
            rows(m, "reconstruction", "equal_reconstruction", v)
            for m, v in {"a": [0, 1], "b": [1, 1], "c": [0, 0]}.items()
        ),
        *(rows(m, "reconstruction", "settled", v) for m, v in {"a": [1, 1], "b": [1, 0], "c": [1, 1]}.items()),
        rows("pca", "reconstruction", "test_error", [1, 1]),
    )
    notes = tables.to_markdown(tables.task_table(metrics, "reconstruction", [], [], 2)).split("\n\n")[2:]
    assert notes == [
        "† at equal reconstruction and settled in 1 of 2 seeds (pendulum a, pendulum b)",
        "† at equal reconstruction and settled in 0 of 2 seeds (pendulum c)",
        "§ exempt from the reconstruction bound (pendulum pca)\n",
    ]


def test_refusals(metrics):
    with pytest.raises(InputError, match="no row has the task 'tracking'"):
        table(metrics, "tracking")
    with pytest.raises(InputError, match="make it with task_table"):
        tables.to_markdown(pd.DataFrame(table(metrics, "neighbours").to_dict("list")))
