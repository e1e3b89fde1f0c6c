"""Trained models that come with the package: ``flatvae.load_pretrained("pendulum/flat_vae")``.

Each is one seed of a method on data that may be redistributed; README.md in this folder is their model card. Weights are stored
in half precision and computed with in single precision. ``python -m flatvae.pretrained RESULTS`` makes files and card.
"""

from pathlib import Path

from flatvae.checkpoint import load, metadata
from flatvae.errors import InputError
from flatvae.model import LatentVariableModel

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names that ``load_pretrained`` takes, each «data set/method»."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.safetensors"))


def load_pretrained(name: str) -> LatentVariableModel:
    """A trained model, in evaluation mode, with ``config`` set to its settings and ``seed``.

    ``model.encode(x)`` gives posterior means, (N, D) -> (N, n), and ``model.decode(z)`` the mean f(z), (N, n) -> (N, D); see
    `flatvae.model.LatentVariableModel`. ``flatvae.load`` does the same for the models of your own run.

    Args:
        name: «data set/method», one of `names`.

    Raises:
        InputError: there is no such model.
    """
    if name not in names():
        raise InputError(f"there is no pretrained model {name!r}; take one of {', '.join(names())}.")
    path = FOLDER / f"{name}.safetensors"
    (seed,) = metadata(path)["seeds"]
    return load(path, seed["seed"])
