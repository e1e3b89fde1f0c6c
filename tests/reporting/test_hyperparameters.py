"""The hyperparameters shown: common ones once, the others in a table. That they are the workflow's: tests/workflow."""

import json
from pathlib import Path

import results_folder

from flatvae.reporting import summary

CONFIG = {
    "training": {"steps": 100, "learning_rate": 0.001, "compile": "auto", "hidden": [64, 32]},
    "datasets": {
        "pendulum": {
            "training": {"bound": 0.774, "learning_rate": 0.002},
            "methods": {"flat_vae": {"eta": 1.0e5}, "vae": {"learning_rate": 0.004}},
        }
    },
    "methods": {
        "flat_vae": {"builder": "flatvae.flat_vae"},
        "flat_vae_scale_free": {"scale_free": True, "alpha0": None},
    },
}


def test_common_ones_once_and_the_others_in_a_table(tmp_path):
    folder = results_folder.write(tmp_path / "run")
    (folder / "manifest.json").write_text(json.dumps({"config": CONFIG}))
    found = summary.read(folder).hyperparameters["pendulum"]
    assert found.common == {"bound": "0.774", "steps": "100", "hidden": "64, 32"}
    assert found.columns == ["learning_rate", "eta", "scale_free", "alpha0"]
    assert found.rows == {
        "VAE": ["0.004", "–", "–", "–"],
        "VHP-VAE": ["0.002", "–", "–", "–"],
        "Flat VAE": ["0.002", "100000", "–", "–"],
        "Flat VAE (scale-free)": ["0.002", "–", "yes", "none"],
        "PCA": ["0.002", "–", "–", "–"],
    }


def test_every_setting_of_the_committed_run_is_explained():
    run = summary.read(Path(__file__).parents[2] / "results" / "reference" / "default")
    shown = {name for of in run.hyperparameters.values() for name in (*of.common, *of.columns)}
    assert {"eta", "beta_rate", "channels"} <= shown
    assert set(run.meanings) == shown


def test_without_a_config_there_are_none(tmp_path):
    assert summary.read(results_folder.write(tmp_path / "run")).hyperparameters == {}
