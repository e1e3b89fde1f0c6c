"""The settings of a training, and the split of a method's hyperparameters into build, penalty and training."""

import dataclasses
import inspect
import math
from types import ModuleType

from flatvae.errors import InputError


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a training; the config's hyperparameters have the same names.

    Attributes:
        bound: κ², the reconstruction bound, in the units of the likelihood's reconstruction error C.
        steps: training steps.
        batch_size: data drawn per step and seed, with replacement.
        learning_rate: Adam's. It is constant, then falls to zero over the last ``decay_fraction`` of the steps, as the square of
            the share of these steps that remains. A linear fall ends too abruptly: k still moved by 5 to 10 % in the last tenth.
        decay_fraction: share of the steps over which the learning rate falls, in [0, 1].
        clip: largest norm of a seed's gradient.
        initial_beta: β at the start, and throughout the initial phase.
        beta_rate: ν of the multiplier's update. With 0, β stays at its start: the bound is not enforced.
        initial_fraction: the initial phase ends after this fraction of the steps at the latest, even if the bound is not met.
        alpha0: α₀ of latent mixup for the penalty; ``None`` penalises at the posterior samples themselves.
        compile: whether the step is compiled: ``always``, ``never``, or ``auto`` (if it pays, see ``flatvae.training.compiled``).
    """

    bound: float
    steps: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    decay_fraction: float = 0.5
    clip: float = 10.0
    initial_beta: float = 1e-3
    beta_rate: float = 0.8
    initial_fraction: float = 0.2
    alpha0: float | None = 0.2
    compile: str = "auto"

    def __post_init__(self):
        for name in ("bound", "learning_rate", "clip", "initial_beta"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"training: {name} is {getattr(self, name)}; it must be finite and > 0")
        for name, least in (("steps", 1), ("batch_size", 2), ("beta_rate", 0)):
            if not least <= getattr(self, name) < math.inf:
                raise InputError(f"training: {name} is {getattr(self, name)}; it must be finite and ≥ {least}")
        if self.compile not in ("auto", "always", "never"):
            raise InputError(f"training: compile is {self.compile!r}; it must be auto, always or never")


def _accepted(function) -> set[str]:
    return {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}


def accepted_hyperparameters(module: ModuleType) -> dict[str, set[str]]:
    """Names of the hyperparameters that a method takes, grouped by ``build``, ``penalty`` and ``training``."""
    penalty = getattr(module, "penalty", None)
    return {
        "build": _accepted(module.build),
        "penalty": _accepted(penalty) if penalty else set(),
        "training": {field.name for field in dataclasses.fields(Settings)},
    }


def split_hyperparameters(module: ModuleType, hyperparameters: dict) -> tuple[dict, dict, Settings]:
    """Splits one flat dictionary of hyperparameters into those of ``build``, of ``penalty`` and of the training.

    A data set's common settings may hold names that only other methods take. They are checked where the config is read, and
    ignored here.

    Raises:
        InputError: the training lacks a setting that has no default.
    """
    names = accepted_hyperparameters(module)
    build, penalty, training = (
        {k: v for k, v in hyperparameters.items() if k in names[taker]} for taker in ("build", "penalty", "training")
    )
    missing = {"bound", "steps"} - set(training)
    if missing:
        raise InputError(f"training needs {' and '.join(sorted(missing))}; set it for the data set in the config")
    return build, penalty, Settings(**training)
