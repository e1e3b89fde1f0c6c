"""The small table of verdicts: every test has its sign in its place."""

import pandas as pd
import pytest

from flatvae.errors import InputError
from flatvae.reporting import overview
from flatvae.reporting.verdicts import VERDICTS

LEDGER = pd.DataFrame(
    [
        ("1a", "pendulum", "supported"),
        ("1b", "pendulum", "undecided"),
        ("2a", "pendulum", "not testable"),
        ("10a", "pendulum", "not run"),
        ("1a", "digits", "not supported"),
        ("1b", "digits", "supported"),
        ("10a", "digits", "supported"),
    ],
    columns=["claim", "dataset", "verdict"],
)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_one_sign_per_test_in_the_order_of_the_ledger():
    header, _, pendulum, digits = cells(overview.overview(LEDGER))
    assert header == ["data set", "1 flat", "2 straight", "10"]
    assert pendulum == ["pendulum", "✓?", "–", "·"]
    assert digits == ["digits", "✗✓", "", "✓"]


def test_every_verdict_has_a_sign_of_its_own():
    assert set(overview.SIGNS) == set(VERDICTS)
    assert len(set(overview.SIGNS.values())) == len(VERDICTS)


@pytest.mark.parametrize(
    ("other", "sign"), [("not run", "✓"), ("supported", "✓"), ("not supported", "?"), ("a word of old", "?")]
)
def test_runs_that_disagree_leave_a_test_undecided(other, sign):
    twice = pd.concat([LEDGER, LEDGER[:1].assign(verdict=other)])
    assert cells(overview.overview(twice))[2][1] == f"{sign}?"


def test_the_same_table_in_restructured_text():
    """Parsed by docutils: the same cells, and the counts of all verdicts."""
    core = pytest.importorskip("docutils.core", reason="docutils is not installed")
    parsed = core.publish_doctree(overview.overview_rst(LEDGER))
    rows = [
        [entry.astext() for entry in row.findall(lambda n: n.tagname == "entry")]
        for row in parsed.findall(lambda n: n.tagname == "row")
    ]
    header, _, *body = cells(overview.overview(LEDGER))
    assert rows == [header, *body]
    text = parsed.astext()
    assert "✓ supported (3)" in text
    assert "– not testable (1)" in text
    assert not list(parsed.findall(lambda n: n.tagname == "system_message"))


def test_the_table_replaces_what_is_between_the_markers(tmp_path):
    page, ledger = tmp_path / "page.md", tmp_path / "claims.csv"
    page.write_text(f"before\n{overview.BEGIN}\nold\n{overview.END}\nafter\n")
    LEDGER.to_csv(ledger, index=False)
    for _ in range(2):
        overview.main([str(ledger), str(page)])
        assert page.read_text() == f"before\n{overview.BEGIN}\n{overview.overview(LEDGER)}\n{overview.END}\nafter\n"


def test_what_cannot_be_used_is_named(tmp_path, capsys):
    ledger, page = tmp_path / "claims.csv", tmp_path / "page.md"
    with pytest.raises(InputError, match=r"claims\.csv is missing; name a ledger"):
        overview.read(ledger)
    LEDGER.drop(columns="verdict").to_csv(ledger, index=False)
    with pytest.raises(InputError, match="lacks the column verdict"):
        overview.read(ledger)
    LEDGER.to_csv(ledger, index=False)
    page.write_text("no markers")
    with pytest.raises(SystemExit):
        overview.main([str(ledger), str(page)])
    assert "the page lacks the markers" in capsys.readouterr().err
