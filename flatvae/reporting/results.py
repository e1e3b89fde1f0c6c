"""The results of one data set from which its figures are drawn; each file is read on first use."""

import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from flatvae.reporting import equality, names

Arrays = dict[str, np.ndarray]


class DatasetResults:
    """The files that the workflow wrote for a data set, and what must be read from the data set itself.

    Args:
        folder: the results folder of the run.
        name: the name of the data set.
        methods: the methods, in drawing order.
        data: ``loader``, ``root`` and ``options`` of the data set.
        bound: κ², the reconstruction bound.
    """

    def __init__(self, folder: str | Path, name: str, methods: list[str], data: dict, bound: float):
        self.folder = Path(folder) / name
        self.name = name
        self.methods = methods
        self.data = data
        self.bound = bound
        self._arrays: dict[str, dict[str, Arrays]] = {}

    @functools.cached_property
    def histories(self) -> dict[str, pd.DataFrame]:
        """history.csv of every method whose file has rows."""
        found = {method: pd.read_csv(self.folder / method / "history.csv") for method in self.methods}
        return {method: rows for method, rows in found.items() if len(rows)}

    def arrays(self, task: str) -> dict[str, Arrays]:
        """Arrays of a task for every method that has a finite seed."""
        if task not in self._arrays:
            found = {}
            for method in self.methods:
                with np.load(self.folder / method / f"{task}.npz") as file:
                    found[method] = dict(file)
            self._arrays[task] = {method: arrays for method, arrays in found.items() if len(arrays["seeds"])}
        return self._arrays[task]

    @functools.cached_property
    def missed(self) -> set[str]:
        """Methods with a seed that missed equal reconstruction or had not settled; empty if reconstruction was not evaluated."""
        files = {method: self.folder / method / "reconstruction.csv" for method in self.methods}
        rows = [pd.read_csv(file).assign(method=method) for method, file in files.items() if file.is_file()]
        return equality.missed(pd.concat(rows)) if rows else set()

    @property
    def factor(self) -> str:
        """The name of the data set's true factor."""
        return names.FACTORS.get(self.data["loader"], "true factor")

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return tuple(json.loads((self.folder / "data.json").read_text(encoding="utf-8"))["shape"])

    @property
    def _recordings(self) -> dict:
        return {"root": self.data["root"], **self.data["options"]}

    @functools.cached_property
    def frames(self) -> pd.DataFrame:
        """Trial, motion and time of every test frame of recorded motion."""
        from flatvae.datasets import human_motion

        return human_motion.frames(**self._recordings).query("part == 'test'")

    @property
    def poses(self) -> tuple[dict[str, Arrays], list[str], list[tuple[int, int]], list[tuple[str, str]]]:
        """Arrays with joint positions along both paths and at their ends; then joints, bones, and pairs of motions."""
        from flatvae.datasets import human_motion
        from flatvae.reporting.figures import nearest_frames

        scaling = human_motion.scaling(**self._recordings)
        skeleton = human_motion.skeleton(self.data["root"], self.frames["trial"].iloc[0].split("/")[0])
        test = human_motion.load(**self._recordings).test.numpy()
        motions = self.frames["motion"].unique()
        pairs = list(itertools.combinations(motions, 2)) or [(motions[0], motions[0])]  # the task's order

        def joints(observations):
            return human_motion.joint_positions(skeleton, human_motion.pose(skeleton, scaling.degrees(observations)))

        found = {}
        for method, arrays in self.arrays("distances").items():
            ends = nearest_frames(arrays["frames_straight"], pairs, test, self.frames["motion"])
            ways = {f"joints_{way}": joints(arrays[f"frames_{way}"]) for way in ("straight", "geodesic")}
            found[method] = {**arrays, **ways, "joints_ends": joints(ends)}
        return found, skeleton.joints, skeleton.bones, pairs

    @functools.cached_property
    def _in_colour(self):
        """The data set with its pictures in RGB, whatever colour space the models see."""
        from flatvae import datasets

        return datasets.load(self.data["loader"], self.data["root"], **self.data["options"] | {"colour": "rgb"})

    @property
    def people(self) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, tuple[int, ...]]:
        """Pictures of people in the test videos (N, D), their identities (N,), their boxes, and the shape of a picture."""
        dataset = self._in_colour
        boxes = dataset.boxes[dataset.boxes["part"] == "test"]
        return dataset.test.numpy(), dataset.test_labels.numpy(), boxes, dataset.shape

    @property
    def video(self) -> tuple[str, object]:
        """Name of the first test video, and a function (name, frame) that reads a frame."""
        from flatvae.datasets.mot import read_frame

        videos = {video.name: video for video in self._in_colour.videos["test"]}
        return next(iter(videos)), lambda name, frame: read_frame(videos[name], frame)
