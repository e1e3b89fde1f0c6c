"""What a run cost: the table ``compute``, from the run's record run.json."""

import pandas as pd

from flatvae.reporting.statistics import COLUMNS


def rows(record: dict) -> pd.DataFrame:
    """Rows of the task ``compute`` with the columns of metrics.csv: one for each data set, method and number.

    ``train_seconds`` is the wall time of the training job, all seeds together, including loading. ``evaluation_seconds`` is the
    wall time of the tasks, without loading. ``steps_per_second`` counts the steps of all seeds. ``peak_memory_mb`` is the largest
    resident memory of any job. ``gpu`` (0/1) says whether a GPU trained it, and ``gpu_memory_mb`` is the peak memory there.

    Args:
        record: the content of run.json.
    """
    found = []
    for name, training in record["training"].items():
        dataset, method = name.split("/")
        evaluations = record["evaluation"][name].values()
        device = training["device"]
        values = {
            "train_seconds": training["seconds"],
            "steps_per_second": training["steps"] * training["seeds"] / training["seconds"],
            "evaluation_seconds": sum(job["seconds"] for job in evaluations),
            "peak_memory_mb": max(job["max_rss_mb"] for job in (training, *evaluations)),
            "threads": training["threads"],
            "gpu": int(device["name"] != "cpu"),
        }
        values |= {"gpu_memory_mb": device["memory_mb"]} if "memory_mb" in device else {}
        found += [(dataset, method, "", "compute", metric, 0, float(value)) for metric, value in values.items()]
    return pd.DataFrame(found, columns=COLUMNS)
