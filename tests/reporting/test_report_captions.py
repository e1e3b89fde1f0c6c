from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CASES = [
    ("workflow", {}, "5 seeds"),
    ("metrics", {}, "one per row"),
    ("table", {"task": "reconstruction"}, "against the bound"),
    ("table", {"task": "flatness"}, "Condition number"),
    ("table", {"task": "neighbours"}, "Nearest neighbours"),
    ("table", {"task": "tracking"}, "scored by TrackEval"),
    ("table", {"task": "another"}, "Task another."),
    ("figure", {"figure": "flatness", "dataset": "pendulum"}, "pendulum, 5 seeds: condition number"),
    ("figure", {"figure": "latent_map", "dataset": "pendulum"}, "pendulum, 5 seeds: posterior means"),
    ("figure", {"figure": "reconstructions", "dataset": "pendulum"}, "pendulum, 5 seeds: test observations"),
    ("figure", {"figure": "training_curves", "dataset": "pendulum"}, "pendulum, 5 seeds: training of each method"),
    (
        "motion_figure",
        {"motion_figure": "trajectories", "dataset": "human_motion"},
        "5 seeds: posterior means of the test",
    ),
    ("motion_figure", {"motion_figure": "poses", "dataset": "human_motion"}, "human_motion, 5 seeds: poses decoded"),
    ("video_figure", {"video_figure": "retrieval", "dataset": "crowd"}, "the ten nearest to each"),
    ("video_figure", {"video_figure": "tracks", "dataset": "crowd"}, "identities that the tracker gave"),
    (
        "number_figure",
        {"number_figure": "efficiency", "dataset": "digits"},
        "digits, 5 seeds: seconds per neighbour query",
    ),
    (
        "number_figure",
        {"number_figure": "sweep_eta", "dataset": "digits"},
        "digits, 5 seeds: sweep of a hyperparameter",
    ),
    ("comparison", {}, "How likely is a method better than vhp_vae"),
    ("comparison_figure", {"comparison": "pareto"}, "flatness against reconstruction"),
    ("comparison_figure", {"comparison": "improvement"}, "probability of being better than vhp_vae"),
    ("compute", {}, "What the run cost"),
    ("claims", {}, "Which of the paper's claims"),
    ("left_out", {}, "could not be drawn"),
    ("controls", {}, "Do the control methods"),
]


def test_every_caption_is_among_the_cases():
    assert {path.stem for path in REPORT.glob("*.rst")} == {name for name, _, _ in CASES}


@pytest.mark.parametrize(("name", "wildcards", "words"), CASES)
def test_caption_renders_and_is_valid_rest(name, wildcards, words):
    """Snakemake renders a caption by jinja with `snakemake` and turns it from reST into HTML."""
    docutils = pytest.importorskip("docutils.core")
    params = SimpleNamespace(baseline="vhp_vae")
    snakemake = SimpleNamespace(wildcards=SimpleNamespace(**wildcards), params=params, config={"seeds": 5})
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    text = environment.from_string((REPORT / f"{name}.rst").read_text("utf-8")).render(snakemake=snakemake)
    assert words in " ".join(text.split())
    if name == "table":
        assert "95 % Student t-interval" in " ".join(text.split())
    html = docutils.publish_string(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})
    assert b"<p>" in html
