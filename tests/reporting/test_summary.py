"""What a run came to: the numbers are the tables', the verdicts the ledger's, and only what is comparable can be best."""

import dataclasses
import json
import re
from pathlib import Path

import configs
import pandas as pd
import pytest
import results_folder

from flatvae.errors import InputError
from flatvae.reporting import claims, controls, summary, tables
from flatvae.reporting.summary.board import SIDE, TEST
from flatvae.reporting.summary.leaderboard import Column

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "default"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> summary.Summary:
    return summary.read(results_folder.write(tmp_path_factory.mktemp("results") / "made_up"))


@pytest.fixture(scope="module")
def leaders(run):
    return run.leaderboards["pendulum"]


def cells(leaders, metric: str) -> dict:
    (place,) = (i for i, column in enumerate(leaders.columns) if column.metric == metric)
    return {row.method: row.cells[place] for row in leaders.rows}


def test_who_is_compared(leaders):
    """Four seeds at the bound are enough, as in the ledger; three are not; no bound and no training never are."""
    found = {row.method: (row.kind, row.mark, row.bound) for row in leaders.rows}
    assert found == {
        "vae": ("missed", "†", "3/5"),
        "vhp_vae": ("compared", "", "5/5"),
        "flat_vae": ("compared", "†", "4/5"),
        "flat_vae_scale_free": ("compared", "", "5/5"),
        "pca": ("exempt", "§", ""),
        "": ("control", "", ""),
    }


def test_seeds_that_were_lost_are_marked_and_do_not_count(tmp_path):
    """Three finite seeds of five, all at the bound: too few to compare, as in the ledger."""
    metrics = results_folder.numbers()
    lost = (metrics["method"] == "vhp_vae") & metrics["seed"].isin([3, 4])
    metrics.loc[lost & (metrics["metric"] == "frozen"), "value"] = 1
    metrics = metrics[~lost | (metrics["task"] == "training")]
    row = summary.read(results_folder.write(tmp_path / "run", metrics)).leaderboards["pendulum"].rows[1]
    assert (row.method, row.kind, row.mark, row.bound) == ("vhp_vae", "missed", "‡", "3/3")


def test_the_best_and_what_ties_with_it(leaders):
    """The VAE's and PCA's condition numbers are smaller, and not compared."""
    best = {method for method, cell in cells(leaders, "condition_number_median").items() if cell.best}
    assert best == {"flat_vae", "flat_vae_scale_free"}
    assert [row.method for row in leaders.flattest] == ["flat_vae", "flat_vae_scale_free"]


def test_nothing_is_best_without_a_direction_or_an_interval(leaders):
    assert not any(cell.best for cell in cells(leaders, "train_error").values())  # held at the bound
    assert not any(cell.best for cell in cells(leaders, "train_seconds").values())  # one value each


def test_higher_is_better_for_neighbours_and_all_tie(leaders):
    found = cells(leaders, "knn_accuracy")
    assert {method for method, cell in found.items() if cell.best} == {"vhp_vae", "flat_vae", "flat_vae_scale_free"}
    assert found[""].text == "0.9"


def test_texts_are_those_of_the_table(run, leaders):
    metrics = results_folder.numbers()
    table = tables.task_table(metrics, "flatness", ["pendulum"], results_folder.METHODS, 5)
    expected = [tables.number_cell(row, "condition_number_median", table.attrs) for _, row in table.iterrows()]
    assert [cell.text for cell in cells(leaders, "condition_number_median").values()][:5] == expected
    (shown,) = (own for own in run.numbers["pendulum"] if own.task == "flatness")
    assert shown.rows["condition_number_median"] == expected
    assert shown.columns[0] == ("VAE †", "")
    assert leaders.bound == "0.774"


def test_a_caption_names_only_metrics_that_its_table_has():
    """The data sets of the committed run have different metrics."""
    tables_of = summary.read(REFERENCE).numbers
    known = {metric for own in tables_of.values() for table in own for metric in table.rows}
    for dataset, own in tables_of.items():
        for table in own:
            named = set(re.findall(r"\w+", table.caption)) & {metric for metric in known if "_" in metric}
            assert named <= set(table.rows), (dataset, table.task)
    (neighbours,) = (table for table in tables_of["crowd"] if table.task == "neighbours")
    assert "rank_1, rank_5 and mAP" in neighbours.caption


