"""One ledger of several runs: nothing that ran is left out, and every row says which run it is of."""

import pandas as pd
import pytest
from claim_rows import claim, frame, rows
from scipy import stats

from flatvae.errors import InputError
from flatvae.reporting import claims, ledgers


def test_one_ledger_of_several_runs_has_the_tests_of_each(tmp_path):
    """Where two runs hold the same claim and data set, both; what none ran, once; in the order of claims, then data sets."""
    entries = {"2a": claim(), "10a": claim("ratio", threshold=1.1)}
    groups = {  # run: data set: values
        "long": {"pendulum": [1.0, 2.0, 1.0, 2.0, 1.9, 1.0]},
        "wide": {"pendulum": [1.0] * 5, "digits": [1.2] * 5},
        "late": {"digits": [9.0] * 5, "crowd": [1.0]},
    }
    for run, datasets in groups.items():
        numbers = frame(*[rows("a", values, dataset=dataset) for dataset, values in datasets.items()])
        (tmp_path / "all" / run).mkdir(parents=True)
        claims.write(claims.ledger(numbers, None, entries, list(datasets)), tmp_path / "all" / run / "claims")
    ledgers.main([*(str(tmp_path / "all" / run) for run in groups), "--output", str(tmp_path / "all" / "together")])
    found = ledgers.read(tmp_path / "all" / "together.csv")
    assert list(found.columns) == ledgers.MERGED
    assert list(zip(found["claim"], found["dataset"], found["run"], found["verdict"], strict=True)) == [
        ("2a", "pendulum", "long", "undecided"),
        ("2a", "pendulum", "wide", "supported"),
        ("2a", "digits", "wide", "supported"),
        ("2a", "digits", "late", "not supported"),
        ("2a", "crowd", "late", "undecided"),
        ("10a", "pendulum", "long", "not run"),
        ("10a", "digits", "wide", "not run"),
        ("10a", "crowd", "late", "not run"),
    ]
    assert found["evidence"][1] == "wide/tables/reconstruction.md"
    text = (tmp_path / "all" / "together.md").read_text()
    assert text.count("| 2a: It is small. |") == 1
    assert "| data set | run | effect |" in text
    p = [stats.ttest_1samp(groups["long"]["pendulum"], 1.5).pvalue, 0, 0, 0]  # without spread 0; one seed has none
    assert found["p"].tolist()[:4] == pytest.approx(p)
    assert found["holm"].tolist()[:4] == pytest.approx(p), "corrected again, over the tests of all runs"


def test_what_one_run_did_not_run_another_may_have():
    """As the ablations' methods, which the default run has not."""
    entry = {"1": claim("difference")}
    without = claims.ledger(frame(rows("a", [1.0] * 5)), None, entry, ["pendulum"])
    both = claims.ledger(frame(rows("a", [1.0] * 5), rows("b", [2.0] * 5)), None, entry, ["pendulum"])
    for order in ({"default": without, "ablations": both}, {"ablations": both, "default": without}):
        assert ledgers.merged(order)["run"].tolist() == ["ablations"]


def test_a_merged_ledger_is_read_as_it_was_written(tmp_path):
    own = claims.ledger(frame(rows("a", [1.0, 1.2, 1.1, 1.3])), None, {"1": claim()}, ["pendulum"])
    together = ledgers.merged({"default": own})
    claims.write(together, tmp_path / "claims")
    pd.testing.assert_frame_equal(ledgers.read(tmp_path / "claims.csv"), together, check_dtype=False)


def test_a_run_without_a_ledger_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        ledgers.main([str(tmp_path), "--output", str(tmp_path / "together")])
    assert f"{tmp_path / 'claims.csv'} is missing; name folders of results" in capsys.readouterr().err
    (tmp_path / "claims.csv").write_text("claim,verdict\n1,supported\n")
    with pytest.raises(InputError, match=r"is not a ledger: its columns are claim, verdict; make it again\."):
        ledgers.read(tmp_path / "claims.csv")


def test_runs_that_test_a_claim_in_two_ways_have_no_ledger_together():
    numbers = frame(*[rows("a", [1.0] * 5)])
    found = {
        run: claims.ledger(numbers, None, {"1": claim(threshold=threshold)}, ["pendulum"])
        for run, threshold in {"one": 1.5, "other": 1.6}.items()
    }
    message = r"claim 1 is tested in more than one way on pendulum: kl of a ≤ 1\.5; kl of a ≤ 1\.6; make"
    with pytest.raises(InputError, match=message):
        ledgers.merged(found)
