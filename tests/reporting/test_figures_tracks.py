"""Retrieval strips of known neighbours, and tracks of known switches and gaps."""

import warnings

import numpy as np
import pandas as pd
import pytest
from inside import assert_inside
from matplotlib.colors import to_hex, to_rgb

from flatvae.errors import InputError
from flatvae.reporting import figures
from flatvae.reporting.figures._common import ONE_SEED
from flatvae.reporting.figures.latent import label_colour
from flatvae.reporting.names import display_name

SHAPE = (3, 6, 4)
ROWS, QUERIES = 60, 5
BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#000000"


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def lightness(colour):
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


# ---------------------------------------------------------------------------------------------------------- retrieval


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.integers(0, 4, ROWS - 1), [-1]])
    boxes = pd.DataFrame({"frame": 100 + np.arange(ROWS)}, index=range(500, 500 + ROWS))
    return rng.random((ROWS, 72)).astype(np.float32), labels, boxes


def found(seed, seeds=2, shown=10):
    rng = np.random.default_rng(seed)
    nearest = np.stack([[rng.permutation(ROWS)[:shown] for _ in range(QUERIES)] for _ in range(seeds)])
    return {"seeds": np.arange(3, 3 + seeds), "queries": np.array([4, 11, 23, 35, 47]), "nearest": nearest}


@pytest.fixture(scope="module")
def methods():
    return {"vae": found(0), "flat_vae": found(1)}


def retrieval(methods, crops):
    return figures.retrieval(methods, *crops, SHAPE, "mot")


def test_strips_show_the_pictures_of_the_first_seed_in_their_places(methods, crops):
    figure = retrieval(methods, crops)
    assert figure.get_suptitle().replace("\n", " ") == f"mot {ONE_SEED}"
    assert [axes.get_title("left") for axes in figure.axes] == ["VAE, seed 3", "Flat VAE, seed 3"]
    for axes, arrays in zip(figure.axes, methods.values(), strict=True):
        rows = np.column_stack([arrays["queries"], arrays["nearest"][0]])  # (Q, 11)
        assert len(axes.images) == rows.size
        lefts, tops = [], []
        for image, crop in zip(axes.images, rows.ravel(), strict=True):
            np.testing.assert_array_equal(image.get_array(), crops[0][crop].reshape(SHAPE).transpose(1, 2, 0))
            left, right, bottom, top = image.get_extent()
            assert (right - left, bottom - top) == pytest.approx((4, 6))
            lefts.append(left)
            tops.append(top)
        lefts, tops = np.reshape(lefts, rows.shape), np.reshape(tops, rows.shape)
        assert (np.diff(lefts, axis=1) > 4).all()
        assert (lefts == lefts[0]).all()
        assert (np.diff(tops, axis=0) > 6).all()
        assert (tops == tops[:, :1]).all()
        steps = np.diff(lefts[0])
        assert steps[0] > steps[1] == pytest.approx(steps[-1]), "the query stands apart"


def test_frames_tell_who_is_the_query_s_person_and_marks_who_is_not(methods, crops):
    labels = crops[1]
    for axes, arrays in zip(retrieval(methods, crops).axes, methods.values(), strict=True):
        rows = np.column_stack([arrays["queries"], arrays["nearest"][0]])
        edges = np.reshape([to_hex(patch.get_edgecolor()) for patch in axes.patches], rows.shape)
        for patch, image in zip(axes.patches, axes.images, strict=True):
            left, right, bottom, top = image.get_extent()
            expected = (left, top, right - left, bottom - top)
            assert (*patch.get_xy(), patch.get_width(), patch.get_height()) == pytest.approx(expected)
        assert (edges[:, 0] == BLACK).all()
        same = labels[rows[:, 1:]] == labels[rows[:, :1]]
        assert 0 < same.mean() < 1
        np.testing.assert_array_equal(edges[:, 1:], np.where(same, BLUE, ORANGE))
        marks = [line.get_xydata()[0] for line in axes.lines]
        wrong = [axes.images[i].get_extent() for i in np.flatnonzero(np.pad(~same, ((0, 0), (1, 0))).ravel())]
        assert len(marks) == len(wrong)
        for (x, y), (left, right, bottom, top) in zip(marks, wrong, strict=True):
            assert left < x < right
            assert top < y < bottom