def test_what_is_measured_once_has_no_interval_in_its_caption(run):
    (cost,) = (table for table in run.numbers["pendulum"] if table.task == "compute")
    assert "interval" not in cost.caption


def test_bars_lie_between_the_ends_of_their_column():
    column = Column("flatness", "scale", "c²", 0, True, 1.0, 100.0)
    assert [column.place(value) for value in (1, 10, 100)] == [0, pytest.approx(50), pytest.approx(100)]
    assert column.place(0.0) is None
    assert column.place(float("inf")) is None
    assert dataclasses.replace(column, logarithmic=False).place(50.5) == 50
    assert dataclasses.replace(column, low=None, high=None).place(5.0) is None


def test_the_board_has_every_test_of_the_ledger_once(run):
    board = run.board
    shown = [test for own in board.topics.values() for claim in own for test in claim.tests.values()]
    assert [(test.claim, test.verdict) for test in shown] == [
        ("1a", "supported"),
        ("1b", "not testable"),
        ("2a", "not supported"),
        ("10a", "not run"),
    ]
    assert [(test.claim, test.dataset, test.verdict) for test in board.elsewhere] == [("10b", "mot", "not run")]
    assert list(board.topics) == ["1 flat", "2 straight", "10"]
    assert board.counts == {"supported": 1, "not supported": 1, "undecided": 0, "not testable": 1, "not run": 2}


def test_the_board_says_why_flatness_has_two_limits(run):
    """Only where both claims are tested, and with the config's thresholds."""
    config = configs.default()["claims"]
    (required,) = config["6a"]["requires"]
    caption = summary.read(REFERENCE).board.caption
    assert f"claim 1a calls a space close to flat up to {config['1a']['threshold']}," in caption
    assert f"it is tested only up to {required['threshold']}," in caption
    assert "claim 6" not in run.board.caption


def test_a_test_shows_effect_interval_seeds_and_evidence(run):
    claim = run.board.topics["1 flat"][0]
    assert (claim.sides, claim.restates_penalty) == ("condition_number_median of flat_vae", True)
    test = claim.tests["pendulum"]
    assert test.effect == "1.14 [1.08, 1.21]"  # of the four seeds that count; over all five it is 1.15
    assert (test.threshold, test.n, test.sign, test.holds) == ("≤ 1.5", "4 of 5", "✓", "Holm")
    assert (test.task, test.metric, test.figure) == ("flatness", "condition_number_median", "pendulum_flatness")
    assert run.board.topics["2 straight"][0].tests["pendulum"].exploratory
    lacking = run.board.topics["10"][0].tests["pendulum"]
    assert (lacking.effect, lacking.task, lacking.figure) == ("–", "", "")
    assert lacking.note == "no rows of method irvae"


@pytest.mark.parametrize(("name", "entry"), configs.default()["claims"].items())
def test_the_ledgers_own_words_are_read_back(name, entry):
    """Of every claim of the config: the metric of its subject, and the threshold."""
    dataset = next(iter(entry["threshold"])) if isinstance(entry["threshold"], dict) else "pendulum"
    parts = TEST.fullmatch(claims._test(entry, dataset))
    assert SIDE.match(parts["sides"])["metric"] == entry["subject"]["metric"]
    assert parts["threshold"].split()[0] in claims.DIRECTIONS.values()


def test_what_was_run_and_what_to_be_warned_of(run):
    facts = run.setting.facts
    assert facts["Methods"] == "VAE, VHP-VAE, Flat VAE, Flat VAE (scale-free), PCA"
    assert facts["Device"] == "CPU (1 thread per training)"
    assert facts["Cost"].startswith(
        "5 min 10 s of job time (trainings 5 min 0 s, evaluations 10 s); not counted: data, "
    )
    assert facts["Machine"] == "Linux, a processor, 2 logical processors"
    assert facts["Commit"] == "0123456789ab with uncommitted changes"
    assert run.setting.missed == ["pendulum VAE 2 of 5", "pendulum Flat VAE 1 of 5"]
    assert run.setting.warnings == [
        "Seeds missed equal reconstruction or had not settled: pendulum VAE 2 of 5, pendulum Flat VAE 1 of 5.",
        "Not testable: 1b on pendulum: bound missed.",
        "Not run: 10a on pendulum: no rows of method irvae.",
        "Not run: 10b on mot: no rows of data set mot.",
        "The code had uncommitted changes.",
        "Figures left out: poses on pendulum: it needs motion.",
    ]


