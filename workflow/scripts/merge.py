"""Merges the results folders of several runs, the units, into one: ``flatvae merge UNIT … --output FOLDER``.

A long run can be split: each unit trains some methods on some data sets of one config, and is kept when it ends. Units are
merged if the same code and the same settings made them; a unit may itself be a merged folder. Of each unit the files metrics.csv,
run.json and manifest.json are needed; efficiency.csv and figures are taken where they exist. Ledgers, tables and the figures of
numbers are made anew.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import pandas as pd
from outputs import TABLE, Run

from flatvae.errors import InputError
from flatvae.reporting.statistics import COLUMNS, KEY, read_metrics

# settings of one unit that no other must share: each data set keeps its own number of seeds and its methods
OWN = ("results_dir", "data_root", "seeds", "run", "checkpoint_minutes", "device", "evaluation_device")
# what reads the finished numbers; the merged folder takes it as it is now
READERS = ("claims", "controls", "search", "sweeps")
NUMBERS = ("metrics.csv", "efficiency.csv")
LATER = ("manifest.json", "index.html", "report.pdf")  # made after the hashes


def read(folder: Path) -> dict:
    """A unit's manifest and record.

    Raises:
        InputError: a file is missing, or the manifest does not say which code made the unit.
    """
    for name in ("metrics.csv", "run.json", "manifest.json"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}; name the results folder of a run that has ended.")
    manifest, record = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("manifest", "run")
    )
    if "code" not in manifest:
        raise InputError(f"{folder}/manifest.json does not tell the code's fingerprints; run the unit again.")
    return {"folder": folder, "manifest": manifest, "record": record}


def same_code(units: Sequence[dict]) -> dict[str, str]:
    """Fingerprints of the code behind all units.

    Raises:
        InputError: two units differ in one that they share.
    """
    found: dict[str, tuple[str, Path]] = {}
    for unit in units:
        for part, code in unit["manifest"]["code"].items():
            known, folder = found.setdefault(part, (code, unit["folder"]))
            if known != code:
                raise InputError(
                    f"{folder} and {unit['folder']} were made by different code of the {part}; run one of them again with "
                    "the other's commit."
                )
    return {part: code for part, (code, _) in found.items()}


def merged_config(units: Sequence[dict], output: Path) -> dict:
    """The config of all units together: it would make the merged results in one run.

    Raises:
        InputError: two units have different values of a setting that they share.
    """
    configs = [unit["manifest"]["config"] for unit in units]
    whole: dict = {"datasets": {}}
    for unit, config in zip(units, configs, strict=True):
        for dataset in config["run"]["datasets"]:
            own = {**config["datasets"][dataset], "seeds": config["datasets"][dataset].get("seeds", config["seeds"])}
            chosen = own.pop("only_methods", config["run"]["methods"])
            trained = [method for method in config["run"]["methods"] if method in chosen]
            before = whole["datasets"].get(dataset, {}).get("only_methods", [])
            _add(whole["datasets"].setdefault(dataset, {}), own, f"datasets.{dataset}", unit["folder"])
            whole["datasets"][dataset]["only_methods"] = [*before, *(m for m in trained if m not in before)]
        shared = {key: value for key, value in config.items() if key not in (*OWN, *READERS, "datasets")}
        _add(whole, shared, "", unit["folder"])
    run = {
        kind: list(dict.fromkeys(name for config in configs for name in config["run"][kind]))
        for kind in ("datasets", "methods", "tasks")
    }
    last = configs[-1]
    readers = {key: last[key] for key in READERS if key in last}
    seeds = max(whole["datasets"][dataset]["seeds"] for dataset in run["datasets"])
    own = {**{key: last[key] for key in OWN}, "run": run, "seeds": seeds, "results_dir": _place(output)}
    return {**whole, **readers, **own, "datasets": {**last["datasets"], **whole["datasets"]}}


def _place(folder: Path) -> str:
    """A folder as results_dir has it: relative to the project if it lies there, for a config that holds on other machines."""
    path = folder.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _add(whole: dict, part: dict, place: str, folder: Path) -> None:
    """Adds settings to those of earlier units, which may lack them but must not contradict them."""
    for key, value in part.items():
        where = f"{place}.{key}" if place else key
        if isinstance(value, dict) and isinstance(whole.get(key, {}), dict):
            _add(whole.setdefault(key, {}), value, where, folder)
        elif whole.setdefault(key, value) != value:
            raise InputError(
                f"{folder} was run with {where} = {value}, an earlier unit with {whole[key]}; merge units of one config."
            )


def merged_numbers(units: Sequence[dict], name: str, methods: Sequence[str]) -> pd.DataFrame | None:
    """Rows of all units, sorted by data set as the units are and by method as the config is; None if no unit has the file.

    Controls that several units share must be equal, and are kept once.

    Raises:
        InputError: two units have different numbers for one key.
    """
    frames = [
        pd.read_csv(unit["folder"] / name, dtype=str, keep_default_na=False)[COLUMNS].assign(unit=str(unit["folder"]))
        for unit in units
        if (unit["folder"] / name).is_file()
    ]
    if not frames:
        return None
    rows = pd.concat(frames).drop_duplicates(COLUMNS)
    twice = rows[rows.duplicated(KEY, keep=False)]
    if not twice.empty:
        row = twice.iloc[0]
        key = " ".join(row[column] for column in ("dataset", "method", "distance", "metric") if row[column])
        folders = " and ".join(twice[(twice[KEY] == row[KEY]).all(axis=1)]["unit"])
        raise InputError(
            f"{folders} have different numbers of {key}, seed {row['seed'] or '–'}; merge only one of them."
        )
    rows = rows[COLUMNS]
    place = {method: number for number, method in enumerate(methods)}
    datasets = {dataset: number for number, dataset in enumerate(dict.fromkeys(rows["dataset"]))}
    order = pd.DataFrame(
        {"dataset": rows["dataset"].map(datasets), "method": rows["method"].map(place).fillna(len(place))}
    )
    order.index = rows.index = range(len(rows))
    return rows.loc[order.sort_values(["dataset", "method"], kind="stable").index]


def record_of(unit: dict) -> list[dict]:
    """How a unit was made: commit, date, machine, hours, and the hash of each model. A merged folder has several."""
    manifest, record = unit["manifest"], unit["record"]
    if "units" in manifest:
        return manifest["units"]
    jobs = [*record["training"].values(), *(task for tasks in record["evaluation"].values() for task in tasks.values())]
    config = manifest["config"]
    return [
        {
            "datasets": config["run"]["datasets"],
            "methods": config["run"]["methods"],
            "commit": manifest["commit"],
            "date": manifest["date"],
            "config_sha256": manifest["config_sha256"],
            **{key: record[key] for key in ("platform", "processor", "device", "packages") if key in record},
            "hours_of_jobs": round(sum(job["seconds"] for job in jobs) / 3600, 3),
            "models": manifest["models"],
        }
    ]


def merge(folders: Sequence[Path], output: Path) -> None:
    """Writes the merged folder.

    Raises:
        InputError: the units do not belong together; nothing is written.
    """
    units = [read(folder) for folder in folders]
    code, config = same_code(units), merged_config(units, output)
    numbers = {name: merged_numbers(units, name, config["run"]["methods"]) for name in NUMBERS}
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".merge-") as partial:
        for name, rows in numbers.items():
            if rows is not None:
                rows.to_csv(Path(partial, name), index=False, lineterminator="\n")
                read_metrics(Path(partial, name))  # refuses damaged numbers
        for path in Path(partial).iterdir():
            path.replace(output / path.name)
    record = _joined([unit["record"] for unit in units])
    (output / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (output / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    _copy_figures(units, output / "figures")
    _make_readers(config, output)
    shutil.rmtree(output / "logs")
    (output / ".lock").unlink(missing_ok=True)
    made = sorted(path for path in output.rglob("*") if path.is_file() and path.name not in LATER)
    manifest = {
        "commit": ", ".join(dict.fromkeys(unit["manifest"]["commit"] for unit in units)),
        "config_sha256": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        "config": config,
        "date": max(unit["manifest"]["date"] for unit in units),
        "code": code,
        "units": [made_how for unit in units for made_how in record_of(unit)],
        "sha256": {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in made},
    }
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    fidelity = ROOT / "docs" / "fidelity.md"
    for form, options in {"document": ["--fidelity", str(fidelity)] * fidelity.is_file(), "page": []}.items():
        _call([sys.executable, "-m", f"flatvae.reporting.{form}", str(output), *options])


def _joined(records: Sequence[dict]) -> dict:
    """The jobs of all records, and everything else joined by «/» where they differ."""
    keys = dict.fromkeys(key for record in records for key in record)
    found = {key: [record[key] for record in records if key in record] for key in keys}
    return {key: _joined(of) if isinstance(of[0], dict) else _one(of) for key, of in found.items()}


def _one(values: Sequence):
    """The value that all have, or the different ones as a text."""
    return values[0] if all(value == values[0] for value in values) else " / ".join(dict.fromkeys(map(str, values)))


def _copy_figures(units: Sequence[dict], folder: Path) -> None:
    """Copies the figures of single data sets; those that compare methods are drawn anew."""
    folder.mkdir(exist_ok=True)
    for unit in units:
        for path in sorted((unit["folder"] / "figures").glob("*.p[dn][fg]")):
            if path.parent.resolve() != folder.resolve() and not path.name.startswith("comparison_"):
                shutil.copy2(path, folder / path.name)


def _make_readers(config: dict, output: Path) -> None:
    """Makes the ledgers, the tables and the figures of numbers by the rules of the workflow."""
    run = Run(config, config["results_dir"])
    targets = [f"{run.out}/tables/{name}.{TABLE[0]}" for name in run.tables()]
    targets += [f"{run.out}/figures/{name}.png" for name in run.number_figures()]
    targets += [f"{run.out}/{ledger}.csv" for ledger in ("claims", "controls")] + [f"{run.out}/figures/left_out.md"]
    rules = ["claims", "controls", "tables", "number_figures", "left_out"]
    rules = rules if run.number_figures() else [rule for rule in rules if rule != "number_figures"]
    _call(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", f"{run.out}/config.yaml", "--nolock"]
        + ["--forcerun", *rules, "--allowed-rules", *rules, "--", *targets]
    )


def _call(command: Sequence[str]) -> None:
    if code := subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode:
        sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    """Merge runs that the same code and settings made."""
    parser = argparse.ArgumentParser(prog="flatvae merge", description=main.__doc__)
    parser.add_argument("units", nargs="+", type=Path, metavar="UNIT", help="results folders of runs that have ended")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="the folder of the merged results")
    options = parser.parse_args(arguments)
    try:
        merge(options.units, options.output)
    except (InputError, OSError) as error:
        sys.exit(f"flatvae: {error}")


if __name__ == "__main__":
    main()
