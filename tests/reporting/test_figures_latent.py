"""Level sets and geodesics on latent spaces whose distances are known: flat ones, and a sheared one."""

import math
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle
from matplotlib.transforms import Bbox

from flatvae.errors import InputError
from flatvae.reporting import figures
from flatvae.reporting.figures import _common
from flatvae.reporting.figures._common import lay_out

SEEDS, PAIRS, CENTRES = 3, 4, 3
SHEAR = 0.8
SCALE = 2.0
SIDE = 8


def sheared(z, shear):
    """Isometric to the plane: geodesics are straight lines in these coordinates, times the scale."""
    return np.stack([z[..., 0] + shear * np.sin(z[..., 1]), z[..., 1]], axis=-1)


def unsheared(w, shear):
    return np.stack([w[..., 0] - shear * np.sin(w[..., 1]), w[..., 1]], axis=-1)


def between(a, b, steps):
    t = np.linspace(0, 1, steps)[:, None]
    return a[:, None] * (1 - t) + b[:, None] * t


def latent_space(shear, seeds=SEEDS, size=61):
    """Arrays of the task `distances` for the metric SCALE² · (pull-back of the plane by the shear)."""
    rng = np.random.default_rng(0)
    x = np.linspace(-3, 3, size)
    grid = np.stack(np.meshgrid(x, x), axis=-1)  # [y, x]
    centres = np.array([[-2.0, -1.0], [0.0, 1.5], [2.0, -1.0]])
    distance = SCALE * np.linalg.norm(sheared(grid, shear) - sheared(centres, shear)[:, None, None], axis=-1)
    flat_centres = sheared(centres, shear)
    apart = SCALE * np.linalg.norm(flat_centres - flat_centres[:, None], axis=-1)
    a, b = rng.uniform(-2, 2, size=(2, seeds, PAIRS, 2))
    curves = [unsheared(between(*ends, 25), shear) for ends in zip(sheared(a, shear), sheared(b, shear), strict=True)]
    curves = np.stack(curves)
    return {
        "seeds": np.arange(seeds),
        "codes": rng.normal(size=(seeds, 30, 2)),
        "map_x": np.tile(x, (seeds, 1)),
        "map_y": np.tile(x, (seeds, 1)),
        "map_log_mf": np.full((seeds, size, size), 2 * math.log(SCALE)),
        "centres": np.tile(centres, (seeds, 1, 1)),
        "distance_x": np.tile(x, (seeds, 1)),
        "distance_y": np.tile(x, (seeds, 1)),
        "geodesic_map": np.tile(distance, (seeds, 1, 1, 1)),
        "centre_distances": np.tile(apart, (seeds, 1, 1)),
        "euclidean_scale": np.full(seeds, SCALE),
        "curves": curves,
        "frames_straight": rng.uniform(0.2, 0.8, size=(seeds, PAIRS, 14, SIDE * SIDE)),
        "frames_geodesic": rng.uniform(size=(seeds, PAIRS, 14, SIDE * SIDE)),
    }


@pytest.fixture(scope="module")
def methods():
    return {"vae": latent_space(SHEAR), "flat_vae": latent_space(0.0)}


def grid_of(figure, seeds, columns):
    axes = np.empty(seeds * columns, dtype=object)
    axes[:] = figure.axes[: seeds * columns]
    return axes.reshape(seeds, columns)


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def level_sets(axes):
    """Of each centre the vertices of its solid sets by level, and the radii of its dashed circles."""
    sets = [c for c in axes.collections if hasattr(c, "levels")]
    solid = [{level: path.vertices for level, path in zip(s.levels, s.get_paths(), strict=True)} for s in sets]
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    return solid, circles


# -------------------------------------------------------------------------------------------------------- equidistance


