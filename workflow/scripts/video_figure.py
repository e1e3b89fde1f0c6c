"""A figure of people in videos: who is found by whom, or the tracks of a video; pictures are read from the data set."""

from pathlib import Path

from adapter import job

with job(snakemake):
    import numpy as np

    from flatvae import datasets
    from flatvae.datasets.mot import read_frame
    from flatvae.reporting import figures

    data, title = snakemake.params.data, snakemake.wildcards.dataset
    arrays = {m: dict(np.load(path)) for m, path in zip(snakemake.params.methods, snakemake.input.arrays, strict=True)}
    arrays = {method: a for method, a in arrays.items() if len(a["seeds"])}
    # people are shown in their own colours, whatever the models see
    dataset = datasets.load(data["loader"], data["root"], **data["options"] | {"colour": "rgb"})
    videos = {video.name: video for video in dataset.videos["test"]}
    if not arrays:
        figure = figures.note("Every seed of every method became non-finite.", title)
    elif snakemake.wildcards.video_figure == "retrieval":
        rows = dataset.boxes[dataset.boxes["part"] == "test"]
        labels = dataset.test_labels.numpy()
        figure = figures.retrieval(arrays, dataset.test.numpy(), labels, rows, dataset.shape, title)
    else:

        def picture(name, frame):
            return read_frame(videos[name], frame)

        figure = figures.tracks(arrays, next(iter(videos)), picture, title)
    figures.save(figure, Path(snakemake.output.png).with_suffix(""))
