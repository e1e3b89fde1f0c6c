"""MNIST against its published facts; its files when damaged, wrong or missing."""

import gzip
import hashlib
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from refusal import refused

from flatvae import datasets
from flatvae.datasets import mnist

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
LABELS = "t10k-labels-idx1-ubyte.gz"
needs_mnist = pytest.mark.skipif(
    not all((ROOT / "mnist" / name).is_file() for name in mnist.SHA256),
    reason="the four MNIST files are not there: set FLATVAE_DATA to a folder that holds mnist/",
)
# Class counts of the original, 0 to 9.
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def idx(array) -> bytes:
    """An array as the content of an IDX file, written independently of the reader."""
    array = np.asarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def content(monkeypatch):
    """Content that passes for that of the file LABELS, so that these tests need no MNIST."""
    made = idx(np.arange(10))
    monkeypatch.setitem(mnist.SHA256, LABELS, hashlib.sha256(made).hexdigest())
    return made


@pytest.fixture
def mirrors(monkeypatch):
    """Replaces the network: a function that sets what each mirror, in turn, answers (bytes, or an error)."""

    def answer(*answers):
        left, asked = list(answers), []

        def retrieve(url, known_hash, fname, path, **_):
            asked.append(url)
            reply = left.pop(0)
            if isinstance(reply, Exception):
                raise reply
            (Path(path) / fname).write_bytes(reply)
            return str(Path(path) / fname)

        monkeypatch.setattr("pooch.retrieve", retrieve)
        return asked

    return answer


@pytest.fixture(scope="module")
def original():
    """The whole data set."""
    return datasets.load("mnist", ROOT)


