from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from flatvae.reporting.captions import FIGURE_CAPTIONS, figure_caption
from flatvae.reporting.figure_registry import COMPARISONS, FIGURES
from flatvae.reporting.trained import seeds_on, seeds_text

REPORT = Path(__file__).parents[2] / "workflow" / "report"


def path(name: str) -> Path:
    """The template of a caption: those of figures stand with what draws them."""
    folder, _, stem = name.rpartition("/")
    return (FIGURE_CAPTIONS if folder == "figures" else REPORT / folder) / f"{stem}.rst"


CASES = {
    "workflow": "✓ supported (3)",
    "metrics": "one per row",
    "claims": "Which of the paper's claims",
    "left_out": "cannot be drawn",
    "controls": "Do the controls hold?",
    "tables/reconstruction": "against the bound",
    "tables/flatness": "Condition number",
    "tables/neighbours": "Nearest neighbours",
    "tables/distances": "For 100 random pairs",
    "tables/interpolation": "Decoded straight latent lines",
    "tables/likelihood": "importance sampling",
    "tables/tracking": "scored by TrackEval",
    "tables/efficiency": "Time and memory",
    "tables/other": "95 % Student t-interval",
    "tables/comparison": "How likely is a method better than vhp_vae",
    "tables/compute": "Cost of the trainings",
    "figures/flatness": "pendulum, 5 seeds: condition number",
    "figures/latent_map": "pendulum, 5 seeds: posterior means",
    "figures/reconstructions": "pendulum, 5 seeds: up to eight test observations",
    "figures/training_curves": "KL and c² in the tables are measured on test data",
    "figures/equidistance": "level sets of the geodesic distance",
    "figures/geodesics": "geodesics (solid) and straight lines (dashed)",
    "figures/distances": "length of the geodesic over that of the straight line",
    "figures/interpolation": "mean norm of the second difference",
    "figures/trajectories": "5 seeds: posterior means of the test",
    "figures/poses": "pendulum, 5 seeds: poses decoded",
    "figures/retrieval": "the ten nearest to each",
    "figures/tracks": "identities that the tracker gave",
    "figures/efficiency": "7 seeds; 5 on pendulum: microseconds per neighbour query",
    "figures/sweep": "7 seeds; 5 on pendulum: sweep of a hyperparameter",
    "figures/pareto": "flatness against reconstruction",
    "figures/improvement": "probability of being better than vhp_vae",
}


def test_every_caption_is_among_the_cases():
    found = {file.relative_to(REPORT).with_suffix("").as_posix() for file in REPORT.rglob("*.rst")}
    assert found | {f"figures/{file.stem}" for file in FIGURE_CAPTIONS.glob("*.rst")} == set(CASES)


def test_every_figure_of_the_registry_has_a_caption():
    for name in (*FIGURES, *COMPARISONS, "efficiency", "sweep"):
        assert path(f"figures/{name}").is_file()


@pytest.mark.parametrize("name", CASES)
def test_caption_renders_and_is_valid_rest(name):
    """Snakemake renders a caption by jinja with `snakemake` and turns it from reST into HTML."""
    docutils = pytest.importorskip("docutils.core")
    params = SimpleNamespace(baseline="vhp_vae", run={"baseline": "vhp_vae"}, figures=["equidistance"])
    wildcards = SimpleNamespace(dataset="pendulum")
    config = {"seeds": 7, "seeds_text": "7 seeds; 5 on pendulum", "datasets": {"pendulum": {"seeds": 5}}}
    config |= {"verdicts": "✓ supported (3)"}
    snakemake = SimpleNamespace(wildcards=wildcards, params=params, config=config)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    text = environment.from_string(path(name).read_text("utf-8")).render(snakemake=snakemake)
    assert CASES[name] in " ".join(text.split())
    html = docutils.publish_string(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})
    assert b"<p>" in html


def test_a_caption_as_plain_text():
    text = figure_caption("pareto", "", 5, "vhp_vae", [])
    assert text.startswith("All methods, 5 seeds: flatness against reconstruction, a panel for each data set.")
    assert "the training error of every method" in text  # without the markup of emphasis
    assert "(Agarwal et al. 2021)" in figure_caption("improvement", "", 5, "vhp_vae", [])
    assert "better than vhp_vae" in figure_caption("improvement", "", 5, "vhp_vae", [])
    assert figure_caption("no_such_figure", "pendulum", 5, "vhp_vae", []) == ""


def test_numbers_of_seeds_may_differ_between_data_sets():
    trained = {"pendulum": 10, "digits": 10, "crowd": 5, "mot": 5, "mot_campus": 5}
    assert seeds_text(trained) == "5 seeds; 10 on pendulum, digits"
    assert figure_caption("pareto", "", trained, "", []).startswith("All methods, 5 seeds; 10 on pendulum, digits:")
    assert "10 seeds" in figure_caption("efficiency", "pendulum", trained, "", [])
    assert "5 seeds" in figure_caption("flatness", "crowd", trained, "", [])
    assert [seeds_on(trained, name) for name in ("digits", "crowd/CROWD-03", "all data sets")] == [10, 5, 5]


def test_a_map_is_spoken_of_only_where_there_is_one():
    plane, higher = (figure_caption("geodesics", "x", 5, "", figures) for figures in (["equidistance"], ["distances"]))
    assert "outside the map" in plane
    assert "There is no map" in higher
    assert "dashed" not in higher
