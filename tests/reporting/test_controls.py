"""Controls: what holds and what does not, against means worked out by hand."""

import math

import pandas as pd
import pytest

from flatvae.errors import InputError
from flatvae.reporting import controls

ENTRY = {"statement": "It is.", "method": "pca", "task": "flatness", "metric": "k", "better": "lower", "must": "win"}
METHODS = ["vae", "flat_vae", "pca"]


def frame(values: dict[str, list[float]], dataset: str = "pendulum", **key) -> pd.DataFrame:
    """Rows of metrics.csv: of each method its values over seeds."""
    own = {"dataset": dataset, "distance": "", "task": "flatness", "metric": "k", **key}
    return pd.DataFrame(
        [{**own, "method": m, "seed": s, "value": v} for m, vs in values.items() for s, v in enumerate(vs)]
    )


def row(metrics: pd.DataFrame, **change):
    table = controls.check(metrics, {"c": ENTRY | change}, METHODS, ["pendulum", "digits"])
    assert len(table) == 1
    return table.iloc[0]


VALUES = {"vae": [9.0, 11.0], "flat_vae": [1.5, 1.1], "pca": [1.0, 1.0]}  # means 10, 1.3, 1


@pytest.mark.parametrize(
    ("method", "better", "must", "rival", "holds"),
    [
        ("pca", "lower", "win", "flat_vae", 1),
        ("flat_vae", "lower", "win", "pca", 0),
        ("vae", "lower", "lose", "flat_vae", 1),
        ("flat_vae", "lower", "lose", "vae", 0),
        ("vae", "higher", "win", "flat_vae", 1),
        ("pca", "higher", "win", "vae", 0),
        ("pca", "higher", "lose", "flat_vae", 1),
        ("vae", "higher", "lose", "pca", 0),
    ],
)
def test_a_control_wins_or_loses_against_its_hardest_rival(method, better, must, rival, holds):
    found = row(frame(VALUES), method=method, better=better, must=must)
    assert (found["rival"], found["holds"]) == (rival, holds)
    assert found["rival_value"] == pytest.approx({"vae": 10, "flat_vae": 1.3, "pca": 1}[rival])


@pytest.mark.parametrize(("must", "holds"), [("win", 1), ("lose", 0)])
def test_a_tie_is_a_victory_and_no_defeat(must, holds):
    assert row(frame({"pca": [1.0], "vae": [0.5, 1.5]}), must=must)["holds"] == holds


def test_infinite_values_count():
    """A decoder of less than n dimensions has an infinite condition number: it loses."""
    values = {"pca": [math.inf, 1.0], "vae": [9.0, 9.0]}
    assert row(frame(values), must="lose")["holds"] == 1
    assert row(frame(values), must="win")["holds"] == 0


@pytest.mark.parametrize("must", ["win", "lose"])
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_what_is_no_number_never_holds(must, better):
    assert row(frame({"pca": [math.nan], "vae": [9.0]}), must=must, better=better)["holds"] == 0


def test_it_is_kept_to_its_data_sets_rivals_and_distance():
    metrics = pd.concat(
        [frame(VALUES), frame({"pca": [3.0], "vae": [2.0]}, "digits"), frame({"pca": [7.0]}, distance="x")]
    )
    table = controls.check(metrics, {"c": ENTRY}, METHODS, ["pendulum", "digits"])
    assert table[["dataset", "value", "holds"]].to_numpy().tolist() == [["pendulum", 1.0, 1], ["digits", 3.0, 0]]
    assert row(metrics, datasets=["digits"], against=["vae"])["rival"] == "vae"
    assert controls.check(metrics, {"c": ENTRY | {"distance": "x"}}, METHODS, ["pendulum"]).empty  # no rival there
    assert controls.check(metrics, {"c": ENTRY | {"task": "tracking"}}, METHODS, ["pendulum"]).empty
    assert controls.check(metrics, {"c": ENTRY | {"method": "constant"}}, METHODS, ["pendulum"]).empty


def test_a_metric_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"controls\.c: pca has no mf in the task flatness on pendulum; correct"):
        controls.check(frame(VALUES), {"c": ENTRY | {"metric": "mf"}}, METHODS, ["pendulum"])


def test_what_is_broken_is_said_in_a_sentence_and_in_bold(tmp_path):
    table = controls.check(frame(VALUES), {"good": ENTRY, "bad": ENTRY | {"must": "lose"}}, METHODS, ["pendulum"])
    (sentence,) = controls.broken(table)
    assert sentence == (
        "control bad does not hold on pendulum: required is k of pca > every other method's, found 1 against 10 of vae; It is."
    )
    controls.write(table, tmp_path / "controls")
    assert controls.broken(pd.read_csv(tmp_path / "controls.csv")) == [sentence]
    lines = (tmp_path / "controls.md").read_text().splitlines()
    assert lines[-2:] == [
        "| good: It is. | pendulum | k of pca ≤ every other method's | 1 | flat_vae: 1.3 | yes |",
        "| bad: It is. | pendulum | k of pca > every other method's | 1 | vae: 10 | **no** |",
    ]
    empty = controls.check(frame(VALUES), {}, METHODS, ["pendulum"])
    controls.write(empty, tmp_path / "none")
    assert controls.broken(pd.read_csv(tmp_path / "none.csv")) == []


def test_skewed_numbers_are_compared_by_geometric_means():
    """2 and 50 have the mean 26 and the geometric mean 10; 11 is between them."""
    values = {"vae": [2.0, 50.0], "pca": [11.0, 11.0]}
    for metric, holds in (("condition_number_median", 0), ("test_error", 1)):
        assert row(frame(values, metric=metric), metric=metric)["holds"] == holds
