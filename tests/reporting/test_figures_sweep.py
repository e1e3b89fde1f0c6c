"""Metrics against a hyperparameter."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from inside import assert_inside
from matplotlib.colors import to_hex

from flatvae.errors import InputError
from flatvae.reporting import figures
from flatvae.reporting.figures._common import OPEN_LABEL, series_style
from flatvae.reporting.statistics import over_seeds

SEEDS = 4
ETAS = (10.0, 100.0, 1000.0)
CURVES = ("flat_vae", "flat_vae_scale_free")
VALUES = {curve: {f"{curve}_{eta:g}": eta for eta in ETAS} for curve in CURVES}
METRICS = {
    "condition_number_median": "flatness",
    "condition_number_median_mixup": "flatness",
    "mf_std": "flatness",
    "test_error": "reconstruction",
    "kl": "reconstruction",
    "nll": "likelihood",
    "knn_accuracy": "neighbours",
}
DISTANCE = {"knn_accuracy": "euclidean"}


def value(place, eta, metric, seed):
    """Positive, and another for each curve, hyperparameter, metric and seed."""
    return (1 + list(METRICS).index(metric)) * (1 + place + 10 / eta) * (1 + 0.05 * seed)


def metrics_frame():
    rows = []
    for place, curve in enumerate(CURVES):
        for method, eta in VALUES[curve].items():
            for seed in range(SEEDS):
                for metric, task in METRICS.items():
                    rows.append((method, task, metric, seed, value(place, eta, metric, seed)))
                rows += [
                    (method, "reconstruction", "bound", seed, 5.0),
                    (method, "reconstruction", "equal_reconstruction", seed, 1),
                    (method, "reconstruction", "settled", seed, 1),
                ]
                rows.append((method, "training", "kl", seed, 1e9))  # of another task: not drawn
                rows.append((method, "neighbours", "knn_accuracy", seed, 1e9))  # of another distance, see below
    for seed in range(SEEDS):
        rows += [("vae", task, metric, seed, 3.0 + seed) for metric, task in METRICS.items()]
        rows += [("vae", "reconstruction", name, seed, 1) for name in ("equal_reconstruction", "settled")]
        rows.append(("vae", "reconstruction", "bound", seed, 5.0))
    frame = pd.DataFrame(rows, columns=["method", "task", "metric", "seed", "value"])
    frame["distance"] = frame["metric"].map(DISTANCE).fillna("")
    frame.loc[(frame["metric"] == "knn_accuracy") & (frame["value"] == 1e9), "distance"] = "geodesic"
    return frame


@pytest.fixture
def frame():
    return metrics_frame()


def panels(figure):
    return [axes for axes in figure.axes if axes.axison]


def mean_lines(axes):
    return {line.get_label(): line for line in axes.lines if line.get_label() in CURVES}


def dots(axes, curve, eta):
    """Values of the seeds of a curve at this place: its small markers."""
    style = series_style(CURVES.index(curve))
    small = [line for line in axes.lines if line.get_marker() == style.marker and line.get_markersize() < 4]
    return [line.get_ydata().tolist() for line in small if set(line.get_xdata()) == {eta}]


def mean_markers(axes):
    """{(marker, x): whether it is open} of the markers of the means."""
    large = [line for line in axes.lines if line.get_markersize() == 4.5 and len(line.get_xdata()) == 1]
    return {(m.get_marker(), m.get_xdata()[0]): to_hex(m.get_markerfacecolor()) == "#ffffff" for m in large}


def test_sweep_draws_every_seed_the_means_and_their_t_intervals(frame):
    figure = figures.sweep(frame, VALUES, "eta", "pendulum")
    assert figure.get_suptitle() == "pendulum"
    axes_of = dict(zip(METRICS, panels(figure), strict=True))
    for metric, axes in axes_of.items():
        assert axes.get_xlabel() == "eta"
        assert len(axes.collections) == 4, "a band and its intervals for each curve"
        for place, curve in enumerate(CURVES):
            seeds = [[value(place, eta, metric, seed) for seed in range(SEEDS)] for eta in ETAS]
            intervals = [over_seeds(values, metric) for values in seeds]
            line = mean_lines(axes)[curve]
            assert list(line.get_xdata()) == list(ETAS)
            assert line.get_ydata() == pytest.approx([interval.mean for interval in intervals])
            for eta, values in zip(ETAS, seeds, strict=True):
                assert dots(axes, curve, eta) == [pytest.approx(values)]
            band, bars = axes.collections[2 * place : 2 * place + 2]
            drawn = {tuple(segment.ravel()) for segment in np.round(bars.get_segments(), 9)}
            assert drawn == {tuple(np.round((e, i.low, e, i.high), 9)) for e, i in zip(ETAS, intervals, strict=True)}
            corners = {tuple(vertex) for vertex in np.round(band.get_paths()[0].vertices, 9)}
            ends = {(e, end) for e, i in zip(ETAS, intervals, strict=True) for end in (i.low, i.high)}
            assert {tuple(np.round(end, 9)) for end in ends} <= corners


def test_sweep_axes_are_logarithmic_where_they_should_be(frame):
    axes = panels(figures.sweep(frame, VALUES, "eta", "title"))
    assert [panel.get_yscale() for panel in axes] == ["log"] * 3 + ["linear"] * 4
    assert {panel.get_xscale() for panel in axes} == {"log"}
    assert list(axes[0].get_xticks()) == list(ETAS)
    narrow = {CURVES[0]: dict(zip(VALUES[CURVES[0]], (0.2, 1.0, 2.0), strict=True))}
    with_zero = {CURVES[0]: dict(zip(VALUES[CURVES[0]], (0.0, 1.0, 100.0), strict=True))}
    for values in (narrow, with_zero):
        assert panels(figures.sweep(frame, values, "x", "title"))[0].get_xscale() == "linear"


def test_sweep_holds_all_that_it_draws_within_its_limits(frame):
    for axes in panels(figures.sweep(frame, VALUES, "eta", "title", baseline="vae")):
        low, high = axes.get_ylim()
        left, right = axes.get_xlim()
        assert left < min(ETAS) < max(ETAS) < right
        for line in axes.lines:
            assert low <= np.min(line.get_ydata())
            assert np.max(line.get_ydata()) <= high
        assert (
            max(segment.max() for c in axes.collections[1::2] for segment in np.array(c.get_segments())[..., 1]) < high
        )


def test_sweep_leaves_out_metrics_that_are_absent(frame):
    frame = frame[frame["metric"].isin(["mf_std", "test_error"])]
    figure = figures.sweep(frame, VALUES, "eta", "title")
    assert [axes.get_ylabel() for axes in panels(figure)] == ["std of MF / mean MF", "test error $C$"]
    one = frame[(frame["method"] == "flat_vae_10") & (frame["metric"] == "mf_std")]
    figure = figures.sweep(one, {"flat_vae": {"flat_vae_10": 10.0}}, "eta", "title")
    (axes,) = figure.axes
    assert dots(axes, "flat_vae", 10.0) == [pytest.approx([value(0, 10.0, "mf_std", seed) for seed in range(SEEDS)])]


def dashed(axes):
    return [line for line in axes.lines if line.get_linestyle() == "--" and to_hex(line.get_color()) == "#000000"]


def test_sweep_shows_the_error_against_its_bound(frame):
    axes = panels(figures.sweep(frame, VALUES, "eta", "title"))
    (bound,) = dashed(axes[3])
    assert list(bound.get_ydata()) == [5.0, 5.0]
    assert [dashed(panel) for panel in (*axes[:3], *axes[4:])] == [[]] * 6


def test_sweep_of_the_bound_shows_it_along_the_curve(frame):
    own = frame["metric"] == "bound"
    frame.loc[own, "value"] = frame.loc[own, "method"].map({m: x / 2 for c in VALUES.values() for m, x in c.items()})
    error = panels(figures.sweep(frame, VALUES, "kappa squared", "title"))[3]
    for bound in dashed(error):
        assert list(bound.get_xdata()) == list(ETAS)
        assert list(bound.get_ydata()) == [eta / 2 for eta in ETAS]
    assert len(dashed(error)) == 2


def test_sweep_opens_the_markers_of_methods_that_missed_the_bound(frame):
    figure = figures.sweep(frame, VALUES, "eta", "title")
    assert not any(opened for axes in panels(figure) for opened in mean_markers(axes).values())
    assert not any("open" in text.get_text() for text in figure.legends[0].get_texts())
    one = (frame["method"] == "flat_vae_100") & (frame["metric"] == "equal_reconstruction") & (frame["seed"] == 2)
    frame.loc[one, "value"] = 0
    figure = figures.sweep(frame, VALUES, "eta", "title")
    for axes in panels(figure):
        markers = mean_markers(axes)
        assert len(markers) == 2 * len(ETAS)
        assert [key for key, opened in markers.items() if opened] == [("o", 100.0)]
        assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("†", 100.0)]
    assert OPEN_LABEL in [text.get_text() for text in figure.legends[0].get_texts()]


def test_sweep_draws_a_baseline_as_levels(frame):
    figure = figures.sweep(frame, VALUES, "eta", "title", baseline="vae")
    for metric, axes in zip(METRICS, panels(figure), strict=True):
        interval = over_seeds([3.0, 4.0, 5.0, 6.0], metric)
        levels = [line for line in axes.lines if set(line.get_xdata()) <= {0, 1, 1.04} and line not in dashed(axes)]
        drawn = sorted(line.get_ydata()[0] for line in levels)
        assert drawn == pytest.approx([3.0, 4.0, interval.mean, 5.0, 6.0]), "four seeds and their mean"
        (span,) = axes.patches
        assert (span.get_y(), span.get_y() + span.get_height()) == pytest.approx((interval.low, interval.high))
    assert any(text.get_text().startswith("VAE ") for text in figure.legends[0].get_texts())


def test_sweep_marks_what_is_infinite_at_the_edge(frame, tmp_path):
    infinite = (
        (frame["method"] == "flat_vae_10") & (frame["metric"] == "condition_number_median") & (frame["seed"] == 1)
    )
    frame.loc[infinite, "value"] = math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.sweep(frame, VALUES, "eta", "title")
        figures.save(figure, tmp_path / "figure")
    axes = panels(figure)[0]
    arrows = [line for line in axes.lines if line.get_label() == "beyond the axis"]
    assert {tuple(arrow.get_xydata()[0]) for arrow in arrows} == {(10.0, axes.get_ylim()[1])}
    assert {arrow.get_marker() for arrow in arrows} == {"^"}
    (drawn,) = dots(axes, "flat_vae", 10.0)
    assert len(drawn) == SEEDS - 1
    assert np.isfinite(axes.get_ylim()).all()
    assert "beyond the axis" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_sweep_of_one_seed_has_no_interval(frame):
    figure = figures.sweep(frame[frame["seed"] == 0], VALUES, "eta", "title")
    for axes in panels(figure):
        assert all(segment.size == 0 for bars in axes.collections[1::2] for segment in bars.get_segments())
        assert len(mean_lines(axes)) == 2


@pytest.mark.parametrize("curves", [1, 2])
def test_sweep_lies_within_the_figure(frame, curves):
    one = (frame["method"] == "flat_vae_100") & (frame["metric"] == "settled")
    frame.loc[one, "value"] = 0
    values = dict(list(VALUES.items())[:curves])
    assert_inside(figures.sweep(frame, values, "eta", "title", baseline="vae"))
    assert_inside(figures.sweep(frame[frame["metric"].isin(["settled", "mf_std"])], values, "eta", "title"))


def test_sweep_curves_differ_in_line_and_marker(frame):
    lines = mean_lines(panels(figures.sweep(frame, VALUES, "eta", "title"))[0])
    assert {line.get_linestyle() for line in lines.values()} == {"-", "--"}
    markers = {marker for marker, _ in mean_markers(panels(figures.sweep(frame, VALUES, "eta", "title"))[0])}
    assert markers == {"o", "s"}


def test_sweep_refuses_no_methods_and_methods_without_rows(frame):
    for values in ({}, {"flat_vae": {}}):
        with pytest.raises(InputError, match="there are no methods"):
            figures.sweep(frame, values, "eta", "title")
    with pytest.raises(InputError, match="no rows of method flat_vae_7"):
        figures.sweep(frame, {"flat_vae": {"flat_vae_7": 7.0}}, "eta", "title")
    with pytest.raises(InputError, match="no rows of method nothing"):
        figures.sweep(frame, VALUES, "eta", "title", baseline="nothing")
    with pytest.raises(InputError, match="the frame lacks the column 'task'"):
        figures.sweep(frame.drop(columns="task"), VALUES, "eta", "title")
    with pytest.raises(InputError, match="has none of condition_number_median"):
        figures.sweep(frame[frame["metric"] == "bound"], VALUES, "eta", "title")