def test_nobody_is_never_the_same_person(crops):
    nobody = found(0, seeds=1) | {"queries": np.array([ROWS - 1]), "nearest": np.full((1, 1, 10), ROWS - 1)}
    axes = retrieval({"vae": nobody}, crops).axes[0]
    assert {to_hex(patch.get_edgecolor()) for patch in axes.patches[1:]} == {ORANGE}


def test_strips_are_labelled_with_person_rank_and_frame(methods, crops):
    axes = retrieval(methods, crops).axes[1]
    arrays = methods["flat_vae"]
    rows = np.column_stack([arrays["queries"], arrays["nearest"][0]])
    assert texts(axes) == [f"{100 + crop}" for crop in rows.ravel()]
    for text, image in zip(axes.texts, axes.images, strict=True):
        left, right, bottom, _ = image.get_extent()
        x, y = text.get_position()
        assert x == pytest.approx((left + right) / 2)
        assert y > bottom
    assert [label.get_text() for label in axes.get_xticklabels()] == ["query", *map(str, range(1, 11))]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"person {crops[1][q]}" for q in arrays["queries"]
    ]


def test_a_gallery_that_ends_leaves_places_empty(methods, crops):
    few = methods["vae"]["nearest"].copy()
    few[0, 2, 4:] = -1
    figure = retrieval({"vae": methods["vae"] | {"nearest": few}, "flat_vae": methods["flat_vae"]}, crops)
    short, full = figure.axes
    assert len(short.images) == len(short.patches) == len(short.texts) == 5 * 11 - 6
    assert short.get_xlim() == full.get_xlim()


def test_colours_differ_in_lightness(methods, crops):
    assert abs(lightness(BLUE) - lightness(ORANGE)) > 0.05
    (legend,) = retrieval(methods, crops).legends
    assert [text.get_text() for text in legend.get_texts()] == ["query", "the same person", "someone else, or nobody"]
    query, same, other = legend.legend_handles
    assert [to_hex(query.get_edgecolor()), to_hex(same.get_edgecolor()), other.get_color().lower()] == [
        BLACK,
        BLUE,
        ORANGE,
    ]
    assert other.get_marker() == "x"


@pytest.mark.parametrize(
    ("count", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3))]
)
def test_many_methods_are_wrapped(crops, count, grid):
    figure = retrieval({f"method_{i}": found(i) for i in range(count)}, crops)
    assert len(figure.axes) == count
    assert [axes.get_title("left") for axes in figure.axes] == [f"method_{i}, seed 3" for i in range(count)]
    assert figure.axes[0].get_gridspec().get_geometry() == grid


def test_retrieval_refuses_what_does_not_fit(methods, crops):
    test, labels, boxes = crops
    with pytest.raises(InputError, match="there are no methods to draw"):
        retrieval({}, crops)
    with pytest.raises(InputError, match="method vae lacks 'nearest'"):
        retrieval({"vae": {"queries": np.arange(3)}}, crops)
    with pytest.raises(InputError, match="lacks the column 'frame'"):
        retrieval(methods, (test, labels, boxes.rename(columns={"frame": "number"})))
    with pytest.raises(InputError, match="does not have D = 72"):
        figures.retrieval(methods, *crops, (3, 6, 5), "title")
    with pytest.raises(InputError, match=r"\(6, 12\) is not that of a colour image"):
        figures.retrieval(methods, *crops, (6, 12), "title")
    with pytest.raises(
        InputError, match="there are 20 images, 60 labels, 60 boxes; pass those of the evaluated test part"
    ):
        retrieval(methods, (test[:20], labels, boxes))


# -------------------------------------------------------------------------------------------------------------- tracks

