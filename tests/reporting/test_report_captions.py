from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from flatvae.reporting.figure_registry import COMPARISONS, FIGURES

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CASES = {
    "workflow": "5 seeds",
    "metrics": "one per row",
    "claims": "Which of the paper's claims",
    "left_out": "could not be drawn",
    "controls": "Do the control methods",
    "tables/reconstruction": "against the bound",
    "tables/flatness": "Condition number",
    "tables/neighbours": "Nearest neighbours",
    "tables/distances": "Between 100 random pairs",
    "tables/interpolation": "Straight latent lines",
    "tables/likelihood": "importance sampling",
    "tables/tracking": "scored by TrackEval",
    "tables/efficiency": "Time and memory",
    "tables/other": "95 % Student t-interval",
    "tables/comparison": "How likely is a method better than vhp_vae",
    "tables/compute": "What the run cost",
    "figures/flatness": "pendulum, 5 seeds: condition number",
    "figures/latent_map": "pendulum, 5 seeds: posterior means",
    "figures/reconstructions": "pendulum, 5 seeds: test observations",
    "figures/training_curves": "pendulum, 5 seeds: training of each method",
    "figures/equidistance": "level sets of the geodesic distance",
    "figures/geodesics": "geodesics (solid) and straight lines (dashed)",
    "figures/distances": "length of the geodesic over that of the straight line",
    "figures/interpolation": "mean norm of the second difference",
    "figures/trajectories": "5 seeds: posterior means of the test",
    "figures/poses": "pendulum, 5 seeds: poses decoded",
    "figures/retrieval": "the ten nearest to each",
    "figures/tracks": "identities that the tracker gave",
    "figures/efficiency": "5 seeds: seconds per neighbour query",
    "figures/sweep": "5 seeds: sweep of a hyperparameter",
    "figures/pareto": "flatness against reconstruction",
    "figures/improvement": "probability of being better than vhp_vae",
}


def test_every_caption_is_among_the_cases():
    assert {path.relative_to(REPORT).with_suffix("").as_posix() for path in REPORT.rglob("*.rst")} == set(CASES)


def test_every_figure_of_the_registry_has_a_caption():
    for name in (*FIGURES, *COMPARISONS, "efficiency", "sweep"):
        assert (REPORT / "figures" / f"{name}.rst").is_file()


@pytest.mark.parametrize("name", CASES)
def test_caption_renders_and_is_valid_rest(name):
    """Snakemake renders a caption by jinja with `snakemake` and turns it from reST into HTML."""
    docutils = pytest.importorskip("docutils.core")
    params = SimpleNamespace(baseline="vhp_vae", run={"baseline": "vhp_vae"})
    wildcards = SimpleNamespace(dataset="pendulum")
    snakemake = SimpleNamespace(wildcards=wildcards, params=params, config={"seeds": 5})
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    text = environment.from_string((REPORT / f"{name}.rst").read_text("utf-8")).render(snakemake=snakemake)
    assert CASES[name] in " ".join(text.split())
    html = docutils.publish_string(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})
    assert b"<p>" in html
