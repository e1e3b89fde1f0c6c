"""Trajectories of trials that are known, and stick figures of bodies that are known."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from inside import assert_inside
from matplotlib.colors import to_hex, to_rgb

from flatvae.datasets._interleaved import interleaved
from flatvae.errors import InputError
from flatvae.reporting import figures
from flatvae.reporting.figures import motion
from flatvae.reporting.figures.latent import label_colour, label_marker

SEEDS = 3
# every second frame of four trials; of the first one frame is missing, the second goes on where the first one ends
FRAMES = {"a": [1, 3, 5, 9, 11], "b": [13, 15], "c": [7], "d": [2, 4, 6]}
MOTIONS = {"a": "walking", "b": "walking", "c": "jogging", "d": "kicking"}
PIECES = [[0, 1, 2], [3, 4], [5, 6], [7], [8, 9, 10]]
OF_PIECE = ["walking", "walking", "walking", "jogging", "kicking"]


@pytest.fixture(scope="module")
def rows():
    table = [(MOTIONS[trial], trial, frame) for trial, frames in FRAMES.items() for frame in frames]
    return pd.DataFrame(table, columns=["motion", "trial", "frame"], index=range(50, 50 + len(table)))


def latent_space(seed, seeds=SEEDS, size=7):
    rng = np.random.default_rng(seed)
    return {
        "seeds": np.arange(seeds),
        "codes": rng.normal(size=(seeds, 11, 2)).astype(np.float32),
        "map_x": np.tile(np.linspace(-3, 3, size), (seeds, 1)),
        "map_y": np.tile(np.linspace(-3, 3, size), (seeds, 1)),
        "map_log_mf": rng.normal(size=(seeds, size, size)),
    }


@pytest.fixture(scope="module")
def spaces():
    return {"vae": latent_space(0), "flat_vae": latent_space(1)}


def grid_of(figure, rows, columns):
    axes = np.empty(rows * columns, dtype=object)
    axes[:] = figure.axes[: rows * columns]
    return axes.reshape(rows, columns)


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def lightness(colour):
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


# -------------------------------------------------------------------------------------------------------- trajectories


def test_trajectories_join_consecutive_frames_of_one_trial_and_nothing_else(spaces, rows):
    figure = figures.trajectories(spaces, rows, "human_motion")
    assert figure.get_suptitle() == "human_motion"
    grid = grid_of(figure, SEEDS, 2)
    assert [axes.get_title() for axes in grid[0]] == ["VAE", "Flat VAE"]
    for column, arrays in enumerate(spaces.values()):
        for seed in range(SEEDS):
            lines = grid[seed, column].lines
            ways = [line for line in lines if line.get_marker() == "None"]
            assert len(ways) == len(PIECES)
            for line, piece, name in zip(ways, PIECES, OF_PIECE, strict=True):
                np.testing.assert_array_equal(line.get_xydata(), arrays["codes"][seed, piece])
                assert line.get_color() == label_colour(list(rows["motion"].unique()).index(name))


def test_trajectories_mark_every_start_by_its_motion(spaces, rows):
    axes = figures.trajectories(spaces, rows, "title").axes[0]
    marks = [line for line in axes.lines if line.get_marker() != "None"]
    starts = spaces["vae"]["codes"][0, [piece[0] for piece in PIECES]]
    np.testing.assert_array_equal([mark.get_xydata()[0] for mark in marks], starts)
    assert [mark.get_marker() for mark in marks] == [label_marker(i) for i in (0, 0, 0, 1, 2)]


def test_trajectories_lie_over_the_map_of_latent_map_in_its_colours(spaces, rows):
    labels = rows["motion"].map({"walking": 0, "jogging": 1, "kicking": 2}).to_numpy()
    coloured = {"colour": labels, "colour_name": np.array("label"), "colour_period": np.array(0.0)}
    maps = figures.latent_map({m: a | coloured for m, a in spaces.items()}, "title")
    figure = figures.trajectories(spaces, rows, "title")
    for drawn, reference in zip(grid_of(figure, SEEDS, 2).flat, grid_of(maps, SEEDS, 2).flat, strict=True):
        mesh, expected = drawn.collections[0], reference.collections[0]
        np.testing.assert_array_equal(mesh.get_array(), expected.get_array())
        assert (mesh.norm.vmin, mesh.norm.vmax) == (expected.norm.vmin, expected.norm.vmax)
        assert drawn.get_xlim() == reference.get_xlim()
    (legend,), (numbers,) = figure.legends, maps.legends
    assert [text.get_text() for text in legend.get_texts()] == ["walking", "jogging", "kicking"]
    for name, number in zip(legend.legend_handles, numbers.legend_handles, strict=True):
        assert (name.get_color(), name.get_marker()) == (number.get_color(), number.get_marker())


def test_trajectories_at_every_frame_and_of_single_frames(spaces, rows):
    ones = rows.assign(frame=range(11), trial="a")
    assert [list(piece) for piece in motion._pieces(ones)] == [list(range(11))]
    apart = rows.assign(trial=range(11))
    assert [list(piece) for piece in motion._pieces(apart)] == [[i] for i in range(11)]
    backwards = rows.assign(frame=range(11, 0, -1), trial="a")
    assert len(motion._pieces(backwards)) == 11
    assert len(figures.trajectories(spaces, apart, "title").axes[0].lines) == 22


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_trajectories_break_where_blocks_end(stride):
    """Test frames of a recording that is cut into blocks, of two recordings: each block is one piece."""
    parts = interleaved(4000, {"train": 360, "validation": 60, "test": 90}, 60)
    kept = np.arange(4000)[::stride]
    kept = kept[parts[kept] == "test"]
    rows = pd.DataFrame({"motion": "walking", "trial": np.where(kept < 2100, "a", "b"), "frame": kept})
    block = np.cumsum(parts != "test")[kept]  # counts the other frames before: one number for each block
    pieces = motion._pieces(rows)
    assert [set(block[piece]) for piece in pieces] == [{number} for number in np.unique(block)]
    assert sum(map(len, pieces)) == len(rows)


def test_trajectories_say_what_is_missing(spaces, rows, tmp_path):
    codes = spaces["vae"]["codes"].copy()
    codes[1] = math.nan
    lost = {name: array[1:] for name, array in spaces["flat_vae"].items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.trajectories({"vae": spaces["vae"] | {"codes": codes}, "flat_vae": lost}, rows, "title")
        figures.save(figure, tmp_path / "figure")
    grid = grid_of(figure, SEEDS, 2)
    assert texts(grid[1, 0]) == ["not finite"]
    assert texts(grid[0, 1]) == ["no result"]
    assert [texts(axes) for axes in (grid[0, 0], grid[1, 1])] == [[], []]


def test_trajectories_refuse_what_does_not_fit(spaces, rows):
    with pytest.raises(InputError, match="vae has 11 codes, but there are 10 rows; pass the encoded rows"):
        figures.trajectories(spaces, rows[1:], "title")
    with pytest.raises(InputError, match="lacks the column 'trial'"):
        figures.trajectories(spaces, rows.drop(columns="trial"), "title")
    with pytest.raises(InputError, match="codes of vae are not two-dimensional"):
        figures.trajectories({"vae": spaces["vae"] | {"codes": np.zeros((SEEDS, 11, 5))}}, rows, "title")
    with pytest.raises(InputError, match="there are no methods to draw"):
        figures.trajectories({}, rows, "title")


# --------------------------------------------------------------------------------------------------------------- poses

# a body of the CMU database's words, y upwards, z forwards, its left at x > 0
BODY = {
    "root": (None, (0, 0, 0)),
    "lfemur": ("root", (2, -8, 0)),
    "ltibia": ("lfemur", (2, -16, 0)),
    "rfemur": ("root", (-2, -8, 0)),
    "rtibia": ("rfemur", (-2, -16, 0)),
    "lowerback": ("root", (0, 4, 0)),
    "lowerneck": ("lowerback", (0, 8, 0)),
    "lhumerus": ("lowerneck", (4, 4, 3)),
    "rhumerus": ("lowerneck", (-4, 4, 3)),
}
JOINTS = list(BODY)
BONES = [(JOINTS.index(parent), child) for child, (parent, _) in enumerate(BODY.values()) if parent]
REST = np.array([place for _, place in BODY.values()], float)
PAIRS = [("walking", name) for name in ("jogging", "balancing", "punching", "kicking")]
PAIRS += [("jogging", "balancing"), ("jogging", "punching"), ("balancing", "punching")]
SHOWN, STEPS = (0, 3, 5), 8
SIDES = {
    "left limbs": ["lfemur", "ltibia", "lhumerus"],
    "trunk and head": ["lowerback", "lowerneck"],
    "right limbs": ["rfemur", "rtibia", "rhumerus"],
}


def bodies(seed, seeds=SEEDS, pairs=6):
    """Bodies whose joints are each a little off the rest pose, the root apart."""
    rng = np.random.default_rng(seed)

    def some(*shape):
        return (
            REST + 0.3 * rng.normal(size=(seeds, pairs, *shape, len(JOINTS), 3)) * (np.arange(len(JOINTS)) > 0)[:, None]
        )

    return {
        "seeds": np.arange(seeds),
        "joints_straight": some(STEPS),
        "joints_geodesic": some(STEPS),
        "joints_ends": some(2),
    }


@pytest.fixture(scope="module")
def methods():
    return {"vae": bodies(0), "flat_vae": bodies(1)}


def draw(methods, pairs=PAIRS):
    return figures.poses(methods, JOINTS, BONES, pairs, "human_motion")


def strips(panel):
    """Of every strip its segments (P, B, 2, 2) by side, in the order of drawing: of each seed ends, straight, geodesic."""
    collections = panel.collections
    assert len(collections) % 3 == 0
    found = []
    for start in range(0, len(collections), 3):
        parts = {c.get_label(): np.array(c.get_segments()) for c in collections[start : start + 3]}
        found.append({side: segments.reshape(-1, len(SIDES[side]), 2, 2) for side, segments in parts.items()})
    return found


def seen(joints):
    """From the body's right, 25 degrees from the front's side."""
    angle = math.radians(25)
    return np.stack([joints[..., 2] * math.cos(angle) - joints[..., 0] * math.sin(angle), joints[..., 1]], axis=-1)


def test_poses_are_the_joints_seen_from_the_side_at_equal_distances(methods):
    grid = grid_of(draw(methods), 3, 2)
    for column, arrays in enumerate(methods.values()):
        for row, pair in enumerate(SHOWN):
            found = strips(grid[row, column])
            assert len(found) == 3 * SEEDS
            for seed in range(SEEDS):
                for offset, name in enumerate(("joints_ends", "joints_straight", "joints_geodesic")):
                    expected = seen(arrays[name][seed, pair])  # (P, J, 2)
                    segments = found[3 * seed + offset]
                    roots = segments["trunk and head"][:, 0, 0]  # (P, 2), that bone begins at the root
                    for side, drawn in segments.items():
                        limb = [bone for bone in BONES if JOINTS[bone[1]] in SIDES[side]]
                        np.testing.assert_allclose(drawn - roots[:, None, None], expected[:, limb], atol=1e-9)
                    apart = np.diff(roots, axis=0)
                    np.testing.assert_allclose(apart[:, 1], 0, atol=1e-9)
                    np.testing.assert_allclose(apart[:, 0], apart[0, 0], atol=1e-9)


def test_poses_of_a_strip_go_from_left_to_right_between_their_ends(methods):
    panel = draw(methods).axes[0]
    ends, straight, geodesic = (segments["trunk and head"][:, 0, 0] for segments in strips(panel)[:3])
    step = straight[1, 0] - straight[0, 0]
    assert step > 0
    assert ends[0, 0] == pytest.approx(straight[0, 0] - step)
    assert ends[1, 0] == pytest.approx(straight[-1, 0] + step)
    assert straight[0, 1] > ends[0, 1] > geodesic[0, 1]
    assert ends[0, 1] == pytest.approx((straight[0, 1] + geodesic[0, 1]) / 2)
    shades = [patch.get_extents().transformed(panel.transData.inverted()) for patch in panel.patches]
    assert shades[0].x0 < ends[0, 0] < shades[0].x1 < straight[0, 0]
    assert straight[-1, 0] < shades[1].x0 < ends[1, 0] < shades[1].x1


def test_poses_have_one_scale_and_stay_in_their_panels(methods):
    figure = draw(methods | {"tall": bodies(2) | {"joints_ends": 2 * methods["vae"]["joints_ends"]}})
    grid = grid_of(figure, 3, 3)
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in grid.flat}) == 1
    assert {axes.get_aspect() for axes in grid.flat} == {1.0}
    low, high = grid[0, 0].get_ylim()
    for axes in grid.flat:
        for strip in strips(axes):
            every = np.concatenate([segments.reshape(-1, 2) for segments in strip.values()])
            assert low <= every[:, 1].min() <= every[:, 1].max() <= high
    figure.draw_without_rendering()
    sizes = {tuple(np.round(axes.get_window_extent().size)) for axes in grid.flat}
    assert len(sizes) == 1


def test_poses_show_the_legs_apart_at_rest_and_the_right_one_in_front(methods):
    still = {name: np.broadcast_to(REST, array.shape) for name, array in methods["vae"].items() if name != "seeds"}
    strip = strips(draw({"vae": still}).axes[0])[1]
    left, right = (strip[side][0, :2, 1, 0] for side in ("left limbs", "right limbs"))  # both joints of the leg
    assert (right - left > 1).all(), "apart by more than a unit"


def test_sides_differ_in_lightness_and_in_order(methods):
    figure = draw(methods)
    looks = {c.get_label(): to_hex(c.get_color()[0]) for c in figure.axes[0].collections[:3]}
    assert list(looks) == list(SIDES)
    greys = sorted(lightness(colour) for colour in looks.values())
    assert min(np.diff(greys)) > 0.25
    assert greys[-1] < 0.75, "on white"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "right limbs",
        "trunk and head",
        "left limbs",
        "nearest test frames of the two motions",
    ]


def test_sides_of_the_skeleton_of_the_database():
    limbs = ["hipjoint", "femur", "clavicle", "thumb"]
    names = ["root", *(f"l{limb}" for limb in limbs), "lowerback", "lowerneck", "head", *(f"r{limb}" for limb in limbs)]
    sides = motion._sides(names, [(0, child) for child in range(1, len(names))])
    joints = {side: [names[child] for _, child in bones] for side, bones in sides.items()}
    assert joints["left limbs"] == [f"l{limb}" for limb in limbs]
    assert joints["trunk and head"] == ["lowerback", "lowerneck", "head"]
    assert joints["right limbs"] == [f"r{limb}" for limb in limbs]


def test_poses_name_their_pairs_seeds_and_ways(methods):
    grid = grid_of(draw(methods), 3, 2)
    assert [axes.get_title() for axes in grid[0]] == ["VAE", "Flat VAE"]
    names = ["walking → jogging", "walking → kicking", "jogging → punching"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == names
    for axes in grid[:, 0]:
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == [text for seed in range(SEEDS) for text in (f"seed {seed} straight", "geodesic")]
        ticks, low = axes.get_yticks(), axes.get_ylim()[0]
        np.testing.assert_allclose(ticks, (np.arange(2 * SEEDS) + 0.5) / (2 * SEEDS) * low)


@pytest.mark.parametrize(("pairs", "rows"), [(1, 1), (2, 2), (3, 3)])
def test_poses_of_few_pairs_are_all_there(pairs, rows):
    figure = draw({"vae": bodies(0, pairs=pairs)})
    assert len(figure.axes) == rows
    assert [axes.get_ylabel() for axes in figure.axes] == [" → ".join(pair) for pair in PAIRS[:pairs]]


def test_poses_of_three_seeds_of_more_and_say_so(methods):
    assert draw(methods).legends[0].get_title().get_text() == "decoded at equal steps along the path"
    figure = draw({"vae": bodies(0, seeds=5) | {"seeds": np.array([2, 3, 5, 7, 11])}})
    assert figure.legends[0].get_title().get_text() == "decoded at equal steps along the path; 3 of 5 seeds"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][::2] == [
        f"seed {s} straight" for s in (2, 3, 5)
    ]
    assert len(strips(figure.axes[0])) == 9


def test_poses_say_what_is_missing(methods, tmp_path):
    lost = {name: array[1:] for name, array in methods["flat_vae"].items()}
    broken = {name: array.copy() for name, array in methods["vae"].items()}
    broken["joints_geodesic"][2, 0, 4] = math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw({"vae": broken, "flat_vae": lost})
        figures.save(figure, tmp_path / "figure")
    grid = grid_of(figure, 3, 2)
    assert [texts(axes) for axes in grid[:, 0]] == [["not finite"], [], []]
    assert [texts(axes) for axes in grid[:, 1]] == [["no result"]] * 3
    height = -grid[0, 0].get_ylim()[0] / (2 * SEEDS)
    assert grid[0, 0].texts[0].get_position()[1] == pytest.approx(-5.5 * height), "in the row of its way"
    assert grid[0, 1].texts[0].get_position()[1] == pytest.approx(-height), "between both ways of seed 0"
    expected = seen(lost["joints_straight"][0, 0])[:, [0, JOINTS.index("lowerback")]]
    bones = strips(grid[0, 1])[1]["trunk and head"][:, 0]
    np.testing.assert_allclose(bones[:, 1] - bones[:, 0], expected[:, 1] - expected[:, 0], atol=1e-9)


def test_poses_of_nothing_finite_still_say_so(tmp_path):
    nothing = {name: np.full_like(array, math.nan) for name, array in bodies(0, 1).items() if name != "seeds"}
    figure = draw({"vae": nothing})
    figures.save(figure, tmp_path / "figure")
    assert [texts(axes) for axes in figure.axes] == [["not finite"] * 2] * 3


def test_poses_refuse_what_does_not_fit(methods):
    with pytest.raises(InputError, match="vae has 6 pairs and 9 joints, but 5 and 9 are named; name all of them"):
        draw(methods, PAIRS[:5])
    with pytest.raises(InputError, match="but 7 and 8 are named"):
        figures.poses(methods, JOINTS[1:], BONES[:3], PAIRS, "title")
    with pytest.raises(InputError, match="method vae lacks 'joints_ends'"):
        draw({"vae": {name: array for name, array in methods["vae"].items() if name != "joints_ends"}})


def test_nearest_frames_are_of_the_motions_that_a_strip_joins():
    observations = np.array([[0.0, 0], [1, 0], [2, 0], [0, 5], [1, 5]])
    motions = ["walking"] * 3 + ["jogging"] * 2
    first = np.array([[0.9, 4.9], [9, 9], [0.1, 0.2]])  # begins next to jogging and ends next to walking
    second = np.array([[2.2, 0], [9, 9], [0.8, 6]])
    found = figures.nearest_frames(np.array([[first], [second]]), [("walking", "jogging")], observations, motions)
    np.testing.assert_array_equal(found, [[[[1, 0], [0, 5]]], [[[2, 0], [1, 5]]]])


# ----------------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (2, 5), (4, 3)])
def test_nothing_written_leaves_the_figure(count, seeds, rows):
    spaces = {f"a_method_name_{index}": latent_space(index, seeds) for index in range(count)}
    several = {f"a_method_name_{index}": bodies(index, seeds) for index in range(count)}
    for figure in (figures.trajectories(spaces, rows, "title"), draw(several)):
        assert_inside(figure)


def test_motion_figures_have_the_same_bytes_when_made_again(spaces, methods, rows, tmp_path):
    for again in "ab":
        figures.save(figures.trajectories(spaces, rows, "title"), tmp_path / f"trajectories_{again}")
        figures.save(draw(methods), tmp_path / f"poses_{again}")
    for name in ("trajectories", "poses"):
        for ending in ("pdf", "png"):
            first, second = ((tmp_path / f"{name}_{again}.{ending}").read_bytes() for again in "ab")
            assert first == second
