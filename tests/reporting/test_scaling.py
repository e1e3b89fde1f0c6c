"""Exponents of made-up costs whose growth is known, and the figure and table of them."""

import numpy as np
import pandas as pd
import pytest

from flatvae.errors import InputError
from flatvae.reporting import figures, scaling, tables

SIZES = (2, 4, 8, 16, 32, 64)


def costs(*laws) -> pd.DataFrame:
    """Rows of costs a + b sizeᵖ: (method, a, b, p), with a little spread between three rounds."""
    return pd.DataFrame(
        [
            (method, "n", size, repeat, (a + b * size**p) * (1 + 0.01 * repeat))
            for method, a, b, p in laws
            for repeat in range(3)
            for size in SIZES
        ],
        columns=["method", "quantity", "size", "seed", "seconds"],
    )


def test_the_exponent_of_a_power_law_is_its_own_and_a_constant_share_lowers_it():
    found = scaling.exponents(costs(("square", 0, 1e-3, 2), ("root", 0, 1e-3, 0.5), ("with a start", 0.5, 1e-3, 2)))
    mean = found.groupby("method")["exponent"].mean()
    assert mean["square"] == pytest.approx(2)
    assert mean["root"] == pytest.approx(0.5)
    sizes = np.array([8, 16, 32, 64], float)  # the larger half, and the middle
    expected = np.polyfit(np.log(sizes), np.log(0.5 + 1e-3 * sizes**2), 1)[0]
    assert mean["with a start"] == pytest.approx(expected)
    assert (found["first_ms"] < found["last_ms"]).all()


def test_one_size_has_no_exponent():
    with pytest.raises(InputError, match="two sizes"):
        scaling.exponent(np.array([2.0]), np.array([1.0]))


def test_table_and_figure_hold_every_method(tmp_path):
    rows = costs(("square", 0, 1e-3, 2), ("linear", 0, 1e-3, 1))
    found = scaling.exponents(rows)
    table = scaling.table(found, "a card")
    assert list(table["method"]) == ["square", "linear"]
    assert list(table["exponent"]) == pytest.approx([2, 1])
    tables.write(table, tmp_path / "scaling")
    text = (tmp_path / "scaling.md").read_text()
    assert "Measured on: a card." in text
    assert "| n       | square |" in text
    figure = figures.scaling(rows, found, "title")
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["square: 2.00", "linear: 1.00"]
    drawn = [line for line in axes.lines if not line.get_label().startswith("_")]
    geometric_mean = (1.0 * 1.01 * 1.02) ** (1 / 3)  # of the three rounds
    np.testing.assert_allclose(drawn[0].get_ydata(), 1e-3 * np.square(SIZES) * geometric_mean)
    figures.save(figure, tmp_path / "figure")


def test_figure_writes_display_names_with_what_stands_in_brackets():
    rows = costs(("vae", 0, 1e-3, 2), ("flat_vae (forward_mode)", 0, 1e-3, 1))
    (axes,) = figures.scaling(rows, scaling.exponents(rows), "title").axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["VAE: 2.00", "Flat VAE (forward mode): 1.00"]
