"""A run in a terminal: the numbers are those of its summary, and so of its page; nothing is cut off at 80 columns."""

import dataclasses
import io
import re
from pathlib import Path

import pytest
import results_folder
from rich.console import Console

from flatvae.errors import InputError
from flatvae.reporting import summary, terminal
from flatvae.reporting.overview import SIGNS

DEFAULT = Path(__file__).parents[2] / "results" / "reference" / "default"


@pytest.fixture(scope="module")
def run() -> summary.Summary:
    return summary.read(DEFAULT)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> summary.Summary:
    return summary.read(results_folder.write(tmp_path_factory.mktemp("results") / "made_up"))


def shown(run: summary.Summary, *, width: int = 80, colours: bool = False, **chosen) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colours, highlight=False, markup=False, emoji=False)
    terminal.show(run, console, **chosen)
    return stream.getvalue()


def table(text: str, title: str) -> list[list[str]]:
    """Cells of the first table below a title, which are two spaces apart, without headings."""
    lines = text.partition(f"\n{title}\n")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("──")) + 1
    end = next((i for i, line in enumerate(lines) if i > start and not line.strip()), len(lines))
    return [re.split(r"\s{2,}", line.strip()) for line in lines[start:end]]


def test_every_line_fits(run):
    for width in (80, 100, 132, 200):
        for chosen in ({}, {"dataset": "crowd"}, {"task": "neighbours"}, {"task": "efficiency"}):
            lines = shown(run, width=width, **chosen).splitlines()
            assert max(map(len, lines)) <= width
            assert not any("…" in line for line in lines)


def test_the_leaderboard_has_the_numbers_of_the_summary(run):
    for dataset, leaders in run.leaderboards.items():
        text = shown(run, dataset=dataset, width=300)
        found = {cells[0]: cells[1:] for cells in table(text, f"{dataset}, bound {leaders.bound}")}
        for row in leaders.rows:
            if row.kind == "compared":
                bound = "" if row.bound.split("/")[0] == row.bound.split("/")[1] else f" {row.mark} {row.bound}"
                assert found[row.name + bound] == [cell.text + "*" * cell.best for cell in row.cells]


def test_what_has_no_room_stands_below_and_is_all_there(run):
    """Every number of the data set, at 80 columns too; an overview has the columns that there is room for."""
    leaders = run.leaderboards["crowd"]
    text = shown(run, dataset="crowd")
    for row in leaders.rows:
        assert all(cell.text in text for cell in row.cells)
    overview = shown(run)
    assert "trustworthiness" in text
    assert "trustworthiness" not in overview
    first = leaders.flattest[0]
    rows = {cells[0]: cells[1] for cells in table(overview, f"crowd, bound {leaders.bound}")}
    assert rows[terminal._name(first)] == f"{leaders.text(first, 'condition_number_median')}*"


def test_rows_without_numbers_in_a_table_are_left_out(run):
    """Descriptors have a mAP and no condition number."""
    text = shown(run, dataset="crowd")
    leaders = run.leaderboards["crowd"]
    trained = [terminal._name(row) for row in leaders.rows if row.kind != "control"]
    assert [cells[0] for cells in table(text, f"crowd, bound {leaders.bound}")] == trained
    assert "Supervised descriptor" in text


def test_the_board_is_that_of_the_ledger(run):
    rows = {cells[0]: cells[1:] for cells in table(shown(run), "Verdicts")}
    for topic, claims in run.board.topics.items():
        signs = ["".join(c.tests[name].sign for c in claims if name in c.tests) for name in run.datasets]
        assert rows[topic] == [sign for sign in signs if sign]
    counts = [f"{sign} {run.board.counts[verdict]} {verdict}" for verdict, sign in SIGNS.items()]
    assert ", ".join(counts) in shown(run)


def test_each_test_of_a_data_set(made_up):
    text = shown(made_up, dataset="pendulum")
    assert re.search(
        r"1a  ✓ supported     1\.1\d+ \[[\d., ]+\] ≤ 1\.5, n = 4 of 5, p < 0\.001\n    The flat VAE is flat\.\n", text
    )
    assert "(restates the penalty; flat_vae not at equal reconstruction" in text.replace("\n    ", " ")
    assert re.search(r"2a  ✗ not supported .*\n.*\n    \(exploratory\)\n", text)
    assert "10a · not run\n" in text
    assert "10b ·" not in text  # of another data set


def test_what_is_not_compared_is_never_starred(made_up):
    rows = {cells[0]: cells for cells in table(shown(made_up, dataset="pendulum"), "pendulum, bound 0.774")}
    assert rows["PCA §"][1] == "1"
    assert "*" not in rows["VAE † 3/5"][1]
    assert rows["Flat VAE † 4/5"][1].endswith("*")


def test_numbers_of_a_task(run):
    text = shown(run, task="flatness", dataset="digits", width=300)
    (numbers,) = (table for table in run.numbers["digits"] if table.task == "flatness")
    found = {cells[0]: cells[1:] for cells in table(text, "flatness on digits")}
    assert found == numbers.rows
    assert " ".join(numbers.caption.split()) in " ".join(text.split())


def test_colours_only_in_a_terminal(run):
    assert "\x1b" not in shown(run)
    assert "\x1b[32m✓" in shown(run, colours=True)


def test_a_run_without_a_ledger(made_up):
    assert "No claims were tested." in shown(dataclasses.replace(made_up, board=None))


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"dataset": "mot"}, r"has no data set mot; there are: pendulum, digits, crowd\.$"),
        ({"task": "walking"}, r"has no numbers of the task walking; there are: reconstruction, flatness, .*\.$"),
        ({"task": "tracking", "dataset": "digits"}, r"has no numbers on digits of the task tracking; there are: .*\.$"),
    ],
)
def test_what_the_run_does_not_have(run, chosen, why):
    with pytest.raises(InputError, match=why):
        shown(run, **chosen)
