"""Pareto plot and forest plot: what they draw equals the numbers."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from inside import assert_inside
from matplotlib.colors import to_hex

from flatvae.errors import InputError
from flatvae.reporting import comparison, figures
from flatvae.reporting.figures._common import OPEN_LABEL
from flatvae.reporting.figures.comparisons import LABELS, pareto_front
from flatvae.reporting.names import method_style
from flatvae.reporting.statistics import COLUMNS

METHODS = ["vae", "vhp_vae", "flat_vae"]
NAMES = ["VAE", "VHP-VAE", "Flat VAE"]
BOUND = 4.0


def numbers(datasets=("pendulum", "digits"), methods=METHODS, seeds=3):
    """Rows of metrics.csv in which every method, data set and seed has an error and a condition number of its own."""
    source, rows = np.random.default_rng(0), []
    for dataset in datasets:
        for place, method in enumerate(methods):
            for seed in range(seeds):
                error, k = BOUND * source.uniform(0.95, 1.3), 1 + (len(methods) - place) * source.uniform(0.5, 2)
                rows += [
                    (dataset, method, "", "reconstruction", "bound", seed, BOUND),
                    (dataset, method, "", "reconstruction", "test_error", seed, error),
                    (dataset, method, "", "reconstruction", "equal_reconstruction", seed, 1.0),
                    (dataset, method, "", "reconstruction", "settled", seed, 1.0),
                    (dataset, method, "", "flatness", "condition_number_median", seed, k),
                    (dataset, method, "", "training", "test_error", seed, 1e9),  # of another task: not drawn
                ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})


def change(frame, dataset, method, metric, seed, value):
    rows = (frame["dataset"] == dataset) & (frame["method"] == method) & (frame["metric"] == metric)
    frame.loc[rows & (frame["seed"] == seed), "value"] = value


def panels(figure):
    return [axes for axes in figure.axes if axes.axison]


def drawn(axes, method):
    """Points of a method's seeds, and its large marker."""
    style = method_style(method)
    own = [
        line
        for line in axes.lines
        if line.get_marker() == style.marker and to_hex(line.get_markeredgecolor()) == style.colour.lower()
    ]
    (seeds,) = [line for line in own if line.get_markersize() < 4]
    (mean,) = [line for line in own if line.get_markersize() > 4]
    return seeds, mean


def front(axes):
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    return [tuple(point) for point in line.get_xydata()[1:-1]]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


# ---------------------------------------------------------------------------------------------------------------- Pareto


