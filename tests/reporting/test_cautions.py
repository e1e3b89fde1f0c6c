"""What a reader is warned of: test errors above the bound, seeds that stand out, tests without a verdict."""

from pathlib import Path

import pandas as pd
import pytest
import results_folder
from claim_rows import frame, rows

from flatvae.reporting import summary
from flatvae.reporting.summary.cautions import _grouped

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "default"
SPREAD = {"graph_rank_correlation": [0.98, 0.99, 0.97, 0.98], "trustworthiness_at_10": [0.99, 0.98, 0.99, 0.985]}


def warnings(folder: Path, *more: list) -> list[str]:
    """The warnings of the made-up run with more rows."""
    metrics = pd.concat([results_folder.numbers(), frame(*more)])
    return summary.read(results_folder.write(folder / "run", metrics)).setting.warnings


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ({"vae": 0.92, "vhp_vae": 0.92, "flat_vae": 0.92, "flat_vae_scale_free": 0.92}, None),  # 1.19 times 0.774
        ({"vae": 0.95, "flat_vae": 0.92}, "the test error is 1.2 times the bound on pendulum (VAE)"),
        (
            {"vae": 0.95, "vhp_vae": 1.55, "flat_vae": 1.2, "flat_vae_scale_free": 1.2},
            "the test error is 1.2 to 2.0 times the bound on pendulum (every method)",
        ),
    ],
)
def test_a_test_error_well_above_the_bound_is_told(tmp_path, errors, sentence):
    found = warnings(tmp_path, *(rows(method, [error] * 5, "test_error") for method, error in errors.items()))
    told = [line for line in found if "test error" in line]
    assert told == ([f"The bound is on the training error; {sentence}."] if sentence else [])


@pytest.mark.parametrize(
    ("metric", "last", "told"),
    [
        ("graph_rank_correlation", 0.79, False),
        ("graph_rank_correlation", 0.77, True),  # 0.2 below the median 0.98 is 0.78
        ("trustworthiness_at_10", 0.94, False),
        ("trustworthiness_at_10", 0.93, True),  # 0.05 below the median 0.985 is 0.935
    ],
)
def test_a_seed_that_stands_out_is_named(tmp_path, metric, last, told):
    found = warnings(tmp_path, rows("vae", [*SPREAD[metric], last], metric, "neighbours", distance="euclidean"))
    named = [line for line in found if "stands out" in line]
    assert len(named) == told
    if told:
        assert named[0].startswith(
            f"pendulum, VAE: seed 4 stands out. Its {metric} is {last:.2f}, the median of the seeds is"
        )


def test_a_torn_space_is_told_by_the_speed_along_the_true_factor(tmp_path):
    """Where the factor is known, the rank correlation is not asked: whole curves of the pendulum have 0.7 and torn ones 0.95."""
    ranks = rows("vae", [0.98, 0.99, 0.97, 0.98, 0.5], "graph_rank_correlation", "neighbours", distance="euclidean")
    speeds = rows("vae", [0.05, 0.26, 0.24, 0.08, 1.5], "tangent_speed_cv", "flatness")
    found = [line for line in warnings(tmp_path, ranks, speeds) if "torn" in line]
    assert len(found) == 1
    assert found[0].startswith("pendulum, VAE: the latent space is torn in seed 1 (0.26), seed 4 (1.50). ")


def test_a_descriptor_is_not_among_the_methods(tmp_path):
    own = rows("random_encoder", [0.9, 0.9, 0.1], "graph_rank_correlation", "neighbours", distance="euclidean")
    assert not [line for line in warnings(tmp_path, own) if "stands out" in line]


def test_tests_and_figures_with_one_reason_share_a_line():
    found = [("r", "a", "1"), ("s", "a", "3"), ("r", "a", "2"), ("r", "b", "1"), ("r", "c", "1"), ("r", "c", "2")]
    assert _grouped(found) == ["1, 2 on a, c; 1 on b: r", "3 on a: s"]


def test_every_test_of_the_committed_run_without_a_verdict_has_its_reason_in_a_line():
    run = summary.read(REFERENCE)
    lines = [line for line in run.setting.warnings if line.startswith(("Not testable", "Not run"))]
    for claim in (claim for own in run.board.topics.values() for claim in own):
        for dataset, test in claim.tests.items():
            having = [line for line in lines if claim.name in line and dataset in line]
            assert bool(having) == (test.verdict in ("not testable", "not run")), (claim.name, dataset)
    assert all("undecided:" not in line for line in lines)  # results of conditions are on the board
