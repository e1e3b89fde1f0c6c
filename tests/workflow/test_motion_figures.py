"""The figures of human motion by a real run of Snakemake on a few of the real recordings."""

import os
import re
from pathlib import Path

import pytest
import yaml
from matplotlib.image import imread

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
TRIALS = {
    "walking": ["35/35_01.amc", "35/35_02.amc"],
    "jogging": ["35/35_24_from_expmap.amc", "35/35_run_a_from_expmap.amc"],
    "kicking": ["135/135_04.amc"],
}
needs_cmu = pytest.mark.skipif(
    not all((ROOT / "cmu_mocap" / file).is_file() for files in TRIALS.values() for file in files),
    reason="the CMU files are not there: set FLATVAE_DATA to a folder that holds cmu_mocap/",
)


def overlay(tmp_path: Path, latent_dim: int = 2) -> str:
    """A data set of another name with the loader human_motion, beside one with another loader."""
    content = {
        "results_dir": "results/motion",
        "seeds": 1,
        "run": {"datasets": ["bodies", "pendulum"], "methods": ["vae", "flat_vae"], "tasks": ["flatness", "distances"]},
        "datasets": {
            "bodies": {
                "loader": "human_motion",
                "options": {"trials": TRIALS, "stride": 4},
                "training": {"bound": 5.0, "steps": 60, "hidden": [32], "latent_dim": latent_dim, "eta": 1.0},
            }
        },
    }
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def outputs(run) -> set[str]:
    """Names of the PNG files that the jobs of a dry run would make."""
    assert run.returncode == 0, run.stdout[-3000:]
    lines = re.findall(r"(?<=output: ).*", run.stdout)
    return {Path(name).stem for line in lines for name in line.split(", ") if name.endswith(".png")}


@needs_cmu
def test_trajectories_and_poses_of_real_recordings(project, tmp_path):
    figures = ("results/motion/figures/bodies_trajectories.png", "results/motion/figures/bodies_poses.png")
    run = project.smoke(*figures, overlays=(overlay(tmp_path),), FLATVAE_DATA=str(ROOT))
    assert run.returncode == 0, run.stdout[-5000:]
    for figure in figures:
        path = project.folder / figure
        assert (imread(path)[..., :3] < 0.9).any(axis=2).mean() > 0.02, "more than a blank page"
        assert path.with_suffix(".pdf").stat().st_size > 5000


def test_figures_of_motion_are_asked_for_by_the_loader(project, tmp_path):
    found = outputs(project.smoke("--dry-run", "--forceall", overlays=(overlay(tmp_path),)))
    assert {"bodies_trajectories", "bodies_poses", "bodies_latent_map", "pendulum_latent_map"} <= found
    assert not {"pendulum_trajectories", "pendulum_poses"} & found


def test_trajectories_in_more_dimensions_are_left_out_with_the_reason(project, tmp_path):
    change = overlay(tmp_path, latent_dim=5)
    found = outputs(project.smoke("--dry-run", "--forceall", overlays=(change,)))
    assert "bodies_poses" in found
    assert not {"bodies_trajectories", "bodies_latent_map"} & found
    run = project.smoke("results/motion/figures/left_out.md", "--force", overlays=(change,))
    assert run.returncode == 0, run.stdout[-3000:]
    text = (project.folder / "results/motion/figures/left_out.md").read_text()
    reason = "it needs a latent space of two dimensions for every method, and vae has latent_dim 5, flat_vae has latent_dim 5"
    assert f"- bodies, trajectories: {reason}." in text
    assert "pendulum" not in text
    assert "poses" not in text
