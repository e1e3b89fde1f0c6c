"""What was run: data sets, methods, seeds, device, commit, cost, and warnings for the reader."""

from dataclasses import dataclass

from flatvae.reporting.formatting import format_duration
from flatvae.reporting.names import display_name
from flatvae.reporting.summary.cautions import cautions
from flatvae.reporting.summary.folder import RunFolder
from flatvae.reporting.trained import seeds_text

NOT_COUNTED = "data, control descriptors, efficiency, tables, figures"  # run.json has no times of these jobs


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
        "Seeds": seeds_text(folder.n_seeds, "per method and data set"),
        "Device": _devices(record),
        "Cost": _cost(trainings, evaluations) if record else "",
        "Date": manifest.get("date", "").replace("T", " ").replace("+00:00", " UTC"),
        "Commit": _commit(manifest.get("commit", "")),
        "Machine": _machine(record),
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
        cautions(folder, missed),
        trainings + evaluations if record else None,
    )


def _devices(record: dict) -> str:
    jobs = record.get("training", {}).values()
    names = sorted({job["device"]["name"] for job in jobs})
    threads = sorted({job["threads"] for job in jobs if job["device"]["name"] == "cpu"})
    texts = [name.upper() if name == "cpu" else name for name in names]
    return ", ".join(texts) + (f" ({'/'.join(map(str, threads))} thread per training)" if threads == [1] else "")


def _machine(record: dict) -> str:
    cpus = f"{record['cpus']} logical processors" if record.get("cpus") else ""
    return ", ".join(filter(None, (record.get("platform"), record.get("processor"), cpus)))


def _cost(trainings: float, evaluations: float) -> str:
    parts = f"trainings {format_duration(trainings)}, evaluations {format_duration(evaluations)}"
    return f"{format_duration(trainings + evaluations)} of job time ({parts}); not counted: {NOT_COUNTED}"


def _commit(commits: str) -> str:
    """The commit in short; a merged run may have several."""
    return ", ".join(one[:12] + " with uncommitted changes" * one.endswith("+") for one in commits.split(", "))


def _software(record: dict) -> str:
    packages = record.get("packages", {})
    chosen = {"Python": record.get("python"), "PyTorch": packages.get("torch"), "Snakemake": packages.get("snakemake")}
    return ", ".join(f"{name} {version}" for name, version in chosen.items() if version)