FRAMES, HEIGHT, WIDTH = 50, 48, 64
SHOWN = [9, 26, 42]  # in the middle of three equal parts
# (person, first frame, last frame, identity of the tracker): a switch at 21, a gap of the tracker in 36 to 40, a second
# person whose detections pause in 11 to 14, one that is never tracked, and one that takes the switched number back
STRETCHES = [
    (7, 1, 20, 1),
    (7, 21, 35, 4),
    (7, 36, 40, -1),
    (7, 41, 50, 4),
    (3, 5, 10, 2),
    (3, 15, 30, 2),
    (9, 8, 12, -1),
    (5, 30, 39, 3),
    (5, 40, 50, 1),
]


def detections(stretches=STRETCHES, seeds=2):
    """Detections of two videos in random order; those of the second are all of one person and never in a track."""
    rows = [(f, 1, 10 * (p % 5) + 3, 5, 8, 20, p, i) for p, first, last, i in stretches for f in range(first, last + 1)]
    rows += [(f, 1, 50, 30, 6, 6, -1, 8) for f in range(23, 28)]  # of nobody, but tracked
    rows += [(f, 0, 1, 1, 4, 4, 7, -1) for f in range(1, 80)]
    values = np.random.default_rng(0).permutation(np.array(rows))
    other = np.full((seeds - 1, len(rows)), -1)
    return {
        "seeds": np.arange(2, 2 + seeds),
        "identities": np.concatenate([values[None, :, 7], other]),
        "frame": values[:, 0],
        "sequence": values[:, 1],
        "box": values[:, 2:6].astype(float),
        "truth": values[:, 6],
        "sequence_names": np.array(["street", "square"]),
    }


def picture(name, frame):
    return np.full((HEIGHT, WIDTH, 3), {"square": 100, "street": 0}[name] + frame, dtype=np.uint8)


@pytest.fixture(scope="module")
def trackers():
    swapped = [(p, first, last, i + 10 if i > 0 else i) for p, first, last, i in STRETCHES]
    return {"sort": detections(), "flat_vae": detections(swapped)}


def tracks(trackers, sequence="square"):
    return figures.tracks(trackers, sequence, picture, "mot")


def panels(figure, method):
    """The three frames and the lines of the method at this place."""
    mine = figure.axes[4 * method : 4 * method + 4]
    return mine[:3], mine[3]


def bars(axes):
    """(row, first frame, last frame, colour) of all that is drawn on the lines."""
    boxes = [(patch, *patch.get_xy(), patch.get_width(), patch.get_height()) for patch in axes.patches]
    return [
        (round(y + height / 2), x + 0.5, x + width - 0.5, to_hex(patch.get_facecolor()))
        for patch, x, y, width, height in boxes
    ]


COLOUR = {
    identity: label_colour(place).lower() for place, identity in enumerate([1, 2, 4, 8, 3])
}  # in order of appearance


def test_three_frames_evenly_spread_with_their_boxes(trackers):
    figure = tracks(trackers)
    assert figure.get_suptitle().replace("\n", " ") == f"mot {ONE_SEED}"
    for place, (method, arrays) in enumerate(trackers.items()):
        frames, _ = panels(figure, place)
        assert frames[0].get_title("left") == f"{display_name(method)}, seed 2"
        assert [axes.get_xlabel() for axes in frames] == [f"frame {f}" for f in SHOWN]
        for axes, frame in zip(frames, SHOWN, strict=True):
            (image,) = axes.images
            assert (image.get_array() == 100 + frame).all()
            here = (arrays["frame"] == frame) & (arrays["sequence"] == 1)
            drawn = {(*p.get_xy(), p.get_width(), p.get_height()) for p in axes.patches}
            assert drawn == {tuple(box) for box in arrays["box"][here]}


def test_the_upper_left_pixel_lies_between_1_and_2(trackers):
    axes = panels(tracks(trackers), 0)[0][0]
    assert axes.images[0].get_extent() == [1, WIDTH + 1, HEIGHT + 1, 1]
    assert axes.get_xlim() == (1, WIDTH + 1)


