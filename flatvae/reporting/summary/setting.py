"""What was run: data sets, methods, seeds, device, commit, cost, and warnings for the reader."""

from dataclasses import dataclass

import pandas as pd

from flatvae.reporting import controls
from flatvae.reporting.formatting import format_duration
from flatvae.reporting.names import display_name
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.tables import FEWER
from flatvae.reporting.verdicts import MIN_PAIRS


@dataclass(frozen=True)
class Setting:
    """What was run.

    Attributes:
        facts: label -> text, in order, without unknown facts.
        missed: «pendulum VAE 1 of 5» for every method with seeds that missed equal reconstruction or had not settled.
        warnings: sentences, most important first.
        seconds: total time of trainings and evaluations; None if no job was timed.
    """

    facts: dict[str, str]
    missed: list[str]
    warnings: list[str]
    seconds: float | None


def setting(folder: RunFolder) -> Setting:
    """The setting of a run, from its run.json, manifest and numbers."""
    record, manifest = folder.record, folder.manifest
    trainings = sum(job["seconds"] for job in record.get("training", {}).values())
    evaluations = sum(job["seconds"] for jobs in record.get("evaluation", {}).values() for job in jobs.values())
    facts = {
        "Data sets": ", ".join(folder.datasets),
        "Methods": ", ".join(map(display_name, folder.methods)),
        "Seeds": f"{folder.n_seeds} per method and data set",
        "Device": _devices(record),
        "Cost": _cost(trainings, evaluations) if record else "",
        "Date": manifest.get("date", "").replace("T", " ").replace("+00:00", " UTC"),
        "Commit": _commit(manifest.get("commit", "")),
        "Machine": record.get("platform", ""),
        "Software": _software(record),
    }
    missed = [
        f"{dataset} {display_name(method)} {of - passed} of {of}"
        for (dataset, method), (passed, of) in folder.equal.items()
        if passed < of
    ]
    return Setting(
        {label: text for label, text in facts.items() if text},
        missed,
        _warnings(folder, missed),
        trainings + evaluations if record else None,
    )


def _devices(record: dict) -> str:
    jobs = record.get("training", {}).values()
    names = sorted({job["device"]["name"] for job in jobs})
    threads = sorted({job["threads"] for job in jobs if job["device"]["name"] == "cpu"})
    texts = [name.upper() if name == "cpu" else name for name in names]
    return ", ".join(texts) + (f" ({'/'.join(map(str, threads))} thread per training)" if threads == [1] else "")


def _cost(trainings: float, evaluations: float) -> str:
    parts = f"trainings {format_duration(trainings)}, evaluations {format_duration(evaluations)}"
    return f"{format_duration(trainings + evaluations)} of job time ({parts})"


def _commit(commit: str) -> str:
    if not commit or commit == "unknown":
        return commit
    return commit[:12] + (" with uncommitted changes" if commit.endswith("+") else "")


def _software(record: dict) -> str:
    packages = record.get("packages", {})
    chosen = {"Python": record.get("python"), "PyTorch": packages.get("torch"), "Snakemake": packages.get("snakemake")}
    return ", ".join(f"{name} {version}" for name, version in chosen.items() if version)


def _warnings(folder: RunFolder, missed: list[str]) -> list[str]:
    found = [sentence[:1].upper() + sentence[1:] + "." for sentence in _broken_controls(folder)]
    if folder.n_seeds < MIN_PAIRS:
        found.append(f"{folder.n_seeds} seeds cannot decide a test: a verdict needs at least {MIN_PAIRS}.")
    if missed:
        found.append(f"Seeds missed equal reconstruction or had not settled: {', '.join(missed)}.")
    frozen = [
        f"{dataset} {display_name(method)} ({', '.join(seeds)})"
        for (dataset, method), seeds in folder.frozen.items()
        if seeds
    ]
    if frozen:
        found.append(f"Seeds became non-finite and are left out ({FEWER}): {', '.join(frozen)}.")
    if folder.manifest.get("commit", "").endswith("+"):
        found.append("The code had uncommitted changes.")
    return found + [f"Figure left out: {line}" for line in _left_out(folder)]


def _broken_controls(folder: RunFolder) -> list[str]:
    path = folder.path / "controls.csv"
    return [sentence.rstrip(".") for sentence in controls.broken(pd.read_csv(path))] if path.is_file() else []


def _left_out(folder: RunFolder) -> list[str]:
    path = folder.path / "figures" / "left_out.md"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]
