"""How long data sets take to be there, on one thread: make performance"""

import os
import time
from pathlib import Path

import pytest

from flatvae import datasets
from flatvae.datasets import mot

ROOT = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.mark.parametrize(("name", "limit"), [("mnist", 10), ("human_motion", 10), ("crowd", 60)])
def test_seconds_to_load(name, limit, tmp_path, monkeypatch):
    monkeypatch.setenv("FLATVAE_CACHE", str(tmp_path))  # so that videos are drawn
    if not (ROOT / {"mnist": "mnist", "human_motion": "cmu_mocap", "crowd": ""}[name]).is_dir():
        pytest.skip("the data are not there: set FLATVAE_DATA to their folder")
    started = time.perf_counter()
    datasets.load(name, ROOT)
    seconds = time.perf_counter() - started
    print(f"\n{name}: {seconds:.1f} s")
    assert seconds < limit  # about 1 s, crowd 6 s


def test_pictures_of_detections_are_made_at_25_frames_a_second_or_more():
    if not (ROOT / "mot" / "TUD-Stadtmitte" / "img1" / "000179.jpg").is_file():
        pytest.skip("the MOTChallenge sequences are not there: set FLATVAE_DATA to a folder that holds mot/")
    (video,) = mot.sequences(ROOT, "test")
    started = time.perf_counter()
    for frame, found in video.detections.groupby("frame"):
        mot.crops(video, frame, found)
    rate = video.length / (time.perf_counter() - started)
    print(f"\n{rate:.0f} frames a second")
    assert rate > 25  # about 230
