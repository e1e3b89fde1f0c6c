"""The command ``python -m flatvae.pretrained RESULTS``: takes models and model card from the results of a run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from safetensors import safe_open

from flatvae import checkpoint
from flatvae.errors import InputError
from flatvae.pretrained import FOLDER
from flatvae.reporting.statistics import read_metrics

METHODS = ("vae", "vhp_vae", "flat_vae", "flat_vae_scale_free")
# data whose licence allows it, each with source and licence
DATA = {
    "pendulum": "simulated by this package (MIT)",
    "digits": "scikit-learn's copy of the UCI optical recognition of handwritten digits (CC BY 4.0)",
    "mnist": "MNIST, Y. LeCun and C. Cortes (CC BY-SA 3.0)",
    "human_motion": "CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu (free for any use but resale of the data)",
}
SHOWN = {
    ("reconstruction", "test_error"): "test error",
    ("reconstruction", "kl"): "KL, nats",
    ("likelihood", "nll"): "NLL, nats",
    ("flatness", "condition_number_median"): "k, codes",
    ("flatness", "condition_number_median_mixup"): "k, mixup",
}
CARD = """# Pretrained models

One seed of each main method, for `flatvae.load_pretrained("pendulum/flat_vae")`. The seed is the first that ended at equal
reconstruction and settled. Use them to try the geometry of a trained model; for conclusions use all seeds of a run. Weights are
stored in half precision. The numbers are those of the run, measured before, on test data; k is the median condition number of the
metric.

{table}

Data:

{data}

A model knows only its data set: it encodes nothing else. Models and code have the MIT licence of this package.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy one seed of each main method from a run's results into the package, and write the model card."""
    parser = argparse.ArgumentParser(prog="python -m flatvae.pretrained", description=main.__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="results folders with models")
    parser.add_argument("--output", type=Path, default=FOLDER, help="the folder of the models (default: the package's)")
    options = parser.parse_args(arguments)
    try:
        rows = [row for folder in options.results for row in _take(folder, options.output)]
    except (InputError, OSError) as error:
        parser.error(str(error))
    if not rows:
        parser.error(f"no data set of {', '.join(DATA)} with all of {', '.join(METHODS)}; name a run that has one")
    table = pd.DataFrame(rows).set_index("model")
    data = "\n".join(
        f"- {name}: {text}" for name, text in DATA.items() if any(m.startswith(f"{name}/") for m in table.index)
    )
    lines = ["| model | " + " | ".join(table.columns) + " |", "| :- |" + " -: |" * len(table.columns)]
    lines += [f"| `{name}` | " + " | ".join(row) + " |" for name, row in table.iterrows()]
    card = CARD.format(table="\n".join(lines), data=data)
    (options.output / "README.md").write_text(card, encoding="utf-8")
    print(f"{len(rows)} models in {options.output}")


def _take(folder: Path, output: Path) -> list[dict[str, str]]:
    """Writes the models of a run; returns the rows of the card."""
    metrics = read_metrics(folder / "metrics.csv")
    rows = []
    for dataset in [name for name in dict.fromkeys(metrics["dataset"]) if name in DATA]:
        for method in METHODS:
            own = metrics[(metrics["dataset"] == dataset) & (metrics["method"] == method)]
            if own.empty:
                continue
            seed = _seed(own, f"{dataset}/{method}")
            path = output / dataset / f"{method}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            _half(folder / dataset / method / "model.safetensors", seed, path)
            of_seed = own[own["seed"] == seed].set_index(["task", "metric"])["value"]
            numbers = {title: f"{of_seed[key]:.4g}" if key in of_seed else "–" for key, title in SHOWN.items()}
            size = f"{path.stat().st_size / 1e6:.2f}"
            bound = f"{checkpoint.metadata(path)['training']['bound']:.4g}"
            rows.append({"model": f"{dataset}/{method}", "seed": str(seed), "bound": bound, **numbers, "MB": size})
    return rows


def _seed(rows: pd.DataFrame, name: str) -> int:
    """The first seed at equal reconstruction that had settled.

    Raises:
        InputError: there is none.
    """
    of = {
        metric: rows[rows["metric"] == metric].set_index("seed")["value"]
        for metric in ("equal_reconstruction", "settled")
    }
    good = [seed for seed, value in of["equal_reconstruction"].items() if value == 1 and of["settled"].get(seed) == 1]
    if not good:
        raise InputError(f"no seed of {name} is at equal reconstruction and settled; train it longer.")
    return int(min(good))


def _half(source: Path, seed: int, path: Path) -> None:
    """Writes one seed of a checkpoint in half precision."""
    content = checkpoint.metadata(source)
    place = [s["seed"] for s in content["seeds"]].index(seed)
    with safe_open(source, framework="pt") as file:
        state = {name: file.get_slice(name)[place : place + 1].half() for name in file.keys()}  # noqa: SIM118 no iterator
    content = {key: value for key, value in content.items() if key not in ("version", "sha256")}
    checkpoint.save(path, state, {**content, "seeds": [content["seeds"][place]]})


if __name__ == "__main__":
    main()
