"""Damaged files: each is said in one sentence, and stops nothing else."""

import gzip
import re
import shutil
from pathlib import Path

import numpy as np
import yaml


def cut(path: Path, content: bytes | None = None) -> None:
    """Leaves the first half of a file, as a copy that was broken off does."""
    content = path.read_bytes() if content is None else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[: len(content) // 2])


def test_files_that_were_cut_are_named_in_a_sentence_each(smoke, tmp_path):
    """A model that is evaluated, a snapshot, and the data of two sets. Only the snapshot is no error: it begins anew."""
    own, images = tmp_path / "own.npz", tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    values = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    np.savez(own, train=values, test=values[:50] + 1)
    cut(own)
    cut(images, gzip.compress(values.tobytes()))
    whole, damaged = (smoke.folder / "results" / name / "pendulum" for name in ("smoke", "damaged"))
    shutil.copytree(whole / "vae", damaged / "vae")
    shutil.copy2(whole / "data.json", damaged)
    cut(
        damaged / "vhp_vae" / ".checkpoint" / "training.safetensors", (whole / "vae" / "model.safetensors").read_bytes()
    )
    cut(damaged / "vae" / "model.safetensors")
    content = {
        "results_dir": "results/damaged",
        "data_root": str(tmp_path),
        "run": {"datasets": ["pendulum", "mnist", "own"]},
        "datasets": {
            "own": {
                "loader": "arrays",
                "options": {"path": str(own)},
                "training": {"bound": 1.0, "steps": 10, "latent_dim": 2, "hidden": [8]},
            }
        },
    }
    overlay = tmp_path / "damaged.yaml"
    overlay.write_text(yaml.safe_dump(content))
    targets = ("pendulum/vae/flatness.csv", "pendulum/vhp_vae/model.safetensors", "mnist/data.json", "own/data.json")
    forced = ("--forcerun", "results/damaged/pendulum/vae/flatness.csv", "--rerun-triggers", "mtime")
    run = smoke.smoke(*(f"results/damaged/{target}" for target in targets), *forced, overlays=(str(overlay),))
    assert run.returncode == 1
    sentences = sorted(re.findall(r"(?<=\nflatvae: ).*", run.stdout))
    sentences = [sentence for sentence in sentences if " trainings to run" not in sentence]
    assert len(sentences) == 3, run.stdout[-5000:]
    assert re.match(r"checkpoint .*/vae/model.safetensors is truncated .*; delete it and train again", sentences[0])
    assert re.match(rf"dataset arrays: {own} is no .npz file; write it with", sentences[1])
    assert re.match(rf"dataset mnist: {images} is not usable .*; delete it to have it downloaded again", sentences[2])
    assert "Traceback" not in run.stdout
    log = (damaged / "vhp_vae" / "logs" / "train.log").read_text()
    assert "training.safetensors is damaged; the training starts anew" in log
    trained = Path("vhp_vae", "model.safetensors")
    assert (damaged / trained).read_bytes() == (whole / trained).read_bytes()
