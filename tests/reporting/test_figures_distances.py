"""Distributions of distances and of interpolations over pairs, and what they cost."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from flatvae.errors import InputError
from flatvae.reporting import figures

SEEDS, PAIRS = 3, 41


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def distance_arrays(rng, ratio, error):
    """Pairs whose geodesics are `ratio` of the straight lines, and whose Euclidean distance is off by a share `error`."""
    geodesic = rng.uniform(1, 5, size=(SEEDS, PAIRS))
    scale = np.array([0.5, 2.0, 30.0])
    off = error * np.where(rng.uniform(size=(SEEDS, PAIRS)) < 0.5, -1, 1)
    return {
        "length_ratio": ratio * np.linspace(0.9, 1, PAIRS) * np.ones((SEEDS, 1)),
        "geodesic_length": geodesic,
        "euclidean": geodesic * (1 + off) / scale[:, None],
        "euclidean_scale": scale,
        "graph_length": geodesic * np.array([1.1, 1.2, 1.3])[:, None],
    }


@pytest.fixture
def methods(rng):
    return {"vae": distance_arrays(rng, 0.8, 0.25), "flat_vae": distance_arrays(rng, 1.0, 0.01)}


def medians(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def all_data(axes):
    return np.concatenate([np.ravel(line.get_xydata()) for line in axes.lines])


# ----------------------------------------------------------------------------------------------------------- distances


def test_distances_draw_the_median_of_every_seed_in_three_panels(methods):
    figure = figures.distances(methods, "pendulum")
    ratio, error, graph = figure.axes
    assert figure.get_suptitle() == "pendulum"
    for method, medium_ratio, off in (("vae", 0.8 * 0.95, 0.25), ("flat_vae", 0.95, 0.01)):
        for seed in range(SEEDS):
            label = f"{method} {seed}"
            assert medians(ratio)[label].get_xdata() == pytest.approx([medium_ratio])
            assert medians(error)[label].get_xdata() == pytest.approx([off]), "whatever the scale of the codes"
            assert medians(graph)[label].get_xdata() == pytest.approx([1.1 + 0.1 * seed])
    for axes in figure.axes:
        assert len(medians(axes)) == 2 * SEEDS
        assert texts(axes) == []
        assert np.isfinite(all_data(axes)).all()
        assert len(axes.get_xlabel()) > 0


def test_distances_axes_are_linear_to_one_and_logarithmic(methods):
    ratio, error, graph = figures.distances(methods, "title").axes
    assert [axes.get_xscale() for axes in (ratio, error, graph)] == ["linear", "log", "log"]
    low, high = ratio.get_xlim()
    assert high == 1
    assert 0.6 < low < 0.8 * 0.9 + 0.02
    assert error.get_xlim()[0] < 0.01
    assert error.get_xlim()[1] < 0.5, "no reference at 1"
    assert graph.get_xlim()[0] < 1 < 1.3 < graph.get_xlim()[1]
    (reference,) = [line for line in graph.lines if line.get_linestyle() == ":"]
    assert list(reference.get_xdata()) == [1, 1]
    assert [line for line in error.lines if line.get_linestyle() == ":"] == []


def test_distances_bars_are_the_quantiles_of_the_pairs(methods):
    ratio = figures.distances(methods, "title").axes[0]
    y = medians(ratio)["vae 1"].get_ydata()[0]
    bars = [tuple(line.get_xdata()) for line in ratio.lines if list(line.get_ydata()) == [y, y]]
    values = np.sort(methods["vae"]["length_ratio"][1])
    # of 41 sorted values the 3rd is the 5 % quantile (smallest with at least 5 % at or below), the 11th the 25 % one
    assert bars == [pytest.approx((values[2], values[38])), pytest.approx((values[10], values[30]))]


def test_distances_of_a_flat_manifold_are_counted_where_the_log_axis_ends(methods):
    geodesic = np.full((SEEDS, PAIRS), 2.0)
    flat = {"length_ratio": geodesic / 2, "geodesic_length": geodesic, "graph_length": geodesic}
    flat |= {"euclidean": geodesic / 4, "euclidean_scale": np.full(SEEDS, 4.0)}
    ratio, error, graph = figures.distances({"vae": methods["vae"], "flat_vae": flat}, "title").axes
    assert medians(ratio)["flat_vae 0"].get_xdata() == [1.0]
    assert medians(ratio)["flat_vae 0"].get_marker() == "o", "at the edge, not beyond it"
    assert texts(error) == [f"{SEEDS * PAIRS} of {SEEDS * PAIRS} are 0"]
    assert medians(error)["flat_vae 0"].get_marker() == "<"
    assert medians(error)["flat_vae 0"].get_xdata() == [error.get_xlim()[0]]
    assert medians(graph)["flat_vae 0"].get_xdata() == [1.0]
    alone = figures.distances({"flat_vae": flat}, "title")
    for axes in alone.axes:
        assert np.isfinite(all_data(axes)).all()
        assert axes.get_xlim()[0] < axes.get_xlim()[1]


def test_distances_count_ratios_above_one_but_not_their_rounding(methods):
    methods["flat_vae"]["length_ratio"] = np.ones((SEEDS, PAIRS), np.float32) + np.float32(2e-7)
    assert texts(figures.distances(methods, "title").axes[0]) == []
    methods["flat_vae"]["length_ratio"][1, :30] = 1.02
    axes = figures.distances(methods, "title").axes[0]
    assert texts(axes) == [f"30 of {SEEDS * PAIRS} are > 1"]
    assert medians(axes)["flat_vae 1"].get_marker() == ">"
    assert axes.get_xlim()[1] == 1


def test_distances_of_pairs_at_one_point_are_no_error(methods):
    for name in ("geodesic_length", "euclidean", "graph_length"):
        methods["vae"][name][0, :5] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, error, graph = figures.distances(methods, "title").axes
    assert texts(error) == [f"5 of {SEEDS * PAIRS} are 0"]
    assert texts(graph) == []
    assert medians(graph)["vae 0"].get_xdata() == pytest.approx([1.1])


def test_distances_name_seeds_that_are_not_finite(methods):
    for name in ("length_ratio", "geodesic_length"):
        methods["vae"][name][2] = math.nan
    for axes in figures.distances(methods, "title").axes:
        assert texts(axes) == ["1 of 3 seeds not finite"]
        assert "vae 2" not in medians(axes)


# ------------------------------------------------------------------------------------------------------- interpolation


def test_interpolation_draws_the_median_of_every_seed(rng):
    methods = {
        method: {name: spread * rng.lognormal(size=(SEEDS, PAIRS)) for name in ("second_difference", "velocity_cv")}
        for method, spread in (("vae", 1.0), ("flat_vae", 0.01))
    }
    methods["flat_vae"]["velocity_cv"][0, :4] = 0.0
    for arrays in methods.values():
        arrays["kept"] = np.ones((SEEDS, PAIRS), bool)
    figure = figures.interpolation(methods, "pendulum")
    for axes, name in zip(figure.axes, ("second_difference", "velocity_cv"), strict=True):
        assert axes.get_xscale() == "log"
        for method, arrays in methods.items():
            drawn = [medians(axes)[f"{method} {seed}"].get_xdata()[0] for seed in range(SEEDS)]
            assert drawn == pytest.approx(np.median(arrays[name], axis=1))
        low, high = axes.get_xlim()
        assert all(low <= x <= high for line in axes.lines if len(line.get_xdata()) == 1 for x in line.get_xdata())
    assert [texts(axes) for axes in figure.axes] == [[], [f"4 of {SEEDS * PAIRS} are 0"]]


def test_interpolation_leaves_pairs_out_that_do_not_count(rng):
    value = rng.lognormal(size=(SEEDS, PAIRS))
    kept = rng.uniform(size=(SEEDS, PAIRS)) < 0.5  # another number of each seed
    figure = figures.interpolation({"vae": {"second_difference": value, "velocity_cv": value, "kept": kept}}, "title")
    drawn = [medians(figure.axes[0])[f"vae {seed}"].get_xdata()[0] for seed in range(SEEDS)]
    assert drawn == [np.median(points[own]) for points, own in zip(value, kept, strict=True)]


@pytest.mark.parametrize("draw", [figures.distances, figures.interpolation, figures.equidistance])
def test_no_methods_and_missing_arrays_are_refused(draw):
    with pytest.raises(InputError, match="there are no methods"):
        draw({}, "title")
    with pytest.raises(InputError, match="method vae lacks"):
        draw({"vae": {}}, "title")


# ---------------------------------------------------------------------------------------------------------- efficiency

POINTS = (1000, 10000, 50000)
SECONDS = {"euclidean": 1e-9, "geodesic": 1e-5, "graph": 1e-6}
TITLES = ("Euclidean", "geodesic, chord filter", "geodesic, graph alone")


def efficiency_frame(methods=("vae", "flat_vae"), points=POINTS):
    """Time per query SECONDS · N · (seed + 1), amortised twice that; a step of the i-th method takes i + 1 ms and seed µs."""
    rows = []
    for place, method in enumerate(methods):
        for seed in range(SEEDS):
            rows.append((method, "", "training", "step_seconds", seed, 1e-3 * (place + 1) + 1e-6 * seed))
            for n in points:
                for kind, seconds in SECONDS.items():
                    distance, part = ("geodesic", "graph_") if kind == "graph" else (kind, "")
                    query = seconds * n * (seed + 1)
                    for name, value in (("query", query), ("build", 100 * query), ("amortised", 2 * query)):
                        rows.append((method, distance, "efficiency", f"{part}{name}_seconds_at_{n}", seed, value))
    return pd.DataFrame(rows, columns=["method", "distance", "task", "metric", "seed", "value"]).assign(dataset="d")


def test_efficiency_draws_every_seed_and_the_geometric_mean_of_every_distance_and_method():
    figure = figures.efficiency(efficiency_frame(), "pendulum")
    assert figure.get_suptitle() == "pendulum"
    for column, (title, seconds) in enumerate(zip(TITLES, SECONDS.values(), strict=True)):
        query, amortised = figure.axes[2 * column : 2 * column + 2]
        assert query.get_title() == title
        assert query.get_ylim() == amortised.get_ylim()
        for axes, factor in ((query, 1), (amortised, 2)):
            assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
            drawn = medians(axes)
            assert len(drawn) == 2 * (SEEDS + 1)
            for method in ("vae", "flat_vae"):
                for label, times in (
                    (f"{method} 0", 1),
                    (f"{method} 1", 2),
                    (f"{method} 2", 3),
                    (method, 6 ** (1 / 3)),
                ):
                    microseconds = [1e6 * factor * seconds * times * n for n in POINTS]
                    assert drawn[label].get_ydata() == pytest.approx(microseconds)
            assert [label.get_text() for label in axes.get_xticklabels()] == ["1,000", "10,000", "50,000"]
            assert axes.get_xlabel() == "number of points"
    assert [axes.get_ylabel()[-4:] for axes in figure.axes[:4]] == ["[µs]", "[µs]", "", ""]


def test_efficiency_draws_every_time_at_its_number_of_points():
    lines = medians(figures.efficiency(efficiency_frame(), "title").axes[0])
    for label in ("vae", "vae 1", "flat_vae", "flat_vae 2"):
        np.testing.assert_array_equal(lines[label].get_xdata(), POINTS)
    low, high = lines["vae"].axes.get_xlim()
    assert low < min(POINTS) < max(POINTS) < high
    assert (lines["vae"].get_marker(), lines["flat_vae"].get_marker()) == ("o", "^")
    assert lines["vae"].get_markerfacecolor() == "none", "another's marker shows through"
    assert lines["vae"].get_markersize() > lines["vae 0"].get_markersize()


def test_efficiency_training_steps_have_a_dot_for_each_seed_from_zero():
    steps = figures.efficiency(efficiency_frame(), "title", {"vae"}).axes[-1]
    assert steps.get_xlim()[0] == 0
    assert steps.get_xlim()[1] > 2
    for place, method in enumerate(("vae", "flat_vae")):
        dots = medians(steps)[method]
        assert dots.get_linestyle() == "None"
        assert dots.get_xdata() == pytest.approx([place + 1 + 1e-3 * seed for seed in range(SEEDS)])
        assert all(abs(y - place) < 0.5 for y in dots.get_ydata())
        assert len(set(dots.get_ydata())) == SEEDS
    assert [label.get_text() for label in steps.get_yticklabels()] == ["VAE †", "Flat VAE"]
    assert steps.get_xlabel() == "time per training step [ms]"


def test_efficiency_names_only_the_distances_that_it_draws():
    frame = efficiency_frame()
    frame = frame[~frame["metric"].str.startswith("graph_")]
    figure = figures.efficiency(frame, "title")
    assert [axes.get_title() for axes in figure.axes[:-1:2]] == list(TITLES[:2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["VAE", "Flat VAE"]


def test_efficiency_says_which_panel_has_no_rows():
    frame = efficiency_frame()
    query, amortised, steps = figures.efficiency(frame[frame["metric"] == "step_seconds"], "title").axes
    assert [texts(axes) for axes in (query, amortised, steps)] == [["none"], ["none"], []]
    steps = figures.efficiency(frame[frame["metric"] != "step_seconds"], "title").axes[-1]
    assert texts(steps) == ["none"]


def test_efficiency_refuses_a_frame_without_its_metrics():
    with pytest.raises(InputError, match="the frame lacks the column 'distance'"):
        figures.efficiency(efficiency_frame().drop(columns="distance"), "title")
    with pytest.raises(InputError, match="none of its metrics"):
        figures.efficiency(efficiency_frame()[:0], "title")


def test_a_log_axis_has_at_least_two_numbers():
    for low, high in ((0.0013, 0.09), (0.011, 0.9), (3.0, 80.0), (1.0, 1.02), (2e-9, 5.0)):
        frame = efficiency_frame(points=(1000,))
        frame = frame[frame["metric"].isin(["query_seconds_at_1000"])]
        frame["value"] = np.where(frame["seed"] == 0, low, high)
        axes = figures.efficiency(frame, "title").axes[0]
        ticks = axes.get_yticks()
        assert len(ticks) >= 2
        assert all(axes.get_ylim()[0] <= tick <= axes.get_ylim()[1] for tick in ticks)
