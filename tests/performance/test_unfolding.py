"""What FlatVAE() makes of well-known data against PCA, Isomap and a VAE with as many dimensions: make performance

Seven sets of scikit-learn, two latent dimensions, five seeds. Olivetti faces must be at hand or be downloaded; without them six sets
are measured. Seeds also draw the rows of S-curve, Swiss roll and torus. Writes results/reference/estimator.
"""

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.manifold import Isomap
from sklearn.preprocessing import StandardScaler

from flatvae import FlatVAE
from flatvae.diagnostics import graph_rank_correlation, trustworthiness
from flatvae.reporting import tables

OUT = Path(__file__).resolve().parents[2] / "results" / "reference" / "estimator"
SEEDS = range(5)
N = 2
METHODS = {"pca": "PCA", "isomap": "Isomap", "vhp_vae": "VHP-VAE", "flat_vae": "FlatVAE()"}
CAPTION = (
    "Two dimensions, five seeds, 95 % intervals. Trustworthiness and rank correlation: 1 is faithful. Condition number: 1 is flat. "
    "The VHP-VAE has the bound that FlatVAE() chose, no penalty, and random networks to begin with. Seconds: of FlatVAE() over "
    "those of one fit with everything given."
)


def torus(seed: int) -> np.ndarray:
    a, b = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, 1500))
    return np.stack([(2 + np.cos(b)) * np.cos(a), (2 + np.cos(b)) * np.sin(a), np.sin(b)], axis=1)


def standardised(load):
    return lambda seed: StandardScaler().fit_transform(load().data)


SETS = {
    "S-curve": lambda seed: datasets.make_s_curve(1500, random_state=seed)[0],
    "Swiss roll": lambda seed: datasets.make_swiss_roll(1500, random_state=seed)[0],
    "torus": torus,
    "digits": lambda seed: datasets.load_digits().data,
    "breast cancer": standardised(datasets.load_breast_cancer),
    "wine": standardised(datasets.load_wine),
    "Olivetti faces": lambda seed: datasets.fetch_olivetti_faces().data.astype(float),
}
ROWS: list[tuple] = []


@pytest.mark.filterwarnings("ignore:FlatVAE")
@pytest.mark.parametrize("name", SETS)
def test_it_is_as_faithful_as_pca(name):
    for seed in SEEDS:
        try:
            X = SETS[name](seed)
        except OSError as error:
            pytest.skip(f"{name} could not be downloaded: {error}")
        for method, values in measured(X, seed).items():
            ROWS.extend((name, method, metric, seed, value) for metric, value in values.items())
    write()
    mean = pd.DataFrame(ROWS, columns=["set", "method", "metric", "seed", "value"]).groupby(["set", "method", "metric"])
    mean = mean["value"].mean()[name]
    print(mean.unstack().to_string(float_format="%.3f"))
    assert mean["flat_vae", "trustworthiness_at_10"] >= mean["pca", "trustworthiness_at_10"] - 0.01
    assert mean["flat_vae", "condition_number_median"] <= 1.1
    assert mean["flat_vae", "seconds_ratio"] <= 3


def measured(X: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
    found = {"pca": faithful(X, PCA(N).fit_transform(X))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a graph in parts
        found["isomap"] = faithful(X, Isomap(n_components=N, n_neighbors=10).fit_transform(X))
    space, seconds = timed(X, seed)
    given = {"unexplained": space.bound_, "init": "random"}
    plain, once = timed(X, seed, **given, eta=space.eta_, shorten=False)
    plain, _ = timed(X, seed, **given, eta=0.0)
    for method, fitted in (("vhp_vae", plain), ("flat_vae", space)):
        k = fitted.condition_number_.median
        found[method] = {**faithful(X, fitted.transform(X)), "condition_number_median": k}
    found["flat_vae"]["seconds_ratio"] = seconds / once
    return found


def timed(X: np.ndarray, seed: int, **settings) -> tuple[FlatVAE, float]:
    started = time.process_time()
    return FlatVAE(N, random_state=seed, **settings).fit(X), time.process_time() - started


def faithful(X: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    return {
        "trustworthiness_at_10": trustworthiness(X, codes),
        "graph_rank_correlation": graph_rank_correlation(X, codes),
    }


def write() -> None:
    """The numbers of the sets that are done, and their table."""
    rows = pd.DataFrame(ROWS, columns=["dataset", "method", "metric", "seed", "value"])
    OUT.mkdir(parents=True, exist_ok=True)
    rows.to_csv(OUT / "unfolding.csv", index=False, float_format="%.5g")
    rows = rows.assign(distance="", task="estimator", method=rows["method"].map(METHODS))
    orders = list(dict.fromkeys(rows["dataset"])), [*METHODS.values()]
    table = tables.task_table(rows, "estimator", *orders, len(SEEDS))
    table.attrs["caption"] = CAPTION
    (OUT / "tables").mkdir(exist_ok=True)
    tables.write(table, OUT / "tables" / "unfolding")
