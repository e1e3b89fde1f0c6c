"""Writes down what the benchmarks measured: results/performance/{ratios,scaling}.csv, its tables and its figure.

All of them name the device: the card, or the processor's model.
"""

import sys
from pathlib import Path

import measured
import pandas as pd

from flatvae.reporting import figures, scaling, tables

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "results" / "performance"

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from adapter import keep_memory  # noqa: E402

keep_memory()  # as the workflow's jobs do; those that are compared with have it too


def pytest_report_header() -> str:
    return f"measured on: {measured.NAME}"


def pytest_sessionfinish() -> None:
    (OUT / "tables").mkdir(parents=True, exist_ok=True)
    if measured.RATIOS:
        rows = pd.DataFrame(measured.RATIOS, columns=["dataset", "method", "metric", "seed", "value"])
        rows = rows.assign(distance="", task="performance", device=measured.NAME)
        rows.to_csv(OUT / "ratios.csv", index=False, float_format="%.5g")
        order = [list(dict.fromkeys(rows[name])) for name in ("dataset", "method")]
        table = scaling.of_rounds(tables.task_table(rows, "performance", *order, measured.REPEATS), measured.NAME)
        tables.write(table, OUT / "tables" / "performance")
    if measured.SCALING:
        rows = pd.DataFrame(measured.SCALING, columns=["method", "quantity", "size", "seed", "seconds"])
        rows.assign(device=measured.NAME).to_csv(OUT / "scaling.csv", index=False, float_format="%.5g")
        exponents = scaling.exponents(rows)
        tables.write(scaling.table(exponents, measured.NAME), OUT / "tables" / "scaling")
        (OUT / "figures").mkdir(exist_ok=True)
        figures.save(
            figures.scaling(rows, exponents, f"What a training step and metric tensors cost, {measured.NAME}"),
            OUT / "figures" / "scaling",
        )
