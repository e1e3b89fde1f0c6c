"""The hyperparameters of the methods on each data set, from the config in the manifest."""

from dataclasses import dataclass

from flatvae.reporting.names import display_name
from flatvae.reporting.summary.folder import RunFolder

FIRST = ("bound", "unexplained", "latent_dim", "steps", "batch_size")
NOT_TOLD = ("builder", "compile")  # code, and how it is run
MEANINGS = {
    "bound": "κ², at which the mean reconstruction error of the training data is held",
    "unexplained": "the bound as a share of the training data's total variance",
    "latent_dim": "n, the number of latent dimensions",
    "steps": "training steps",
    "batch_size": "observations per step",
    "learning_rate": "of Adam",
    "decay_fraction": "last share of the steps, in which the learning rate falls to zero",
    "clip": "largest norm of a seed's gradient",
    "initial_beta": "β = 1/λ, the bound's multiplier, at the start",
    "beta_rate": "ν, how fast β follows the error",
    "initial_fraction": "share of the steps after which the initial phase, without penalty, ends at the latest",
    "hidden": "widths of the encoder's hidden layers; the decoder has them in reverse",
    "channels": "widths of the convolutions before them",
    "activation": "of the networks",
    "prior_hidden": "widths of the networks of the hierarchical prior",
    "n_prior_samples": "K, importance samples of the hierarchical prior in training",
    "prior": "hierarchical (VHP) or normal",
    "eta": "η, weight of the penalty; its unit is that of 1/c⁴, so that it depends on the data and differs between penalties",
    "estimator": "how the penalty is computed: finite_difference and forward_mode by columns of J, probe by random directions",
    "scale_free": "the penalty divided by c⁴",
    "alpha0": "α₀, how far mixup reaches beyond two codes; none: no mixup",
}


@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of one data set, as text.

    Attributes:
        common: name -> value of those that are the same for every method.
        columns: names of the others.
        rows: display name of a method -> its values, one for each column; «–» if the config has none for it.
    """

    common: dict[str, str]
    columns: list[str]
    rows: dict[str, list[str]]


def hyperparameters(folder: RunFolder) -> dict[str, Hyperparameters]:
    """Data set -> its hyperparameters; empty if the manifest has no config."""
    config = folder.manifest.get("config", {})
    known = [dataset for dataset in folder.datasets if dataset in config.get("datasets", {})]
    return {dataset: _table(config, dataset, [m for of, m in folder.trained if of == dataset]) for dataset in known}


def configured(config: dict, dataset: str, method: str) -> dict:
    """All configured hyperparameters of a method; the more specific place wins.

    training < datasets.<dataset>.training < methods.<method> < datasets.<dataset>.methods.<method>
    """
    own = config["datasets"][dataset]
    places = (
        config.get("training", {}),
        own.get("training", {}),
        config.get("methods", {}).get(method, {}),
        own.get("methods", {}).get(method, {}),
    )
    return {name: value for place in places for name, value in place.items() if name not in NOT_TOLD}


def _table(config: dict, dataset: str, methods: list[str]) -> Hyperparameters:
    values = {
        method: {name: _text(value) for name, value in configured(config, dataset, method).items()}
        for method in methods
    }
    names = dict.fromkeys(name for own in values.values() for name in own)
    names = sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    found = {name: [own.get(name, "–") for own in values.values()] for name in names}
    columns = [name for name, own in found.items() if len(set(own)) > 1]
    return Hyperparameters(
        {name: own[0] for name, own in found.items() if name not in columns},
        columns,
        {display_name(method): [own.get(name, "–") for name in columns] for method, own in values.items()},
    )


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)