def test_equidistance_draws_every_seed_of_every_method_over_the_map_of_latent_map(methods):
    figure = figures.equidistance(methods, "pendulum")
    grid = grid_of(figure, SEEDS, 2)
    assert len(figure.axes) == SEEDS * 2 + 1, "the panels and one colour bar"
    assert figure.get_suptitle() == "pendulum"
    assert [axes.get_title() for axes in grid[0]] == ["VAE", "Flat VAE"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == [f"seed {seed}\n$z_2$" for seed in range(SEEDS)]
    assert [axes.get_xlabel() for axes in grid[-1]] == ["$z_1$", "$z_1$"]
    coloured = {"colour": np.zeros(30), "colour_name": np.array("label"), "colour_period": np.array(0.0)}
    maps = grid_of(figures.latent_map({m: a | coloured for m, a in methods.items()}, "pendulum"), SEEDS, 2)
    for drawn, reference in zip(grid.flat, maps.flat, strict=True):
        mesh, expected = drawn.collections[0], reference.collections[0]
        np.testing.assert_array_equal(mesh.get_array(), expected.get_array())
        assert mesh.get_cmap() == expected.get_cmap()
        assert (mesh.norm.vmin, mesh.norm.vmax) == (expected.norm.vmin, expected.norm.vmax)
        assert drawn.get_xlim() == reference.get_xlim()


def test_equidistance_sets_of_a_flat_latent_space_are_the_dashed_circles(methods):
    grid = grid_of(figures.equidistance(methods, "title"), SEEDS, 2)
    for axes in grid[:, 1]:
        solid, circles = level_sets(axes)
        assert len(solid) == CENTRES
        assert len(circles) == 3 * CENTRES
        for index, sets in enumerate(solid):
            centre = methods["flat_vae"]["centres"][0, index]
            for circle, (level, vertices) in zip(circles[3 * index : 3 * index + 3], sets.items(), strict=True):
                assert circle.get_center() == pytest.approx(centre)
                assert circle.get_radius() == pytest.approx(level / SCALE)
                radii = np.linalg.norm(vertices - centre, axis=1)
                assert radii == pytest.approx(circle.get_radius(), abs=0.01), "to a tenth of the grid's step"


def test_equidistance_sets_of_a_curved_latent_space_are_at_their_geodesic_distance(methods):
    grid = grid_of(figures.equidistance(methods, "title"), SEEDS, 2)
    solid, circles = level_sets(grid[1, 0])
    away = 0.0
    for index, sets in enumerate(solid):
        centre = methods["vae"]["centres"][0, index]
        for circle, (level, vertices) in zip(circles[3 * index : 3 * index + 3], sets.items(), strict=True):
            distance = SCALE * np.linalg.norm(sheared(vertices, SHEAR) - sheared(centre, SHEAR), axis=1)
            assert distance == pytest.approx(level, abs=0.02)
            away = max(away, np.abs(np.linalg.norm(vertices - centre, axis=1) - circle.get_radius()).max())
    assert away > 0.2, "here they leave the circles"


def test_equidistance_levels_end_half_way_between_centres_of_their_panel(methods):
    arrays = methods["flat_vae"] | {"centres": methods["flat_vae"]["centres"].copy()}
    factors = np.array([1, 10, 100])[:, None, None]
    arrays["geodesic_map"] = arrays["geodesic_map"] * factors[:, None]
    arrays["centre_distances"] = arrays["centre_distances"] * factors
    solid = [level_sets(axes)[0] for axes in figures.equidistance({"flat_vae": arrays}, "title").axes[:SEEDS]]
    half = SCALE * math.hypot(2, 2.5) / 2  # each centre's next is that far
    for seed, factor in enumerate((1, 10, 100)):
        for sets in solid[seed]:
            assert list(sets) == pytest.approx([factor * half * part / 3 for part in (1, 2, 3)], rel=0.02)


def test_equidistance_of_one_centre_ends_at_the_median_distance(methods):
    arrays = methods["flat_vae"] | {name: methods["flat_vae"][name][:, :1] for name in ("centres", "geodesic_map")}
    arrays["centre_distances"] = np.zeros((SEEDS, 1, 1))
    solid, circles = level_sets(figures.equidistance({"flat_vae": arrays}, "title").axes[0])
    assert max(solid[0]) == pytest.approx(np.median(arrays["geodesic_map"][0]))
    assert len(circles) == 3


def test_equidistance_lines_differ_without_colour(methods):
    figure = figures.equidistance(methods, "title")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "geodesic distance",
        "$c$ · Euclidean distance",
        "centre",
    ]
    solid, dashed, centre = legend.legend_handles
    assert solid.get_linestyle() == "-"
    assert dashed.get_linestyle() == "--"
    assert solid.get_linewidth() < dashed.get_linewidth()
    assert centre.get_marker() == "o"
    (points,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(points.get_xydata(), methods["vae"]["centres"][0])


def test_equidistance_leaves_out_what_is_not_known(methods, tmp_path):
    arrays = {name: np.array(array) for name, array in methods["flat_vae"].items()}
    arrays["geodesic_map"][0, 0] = math.inf  # a centre that reaches nothing
    arrays["geodesic_map"][0, 1, 40:] = math.nan
    arrays["centre_distances"][0, 0, 1] = arrays["centre_distances"][0, 1, 0] = math.nan
    arrays["euclidean_scale"][1] = math.nan
    arrays["centres"][2] = math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.equidistance({"flat_vae": arrays}, "title")
        figures.save(figure, tmp_path / "figure")
    first, second, third = figure.axes[:SEEDS]
    assert len(level_sets(first)[0]) == 2
    assert len(level_sets(first)[1]) == 3 * CENTRES
    assert np.isfinite(np.concatenate([v for sets in level_sets(first)[0] for v in sets.values()])).all()
    assert (len(level_sets(second)[0]), level_sets(second)[1]) == (CENTRES, [])
    assert texts(third) == ["not finite"]


def test_equidistance_refuses_more_than_two_dimensions(methods):
    with pytest.raises(InputError, match="centres of vae are not two-dimensional"):
        figures.equidistance({"vae": methods["vae"] | {"centres": np.zeros((SEEDS, CENTRES, 3))}}, "title")


# ----------------------------------------------------------------------------------------------------------- geodesics


def of_style(axes, dashed):
    long = [line for line in axes.lines if line.get_linestyle() != "None"]
    return [line for line in long if (line.get_linestyle() == "--") == dashed]


def test_geodesics_draw_every_pair_of_every_seed_solid_and_its_straight_line_dashed(methods):
    figure = figures.geodesics(methods, (SIDE, SIDE), "pendulum")
    assert figure.get_suptitle() == "pendulum"
    grid = grid_of(figure, SEEDS, 2)
    for column, arrays in enumerate(methods.values()):
        for seed in range(SEEDS):
            axes = grid[seed, column]
            np.testing.assert_array_equal([line.get_xydata() for line in of_style(axes, False)], arrays["curves"][seed])
            ends = arrays["curves"][seed][:, [0, -1]]
            np.testing.assert_array_equal([line.get_xydata() for line in of_style(axes, True)], ends)
            mesh, codes = axes.collections
            np.testing.assert_array_equal(codes.get_offsets(), arrays["codes"][seed])
            assert to_hex(codes.get_facecolor()[0]) != "#000000", "not the colour of geodesics"
            assert mesh.get_array().shape == (61, 61)
            start, end = (next(line for line in axes.lines if line.get_marker() == mark) for mark in "^s")
            np.testing.assert_array_equal([start.get_xydata()[0], end.get_xydata()[0]], ends[0])
            assert (axes.get_xlim(), axes.get_ylim()) == ((-3, 3), (-3, 3))
    (legend,) = (part.legends[0] for part in figure.subfigs if part.legends)
    labels = [text.get_text() for text in legend.get_texts()]
    shown = legend.legend_handles[labels.index("test codes")].get_color()
    assert to_hex(shown) == to_hex(grid[0, 0].collections[1].get_facecolor()[0])
    for axes in grid[:, 1]:  # on a flat manifold they coincide
        for curve, line in zip(of_style(axes, False), of_style(axes, True), strict=True):
            start, end = line.get_xydata()
            along, across = end - start, curve.get_xydata() - start
            np.testing.assert_allclose(along[0] * across[:, 1] - along[1] * across[:, 0], 0, atol=1e-12)


def strips_of(figure):
    return [axes for axes in figure.axes if axes.images]


def test_geodesics_strips_show_the_first_pair_along_both_ways(methods):
    figure = figures.geodesics(methods, (SIDE, SIDE), "title")
    vae, flat = strips_of(figure)
    assert [vae.get_title(loc="left"), flat.get_title(loc="left")] == ["VAE", "Flat VAE"]
    labels = [f"seed {seed}, {way}" for seed in range(SEEDS) for way in ("straight", "geodesic")]
    assert [label.get_text() for label in vae.get_yticklabels()] == labels
    arrays = methods["flat_vae"]
    every = np.concatenate([a[f"frames_{w}"][:, 0] for a in methods.values() for w in ("straight", "geodesic")])
    picture = flat.images[0].get_array()
    assert picture.shape == (2 * SEEDS * (SIDE + 1), 8 * (SIDE + 1)), "two strips for each seed, eight of 14 steps"
    chosen = [0, 2, 4, 6, 7, 9, 11, 13]
    low, high = every[:, chosen].min(), every[:, chosen].max()
    for seed in range(SEEDS):
        for way, name in enumerate(("frames_straight", "frames_geodesic")):
            for column, step in enumerate(chosen):
                y, x = (2 * seed + way) * (SIDE + 1), column * (SIDE + 1)
                expected = (arrays[name][seed, 0, step].reshape(SIDE, SIDE) - low) / (high - low)
                np.testing.assert_allclose(picture[y : y + SIDE, x : x + SIDE], expected, rtol=1e-6, atol=1e-9)


def test_geodesics_show_strips_of_three_seeds_and_say_so(methods):
    part = figures.geodesics(methods, (SIDE, SIDE), "title").subfigs[-1]
    assert part.get_suptitle() == "decoded along the first pair (▲ to ■)"
    five = {"vae": latent_space(SHEAR, seeds=5) | {"seeds": np.array([2, 3, 5, 7, 11])}}
    figure = figures.geodesics(five, (SIDE, SIDE), "title")
    assert figure.subfigs[-1].get_suptitle() == "decoded along the first pair (▲ to ■); 3 of 5 seeds"
    (strips,) = strips_of(figure)
    assert [label.get_text() for label in strips.get_yticklabels()][::2] == [f"seed {s}, straight" for s in (2, 3, 5)]
    panels = [axes for axes in figure.axes if of_style(axes, True)]
    assert [axes.get_ylabel().split("\n")[0] for axes in panels] == [f"seed {s}" for s in (2, 3, 5, 7, 11)]


def test_geodesics_of_more_dimensions_are_strips_alone(methods):
    names = ("curves", "frames_straight", "frames_geodesic")
    arrays = {name: methods["vae"][name] for name in names} | {"curves": np.zeros((SEEDS, PAIRS, 25, 8))}
    figure = figures.geodesics({"vae": arrays}, (SIDE, SIDE), "title")
    assert figure.axes == strips_of(figure)
    assert figure.subfigs[-1].get_suptitle() == "decoded along the first pair"


def test_geodesics_of_no_images_are_curves(methods):
    figure = figures.geodesics(methods, (SIDE * SIDE,), "title")
    panels = np.array(figure.subfigs[-1].axes).reshape(2 * SEEDS, 8)
    for row in range(2 * SEEDS):
        arrays = methods["flat_vae" if row >= SEEDS else "vae"]
        for column, step in ((0, 0), (3, 6), (7, 13)):
            straight, geodesic = panels[row, column].lines
            np.testing.assert_array_equal(straight.get_ydata(), arrays["frames_straight"][row % SEEDS, 0, step])
            np.testing.assert_array_equal(geodesic.get_ydata(), arrays["frames_geodesic"][row % SEEDS, 0, step])
            assert straight.get_linewidth() > 2 * geodesic.get_linewidth(), "apart without colour"
    assert [panels[row, 0].get_title(loc="left") for row in range(6)] == ["VAE", "", "", "Flat VAE", "", ""]
    assert panels[4, 0].get_ylabel() == "seed 1\nvalue"


def test_geodesics_name_ways_that_are_not_finite(methods, tmp_path):
    arrays = {name: np.array(array) for name, array in methods["vae"].items()}
    arrays["curves"][1, 0] = math.nan
    arrays["frames_geodesic"][1, 0] = math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.geodesics({"vae": arrays}, (SIDE, SIDE), "title")
        figures.save(figure, tmp_path / "figure")
    (strips,) = strips_of(figure)
    labels = [label.get_text() for label in strips.get_yticklabels()]
    assert [label for label in labels if "not finite" in label] == ["seed 1, geodesic:\nnot finite"]
    assert np.isfinite(strips.images[0].get_array()[: 3 * (SIDE + 1)]).all()


def test_geodesics_refuse_a_wrong_shape_and_missing_maps(methods):
    with pytest.raises(InputError, match=r"figure geodesics: shape \(2, 2\) does not have D = 64"):
        figures.geodesics(methods, (2, 2), "title")
    without = {name: array for name, array in methods["vae"].items() if name != "codes"}
    with pytest.raises(InputError, match="method vae lacks 'codes'"):
        figures.geodesics({"vae": without}, (SIDE, SIDE), "title")
    with pytest.raises(InputError, match="there are no methods"):
        figures.geodesics({}, (SIDE, SIDE), "title")


def drawn_texts(figure):
    """Extents of all that is written in a figure laid out, tick labels and titles too."""
    lay_out(figure)
    texts = [figure._suptitle, *(part._suptitle for part in figure.subfigs)]
    for axes in figure.axes:
        if axes.axison:
            ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
            limits = axes.get_window_extent().padded(1)
            inside = [
                t for t in ticks if limits.x0 <= t.get_window_extent().x1 and t.get_window_extent().y0 <= limits.y1
            ]
            texts += [*inside, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, *axes.texts]
    for part in (figure, *figure.subfigs):
        texts += [text for legend in part.legends for text in legend.get_texts()]
    return {t.get_text(): t.get_window_extent() for t in texts if t is not None and t.get_text() and t.get_visible()}


@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (4, 5), (2, 10), (1, 10)])
def test_nothing_written_leaves_the_figure(count, seeds, methods):
    several = {f"a_method_name_{index}": latent_space(SHEAR, seeds, size=11) for index in range(count)}
    for figure in (figures.equidistance(several, "title"), figures.geodesics(several, (SIDE, SIDE), "title")):
        width, height = figure.bbox.size
        for text, box in drawn_texts(figure).items():
            assert box.x0 >= -1, text  # less than a pixel
            assert box.y0 >= -1, text
            assert box.x1 <= width + 1, text
            assert box.y1 <= height + 1, text


