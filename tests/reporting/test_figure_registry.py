"""What every figure of a data set is told: its title in words, which methods missed the bound, and what the factor is called."""

import numpy as np
import pandas as pd
import pytest

from flatvae.reporting import figure_registry
from flatvae.reporting.figures import _common
from flatvae.reporting.results import DatasetResults

METHODS = ["vae", "flat_vae"]
POINTS = np.linspace(0.5, 2, 40)


@pytest.fixture
def results(tmp_path):
    """Two methods of two seeds, of which the VAE's second missed the bound."""
    rng, grid = np.random.default_rng(0), np.tile(np.linspace(-2, 2, 6), (2, 1))
    values = rng.lognormal(size=(2, 40))
    flatness = {
        **{f"condition_number{part}": 1 + values for part in ("", "_mixup")},
        **{f"log_magnification_factor{part}": np.log(values) for part in ("", "_mixup")},
        **{"codes": rng.normal(size=(2, 40, 2)), "map_x": grid, "map_y": grid, "map_log_mf": np.zeros((2, 6, 6))},
        **{"colour": POINTS, "colour_name": np.array("true factor"), "colour_period": np.array(2 * np.pi)},
    }
    pictures = {"originals": rng.uniform(size=(9, 16)), "reconstructions": rng.uniform(size=(2, 9, 16))}
    smooth = {"second_difference": values, "velocity_cv": values, "kept": np.ones((2, 40), bool)}
    history = {name: np.ones(4) for name in ("error", "kl", "beta", "penalty", "scale")}
    history |= {"seed": [0, 0, 1, 1], "step": [0, 1, 0, 1], "initial": [1, 0, 1, 0]}
    for method in METHODS:
        folder = tmp_path / "two_words" / method
        folder.mkdir(parents=True)
        for task, arrays in (("flatness", flatness), ("reconstruction", pictures), ("interpolation", smooth)):
            np.savez(folder / f"{task}.npz", seeds=np.arange(2), **arrays)
        pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
        checks = [
            ("", "reconstruction", name, seed, 1.0) for name in ("equal_reconstruction", "settled") for seed in (0, 1)
        ]
        rows = pd.DataFrame(checks, columns=["distance", "task", "metric", "seed", "value"])
        rows.loc[1, "value"] = float(method != "vae")
        rows.to_csv(folder / "reconstruction.csv", index=False)
    (tmp_path / "two_words" / "data.json").write_text('{"shape": [4, 4]}')
    return DatasetResults(tmp_path, "two_words", METHODS, {"loader": "pendulum", "root": None, "options": {}}, 1.0)


def written(figure):
    figure.draw_without_rendering()
    parts = [*figure.axes, *figure.legends]
    return {text.get_text() for part in parts for text in part.findobj(_common.mpl.text.Text)}


@pytest.mark.parametrize("name", ["training_curves", "flatness", "latent_map", "reconstructions", "interpolation"])
def test_a_figure_says_what_it_shows_and_marks_who_missed_the_bound(results, name):
    figure = figure_registry.draw(name, results)
    title, note = figure.get_suptitle().split("\n")
    assert title == f"two words: {figure_registry.FIGURES[name].shows}"
    assert note == "† a seed missed equal reconstruction"
    assert {"VAE †", "Flat VAE"} <= written(figure)


def test_where_no_seed_missed_the_bound_nothing_is_said_of_it(results):
    results.methods.remove("vae")
    assert results.missed == set()
    assert "†" not in figure_registry.draw("flatness", results).get_suptitle()


def test_a_run_without_reconstruction_marks_nobody(results):
    for method in METHODS:
        (results.folder / method / "reconstruction.csv").unlink()
    assert results.missed == set()


def test_the_factor_has_its_name(results):
    assert "angle [rad]" in written(figure_registry.draw("latent_map", results))
    results.data["loader"] = "arrays"
    assert results.factor == "true factor"


def test_one_axis_has_ticks_of_one_format():
    axis = _common.new_figure(3, 3, "").subplots().xaxis

    def ticks(low, high):
        _common.log_ticks(axis, low, high)
        return [axis.get_major_formatter()(tick) for tick in axis.get_majorticklocs()]

    assert ticks(0.975, 1.025) == ["0.98", "1.00", "1.02"]
    assert ticks(0.9, 9) == ["1", "2", "5"]
    assert ticks(0.02, 4) == ["0.03", "0.1", "0.3", "1", "3"]
    assert ticks(8e-4, 0.2) == ["0.001", "0.01", "0.1"]
    assert ticks(8e-5, 0.2) == [f"$10^{{{power}}}$" for power in (-4, -3, -2, -1)]
    assert ticks(800, 2e4) == ["1,000", "2,000", "5,000", "10,000", "20,000"]
    assert ticks(1.5e-4, 6.5e-4) == [rf"${factor}\cdot10^{{-4}}$" for factor in (2, 4, 6)]


def test_a_title_is_wrapped_and_the_figure_grows():
    short, long = (_common.new_figure(2, 3, title) for title in ("short", "as long as no figure of two inches is wide"))
    assert long.get_suptitle().count("\n") == 1
    assert long.get_figheight() > short.get_figheight()


def test_a_comparison_names_its_only_data_set():
    wanted, columns = {"figure": "pareto"}, ["dataset", "method", "task", "metric", "seed", "value"]
    for datasets, name in ((["a_b"], "a b"), (["a_b", "c"], "all data sets")):
        run = {"datasets": datasets, "methods": METHODS, "baseline": "vae"}
        figure = figure_registry.number_figure(wanted, pd.DataFrame(columns=columns), None, run)
        assert figure.get_suptitle() == f"{name}: flatness against reconstruction"
