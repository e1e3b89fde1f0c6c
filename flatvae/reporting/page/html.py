"""Renders summaries of runs to HTML: passes the templates the summaries, the glossary and the table widget."""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from flatvae.reporting import glossary
from flatvae.reporting.names import display_name
from flatvae.reporting.overview import SIGNS
from flatvae.reporting.summary import Summary

TEMPLATES = Path(__file__).with_name("templates")


def render(runs: Sequence[tuple[Summary, str]]) -> str:
    """The page of these runs; each comes with the path of its folder as a prefix of links: empty, or ending in a slash."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": with_code, "slug": slug, "link": quote, "display_name": display_name}
    names = dict.fromkeys(metric for run, _ in runs for metric in run.metrics)
    return environment.get_template("page.html.jinja").render(
        runs=[(f"run{number}", run, base) for number, (run, base) in enumerate(runs, 1)],
        signs=SIGNS,
        terms={metric: found for metric in names if (found := glossary.define(metric))},
        notation=glossary.NOTATION,
        widget=_widget(),
    )


def _widget() -> Markup:
    """The source of DataTables as a JSON string that is safe inside an HTML script element."""
    source = (files("itables") / "html" / "dt_bundle.js").read_text(encoding="utf-8")
    return Markup(json.dumps(source, ensure_ascii=False).replace("</", r"<\/").replace("<!--", r"<\u0021--"))


def with_code(text: str) -> Markup:
    """HTML of a text, with parts between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def slug(text: str) -> str:
    """Text made safe as part of an HTML id or class."""
    return re.sub(r"[^\w.-]+", "_", text)