def test_latent_figures_have_the_same_bytes_when_made_again(methods, tmp_path):
    for name in ("equidistance", "geodesics"):
        for again in "ab":
            shape = ((SIDE, SIDE),) if name == "geodesics" else ()
            figures.save(getattr(figures, name)(methods, *shape, "title"), tmp_path / f"{name}_{again}")
        for ending in ("pdf", "png"):
            first, second = ((tmp_path / f"{name}_{again}.{ending}").read_bytes() for again in "ab")
            assert first == second


@pytest.mark.parametrize("name", ["equidistance", "geodesics"])
def test_bytes_do_not_depend_on_the_last_bits_of_the_layout(name, methods, tmp_path, monkeypatch):
    layout, rng = _common.lay_out, np.random.default_rng(0)

    def noisy(places):
        return places + rng.uniform(-1e-11, 1e-11, np.shape(places))

    def lay_out(figure):
        layout(figure)
        for part in figure.subfigs:
            part.bbox_relative.set_points(noisy(part.bbox_relative.get_points()))
        for axes in figure.axes:
            axes.set_position(Bbox(noisy(axes.get_position(original=True).get_points())))
        for part in (figure, *figure.subfigs):
            for text in (part._suptitle, part._supxlabel, part._supylabel):
                if text is not None:
                    text.set_position(noisy(text.get_position()))

    monkeypatch.setattr(_common, "lay_out", lay_out)
    shape = ((SIDE, SIDE),) if name == "geodesics" else ()
    for again in range(4):
        figures.save(getattr(figures, name)(methods, *shape, "title"), tmp_path / f"{again}")
    for ending in ("pdf", "png"):
        assert len({(tmp_path / f"{again}.{ending}").read_bytes() for again in range(4)}) == 1
