"""Tracking by a real run of Snakemake on small drawn videos: every method and control, in tables, figures and ledger."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from matplotlib.image import imread

METHODS = ["vhp_vae", "flat_vae"]


def overlay(tmp_path: Path) -> str:
    content = {
        "results_dir": "results/videos",
        "run": {"datasets": ["scene", "pendulum"], "methods": METHODS, "tasks": ["neighbours", "tracking"]},
        "datasets": {
            "scene": {
                "loader": "crowd",
                "options": {"sequences": 2, "frames": 40, "people": 5, "size": [16, 8], "colour": "chromaticity"},
                "distances": {"geodesic": {"code_nodes": 20, "n_neighbours": 5}},
                "training": {"bound": 2.0, "steps": 50, "channels": [4], "hidden": [8], "latent_dim": 4, "eta": 1.0},
            }
        },
        "claims": {claim: {"datasets": ["scene", "mot"]} for claim in ("8a", "8b")},
    }
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture(scope="module")
def run(project, tmp_path_factory) -> Path:
    """The results folder of a run."""
    folder = tmp_path_factory.mktemp("videos")
    done = project.smoke(overlays=(overlay(folder),), FLATVAE_CACHE=str(folder / "cache"))
    assert done.returncode == 0, done.stdout[-5000:]
    return project.folder / "results" / "videos"


def test_every_descriptor_is_tracked_with_and_looked_up(run):
    metrics = pd.read_csv(run / "metrics.csv", keep_default_na=False)
    idf1 = metrics[(metrics["task"] == "tracking") & (metrics["metric"] == "IDF1")]
    assert set(idf1["dataset"]) == {"scene"}
    by_lot = {*METHODS, "random_encoder", "supervised"}
    assert dict(idf1.groupby("method").size()) == {
        **dict.fromkeys(by_lot, 2),
        **dict.fromkeys(["sort", "constant", "pca"], 1),
    }
    assert idf1["value"].between(0, 100).all()
    rank = metrics[(metrics["dataset"] == "scene") & (metrics["metric"] == "rank_1")]
    found = {(row.method, row.distance) for row in rank.itertuples()}
    assert found == {
        ("", "data"),
        *((method, "geodesic") for method in METHODS),
        *((method, "euclidean") for method in {*by_lot, "constant", "pca"}),
    }
    flatness = metrics[(metrics["task"] == "neighbours") & (metrics["dataset"] == "pendulum")]
    assert set(flatness["method"]) == {"", *METHODS}


def test_the_table_says_who_was_supervised(run):
    lines = [line for line in (run / "tables" / "tracking.md").read_text().splitlines() if line.startswith("| scene")]
    words = {
        cells[1].split(" ")[0]: cells[2] for cells in ([c.strip() for c in line.split("|")[1:-1]] for line in lines)
    }
    assert words == {
        "vhp_vae": "unsupervised",
        "flat_vae": "unsupervised",
        "pca": "unsupervised",
        "random_encoder": "unsupervised",
        "supervised": "supervised",
        "constant": "none",
        "sort": "none",
    }


def test_figures_and_the_ledger(run):
    for name in ("tracks", "retrieval"):
        path = run / "figures" / f"scene_{name}.png"
        assert (imread(path)[..., :3] < 0.9).any(axis=2).mean() > 0.02, "more than a blank page"
    assert not list((run / "figures").glob("pendulum_tracks*"))
    ledger = pd.read_csv(run / "claims.csv", keep_default_na=False)
    row = ledger[ledger["claim"].astype(str).str.startswith("8")]
    assert "scene" in set(row["dataset"]), ledger.columns
