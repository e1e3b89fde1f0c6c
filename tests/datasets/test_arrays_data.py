"""A user's .npz file: what goes in comes out, and what is wrong is said."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import refusal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from flatvae import datasets

GOOD = {"train": np.arange(40.0).reshape(10, 2, 2) / 40, "test": np.ones((3, 2, 2)) / 3}


def refused(path, **options) -> str:
    """The one sentence with which a file is refused."""
    return refusal.refused(datasets.load, "arrays", path=path, **options)


@pytest.fixture
def saved(tmp_path):
    """A function that writes GOOD, with some arrays changed or, where None, left out, and gives the path."""

    def save(**changes):
        path = tmp_path / "mine.npz"
        np.savez(path, **{key: array for key, array in {**GOOD, **changes}.items() if array is not None})
        return path

    return save


finite = st.floats(-(2.0**100), 2.0**100, width=32)
sizes = st.integers(1, 6)


@settings(max_examples=40)
@given(st.data(), nps.array_shapes(min_dims=1, max_dims=3, max_side=4), sizes, sizes, sizes)
def test_what_goes_in_comes_out(data, shape, train, validation, test):
    rows = {"train": train, "validation": validation, "test": test}
    arrays = {part: data.draw(nps.arrays(np.float32, (n, *shape), elements=finite)) for part, n in rows.items()}
    labels = {f"{part}_labels": np.arange(n, dtype=np.int32) - 1 for part, n in rows.items()}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "mine.npz", **arrays, **labels)
        dataset = datasets.load("arrays", path=Path(folder) / "mine.npz")
    assert dataset.shape == shape
    for part, n in rows.items():
        assert np.array_equal(getattr(dataset, part).numpy().reshape(n, *shape), arrays[part])
        assert getattr(dataset, f"{part}_labels").tolist() == labels[f"{part}_labels"].tolist()


@settings(max_examples=40)
@given(st.integers(2, 50), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_held_out_rows_and_the_rest_are_the_training_rows_with_their_labels(rows, fraction, seed):
    train = np.stack([np.arange(rows), -np.arange(rows)], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "mine.npz", train=train, test=train, train_labels=np.arange(rows))
        dataset = datasets.load("arrays", path=Path(folder) / "mine.npz", validation=fraction, seed=seed)
    for part in ("train", "validation"):
        assert torch.equal(getattr(dataset, part)[:, 0], getattr(dataset, f"{part}_labels").float())
        assert len(getattr(dataset, part)) >= 1
    together = torch.cat([dataset.train_labels, dataset.validation_labels])
    assert sorted(together.tolist()) == list(range(rows))
    assert abs(len(dataset.validation) - fraction * rows) <= 1


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64, np.uint8, bool])
def test_every_real_type_is_taken(saved, kind):
    values = np.array([[0, 1], [1, 0]]).astype(kind)
    dataset = datasets.load("arrays", path=saved(train=values, test=values), likelihood="bernoulli", validation=0.5)
    assert dataset.test.tolist() == [[0, 1], [1, 0]]
    assert dataset.likelihood == "bernoulli"


def test_shape_may_be_given(saved):
    flat = np.zeros((5, 6))
    assert datasets.load("arrays", path=saved(train=flat, test=flat), shape=[2, 3]).shape == (2, 3)
    assert datasets.load("arrays", path=saved(train=flat, test=flat)).shape == (6,)


def test_relative_path_is_taken_from_the_working_directory(saved, monkeypatch, tmp_path):
    saved()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLATVAE_DATA", str(tmp_path / "elsewhere"))
    assert len(datasets.load("arrays", path="mine.npz").test) == 3


def test_unread_arrays_are_pointed_out(saved):
    with pytest.warns(UserWarning, match="also holds tset_labels"):
        datasets.load("arrays", path=saved(tset_labels=np.arange(3)))


def with_values(count, value):
    """Some rows with a bad value in `count` places."""
    values = np.zeros((4, 2, 2))
    values.reshape(-1)[:count] = value
    return values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": None}, "no array train"),
        ({"test": None}, "no array test"),
        ({"train": with_values(3, np.nan)}, "train in {path} holds 3 value(s) that are NaN or infinite"),
        ({"test": with_values(1, -np.inf)}, "test in {path} holds 1 value(s) that are NaN or infinite"),
        ({"validation": with_values(2, 1e300)}, "validation in {path} holds 2 value(s) that are NaN or infinite"),
        ({"train": np.zeros(4)}, "train in {path} has 1 dimension(s)"),
        ({"train": np.float64(1)}, "train in {path} has 0 dimension(s)"),
        ({"test": np.zeros((3, 5))}, "test in {path} has 5 values a row; it must have 4"),
        ({"validation": np.zeros((3, 3))}, "validation in {path} has 3 values a row"),
        ({"train": np.zeros((0, 2, 2))}, "train in {path} has the shape (0, 2, 2)"),
        ({"test": np.zeros((3, 0))}, "test in {path} has the shape (3, 0)"),
        ({"train": np.zeros((1, 2, 2))}, "train in {path} has one row"),
        ({"train": np.array([[1, None]], object)}, "train in {path} holds Python objects"),
        ({"train": np.array([["a", "b"]])}, "train in {path} holds <U1"),
        ({"test": np.zeros((3, 2, 2), complex)}, "test in {path} holds complex128"),
        ({"train_labels": np.arange(9)}, "train_labels in {path} has the shape (9,)"),
        ({"test_labels": np.zeros((3, 1), int)}, "test_labels in {path} has the shape (3, 1)"),
        ({"test_labels": np.zeros(3)}, "test_labels in {path} holds float64"),
        ({"test_labels": np.zeros(3, np.uint64)}, "test_labels in {path} holds uint64"),
        ({"validation_labels": np.arange(3)}, "validation_labels but no validation"),
    ],
)
def test_what_is_wrong_with_an_array_is_said(saved, changes, said):
    path = saved(**changes)
    assert said.format(path=path) in refused(path)


IMAGES = {"train": np.zeros((4, 6, 6, 3)), "test": np.ones((3, 6, 6, 3))}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"test": np.zeros((3, 3, 6, 6))},
            "test in {path} has observations of shape (3, 6, 6), but train of (6, 6, 3)",
        ),
        (
            {"test": np.zeros((3, 6, 3, 6))},
            "test in {path} has observations of shape (6, 3, 6), but train of (6, 6, 3)",
        ),
        ({"test": np.zeros((3, 36, 3))}, "test in {path} has observations of shape (36, 3), but train of (6, 6, 3)"),
        ({"test": np.zeros((3, 4, 27))}, "test in {path} has observations of shape (4, 27), but train of (6, 6, 3)"),
        ({"validation": np.zeros((3, 12, 9))}, "validation in {path} has observations of shape (12, 9)"),
        (
            {"train": np.zeros((4, 108)), "validation": np.zeros((2, 6, 6, 3)), "test": np.zeros((3, 3, 6, 6))},
            "test in {path} has observations of shape (3, 6, 6), but validation of (6, 6, 3)",
        ),
        ({"test": np.zeros((3, 6, 6, 1))}, "test in {path} has 36 values a row; it must have 108, as train has"),
        ({"test": np.zeros((3, 6, 6))}, "test in {path} has 36 values a row; it must have 108, as train has"),
        (
            {"train": np.full((4, 6, 6, 3), 255, np.uint8)},
            "test in {path} holds float64, but train uint8, so most likely only one of them is scaled; it must be scaled alike",
        ),
        ({"test": np.full((3, 6, 6, 3), 255)}, "test in {path} holds int64, but train float64"),
        ({"validation": np.ones((3, 6, 6, 3), "u1")}, "validation in {path} holds uint8, but train float64"),
        (
            {"validation": np.ones((3, 6, 6, 3), "c8")},
            "validation in {path} holds complex64; it must hold real numbers",
        ),
        ({"test": np.zeros((3, 6, 6, 3), "M8[s]")}, "test in {path} holds datetime64[s]; it must hold real numbers"),
        ({"train_labels": np.array([-1, 1, 1, -1])}, "train_labels in {path} holds only -1 and 1"),
        (
            {"train_labels": np.array([0, -2, 3, -1])},
            "train_labels holds -2; it must hold classes from 0, and -1 where",
        ),
    ],
)
@pytest.mark.parametrize("options", [{}, {"shape": [3, 36]}], ids=["stored", "given"])
def test_parts_that_disagree_are_refused(saved, changes, said, options):
    """Also where the option ``shape`` says what an observation is: it cannot tell which part has it."""
    path = saved(**IMAGES | changes)
    assert said.format(path=path) in refused(path, **options)


@pytest.mark.parametrize(
    "test",
    [
        np.ones((3, 6, 6, 3), ">f4"),
        np.ones((3, 6, 6, 3), "f2"),
        np.ones((3, 6, 6, 3), bool),
        np.ones((3, 108)),
        np.ones((3, 1, 6, 6, 3)),
        np.ones((3, 6, 1, 6, 3)),
        np.asfortranarray(np.ones((3, 6, 6, 3))),
    ],
    ids=["big endian", "half", "bool", "flat", "axis of one first", "axis of one within", "Fortran order"],
)
def test_parts_that_agree_in_other_words_are_taken(saved, test):
    found = datasets.load("arrays", path=saved(**IMAGES | {"test": test}))
    assert found.shape == (6, 6, 3)
    assert found.test.tolist() == np.ones((3, 108)).tolist()


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ("u1", "u2", "train in {path} holds uint8, but test the value 300, so most likely they are scaled differently"),
        ("i4", "u1", "test in {path} holds uint8, but train the value 300, so most likely"),
        ("?", "u1", "train in {path} holds bool, but test the value 44, so most likely"),
    ],
)
def test_integers_on_two_scales_are_refused(saved, train, test, said):
    values = np.full((4, 8), 300)
    path = saved(train=values.astype(train), test=values.astype(test))
    assert said.format(path=path) in refused(path)


def test_two_integer_types_and_a_channel_axis_are_taken(saved):
    values = np.arange(32).reshape(2, 4, 4)
    found = datasets.load("arrays", path=saved(train=values.astype("u1"), test=values[..., None].astype("i8")))
    assert found.test.tolist() == values.reshape(2, 16).tolist()


def test_unlabelled_rows_keep_their_mark(saved):
    labels = np.array([-1, 0, 1] * 3 + [1])
    found = datasets.load("arrays", path=saved(train_labels=labels, test_labels=np.array([-1, 1, -1])))
    assert sorted(found.train_labels.tolist() + found.validation_labels.tolist()) == sorted(labels.tolist())
    assert found.test_labels.tolist() == [-1, 1, -1]


@pytest.mark.parametrize(("part", "value"), [("train", 1.01), ("test", -0.01), ("validation", 255)])
def test_values_outside_the_unit_interval_are_refused_for_bernoulli(saved, part, value):
    path = saved(**{part: with_values(2, value)})
    assert f"{part} in {path} holds 2 value(s) outside [0, 1]" in refused(path, likelihood="bernoulli")
    assert datasets.load("arrays", path=path).likelihood == "gaussian"


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_bad_fraction_is_refused(saved, fraction):
    assert "option validation" in refused(saved(), validation=fraction)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (-2, -2), (4, 0), (2.0, 2), ()])
def test_bad_shape_is_refused(saved, shape):
    assert "option shape" in refused(saved(), shape=shape)


def test_missing_file_and_folder_are_refused(tmp_path):
    assert "none.npz is missing" in refused(tmp_path / "none.npz")
    assert "is missing, or a folder" in refused(tmp_path)


def test_files_of_another_kind_are_refused(tmp_path, saved):
    whole = saved().read_bytes()
    np.save(tmp_path / "bare.npy", np.zeros((3, 2)))
    bare = (tmp_path / "bare.npy").read_bytes()
    for content in (b"", b"train,test\n1,2\n", b"\x80\x04K\x01.", whole[: len(whole) // 2], bare):
        (tmp_path / "bad.npz").write_bytes(content)
        assert "is no .npz file" in refused(tmp_path / "bad.npz")


def test_damaged_and_foreign_members_are_refused(tmp_path, saved):
    damaged = bytearray(saved().read_bytes())
    damaged[200] ^= 0xFF  # inside the values of the first array: the checksum of the zip member tells
    (tmp_path / "damaged.npz").write_bytes(bytes(damaged))
    assert "is damaged" in refused(tmp_path / "damaged.npz")
    with zipfile.ZipFile(tmp_path / "foreign.npz", "w") as file:
        file.writestr("train.npy", "text")
        file.writestr("test", "text")
    assert "is not an array" in refused(tmp_path / "foreign.npz")


def test_bernoulli_values_are_binarised_once_where_they_are_not_trained_on(saved):
    """As MNIST: grey training values stay, for a fresh draw each batch; 0 and 1 stay what they are everywhere."""
    grey = np.random.default_rng(0).random((400, 20)).astype(np.float32)
    grey[:, 0], grey[:, 1] = 0.0, 1.0
    path = saved(train=grey, test=grey)
    dataset = datasets.load("arrays", path=path, likelihood="bernoulli")
    assert set(dataset.test.unique().tolist()) == set(dataset.validation.unique().tolist()) == {0.0, 1.0}
    assert len(dataset.train.unique()) > 1000
    assert torch.equal(dataset.test[:, :2], torch.tensor([0.0, 1.0]).expand(400, 2))
    assert abs(dataset.test[:, 2:].mean() - grey[:, 2:].mean()) < 5 * 0.5 / np.sqrt(400 * 18)
    assert torch.equal(dataset.test, datasets.load("arrays", path=path, likelihood="bernoulli").test)
