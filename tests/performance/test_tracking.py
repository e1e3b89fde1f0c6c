"""How many frames a second are tracked on one thread: make performance

Everything that a tracker does with a video: frames read, pictures cut out, described by the convolutional encoder, tracked.
On TUD-Stadtmitte where it is there, and on a drawn video.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from measured import DEVICE

from baselines import vae
from flatvae import datasets
from flatvae.evaluation import _trackers, encode, tracking

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
REPEATS = 3


def encoder(dataset):
    """The convolutional encoder of mot in config/config.yaml, untrained: what it is worth does not matter here."""
    model = vae.build(dataset, latent_dim=32, hidden=[128], channels=[16, 32, 64], activation="silu").to(DEVICE)
    return lambda pictures: encode(model, pictures)


def frames_a_second(dataset, describe) -> dict[str, float]:
    """Best of some repeats, for the first test video: describing alone, tracking alone, both; and SORT."""
    video = dataset.videos["test"][0]
    seconds: dict[str, list[float]] = {"describing": [], "tracking": [], "both": [], "SORT": []}
    for _ in range(REPEATS):
        started = time.perf_counter()
        described = tracking._described(describe, video, dataset.crops)
        ready = time.perf_counter()
        threshold = float(np.quantile(tracking._distances(described), 0.03))
        chosen = time.perf_counter()
        found = tracking._tracked(described, threshold)
        ended = time.perf_counter()
        _trackers.sort(described.detections, video.length)
        seconds["SORT"].append(time.perf_counter() - ended)
        seconds["describing"].append(ready - started)
        seconds["tracking"].append(ended - chosen)
        seconds["both"].append(ready - started + ended - chosen)
    assert len(found) > video.length  # more than one box a frame
    return {name: video.length / min(values) for name, values in seconds.items()}


@pytest.mark.parametrize("name", ["mot", "crowd"])
def test_frames_a_second(name):
    if name == "mot" and not (ROOT / "mot" / "TUD-Stadtmitte" / "img1" / "000179.jpg").is_file():
        pytest.skip("the MOTChallenge sequences are not there: set FLATVAE_DATA to a folder that holds mot/")
    assert torch.get_num_threads() == 1
    dataset = datasets.load(name, ROOT)
    found = frames_a_second(dataset, encoder(dataset))
    video = dataset.videos["test"][0]
    print(f"\n{video.name}, {video.length} frames, {len(_trackers.taken(video.detections))} detections:", end=" ")
    print(", ".join(f"{step} {rate:.0f}" for step, rate in found.items()), "frames a second")
    assert found["both"] >= 25
