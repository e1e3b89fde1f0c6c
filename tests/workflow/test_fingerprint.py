"""Which sources a rule's result depends on."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import fingerprint  # noqa: E402


def test_training_depends_on_model_loss_and_trainer_and_not_on_plots():
    sources = fingerprint.closure(["flatvae.training.results", "flatvae.flat_vae"])
    expected = {
        "flatvae.geometry.metric",
        "flatvae.flattening",
        "flatvae.constraint",
        "flatvae.priors",
        "flatvae.networks",
    }
    assert expected <= set(sources)
    assert not any("reporting" in s or "evaluation" in s for s in sources)


def test_a_method_without_penalty_does_not_depend_on_flattening():
    sources = fingerprint.closure(["flatvae.training.results", "baselines.vae"], without=["flatvae.flattening"])
    assert "flatvae.flattening" not in sources
    assert not fingerprint.has_penalty("baselines.vae")
    assert fingerprint.has_penalty("flatvae.flat_vae")


def test_every_task_and_data_set_is_reached_by_its_fingerprint():
    for task in ("flatness", "neighbours", "reconstruction"):
        assert "flatvae.evaluation" in fingerprint.closure([f"flatvae.evaluation.{task}"])
    for dataset in ("pendulum", "digits", "mnist", "arrays"):
        assert "flatvae.datasets" in fingerprint.closure([f"flatvae.datasets.{dataset}"])


def test_only_code_counts(tmp_path, monkeypatch):
    package = tmp_path / "flatvae"
    package.mkdir()
    module = package / "thing.py"
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)

    def of(text: str) -> str:
        module.write_text(text)
        fingerprint.tree.cache_clear()
        return fingerprint.fingerprint("flatvae.thing")

    plain = of("def f(x):\n    return x + 1\n")
    assert of('"""Prose."""\n\n\ndef f(x):\n    """More."""\n    # why\n    return x + 1\n') == plain
    assert of("def f(x):\n    return x + 2\n") != plain
    fingerprint.tree.cache_clear()


def test_relative_imports_are_followed(tmp_path, monkeypatch):
    package = tmp_path / "baselines"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "one": "from .two import f\nfrom . import three\n",
        "two": "f = 1\n",
        "three": "",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    fingerprint.tree.cache_clear()
    assert fingerprint.closure(["baselines.one"]) == ["baselines.one", "baselines.three", "baselines.two"]
    fingerprint.tree.cache_clear()


def test_a_function_taken_from_another_module_has_that_one_s_parameters():
    assert fingerprint.keywords("baselines.irvae", "build") == fingerprint.keywords("baselines.vae", "build")
    assert fingerprint.keywords("baselines.irvae", "penalty") == {"eta"}
    assert fingerprint.keywords("baselines.irvae", "jvp") is None  # of no module of this project
    assert "baselines.vae" in fingerprint.closure(["baselines.irvae"])
