"""What holds of every data set, and what load() refuses."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from refusal import refused

from flatvae import datasets
from flatvae.datasets import PARTS, Dataset

SMALL = {
    "pendulum": {"train": 40, "validation": 12, "test": 20},
    "digits": {"validation": 100, "test": 100},
    "arrays": {"likelihood": "bernoulli"},
}


@pytest.fixture(params=sorted(SMALL))
def small(request, tmp_path):
    """A function that loads one small data set, with any seed."""
    options = dict(SMALL[request.param])
    if request.param == "arrays":
        options["path"] = tmp_path / "data.npz"
        draw = np.random.default_rng(0).random
        # wide enough that no two rows are the same by chance once they are binarised
        np.savez(options["path"], train=draw((30, 6, 9)), test=draw((7, 6, 9)), train_labels=np.arange(30))
    return lambda seed=0: datasets.load(request.param, seed=seed, **options)


def example(**changes) -> Dataset:
    """A tiny valid data set, with some fields changed."""
    parts = {part: torch.full((3, 4), 0.5) for part in PARTS}
    return Dataset(**{"name": "example", "likelihood": "gaussian", "shape": (2, 2), **parts, **changes})


def test_equal_seeds_give_equal_data_and_others_do_not(small):
    assert small(3).fingerprint() == small(3).fingerprint()
    assert small(3).fingerprint() != small(4).fingerprint()


def test_loading_neither_uses_nor_moves_the_global_random_state(small):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  the global state is what this is about
    first = small().fingerprint()
    drawn = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert torch.equal(torch.rand(3), drawn[0])
    assert np.array_equal(np.random.rand(3), drawn[1])  # noqa: NPY002
    assert small().fingerprint() == first


def test_parts_share_no_row(small):
    dataset = small()
    rows = torch.cat([getattr(dataset, part) for part in PARTS])
    assert len(rows.unique(dim=0)) == len(rows)


def test_description_passes_through_json_and_back(small):
    dataset = small()
    empty = Dataset.from_description(json.loads(json.dumps(dataset.description())))
    assert (empty.name, empty.likelihood, empty.shape) == (dataset.name, dataset.likelihood, dataset.shape)
    assert [getattr(empty, part).shape for part in PARTS] == [(0, dataset.dim)] * 3
    assert dataset.description()["sizes"] == {part: len(getattr(dataset, part)) for part in PARTS}
    assert empty.fingerprint() != dataset.fingerprint()


def test_incomplete_description_is_refused():
    assert "shape" in refused(Dataset.from_description, {"name": "a", "likelihood": "gaussian"})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"likelihood": "bernoulli"},
        {"shape": (4,)},
        {"train": torch.full((3, 4), 0.25)},
        {"train": torch.full((2, 4), 0.5), "validation": torch.full((4, 4), 0.5)},
        {"test_labels": torch.zeros(3, dtype=torch.int64)},
        {"train_labels": torch.zeros(3, dtype=torch.int64)},
        {"factors": torch.zeros(3)},
        {"factor_period": 1.0},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_fingerprint_sees_every_field(changes):
    assert example(**changes).fingerprint() != example().fingerprint()


def test_fingerprint_is_the_same_in_another_process():
    code = "from flatvae import datasets; print(datasets.load('pendulum', train=3, validation=2, test=2).fingerprint())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == datasets.load("pendulum", train=3, validation=2, test=2).fingerprint()


def test_dataset_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        example().name = "other"


def test_data_root_is_the_argument_then_the_variable_then_data(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATVAE_DATA", str(tmp_path))
    assert datasets.data_root("elsewhere").as_posix() == "elsewhere"
    assert datasets.data_root() == tmp_path
    monkeypatch.delenv("FLATVAE_DATA")
    assert datasets.data_root().as_posix() == "data"


def test_a_new_file_is_a_new_data_set(monkeypatch, tmp_path):
    (tmp_path / "brand_new.py").write_text(
        "import torch\n"
        "from flatvae.datasets import PARTS, Dataset\n"
        "def load(root, *, rows: int = 2):\n"
        "    parts = {part: torch.ones(rows, 3) for part in PARTS}\n"
        "    return Dataset(name='brand_new', likelihood='gaussian', shape=(3,), **parts)\n"
    )
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path)])
    assert "brand_new" in datasets.names()
    assert datasets.load("brand_new", rows=5).train.tolist() == [[1.0, 1.0, 1.0]] * 5


@pytest.mark.parametrize("name", ["pendulums", "", None, "_private", "os"])
def test_unknown_name_is_refused_with_the_known_ones(name):
    sentence = refused(datasets.load, name)
    assert "arrays, " in sentence
    assert "pendulum" in sentence


def test_unknown_option_is_refused_with_the_known_ones():
    sentence = refused(datasets.load, "pendulum", nois=0.1)
    assert "option nois is unknown" in sentence
    assert "train, validation, test, noise, seed" in sentence


def test_missing_option_is_named():
    assert "option path is missing" in refused(datasets.load, "arrays")


@pytest.mark.parametrize(
    ("name", "option", "value", "wanted"),
    [
        ("pendulum", "train", "100", "must be int"),
        ("pendulum", "train", 10.0, "must be int"),
        ("pendulum", "train", True, "must be int"),
        ("pendulum", "noise", "1e-3", "must be float"),
        ("pendulum", "noise", None, "must be float"),
        ("mnist", "train", "all", "must be int or None"),
        ("arrays", "likelihood", "poisson", "must be 'gaussian' or 'bernoulli'"),
        ("arrays", "path", 3, "must be str or Path"),
    ],
)
def test_wrong_type_is_refused(name, option, value, wanted):
    options = {"path": "x.npz"} if name == "arrays" else {}
    sentence = refused(datasets.load, name, **{**options, option: value})
    assert f"option {option} is {value!r}" in sentence
    assert wanted in sentence


def test_an_integer_will_do_for_a_float():
    clean = datasets.load("pendulum", train=2, validation=2, test=2, noise=0)
    assert clean.train.min() >= 0


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"likelihood": "poisson"}, "likelihood is 'poisson'"),
        ({"train": torch.tensor([[0.0, math.nan, math.inf, 1.0]])}, "train holds 2 values"),
        ({"validation": torch.zeros(0, 4)}, "validation is empty"),
        ({"test": torch.zeros(3, 5)}, "test has 5 columns"),
        ({"test": torch.zeros(4)}, "test is 1-D"),
        ({"train": torch.zeros(3, 4, dtype=torch.float64)}, "torch.float64"),
        ({"train": torch.full((3, 4), 1.5), "likelihood": "bernoulli"}, "train ranges from 1.5 to 1.5"),
        ({"validation": torch.full((3, 4), -1.0), "likelihood": "bernoulli"}, "validation ranges from -1"),
        ({"test_labels": torch.zeros(2, dtype=torch.int64)}, "test_labels"),
        ({"train_labels": torch.zeros(3)}, "train_labels"),
        ({"factors": torch.zeros(2)}, "factors"),
        ({"factors": torch.full((3,), math.nan)}, "factors"),
        ({"factors": torch.zeros(3), "render": torch.sin}, "render is given without factor_period"),
        ({"test_recordings": torch.zeros(3, 5)}, "test_recordings has 5 columns"),
        ({"test_recordings": torch.zeros(0, 4)}, "test_recordings is empty"),
        ({"test_recordings": torch.full((1, 4), math.nan)}, "test_recordings holds 4 values"),
        ({"test_recordings_labels": torch.zeros(2, dtype=torch.int64)}, "given without test_recordings"),
        (
            {"test_recordings": torch.zeros(3, 4), "test_recordings_labels": torch.zeros(2, dtype=torch.int64)},
            "test_recordings_labels is torch.int64 of shape (2,)",
        ),
        (
            {
                "test_recordings": torch.zeros(1, 4),
                "test_recordings_labels": torch.tensor([1]),
                "label_names": ("a",),
            },
            "highest label is 1",
        ),
        ({"label_names": ("a",), "test_labels": torch.tensor([0, 1, -1])}, "highest label is 1"),
        ({"label_names": ("a", "a"), "train_labels": torch.tensor([0, 1, -1])}, "1 different names"),
    ],
)
def test_data_that_break_the_contract_are_refused(monkeypatch, changes, culprit):
    monkeypatch.setattr("flatvae.datasets.pendulum.load", lambda root: example(**changes))
    assert culprit in refused(datasets.load, "pendulum")


def test_recordings_held_out_are_described_and_in_the_fingerprint():
    plain, held_out = example(), example(test_recordings=torch.ones(2, 4))
    labelled = example(test_recordings=torch.ones(2, 4), test_recordings_labels=torch.tensor([0, 1]))
    moved = example(test_recordings=torch.zeros(2, 4))
    assert "test_recordings" not in plain.description()["sizes"]
    assert held_out.description()["sizes"]["test_recordings"] == 2
    assert len({data.fingerprint() for data in (plain, held_out, labelled, moved)}) == 4


@pytest.mark.parametrize("seed", [-1, 2**32])
@pytest.mark.parametrize("name", ["pendulum", "digits", "mnist", "arrays"])
def test_seed_out_of_range_is_refused(name, seed):
    options = {"path": "x.npz"} if name == "arrays" else {}
    assert f"option seed is {seed}" in refused(datasets.load, name, seed=seed, **options)