def test_a_control_that_does_not_hold_is_the_first_warning(tmp_path):
    folder = results_folder.write(tmp_path / "run")
    row = ("c", "pendulum", "It must win.", "k of pca ≤ every other method's", 2.0, "vae", 1.0, 0)
    pd.DataFrame([row], columns=controls.COLUMNS).to_csv(folder / "controls.csv", index=False)
    assert summary.read(folder).setting.warnings[0].startswith("Control c does not hold on pendulum")


def test_figures_by_data_set_in_the_order_of_the_registry(run):
    assert {dataset: [figure.stem for figure in own] for dataset, own in run.figures.items()} == {
        "": ["comparison_pareto"],
        "pendulum": ["pendulum_flatness", "pendulum_sweep_eta"],
    }
    flatness, sweep = run.figures["pendulum"]
    assert (flatness.width, flatness.height, flatness.pdf) == (100, 50, "figures/pendulum_flatness.pdf")
    assert flatness.caption.startswith("pendulum, 5 seeds: condition number and normalised magnification factor")
    assert (sweep.name, sweep.title, sweep.pdf) == ("sweep", "Sweep eta", "")


def test_a_data_set_may_have_a_name_that_begins_with_anothers(tmp_path):
    metrics = results_folder.numbers()
    metrics = pd.concat([metrics.assign(dataset="mot"), metrics.assign(dataset="mot_campus")])
    folder = results_folder.write(tmp_path / "run", metrics, {})
    (folder / "figures" / "pendulum_flatness.png").rename(folder / "figures" / "mot_campus_flatness.png")
    assert [figure.stem for figure in summary.read(folder).figures["mot_campus"]] == ["mot_campus_flatness"]


def test_downloads_name_what_is_there(run):
    found = {group: [(thing.name, list(thing.files)) for thing in own] for group, own in run.downloads.items()}
    assert found["Verdicts"] == [("claims", ["CSV", "Markdown"])]
    assert found["Numbers"] == [("metrics", ["CSV"])]
    assert ("pendulum_flatness", ["PDF", "PNG"]) in found["Figures"]
    assert "Tables" not in found


def test_a_summary_becomes_json(run):
    again = json.loads(json.dumps(dataclasses.asdict(run)))
    assert again["leaderboards"]["pendulum"]["rows"][0]["name"] == "VAE"


def test_a_folder_with_numbers_alone(tmp_path):
    """As of an older run: no ledger, record, manifest or figures."""
    results_folder.numbers().to_csv(tmp_path / "metrics.csv", index=False)
    run = summary.read(tmp_path)
    assert run.board is None
    assert run.figures == {}
    assert run.setting.seconds is None
    assert "Cost" not in run.setting.facts
    assert len(run.leaderboards["pendulum"].rows) == 6


def test_a_run_that_lost_every_seed(tmp_path):
    """Its one row says that the seed is frozen."""
    row = {"dataset": "mine", "method": "vae", "distance": "", "task": "training", "metric": "frozen"}
    pd.DataFrame([{**row, "seed": 0, "value": 1}]).to_csv(tmp_path / "metrics.csv", index=False)
    run = summary.read(tmp_path)
    assert run.leaderboards["mine"].columns == []
    assert run.leaderboards["mine"].flattest == []
    assert any("non-finite" in warning and "mine VAE (seed 0)" in warning for warning in run.setting.warnings)


def test_a_folder_without_numbers_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no metrics\.csv; name the results folder"):
        summary.read(tmp_path)


def test_a_damaged_record_is_named(tmp_path):
    folder = results_folder.write(tmp_path / "run")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        summary.read(folder)
