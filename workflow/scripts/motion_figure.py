"""A figure of human motion: trials in latent space, or stick figures of what was decoded between motions."""

import itertools
from pathlib import Path

from adapter import job

with job(snakemake):
    import numpy as np

    from flatvae.datasets import human_motion
    from flatvae.reporting import figures

    data, title = snakemake.params.data, snakemake.wildcards.dataset
    source = {"root": data["root"], **data["options"]}
    arrays = {m: dict(np.load(path)) for m, path in zip(snakemake.params.methods, snakemake.input.arrays, strict=True)}
    arrays = {method: a for method, a in arrays.items() if len(a["seeds"])}
    rows = human_motion.frames(**source).query("part == 'test'")
    if snakemake.wildcards.motion_figure == "trajectories":
        figure = figures.trajectories(arrays, rows, title)
    else:
        scaling = human_motion.scaling(**source)
        skeleton = human_motion.skeleton(data["root"], rows["trial"].iloc[0].split("/")[0])
        test, motions = human_motion.load(**source).test.numpy(), rows["motion"].unique()
        pairs = list(itertools.combinations(motions, 2)) or [(motions[0], motions[0])]  # in the order of the task

        def joints(observations):
            return human_motion.joint_positions(skeleton, human_motion.pose(skeleton, scaling.degrees(observations)))

        for of_method in arrays.values():
            ends = figures.nearest_frames(of_method["frames_straight"], pairs, test, rows["motion"])
            of_method["joints_ends"] = joints(ends)
            for way in ("straight", "geodesic"):
                of_method[f"joints_{way}"] = joints(of_method[f"frames_{way}"])
        figure = figures.poses(arrays, skeleton.joints, skeleton.bones, pairs, title)
    figures.save(figure, Path(snakemake.output.png).with_suffix(""))