def test_pareto_draws_every_seed_and_the_means_on_log_axes():
    frame = numbers()
    figure = figures.pareto(frame, METHODS, "title")
    assert figure.get_suptitle() == "title"
    for dataset, axes in zip(("pendulum", "digits"), panels(figure), strict=True):
        assert (axes.get_title(), axes.get_xscale(), axes.get_yscale()) == (dataset, "log", "log")
        for method in METHODS:
            own = frame[(frame["dataset"] == dataset) & (frame["method"] == method) & (frame["task"] != "training")]
            values = own.pivot_table(index="seed", columns="metric", values="value")
            x, y = values["test_error"] / BOUND, values["condition_number_median"]
            seeds, mean = drawn(axes, method)
            assert seeds.get_xydata() == pytest.approx(np.stack([x, y], axis=1))
            assert mean.get_xydata() == pytest.approx(np.array([[x.mean(), y.prod() ** (1 / 3)]]))
            left, right = axes.get_xlim()
            low, high = axes.get_ylim()
            assert left < x.min() <= x.max() < right
            assert left < 0.98 < 1.02 < right, "never narrower than 2 % about the bound"
            assert low < 1 < y.max() < high
        (bound,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert list(bound.get_xdata()) == [1, 1]


def test_the_front_is_what_no_other_point_reaches():
    points = [(1.0, 9.0), (2.0, 5.0), (2.0, 4.0), (3.0, 4.0), (4.0, 1.0), (5.0, 2.0), (0.5, math.inf), (4.0, 1.0)]
    assert pareto_front(points) == [(1.0, 9.0), (2.0, 4.0), (4.0, 1.0)]
    assert pareto_front([(1.0, math.inf)]) == []
    source = np.random.default_rng(0)
    for _ in range(50):
        points = [tuple(point) for point in source.integers(0, 6, (8, 2)).astype(float)]
        beaten = {p for p in points for q in points if q != p and q[0] <= p[0] and q[1] <= p[1]}
        assert set(pareto_front(points)) == set(points) - beaten


def test_pareto_draws_the_front_of_the_means():
    figure = figures.pareto(numbers(seeds=5), METHODS, "title")
    for axes in panels(figure):
        means = [tuple(drawn(axes, method)[1].get_xydata()[0]) for method in METHODS]
        assert front(axes) == pareto_front(means)


def test_infinite_condition_numbers_stand_at_the_upper_edge_and_on_no_front(tmp_path):
    frame = numbers()
    change(frame, "digits", "vae", "condition_number_median", 1, math.inf)
    for seed in range(3):
        change(frame, "digits", "flat_vae", "condition_number_median", seed, math.inf)
    change(frame, "digits", "vae", "test_error", 0, 1e-3 * BOUND)  # nearest by far: it would be on the front
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.pareto(frame, METHODS, "title")
        figures.save(figure, tmp_path / "figure")
    finite, axes = panels(figure)
    top = axes.get_ylim()[1]
    assert (drawn(axes, "vae")[0].get_ydata() == top).tolist() == [False, True, False]
    assert (drawn(axes, "flat_vae")[0].get_ydata() == top).all()
    assert [drawn(axes, method)[1].get_ydata()[0] == top for method in METHODS] == [False, False, True]
    assert drawn(axes, "vae")[1].get_ydata()[0] == np.median(drawn(axes, "vae")[0].get_ydata()), (
        "∞ stands above the others"
    )
    assert front(axes) == [tuple(drawn(axes, "vhp_vae")[1].get_xydata()[0])]
    assert [tick.get_text() for tick in axes.get_yticklabels()].count("∞") == 1
    assert "∞" not in [tick.get_text() for tick in finite.get_yticklabels()]
    assert_inside(figure)


def test_pareto_opens_the_marker_of_a_method_that_missed_a_bound_on_that_data_set():
    frame = numbers()
    assert OPEN_LABEL not in legend(figures.pareto(frame, METHODS, "title"))
    change(frame, "digits", "vhp_vae", "settled", 2, 0.0)
    figure = figures.pareto(frame, METHODS, "title")
    for axes, missed in zip(panels(figure), ([], ["vhp_vae"]), strict=True):
        opened = [m for m in METHODS if to_hex(drawn(axes, m)[1].get_markerfacecolor()) == "#ffffff"]
        assert opened == missed
        assert [text.get_text() for text in axes.texts] == ["†"] * len(missed)
    assert OPEN_LABEL in legend(figure)


def test_pareto_leaves_out_seeds_methods_and_data_sets_without_numbers():
    frame = numbers(datasets=("pendulum", "digits", "crowd"))
    no_k = (frame["dataset"] == "crowd") | ((frame["method"] == "vae") & (frame["seed"] == 0))
    lost = (frame["dataset"] == "digits") & (frame["method"] == "flat_vae")
    frame = frame[~lost & ~(no_k & (frame["metric"] == "condition_number_median"))]
    extra = numbers(datasets=("digits",), methods=["pca"])
    figure = figures.pareto(pd.concat([frame, extra]), METHODS, "title")
    pendulum, digits = panels(figure)
    assert (pendulum.get_title(), digits.get_title()) == ("pendulum", "digits")
    assert len(drawn(pendulum, "vae")[0].get_xdata()) == 2
    assert {line.get_label() for line in digits.lines} & {*METHODS, "pca"} == {"vae", "vhp_vae"}
    assert legend(figure)[:3] == NAMES
    assert (
        figures.pareto(frame[frame["task"] == "training"], METHODS, "title")
        .texts[-1]
        .get_text()
        .startswith("No method")
    )
    with pytest.raises(InputError, match="lacks the column 'seed'"):
        figures.pareto(frame.drop(columns="seed"), METHODS, "title")


MANY = [f"flat_vae_with_a_long_name_{i}" for i in range(18)]


@pytest.mark.parametrize("n_datasets", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("methods", [["vae"], METHODS, MANY], ids=len)
def test_pareto_lies_within_the_figure(n_datasets, methods):
    datasets = [f"data_set_{i}" for i in range(n_datasets)]
    figure = figures.pareto(numbers(datasets, methods), methods, "flatness against reconstruction")
    assert len(panels(figure)) == n_datasets
    assert_inside(figure)


# ---------------------------------------------------------------------------------------------------------------- forest


def _estimate(source):
    return np.sort(source.uniform(0, 1, 3))[[1, 0, 2]]


def estimates(methods=METHODS, metrics=("condition_number_median", "knn_accuracy", "kl")):
    """A row for each method and metric, as `comparison.improvement` has them."""
    source = np.random.default_rng(1)
    rows = [
        (method, metric, *_estimate(source), *_estimate(source), 5, 2, True) for method in methods for metric in metrics
    ]
    return pd.DataFrame(rows, columns=comparison.COLUMNS)


def points(axes):
    """{method: (slot, probability, low, high)} of a panel."""
    found = {}
    for interval, point in zip(axes.lines, axes.lines[1:], strict=False):
        if point.get_label() in (*METHODS, *MANY) and len(point.get_xdata()) == 1:
            ((probability, slot),) = point.get_xydata()
            assert set(interval.get_ydata()) == {slot}
            found[point.get_label()] = (slot, probability, *interval.get_xdata())
    return found


def test_improvement_draws_every_probability_with_its_interval():
    frame = estimates()
    figure = figures.improvement(frame, METHODS, "vhp_vae", "title")
    assert figure.get_suptitle() == "title"
    for metric, axes in zip(("condition_number_median", "knn_accuracy", "kl"), panels(figure), strict=True):
        assert axes.get_title() == f"{LABELS[metric]}\n2 data sets, n = 5"
        own = frame[frame["metric"] == metric].set_index("method")[["probability", "low", "high"]]
        assert points(axes) == {m: (slot, *own.loc[m]) for slot, m in enumerate(METHODS)}
        assert axes.get_ylim() == (2.5, -0.5), "the first method is on top"
        (half,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert list(half.get_xdata()) == [0.5, 0.5]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == NAMES


def test_improvement_without_interval_or_number_and_with_a_missed_bound():
    frame = estimates(metrics=["kl"])
    frame.loc[frame["method"] == "vae", ["low", "high"]] = math.nan
    frame.loc[frame["method"] == "vae", "equal"] = False
    frame = frame[frame["method"] != "vhp_vae"]
    figure = figures.improvement(frame, METHODS, "vhp_vae", "title")
    (axes,) = panels(figure)
    found = points(axes)
    assert list(found) == ["vae", "flat_vae"]
    assert np.isnan(found["vae"][2:]).all()
    assert found["flat_vae"][0] == 2, "the row of the method without a number stays empty"
    faces = {line.get_label(): to_hex(line.get_markerfacecolor()) for line in axes.lines}
    assert (faces["vae"], faces["flat_vae"]) == ("#ffffff", method_style("flat_vae").colour.lower())
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["VAE †", "VHP-VAE", "Flat VAE"]
    assert legend(figure)[-1] == "open, †: a seed of it or of VHP-VAE missed equal reconstruction"
    assert len(legend(figures.improvement(estimates(), METHODS, "vhp_vae", "title"))) == 2
    assert_inside(figure)


@pytest.mark.parametrize(
    ("metric", "effect", "text"),
    [
        ("condition_number_median", (0.0698, 0.0542, 0.0899), "× 0.070 [0.054, 0.090]"),
        ("condition_number_median", (0.9251, 0.9214, 0.9298), "× 0.925 [0.921, 0.930]"),
        ("condition_number_median", (0.01, 0.0021, 0.05), "× 0.01 [0.0021, 0.05]"),  # the ends over a decade apart
        (
            "condition_number_median",
            (0.795, 0.61, 1.035),
            "× 0.80 [0.61, 1.03]",
        ),  # not [0.6, 1.0], which hides that 1 is within
        ("condition_number_median", (math.inf, math.nan, math.nan), "× ∞"),
        ("test_error", (1.0, 1.0, 1.0), "× 1"),
        ("kl", (-1.84, -2.03, -1.66), "−1.8 [−2.0, −1.7]"),
        ("knn_accuracy", (0.01284, -0.0013, 0.02693), "+0.013 [−0.001, 0.027]"),
        ("knn_accuracy", (0.0, 0.0, 0.0), "0"),
    ],
)
def test_improvement_writes_the_effect_beside_the_row_of_its_method(metric, effect, text):
    frame = estimates(metrics=[metric])
    frame.loc[frame["method"] == "vae", "effect"] = math.nan
    frame.loc[frame["method"] == "flat_vae", ["effect", "effect_low", "effect_high"]] = effect
    (axes,) = panels(figures.improvement(frame, METHODS, "vhp_vae", "title"))
    written = [(written.get_text(), written.xy[1]) for written in axes.texts if written.get_text() != "≠"]
    assert written == [(text, 2)], "none of the baseline's own"


@pytest.mark.parametrize(
    ("metric", "probability", "effect", "marked"),
    [
        ("condition_number_median", 1 / 3, 0.61, True),  # far better on one data set, slightly worse on two
        ("condition_number_median", 0.9, 0.61, False),
        ("condition_number_median", 0.5, 0.61, False),
        ("condition_number_median", 0.9, math.inf, True),
        ("condition_number_median", 0.9, math.nan, False),
        ("kl", 0.2, 1.2, False),
        ("kl", 0.2, -1.2, True),
        ("knn_accuracy", 0.2, 0.01, True),
        ("knn_accuracy", 0.8, 0.01, False),
    ],
)
def test_improvement_marks_rows_whose_probability_and_effect_disagree(metric, probability, effect, marked):
    frame = estimates(metrics=[metric])
    frame[["probability", "low", "high", "effect"]] = 0.5, math.nan, math.nan, 1.0
    frame.loc[frame["method"] == "flat_vae", ["probability", "effect"]] = probability, effect
    figure = figures.improvement(frame, METHODS, "vhp_vae", "title")
    (axes,) = panels(figure)
    assert [text.get_text() for text in axes.texts].count("≠") == marked
    explained = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert ("≠: one says better and the other worse" in explained) == marked
    assert "the probability that a training of the method is better than one of VHP-VAE" in explained
    assert_inside(figure)


def test_improvement_marks_no_row_whose_intervals_both_hold_as_good():
    frame = estimates(["flat_vae"], ["kl"])
    frame[["probability", "low", "high", "effect", "effect_low", "effect_high"]] = 0.47, 0.1, 0.9, -0.1, -2.0, 1.8
    for probability_low, marked in ((0.1, 0), (0.51, 1)):
        frame["low"] = probability_low
        (axes,) = panels(figures.improvement(frame, METHODS, "vhp_vae", "title"))
        assert [text.get_text() for text in axes.texts].count("≠") == marked


def test_improvement_with_nothing_to_compare_with_says_so():
    figure = figures.improvement(estimates()[:0], METHODS, "vhp_vae", "title")
    assert figure.texts[-1].get_text() == "There are no numbers of VHP-VAE to compare with."
    with pytest.raises(InputError, match="lacks the column 'low'"):
        figures.improvement(estimates().drop(columns="low"), METHODS, "vhp_vae", "title")


def test_every_metric_of_the_comparison_has_a_label_whose_arrow_is_its_direction():
    for metric in comparison.METRICS:
        assert LABELS[metric.name].endswith({comparison.LOWER: "↓", comparison.HIGHER: "↑"}[metric.better])


@pytest.mark.parametrize("n_metrics", [1, 4, 9, len(LABELS)])
@pytest.mark.parametrize("methods", [METHODS[:2], MANY], ids=len)
def test_improvement_lies_within_the_figure_and_headings_apart(n_metrics, methods):
    frame = estimates(methods, list(LABELS)[:n_metrics])
    figure = figures.improvement(frame, methods, "vhp_vae", "probability of improvement over vhp_vae")
    assert_inside(figure)
    headings = [axes.title.get_window_extent() for axes in panels(figure)]
    assert len(headings) == n_metrics
    assert not any(a.overlaps(b) for i, a in enumerate(headings) for b in headings[:i])


@pytest.mark.parametrize("name", ["pareto", "improvement"])
def test_the_same_numbers_give_the_same_bytes(name, tmp_path):
    for place in "ab":
        figure = (
            figures.pareto(numbers(), METHODS, "title")
            if name == "pareto"
            else figures.improvement(estimates(), METHODS, "vhp_vae", "title")
        )
        figures.save(figure, tmp_path / place)
    for kind in ("pdf", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
