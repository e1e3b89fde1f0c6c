"""Renders the summary of a run to Typst source: passes the templates the summary, the glossary and the fidelity page."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flatvae.reporting import glossary
from flatvae.reporting.document import markup
from flatvae.reporting.overview import SIGNS
from flatvae.reporting.summary import Summary
from flatvae.reporting.verdicts import MIN_PAIRS

TEMPLATES = Path(__file__).with_name("templates")


def source(run: Summary, fidelity: str = "") -> str:
    """The report of a run as Typst source, with the results folder as root of the figures' paths.

    Args:
        run: the summary.
        fidelity: a Markdown page for the appendix; empty for none.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # with `finalize`: every value becomes a Typst string
        finalize=markup.literal,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": markup.code,
        "with_code": markup.with_code,
        "quoted": markup.quoted,
        "halves": halves,
    }
    terms = {metric: found for metric in run.metrics if (found := glossary.define(metric))}
    return environment.get_template("report.typ.jinja").render(
        run=run,
        signs=SIGNS,
        terms=terms,
        notation=glossary.NOTATION,
        min_pairs=MIN_PAIRS,
        fidelity=markup.markdown(fidelity),
        style=Markup((TEMPLATES / "style.typ").read_text(encoding="utf-8")),
    )


def halves(text: str) -> tuple[str, str]:
    """Splits a number from its interval, to print that below: «1.04» and «[1.01, 1.07]», «0.77» and «± 0.02»."""
    for mark in (" [", " ± "):
        before, found, after = text.partition(mark)
        if found and not text.startswith(("(", "median")):
            return before, (mark + after).strip()
    return text, ""