def test_frames_are_cut_to_the_height_of_the_boxes_with_a_margin(trackers):
    assert {axes.get_ylim() for axes in panels(tracks(trackers), 0)[0]} == {(43.75, 1.0)}, "a quarter of 36 − 5"
    high = detections([(7, 1, 50, 1)])
    high["box"][:, 1] = 20
    assert {axes.get_ylim() for axes in panels(tracks({"sort": high}), 0)[0]} == {(45.0, 15.0)}


def test_boxes_have_the_identity_s_colour_and_number_or_are_dotted(trackers):
    frames, _ = panels(tracks(trackers), 0)
    expected = [{1, 2, -1}, {4, 2, 8}, {4, 1}]  # at frames 9, 26, 42
    for axes, identities in zip(frames, expected, strict=True):
        solid = [p for p in axes.patches if p.get_linestyle() == "solid"]
        assert {to_hex(p.get_edgecolor()) for p in solid} == {COLOUR[i] for i in identities if i > 0}
        assert len(axes.patches) - len(solid) == (-1 in identities)
        assert sorted(texts(axes)) == sorted(f"{i}" for i in identities if i > 0)
        for text in axes.texts:
            colour = to_hex(text.get_bbox_patch().get_facecolor())
            assert colour == COLOUR[int(text.get_text())]
            corner = next(p.get_xy() for p in solid if to_hex(p.get_edgecolor()) == colour)
            assert text.get_position() == corner


def test_numbers_of_boxes_at_one_place_are_below_one_another():
    together = detections([(10, 1, 50, 1), (15, 1, 50, 20), (20, 1, 50, 3)])  # persons 10, 15, 20 stand at x = 3
    figure = tracks({"sort": together})
    figure.draw_without_rendering()
    axes = panels(figure, 0)[0][0]
    boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
    assert sorted(texts(axes)) == ["1", "20", "3"]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert {text.get_position()[0] for text in axes.texts} == {3}


def test_lines_are_the_people_in_the_order_of_appearance(trackers):
    _, lines = panels(tracks(trackers), 0)
    assert [label.get_text() for label in lines.get_yticklabels()] == ["7", "3", "9", "5"]
    low, high = lines.get_ylim()
    assert low > 3 > 0 > high, "the first is on top"
    drawn = sorted(bars(lines))
    rows = {7: 0, 3: 1, 9: 2, 5: 3}
    expected = sorted((rows[p], first, last, COLOUR[i]) for p, first, last, i in STRETCHES if i > 0)
    assert drawn == expected


def test_a_change_of_identity_has_a_stroke_and_a_gap_has_none(trackers):
    _, lines = panels(tracks(trackers), 0)
    strokes = [line.get_xydata() for line in lines.lines if line.get_color() == "black"]
    assert [(x[0, 0], x[:, 1].mean()) for x in strokes] == [(20.5, 0), (39.5, 3)]
    numbers = [(text.get_text(), *text.get_position()) for text in lines.texts]
    assert [(number, row) for number, _, row in numbers] == [("1", 0), ("4", 0), ("2", 1), ("3", 3), ("1", 3)]
    assert [start < x < start + 2 for start, (_, x, _) in zip((0.5, 20.5, 4.5, 29.5, 39.5), numbers, strict=True)] == [
        True
    ] * 5


def test_a_number_goes_where_there_is_space_for_it():
    short = [(7, 1, 1, 123), (7, 3, 3, 123), (7, 5, 30, 123), (3, 2, 2, 4), (3, 1000, 1000, 4)]
    texts_of = [text.get_text() for text in panels(tracks({"sort": detections(short)}), 0)[1].texts]
    assert texts_of == ["123"], "on the third stretch; the other has none"


def test_thin_lines_go_from_the_first_to_the_last_detection_and_dashes_to_the_frames(trackers):
    for place in range(2):
        _, lines = panels(tracks(trackers), place)
        thin = [line.get_xydata() for line in lines.lines if line.get_color() == "0.7"]
        np.testing.assert_array_equal(
            thin, [[(0.5, 0), (50.5, 0)], [(4.5, 1), (30.5, 1)], [(7.5, 2), (12.5, 2)], [(29.5, 3), (50.5, 3)]]
        )
        dashes = [line.get_xdata()[0] for line in lines.lines if line.get_color() == "0.5"]
        assert dashes == SHOWN
        assert lines.get_xlim() == (0.5, 50.5)