@needs_mnist
def test_files_begin_with_the_known_labels():
    assert mnist.read(ROOT / "mnist", "train-labels-idx1-ubyte.gz")[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.read(ROOT / "mnist", LABELS)[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@needs_mnist
def test_class_counts_are_the_originals(original):
    train = torch.bincount(original.train_labels) + torch.bincount(original.validation_labels)
    assert train.tolist() == TRAIN_COUNTS
    assert torch.bincount(original.test_labels).tolist() == TEST_COUNTS
    assert original.test_labels[:5].tolist() == [7, 2, 1, 0, 4]


@needs_mnist
def test_all_training_images_are_used_once(original):
    """Training and validation part are, row for row, the two sides of a split of the 60,000."""
    images = mnist.read(ROOT / "mnist", "train-images-idx3-ubyte.gz").reshape(60_000, 784)
    kept, held_out = datasets.split_rows(60_000, 5_000, 0)
    assert torch.equal(torch.cat([kept, held_out]).sort().values, torch.arange(60_000))
    assert torch.equal((original.train * 255).round().byte(), torch.from_numpy(images[kept]))
    assert np.mean(images) / 255 == pytest.approx(0.1307, abs=5e-5)  # the mean that everyone normalises MNIST by
    held_out_mean = images[held_out].mean() / 255
    assert original.validation.mean().item() == pytest.approx(held_out_mean, abs=1e-3)


@needs_mnist
def test_train_is_grey_and_the_other_parts_are_binary(original):
    assert len(original.train[:100].unique()) > 200
    for part in (original.validation, original.test):
        assert part.unique().tolist() == [0, 1]


@needs_mnist
def test_binarisation_keeps_black_and_white_and_has_the_right_rate(original):
    grey = torch.from_numpy(mnist.read(ROOT / "mnist", "t10k-images-idx3-ubyte.gz").reshape(10_000, 784) / 255.0)
    assert (original.test[grey == 0] == 0).all()
    assert (original.test[grey == 1] == 1).all()
    middle = (grey > 0.4) & (grey < 0.6)
    assert original.test[middle].mean().item() == pytest.approx(grey[middle].mean().item(), abs=0.01)


@needs_mnist
def test_another_seed_splits_anew_but_leaves_the_test_bits(original):
    other = datasets.load("mnist", ROOT, seed=1)
    assert torch.equal(other.test, original.test)
    assert not torch.equal(other.train_labels, original.train_labels)


@needs_mnist
def test_cuts_are_the_first_rows(original):
    cut = datasets.load("mnist", ROOT, train=30, test=20)
    for field in ("train", "train_labels", "test", "test_labels"):
        assert torch.equal(getattr(cut, field), getattr(original, field)[: len(getattr(cut, field))])
    assert cut.description()["sizes"] == {"train": 30, "validation": 5_000, "test": 20}
    assert torch.equal(cut.validation, original.validation)


@needs_mnist
def test_environment_variable_gives_the_folder(monkeypatch, tmp_path, mirrors):
    (tmp_path / "mnist").symlink_to(ROOT.resolve() / "mnist")
    monkeypatch.setenv("FLATVAE_DATA", str(tmp_path))
    assert len(datasets.load("mnist", test=5, train=5).test) == 5
    monkeypatch.setenv("FLATVAE_DATA", str(tmp_path / "empty"))
    mirrors(OSError("no network"), OSError("no network"))
    assert str(tmp_path / "empty" / "mnist") in refused(datasets.load, "mnist")


@needs_mnist
@pytest.mark.parametrize("name", mnist.SHA256)
def test_damaged_copies_of_the_real_files_are_refused(tmp_path, name):
    whole = (ROOT / "mnist" / name).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b""):
        (tmp_path / name).write_bytes(damaged)
        sentence = refused(mnist.read, tmp_path, name)
        assert str(tmp_path / name) in sentence
        assert "delete it to have it downloaded again" in sentence


@needs_mnist
def test_a_swapped_file_is_refused(tmp_path):
    (tmp_path / LABELS).write_bytes((ROOT / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())
    assert "content is not MNIST's" in refused(mnist.read, tmp_path, LABELS)


@needs_mnist
def test_a_real_file_compressed_otherwise_is_taken_from_the_second_mirror(tmp_path, mirrors):
    real = mnist.read(ROOT / "mnist", LABELS)
    asked = mirrors(OSError("down"), gzip.compress(idx(real), compresslevel=1))
    assert np.array_equal(mnist.read(tmp_path, LABELS), real)
    assert len(asked) == 2


def test_not_gzip_is_refused(tmp_path, content):
    (tmp_path / LABELS).write_bytes(b"<html>moved</html>")
    assert LABELS in refused(mnist.read, tmp_path, LABELS)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path, content):
    (tmp_path / LABELS).mkdir()
    assert LABELS in refused(mnist.read, tmp_path, LABELS)


def test_no_mirror_answers(tmp_path, mirrors):
    refusal = requests.exceptions.ConnectionError("name not\nresolved")
    asked = mirrors(refusal, refusal)
    sentence = refused(datasets.load, "mnist", tmp_path)
    assert "train-images-idx3-ubyte.gz is missing and no mirror gave it" in sentence
    assert f"put the file into {tmp_path / 'mnist'} (" in sentence
    assert "name not resolved" in sentence
    assert [url.startswith(mirror) for url, mirror in zip(asked, mnist.MIRRORS, strict=True)] == [True, True]
    assert list((tmp_path / "mnist").iterdir()) == []


def test_second_mirror_is_used_and_the_file_kept(tmp_path, content, mirrors):
    asked = mirrors(requests.exceptions.Timeout(), gzip.compress(content, compresslevel=1))
    assert mnist.read(tmp_path / "mnist", LABELS).tolist() == list(range(10))
    assert asked == [mirror + LABELS for mirror in mnist.MIRRORS]
    assert [path.name for path in (tmp_path / "mnist").iterdir()] == [LABELS]
    assert mnist.read(tmp_path / "mnist", LABELS).tolist() == list(range(10))
    assert len(asked) == 2  # the second reading asks nobody


def test_downloaded_file_is_readable_as_any_file_of_the_user(tmp_path, content, mirrors):
    mirrors(gzip.compress(content))
    mnist.read(tmp_path / "mnist", LABELS)
    (tmp_path / "other").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("mnist/" + LABELS, "other")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize(
    "wrong",
    [gzip.compress(idx([1, 2])), b"<html>", gzip.compress(idx(np.arange(10)))[:-9]],
    ids=["other", "html", "cut"],
)
def test_wrong_content_from_a_mirror_is_refused(tmp_path, content, mirrors, wrong):
    mirrors(wrong, wrong)
    assert "no mirror gave it" in refused(mnist.read, tmp_path, LABELS)
    assert list(tmp_path.iterdir()) == []
    mirrors(wrong, gzip.compress(content))
    assert mnist.read(tmp_path, LABELS).tolist() == list(range(10))


def test_a_folder_that_cannot_be_made_is_named(tmp_path, content, mirrors):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    mirrors(gzip.compress(content))
    assert "cannot be written" in refused(mnist.read, tmp_path / "mnist", LABELS)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (0, 5)])
def test_idx_is_read_as_it_was_written(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(mnist.parse_idx(idx(array)), array)
    assert mnist.parse_idx(idx(array)).shape == shape


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"", "begin"),
        (idx([1])[:3], "begin"),
        (b"\0\0\x0d\x01" + idx([1])[4:], "begin"),
        (idx([[1, 2]])[:9], "header"),
        (idx([1, 2])[:-1], "whole"),
        (idx([1, 2]) + b"\0", "whole"),
        (b"\0\0\x08\x41" + b"\0\0\0\1" * 65 + b"\7", "has 65 dimensions; it must have at most 64"),
    ],
)
def test_bad_idx_is_refused(bad, why):
    assert why in refused(mnist.parse_idx, bad)


@pytest.mark.parametrize(
    ("option", "value"), [("train", 0), ("train", 55_001), ("test", 10_001), ("test", -1), ("validation", 60_000)]
)
def test_bad_sizes_are_refused_before_any_file_is_read(tmp_path, option, value):
    assert f"option {option} is {value}" in refused(datasets.load, "mnist", tmp_path, **{option: value})
