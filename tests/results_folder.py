"""A small results folder of made-up numbers, with one method of every kind that a summary tells apart."""

import json
from pathlib import Path

import pandas as pd
from claim_rows import frame, passed, rows, trained
from matplotlib.figure import Figure

from flatvae.reporting import claims

METHODS = ("vae", "vhp_vae", "flat_vae", "flat_vae_scale_free", "pca")
CONDITION = {  # the condition number of each seed
    "vae": [1.01, 1.02, 1.03, 1.02, 1.01],
    "vhp_vae": [10, 12, 9, 11, 10],
    "flat_vae": [1.1, 1.2, 1.15, 1.12, 1.18],
    "flat_vae_scale_free": [1.14, 1.2, 1.16, 1.12, 1.19],
    "pca": [1, 1, 1, 1, 1],
}
EQUAL = {  # seeds at equal reconstruction; pca is exempt
    "vae": [1, 1, 1, 0, 0],
    "vhp_vae": [1, 1, 1, 1, 1],
    "flat_vae": [1, 1, 1, 1, 0],
    "flat_vae_scale_free": [1, 1, 1, 1, 1],
}
FLAT = {
    "statement": "The flat VAE is flat.",
    "subject": {"method": "flat_vae", "task": "flatness", "metric": "condition_number_median"},
    "compare": "value",
    "direction": "at_most",
    "threshold": 1.5,
    "fixed": "2026-11-28",
    "reason": "For a test.",
    "evidence": "tables/flatness.md",
}
CLAIMS = {
    "1a": {**FLAT, "restates_penalty": True},
    "1b": {**FLAT, "subject": {**FLAT["subject"], "method": "vae"}},
    "2a": {**FLAT, "subject": {**FLAT["subject"], "method": "vhp_vae"}, "exploratory": ["pendulum"]},
    "10a": {**FLAT, "subject": {**FLAT["subject"], "method": "irvae"}, "datasets": ["pendulum"]},
    "10b": {**FLAT, "datasets": ["mot"]},
}


def numbers() -> pd.DataFrame:
    """Rows of metrics.csv."""
    groups = []
    for method in METHODS:
        groups += [
            trained(method, 5),
            rows(method, CONDITION[method], "condition_number_median", "flatness"),
            rows(method, [0.77, 0.78, 0.76, 0.77, 0.775], "train_error"),
            rows(method, [0.774] * 5, "bound"),
            rows(method, [0.5 + 0.01 * seed for seed in range(5)], "knn_accuracy", "neighbours", distance="euclidean"),
            passed(method, EQUAL[method]) if method in EQUAL else [],
        ]
    groups.append([("pendulum", "", "data", "neighbours", "knn_accuracy", 0, 0.9)])
    return frame(*groups)


def write(folder: Path, metrics: pd.DataFrame | None = None, entries: dict = CLAIMS) -> Path:
    """Writes a results folder: numbers, ledger, run.json, manifest.json and three figures."""
    metrics = numbers() if metrics is None else metrics
    (folder / "figures").mkdir(parents=True)
    metrics.to_csv(folder / "metrics.csv", index=False)
    claims.write(claims.ledger(metrics, None, entries, ["pendulum"]), folder / "claims")
    jobs = {f"pendulum/{method}": 60.0 for method in METHODS}
    device = {"device": {"name": "cpu"}, "threads": 1, "steps": 100, "seeds": 5, "max_rss_mb": 100.0, "torch": "2.13"}
    record = {
        "seeds": 5,
        "platform": "Linux",
        "processor": "a processor",
        "cpus": 2,
        "python": "3.11",
        "packages": {"torch": "2.13"},
        "training": {name: {"seconds": seconds, **device} for name, seconds in jobs.items()},
        "evaluation": {name: {"flatness": {"seconds": 2.0, "max_rss_mb": 90.0}} for name in jobs},
    }
    manifest = {"commit": "0123456789abcdef+", "date": "2026-11-28T05:41:32+00:00", "config": {"seeds": 5}}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for stem in ("pendulum_flatness", "pendulum_sweep_eta", "comparison_pareto"):
        Figure(figsize=(2, 1)).savefig(folder / "figures" / f"{stem}.png", dpi=50)
    Figure(figsize=(2, 1)).savefig(folder / "figures" / "pendulum_flatness.pdf")
    (folder / "figures" / "left_out.md").write_text("# Figures left out\n\n- pendulum, poses: it needs motion.\n")
    return folder
