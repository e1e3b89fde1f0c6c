"""A fitted FlatVAE as a file."""

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from flatvae import FlatVAE, InputError

pytestmark = pytest.mark.filterwarnings("ignore:FlatVAE")


@pytest.fixture(scope="module")
def space():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)) * 7 + 2, columns=["a", "b", "c"])
    settings = {"unexplained": 0.3, "eta": 10.0, "init": "random", "steps": 30, "hidden": (8, 4), "random_state": 1}
    return FlatVAE(**settings).fit(X), X


def test_what_is_read_is_what_was_written(space, tmp_path):
    written, X = space
    written.save(tmp_path / "space.safetensors")
    read = FlatVAE.load(tmp_path / "space.safetensors")
    np.testing.assert_array_equal(read.transform(X), written.transform(X))
    np.testing.assert_array_equal(
        read.inverse_transform(read.transform(X)), written.inverse_transform(read.transform(X))
    )
    np.testing.assert_array_equal(read.score_samples(X[:5]), written.score_samples(X[:5]))
    a, b = read.transform(X[:3]), read.transform(X[3:6])
    np.testing.assert_array_equal(read.geodesic_distances(a, b), written.geodesic_distances(a, b))
    assert list(read.feature_names_in_) == ["a", "b", "c"]
    assert read.condition_number_ == written.condition_number_
    assert read.condition_number_.median == written.condition_number_.median
    assert read.trustworthiness_ == written.trustworthiness_
    assert {**read.get_params(), "hidden": (8, 4)} == written.get_params()
    assert list(read.get_feature_names_out()) == list(written.get_feature_names_out())
    read.fit(X)  # may be fitted anew


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.unlink(), "does not exist; write it by save"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is damaged, or was not written by FlatVAE.save"),
        (lambda path: path.write_bytes(b"nonsense"), "is damaged, or was not written by FlatVAE.save"),
        (lambda path: save_file({"mean": np.zeros(3)}, path), "is damaged, or was not written by FlatVAE.save"),
    ],
)
def test_other_files_are_refused(space, tmp_path, damage, why):
    path = tmp_path / "space.safetensors"
    space[0].save(path)
    damage(path)
    with pytest.raises(InputError, match=why):
        FlatVAE.load(path)


def test_a_folder_that_is_not_there(space, tmp_path):
    with pytest.raises(InputError, match="does not exist; create it, or save elsewhere"):
        space[0].save(tmp_path / "nowhere" / "space.safetensors")
