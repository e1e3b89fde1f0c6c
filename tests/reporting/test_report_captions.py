from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

REPORT = Path(__file__).parents[2] / "workflow" / "report"
NAMES = [
    "workflow",
    "metrics",
    *(f"table_{task}" for task in ("reconstruction", "flatness", "neighbours")),
    *(f"figure_{name}" for name in ("flatness", "latent_map", "reconstructions", "training_curves")),
]


def test_the_captions_are_those_of_the_report():
    assert {path.stem for path in REPORT.glob("*.rst")} >= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_caption_renders_and_is_valid_rest(name):
    """Snakemake renders a caption by jinja with `snakemake` and turns it from reST into HTML."""
    docutils = pytest.importorskip("docutils.core")
    snakemake = SimpleNamespace(wildcards=SimpleNamespace(dataset="pendulum"), config={"seeds": [3, 14]})
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        (REPORT / f"{name}.rst").read_text("utf-8")
    )
    text = template.render(snakemake=snakemake)
    assert text.startswith("pendulum: ") == name.startswith("figure_")
    assert ("[3, 14]" in text) == (name.startswith("figure_") or name == "workflow")
    html = docutils.publish_string(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})
    assert b"<p>" in html
    if name.startswith("table_"):
        assert "95 % Student t-interval" in " ".join(text.split())
