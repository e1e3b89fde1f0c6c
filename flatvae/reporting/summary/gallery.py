"""The figures of a run with their captions, and the files that can be downloaded."""

import struct
from dataclasses import dataclass
from pathlib import Path

from flatvae.errors import InputError
from flatvae.reporting.captions import figure_caption
from flatvae.reporting.comparison import BASELINE
from flatvae.reporting.figure_registry import COMPARISONS, FIGURES
from flatvae.reporting.names import display_name
from flatvae.reporting.summary.folder import RunFolder

ALL = "comparison"  # prefix of the files with figures of all data sets
SWEEP = "sweep"
TITLES = {
    "pareto": "flatness against reconstruction",
    "improvement": "probability of improvement",
}  # for names that say little
KINDS = {"CSV": ".csv", "Markdown": ".md", "LaTeX": ".tex", "PDF": ".pdf", "PNG": ".png", "JSON": ".json"}
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Figure:
    """A figure of a run.

    Attributes:
        stem: its file name without extension.
        name: its name in the registry, such as ``flatness``; ``sweep`` for sweeps.
        title, caption: texts for the reader.
        png, pdf: paths relative to the results folder; ``pdf`` is empty if there is none.
        width, height: size of the PNG in pixels.
    """

    stem: str
    name: str
    title: str
    caption: str
    png: str
    pdf: str
    width: int
    height: int


@dataclass(frozen=True)
class Download:
    """A download: its name, and kind -> file, with paths relative to the results folder."""

    name: str
    files: dict[str, str]


def figures(folder: RunFolder) -> dict[str, list[Figure]]:
    """Figures by data set, in the order of the registry; those of all data sets together come first, under ""."""
    order = [*COMPARISONS, *FIGURES, "efficiency", SWEEP]
    found: dict[str, list[Figure]] = {"": []} | {dataset: [] for dataset in folder.datasets}
    paths = {path: _parsed(path.stem, folder.datasets) for path in sorted((folder.path / "figures").glob("*.png"))}
    for path, (dataset, rest) in paths.items():
        name = SWEEP if rest.startswith(f"{SWEEP}_") else rest
        if name in order:
            others = [other for of, other in paths.values() if of == dataset]
            caption = figure_caption(name, dataset, folder.n_seeds, display_name(BASELINE), others)
            found[dataset].append(_figure(path, name, rest, caption))
    return {dataset: sorted(own, key=lambda figure: order.index(figure.name)) for dataset, own in found.items() if own}


def _parsed(stem: str, datasets: list[str]) -> tuple[str, str]:
    """Data set and name of a figure's file; "" is all data sets together. The longest matching data set wins."""
    for dataset in sorted([ALL, *datasets], key=len, reverse=True):
        if stem.startswith(f"{dataset}_"):
            return "" if dataset == ALL else dataset, stem.removeprefix(f"{dataset}_")
    return "", ""


def _figure(path: Path, name: str, rest: str, caption: str) -> Figure:
    pdf = path.with_suffix(".pdf")
    title = TITLES.get(name, rest.replace("_", " "))
    width, height = _size(path)
    return Figure(
        path.stem,
        name,
        title[:1].upper() + title[1:],
        caption,
        f"figures/{path.name}",
        f"figures/{pdf.name}" if pdf.is_file() else "",
        width,
        height,
    )


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its first chunk."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(PNG):
        raise InputError(f"{path} is not a PNG; make the figure again.")
    return struct.unpack(">II", head[16:24])


def downloads(folder: RunFolder) -> dict[str, list[Download]]:
    """The existing files of a run: report, tables, verdicts, numbers, records and figures."""
    groups = {
        "Document": ["report"],
        "Tables": [f"tables/{path.stem}" for path in sorted((folder.path / "tables").glob("*.csv"))],
        "Verdicts": ["claims", "controls"],
        "Numbers": ["metrics", "efficiency"],
        "Records": ["manifest", "run"],
        "Figures": [f"figures/{path.stem}" for path in sorted((folder.path / "figures").glob("*.png"))],
    }
    found = {}
    for group, stems in groups.items():
        items = [Download(stem.rpartition("/")[2], _kinds(folder, stem)) for stem in stems]
        if existing := [item for item in items if item.files]:
            found[group] = existing
    return found


def _kinds(folder: RunFolder, stem: str) -> dict[str, str]:
    paths = {kind: f"{stem}{ending}" for kind, ending in KINDS.items()}
    return {kind: path for kind, path in paths.items() if (folder.path / path).is_file()}
