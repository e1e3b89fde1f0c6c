"""Renders tables and ledgers from the Markdown of a run to HTML, which ``snakemake --report`` displays."""

import html
from pathlib import Path

from markdown_it import MarkdownIt

_STYLE = """body { font: 13px/1.4 sans-serif; margin: 1.5em; color: #222; background: #fff }
table { border-collapse: collapse } th, td { padding: .25em .6em; border-bottom: 1px solid #ccc; white-space: nowrap }
th { position: sticky; top: 0; background: #f3f3f3; text-align: left }"""


def to_html(markdown: str, title: str) -> str:
    """A complete HTML page for a Markdown text with pipe tables. HTML in the text is escaped."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def write(source: str | Path, target: str | Path) -> None:
    """Write the HTML page of a Markdown file."""
    target = Path(target)
    target.write_text(to_html(Path(source).read_text(encoding="utf-8"), target.stem), encoding="utf-8")
