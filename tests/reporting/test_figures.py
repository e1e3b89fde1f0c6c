import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from flatvae.errors import InputError
from flatvae.reporting import figures
from flatvae.reporting.names import display_name, method_style

SEEDS, POINTS = 3, 40


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def flatness_arrays(rng):
    def arrays(spread):
        return {
            "condition_number": 1 + rng.lognormal(size=(SEEDS, POINTS)) * spread,
            "condition_number_mixup": 1 + rng.lognormal(size=(SEEDS, POINTS)) * spread,
            "log_magnification_factor": 800 + spread * rng.normal(size=(SEEDS, POINTS)),  # exp(800) overflows
            "log_magnification_factor_mixup": spread * rng.normal(size=(SEEDS, POINTS)),
        }

    return {"vae": arrays(2.0), "flat_vae": arrays(0.01)}


def medians(axes):
    """{label: line} of the median markers: the only labelled lines that name a method and a seed."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_flatness_draws_the_median_of_every_seed(flatness_arrays):
    figure = figures.flatness(flatness_arrays, "title")
    (top_left, top_right), (bottom_left, bottom_right) = np.array(figure.axes).reshape(2, 2)
    for method, arrays in flatness_arrays.items():
        for seed in range(SEEDS):
            for axes, part in ((top_left, ""), (top_right, "_mixup")):
                drawn = medians(axes)[f"{method} {seed}"].get_xdata()
                assert drawn == pytest.approx([np.median(arrays[f"condition_number{part}"][seed])])
            for axes, part in ((bottom_left, ""), (bottom_right, "_mixup")):
                log_mf = arrays[f"log_magnification_factor{part}"][seed]
                mf = np.exp(log_mf - log_mf.max())
                assert medians(axes)[f"{method} {seed}"].get_xdata() == pytest.approx([np.median(mf / mf.mean())])
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        assert len(medians(axes)) == 2 * SEEDS
        assert any(list(line.get_xdata()) == [1, 1] for line in axes.lines), "reference line at 1"
        assert texts(axes) == []


def test_flatness_has_the_same_axis_left_and_right(flatness_arrays):
    flatness_arrays["vae"]["condition_number"] *= 50
    flatness_arrays["vae"]["log_magnification_factor_mixup"] *= 3
    for left, right in np.array(figures.flatness(flatness_arrays, "title").axes).reshape(2, 2):
        assert left.get_xlim() == right.get_xlim()
        assert list(left.get_xticks()) == list(right.get_xticks())


def test_flatness_bars_are_the_quantiles_of_their_seed(flatness_arrays):
    axes = figures.flatness(flatness_arrays, "title").axes[0]
    values = np.sort(flatness_arrays["vae"]["condition_number"][1])
    y = medians(axes)["vae 1"].get_ydata()[0]
    bars = [tuple(line.get_xdata()) for line in axes.lines if list(line.get_ydata()) == [y, y]]
    # of 40 sorted values the 2nd is the 5 % quantile (smallest with at least 5 % at or below), the 10th the 25 % one
    assert bars == [(values[1], values[37]), (values[9], values[29])]


def test_flatness_counts_what_a_log_axis_cannot_hold(flatness_arrays):
    flatness_arrays["vae"]["condition_number"][0, :7] = math.inf
    flatness_arrays["vae"]["condition_number"][1] = math.inf
    flatness_arrays["flat_vae"]["condition_number"][2] = math.nan
    flatness_arrays["vae"]["log_magnification_factor"][0, :7] = -math.inf
    flatness_arrays["vae"]["log_magnification_factor"][1] = -math.inf
    figure = figures.flatness(flatness_arrays, "title")
    assert texts(figure.axes[0]) == ["47 of 120 are ∞", "1 of 3 seeds not finite"]
    assert texts(figure.axes[1]) == []
    assert texts(figure.axes[2]) == ["47 of 120 are 0"]
    drawn, edge = medians(figure.axes[0]), figure.axes[0].get_xlim()[1]
    assert "flat_vae 2" not in drawn
    assert drawn["vae 1"].get_marker() == ">"
    assert drawn["vae 1"].get_xdata() == [edge]
    assert drawn["vae 0"].get_xdata() == pytest.approx([np.median(flatness_arrays["vae"]["condition_number"][0])])
    assert math.isfinite(edge)
    assert medians(figure.axes[2])["vae 1"].get_marker() == "<"


def test_normalised_factor_has_mean_one_at_any_size():
    log_mf = np.random.default_rng(1).normal(size=(4, 100)) + np.array([[-2000], [0], [50], [2000]])
    assert figures.normalised_factor(log_mf).mean(axis=1) == pytest.approx(np.ones(4))
    assert figures.normalised_factor(np.full((1, 5), -math.inf)).tolist() == [[0.0] * 5]


@pytest.fixture
def map_arrays(rng):
    def arrays(offset):
        grid = np.linspace(-2, 2, 6)
        return {
            "codes": rng.normal(size=(SEEDS, POINTS, 2)),
            "map_x": np.stack([grid * (seed + 1) for seed in range(SEEDS)]),
            "map_y": np.stack([grid * (seed + 2) for seed in range(SEEDS)]),
            "map_log_mf": offset + rng.normal(size=(SEEDS, 6, 6)),
            "colour": np.linspace(0, 2 * np.pi, POINTS, endpoint=False),
            "colour_name": np.array("angle"),
            "colour_period": np.array(2 * np.pi),
        }

    return {"vae": arrays(0.0), "flat_vae": arrays(900.0)}


def panels(figure, methods):
    return np.array(figure.axes[: SEEDS * methods]).reshape(SEEDS, methods)


def test_latent_map_draws_all_codes_and_maps_of_every_seed(map_arrays):
    figure = figures.latent_map(map_arrays, "title")
    grid = panels(figure, 2)
    scales = set()
    for column, (method, arrays) in enumerate(map_arrays.items()):
        assert grid[0, column].get_title() == display_name(method)
        for seed in range(SEEDS):
            axes = grid[seed, column]
            mesh, points = axes.collections
            mf = np.exp(arrays["map_log_mf"][seed] - arrays["map_log_mf"][seed].max())
            np.testing.assert_allclose(10 ** mesh.get_array(), mf / mf.mean(), rtol=1e-9)
            scales.add((mesh.norm.vmin, mesh.norm.vmax))
            np.testing.assert_array_equal(points.get_offsets(), arrays["codes"][seed])
            np.testing.assert_array_equal(points.get_array(), arrays["colour"])
            half = 2 * (seed + 2)  # of the longer side
            assert (axes.get_xlim(), axes.get_ylim()) == ((-half, half), (-half, half))
            assert (axes.get_aspect(), axes.get_box_aspect()) == (1, 1)
            assert axes.patch.get_hatch(), "what lies beyond the map is no white"
    assert len(scales) == 1, "one grey scale for all panels"
    figure.draw_without_rendering()
    assert len({tuple(np.round(axes.get_window_extent().size)) for axes in grid.flat}) == 1
    assert [axes.get_ylabel() for axes in figure.axes[SEEDS * 2 :]] == ["angle [rad]", r"$\log_{10}$ MF / mean MF"]


def test_latent_map_calls_the_true_factor_by_its_name(map_arrays):
    for arrays in map_arrays.values():
        arrays["colour_name"] = np.array("true factor")
    bars = [figures.latent_map(map_arrays, "title", *names).axes[-2] for names in ((), ((), "angle"))]
    assert [bar.get_ylabel() for bar in bars] == ["true factor [rad]", "angle [rad]"]


def test_latent_map_colours_are_cyclic_for_a_periodic_variable(map_arrays):
    points = panels(figures.latent_map(map_arrays, "title"), 2)[0, 0].collections[1]
    np.testing.assert_allclose(points.to_rgba([0.0]), points.to_rgba([2 * np.pi]))
    assert np.abs(points.to_rgba([0.0]) - points.to_rgba([np.pi])).max() > 0.3


def test_latent_map_draws_integer_labels_as_classes(map_arrays):
    for arrays in map_arrays.values():
        arrays.update(colour=np.arange(POINTS) % 3 + 1, colour_name="digit", colour_period=0.0)
    figure = figures.latent_map(map_arrays, "title")
    _, *classes = panels(figure, 2)[1, 0].collections
    for label, points in zip((1, 2, 3), classes, strict=True):
        np.testing.assert_array_equal(
            points.get_offsets(), map_arrays["vae"]["codes"][1][map_arrays["vae"]["colour"] == label]
        )
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "digit"
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3"]
    assert len({handle.get_marker() for handle in legend.legend_handles}) == 3, "markers too, for readers in grey"


def test_latent_map_names_a_seed_that_is_not_finite(map_arrays):
    map_arrays["vae"]["codes"][2] = math.nan
    grid = panels(figures.latent_map(map_arrays, "title"), 2)
    assert texts(grid[2, 0]) == ["not finite"]
    assert len(grid[2, 0].collections) == 0
    assert len(grid[2, 1].collections) == 2


def test_latent_map_aligns_methods_by_the_names_of_their_seeds(map_arrays):
    map_arrays["vae"]["seeds"] = np.array([3, 5, 8])
    map_arrays["flat_vae"]["seeds"] = np.array([3, 4, 8])
    grid = np.array(figures.latent_map(map_arrays, "title").axes[:8]).reshape(4, 2)
    assert [axes.get_ylabel().split("\n")[0] for axes in grid[:, 0]] == ["seed 3", "seed 4", "seed 5", "seed 8"]
    assert [texts(axes) for axes in grid[1]] == [["no result"], []]
    for (row, column), (method, index) in {(3, 0): ("vae", 2), (1, 1): ("flat_vae", 1)}.items():
        np.testing.assert_array_equal(
            grid[row, column].collections[1].get_offsets(), map_arrays[method]["codes"][index]
        )


def test_latent_map_refuses_more_than_two_dimensions(map_arrays):
    map_arrays["vae"]["codes"] = np.zeros((SEEDS, POINTS, 3))
    with pytest.raises(InputError, match="codes of vae are not two-dimensional"):
        figures.latent_map(map_arrays, "title")


@pytest.mark.parametrize(("shape", "channels"), [((4, 3), ()), ((1, 4, 3), ()), ((3, 4, 3), (3,)), ((4, 5, 3), (3,))])
def test_reconstructions_show_every_image_in_its_place(rng, shape, channels):
    dimension = math.prod(shape)
    originals = rng.uniform(size=(12, dimension))
    arrays = {"originals": originals, "reconstructions": rng.uniform(0.2, 0.8, size=(SEEDS, 12, dimension))}
    arrays["seeds"] = np.array([3, 5, 8])
    figure = figures.reconstructions({"vae": arrays}, shape, "title")
    (panel,) = figure.axes
    assert panel.get_title(loc="left") == "VAE"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["original", "seed 3", "seed 5", "seed 8"]
    low, high = originals[:8].min(), originals[:8].max()

    def picture(row):
        image = (row.reshape(shape) - low) / (high - low)
        return np.moveaxis(image, 0, -1).squeeze() if len(shape) == 3 and shape[0] in (1, 3) else image

    height, width = picture(originals[0]).shape[:2]
    shown = panel.images[0].get_array()
    assert shown.shape == ((SEEDS + 1) * (height + 1), 8 * (width + 1), *channels)
    for seed, column in ((0, 0), (2, 7), (1, 4)):
        y, x = (seed + 1) * (height + 1), column * (width + 1)
        expected = picture(arrays["reconstructions"][seed, column])
        np.testing.assert_allclose(shown[y : y + height, x : x + width], expected, rtol=1e-6)
        assert (shown[y + height, x : x + width] == 1).all(), "a white gap under each"
    np.testing.assert_allclose(shown[:height, :width], picture(originals[0]), rtol=1e-6)


def test_reconstructions_of_no_image_are_curves(rng):
    arrays = {"originals": rng.normal(size=(4, 50)), "reconstructions": rng.normal(size=(SEEDS, 4, 50))}
    figure = figures.reconstructions({"vae": arrays, "flat_vae": arrays}, (50,), "title")
    grid = np.array(figure.axes).reshape(2, 4)
    for sample in range(4):
        original, *seeds = grid[1, sample].lines
        np.testing.assert_array_equal(original.get_ydata(), arrays["originals"][sample])
        np.testing.assert_array_equal([line.get_ydata() for line in seeds], arrays["reconstructions"][:, sample])
    assert grid[1, 0].get_ylabel().startswith("Flat VAE")


def test_reconstructions_refuse_a_wrong_shape():
    arrays = {"originals": np.zeros((2, 6)), "reconstructions": np.zeros((1, 2, 6))}
    with pytest.raises(InputError, match=r"shape \(2, 2\) does not have D = 6"):
        figures.reconstructions({"vae": arrays}, (2, 2), "title")


@pytest.fixture
def curves():
    def frame(penalty):
        step = np.arange(0, 100, 10)
        return pd.concat(
            pd.DataFrame(
                {
                    "seed": seed,
                    "step": step,
                    "error": 10 * np.exp(-step / 30) + seed + 1,
                    "kl": step / 10.0 + seed,
                    "beta": 0.001 * (1 + step),
                    "penalty": np.where(step < 30, 0.0, penalty),
                    "scale": 1.0 + seed,
                    "initial": (step < 30).astype(int),
                }
            )
            for seed in range(SEEDS)
        )

    return {"vae": frame(0.0), "flat_vae": frame(2.0)}


def lines(axes, method):
    return [line for line in axes.lines if line.get_label() == method]


def test_training_curves_draw_every_seed_and_the_bound(curves):
    figure = figures.training_curves(curves, 0.9216, "title")
    error, kl, beta, penalty, scale, _ = figure.axes
    for axes, name in ((error, "error"), (kl, "kl"), (beta, "beta"), (scale, "scale")):
        for method, frame in curves.items():
            drawn = lines(axes, method)
            expected = [group[name].to_numpy() for _, group in frame.groupby("seed")]
            np.testing.assert_array_equal([line.get_ydata() for line in drawn], expected)
            np.testing.assert_array_equal(drawn[0].get_xdata(), np.arange(0, 100, 10))
    (bound,) = [line for line in error.lines if list(line.get_xdata()) == [0, 1]]  # across the axes
    assert list(bound.get_ydata()) == [0.9216, 0.9216]
    assert bound.get_linestyle() == "--"
    low, high = error.get_ylim()
    assert low < 0.9216 < high
    assert [axes.get_yscale() for axes in (error, kl, beta, penalty, scale)] == ["log", "linear", "log", "log", "log"]


def test_training_curves_draw_a_penalty_only_where_there_is_one(curves):
    penalty = figures.training_curves(curves, 1.0, "title").axes[3]
    assert lines(penalty, "vae") == []
    assert len(lines(penalty, "flat_vae")) == SEEDS
    np.testing.assert_array_equal(lines(penalty, "flat_vae")[0].get_ydata(), [math.nan] * 3 + [2.0] * 7)
    del curves["flat_vae"]
    assert texts(figures.training_curves(curves, 1.0, "title").axes[3]) == ["none"]


def test_training_curves_leave_out_a_peak_of_kl_and_say_so(curves):
    usual = figures.training_curves(curves, 1.0, "title").axes[1]
    assert not texts(usual)
    row = curves["vae"].index[1]
    curves["vae"] = pd.concat([curves["vae"]] * 100, ignore_index=True)
    curves["vae"].loc[row, "kl"] = 4.2e8
    kl = figures.training_curves(curves, 1.0, "title").axes[1]
    assert texts(kl) == [r"peak: $4.2 \cdot 10^{8}$"]
    assert -5 < kl.get_ylim()[0] <= 0 < curves["vae"]["kl"].quantile(0.99) < kl.get_ylim()[1] < 100
    curves["vae"]["kl"] = math.nan
    figures.training_curves({"vae": curves["vae"]}, 1.0, "title").draw_without_rendering()


def test_training_curves_mark_the_end_of_the_initial_phase(curves):
    curves["vae"]["initial"] = 1  # it never ended: no marker
    kl = figures.training_curves(curves, 1.0, "title").axes[1]
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in kl.lines if len(line.get_xdata()) == 1]
    assert marks == [(30, 3.0), (30, 4.0), (30, 5.0)]


def test_a_method_has_its_colour_whatever_is_drawn_beside_it(curves, flatness_arrays):
    expected = {method: method_style(method).colour for method in curves}
    for chosen in (curves, dict(reversed(curves.items())), {"flat_vae": curves["flat_vae"]}):
        error = figures.training_curves(chosen, 1.0, "title").axes[0]
        for method in chosen:
            assert {to_hex(line.get_color()).upper() for line in lines(error, method)} == {expected[method]}
    axes = figures.flatness({"flat_vae": flatness_arrays["flat_vae"]}, "title").axes[0]
    assert medians(axes)["flat_vae 0"].get_markeredgecolor() == expected["flat_vae"]


@pytest.mark.parametrize("draw", [figures.flatness, figures.latent_map])
def test_no_methods_and_missing_arrays_are_refused(draw):
    with pytest.raises(InputError, match="there are no methods"):
        draw({}, "title")
    with pytest.raises(InputError, match="method vae lacks"):
        draw({"vae": {}}, "title")


def test_save_gives_the_same_bytes_for_a_figure_made_or_saved_again(tmp_path, map_arrays, flatness_arrays):
    for draw, arrays in ((figures.flatness, flatness_arrays), (figures.latent_map, map_arrays)):
        first = draw(arrays, "title")
        for stem, figure in (("a.1", first), ("b.1", first), ("c.1", draw(arrays, "title"))):
            figures.save(figure, tmp_path / stem)
        for ending in ("pdf", "png"):
            contents = {(tmp_path / f"{stem}.1.{ending}").read_bytes() for stem in "abc"}
            assert len(contents) == 1
        (content,) = contents
        assert content.startswith(b"\x89PNG")
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        assert (width, height) == pytest.approx(first.get_size_inches() * 150, abs=1)


def test_no_texts_overlap_with_eight_methods_and_ten_seeds(rng):
    values = 1 + rng.lognormal(size=(10, 30))
    values[0, :4] = math.inf
    arrays = {f"condition_number{part}": values for part in ("", "_mixup")}
    arrays |= {f"log_magnification_factor{part}": rng.normal(size=(10, 30)) for part in ("", "_mixup")}
    figure = figures.flatness({f"a_long_method_name_{index}": arrays for index in range(8)}, "title")
    figure.draw_without_rendering()
    boxes = []
    for axes in figure.axes:
        drawn = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.title]
        boxes += [text.get_window_extent() for text in drawn if text.get_text() and text.get_visible()]
    # sharey hides the right panels' names without making the texts invisible: compare what lies at different places
    boxes = list({tuple(box.extents.round(1)): box for box in boxes}.values())
    assert len(boxes) > 40
    overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]
    assert overlaps == []
