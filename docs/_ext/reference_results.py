"""Writes a page for each committed run in results/reference into docs/generated.

Nothing is copied: the pages include tables and ledgers and link figures in place, so the next build shows a renewed run.
"""

import re
from pathlib import Path

from flatvae.reporting.captions import FIGURE_CAPTIONS, figure_caption
from flatvae.reporting.comparison import BASELINE
from flatvae.reporting.names import display_name

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
GENERATED = ROOT / "docs" / "generated"
UP = "../../results/reference"  # from docs/generated


def setup(app) -> dict:
    """Registers the writing of the pages to run before Sphinx collects its sources."""
    app.connect("config-inited", lambda app, config: write())
    return {"parallel_read_safe": True}


def write() -> None:
    """Writes new and changed pages, and deletes pages of removed runs."""
    GENERATED.mkdir(exist_ok=True)
    pages = {f"{'_'.join(run.relative_to(REFERENCE).parts)}.md": page(run) for run in runs()}
    if list((REFERENCE / "search").glob("*.csv")):
        pages["search.md"] = search_page()
    for old in GENERATED.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        path = GENERATED / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def runs() -> list[Path]:
    """Folders of reference results with tables or figures, the default run first."""
    found = {path.parent.parent for pattern in ("tables/*.md", "figures/*.png") for path in REFERENCE.rglob(pattern)}
    return sorted(found, key=lambda run: (run.name != "default", str(run)))


def page(run: Path) -> str:
    """The page of one run: source, tables, ledger, controls, figures."""
    name = run.relative_to(REFERENCE).as_posix()
    parts = [f"# Run: {name}"]
    if (run / "SOURCE.md").is_file():
        parts.append(_included(run / "SOURCE.md"))
    tables = sorted((run / "tables").glob("*.md"))
    parts += [f"## Table: {path.stem}\n\n{_included(path)}" for path in tables]
    for stem in ("claims", "controls"):
        if (run / f"{stem}.md").is_file():
            parts.append(f"## {stem.capitalize()}\n\n{_included(run / f'{stem}.md')}")
    figures = sorted((run / "figures").glob("*.png"))
    if figures:
        parts.append("## Figures")
        parts += [_figure(path) for path in figures]
    return "\n\n".join(parts) + "\n"


def search_page() -> str:
    """The page of the hyperparameter searches: a table of candidates for each data set."""
    parts = ["# Hyperparameter searches"]
    for path in sorted((REFERENCE / "search").glob("*.csv")):
        parts.append(
            f"## Search: {path.stem}\n\n```{{csv-table}}\n:file: {UP}/search/{path.name}\n:header-rows: 1\n```"
        )
    return "\n\n".join(parts) + "\n"


def _included(path: Path) -> str:
    return f"```{{include}} {UP}/{path.relative_to(REFERENCE).as_posix()}\n```"


def _figure(path: Path) -> str:
    title = path.stem.replace("_", " ")
    caption = _caption(path)
    image = f"### {title}\n\n![{title}]({UP}/{path.relative_to(REFERENCE).as_posix()})"
    return f"{image}\n\n{caption}" if caption else image


def _caption(path: Path) -> str:
    """The caption of a figure without its beginning, which names data set and seeds; empty if it has none."""
    kinds = [kind.stem for kind in FIGURE_CAPTIONS.glob("*.rst") if re.search(rf"(^|_){kind.stem}(_|$)", path.stem)]
    if not kinds:
        return ""
    kind = max(kinds, key=len)
    dataset = path.stem.partition(f"_{kind}")[0]
    others = [other.stem.removeprefix(f"{dataset}_") for other in path.parent.glob(f"{dataset}_*.png")]
    text = figure_caption(kind, dataset, 0, display_name(BASELINE), others).partition(": ")[2]
    return text[:1].upper() + text[1:]