def test_methods_have_the_same_axis_where_detections_differ(trackers):
    later = detections([(1, 20, 90, 1)])
    figure = tracks(trackers | {"later": later})
    assert {panels(figure, place)[1].get_xlim() for place in range(3)} == {(0.5, 90.5)}
    assert [axes.get_xlabel() for axes in (panels(figure, place)[1] for place in range(3))] == ["", "", "frame"]


def test_fifty_four_identities_of_a_video_look_different_and_none_is_black():
    """All at once in every frame, and with one bar each."""
    many = [(p, 1, FRAMES, p) for p in range(1, 55) if p != 8] + [(99, 1, 1, 8)]  # 8 is also given to nobody
    frames, lines = panels(tracks({"sort": detections(many)}), 0)
    looks = {(to_hex(bar.get_facecolor()), bar.get_hatch()) for bar in lines.patches}
    assert len(looks) == len(lines.patches) == 54
    assert BLACK not in {colour for colour, _ in looks}
    plain = [bar for bar in lines.patches if not bar.get_hatch()]
    assert len(plain) == 9
    boxes = [box for box in frames[0].patches if box.get_linewidth() > 1]
    drawn = {(to_hex(box.get_edgecolor()), str(box.get_linestyle())) for box in boxes}
    assert len(drawn) == len(boxes) == 53


def test_the_other_video_is_drawn_from_its_own_detections(trackers):
    figure = tracks({"sort": trackers["sort"]}, "street")
    frames, lines = panels(figure, 0)
    assert all((axes.images[0].get_array() < 80).all() for axes in frames)
    assert bars(lines) == []
    assert [label.get_text() for label in lines.get_yticklabels()] == ["7"]
    assert all(len(axes.patches) == 1 and not texts(axes) for axes in frames)


def test_tracks_of_few_frames_and_of_nobody(tmp_path):
    alone = detections([(-1, 4, 5, 6)])
    keep = (alone["sequence"] == 1) & (alone["truth"] == -1) & (alone["frame"] < 10)
    alone = {n: v[keep] if n not in ("seeds", "identities", "sequence_names") else v for n, v in alone.items()}
    alone["identities"] = alone["identities"][:, keep]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = tracks({"sort": alone})
        figures.save(figure, tmp_path / "figure")
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == ["frame 4", "frame 5"]
    assert len(figure.axes) == 3
    assert bars(figure.axes[-1]) == []


def test_tracks_refuse_what_does_not_fit(trackers):
    with pytest.raises(InputError, match="there are no methods to draw"):
        tracks({})
    with pytest.raises(InputError, match="method sort lacks 'truth'"):
        tracks({"sort": {name: array for name, array in trackers["sort"].items() if name != "truth"}})
    with pytest.raises(InputError, match="sort has no detections in sequence park; name one of street, square"):
        tracks(trackers, "park")


# ----------------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("count", [1, 2, 4])
def test_nothing_written_leaves_the_figure(count, crops):
    retrieved = {f"a_method_name_{index}": found(index) for index in range(count)}
    tracked = {f"a_method_name_{index}": detections() for index in range(count)}
    for figure in (retrieval(retrieved, crops), tracks(tracked)):
        assert_inside(figure)


def test_figures_have_the_same_bytes_when_made_again(methods, crops, trackers, tmp_path):
    for again in "ab":
        figures.save(retrieval(methods, crops), tmp_path / f"retrieval_{again}")
        figures.save(tracks(trackers), tmp_path / f"tracks_{again}")
    for name in ("retrieval", "tracks"):
        for ending in ("pdf", "png"):
            first, second = ((tmp_path / f"{name}_{again}.{ending}").read_bytes() for again in "ab")
            assert first == second
