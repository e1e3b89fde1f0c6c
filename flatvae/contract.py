"""The contract of a method's file, checked on a fresh model and a few rows of data before any training.

build(dataset, *, …) -> LatentVariableModel      its encode (N, D) -> (N, n) and decode (N, n) -> (N, D) are finite,
                                                 and a call with (N, D) and noise (N, noise_size) gives Terms
penalty(decode, z, noise, *, …) -> scalar        finite; for one model and a batch z (B, n)
fit(dataset, *, seed, …) -> LatentVariableModel  with the parameters of build's model, by name and shape
"""

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from flatvae.errors import ContractError, InputError
from flatvae.model import LatentVariableModel

ROWS = 4  # rows of data in a check


def called(module: ModuleType, function: str, *arguments, **keywords):
    """Calls a function of the method's file and returns its result.

    Raises:
        ContractError: the function raised anything but an InputError.
    """
    return tried(f"{file_of(module)}: {function}", lambda: getattr(module, function)(*arguments, **keywords))


def file_of(module: ModuleType) -> str:
    """The module's file, for example «baselines/vae.py»."""
    return module.__name__.replace(".", "/") + ".py"


def check_model(module: ModuleType, function: str, model, dataset) -> None:
    """Checks the model that ``function`` (``build`` or ``fit``) returned.

    Raises:
        ContractError: it is not a LatentVariableModel, or its codes, decoded codes or loss terms are not finite tensors of the
            contract's shapes.
    """
    where = file_of(module)
    if not isinstance(model, LatentVariableModel):
        raise ContractError(
            f"{where}: {function} returned a {type(model).__name__}; it must return a flatvae.model.LatentVariableModel"
        )
    like = next(model.parameters())
    x = dataset.train[torch.arange(ROWS) % len(dataset.train)].to(like)  # repeated if there are fewer
    z = torch.linspace(-1, 1, ROWS * model.latent_dim).view(ROWS, -1).to(like)
    noise = torch.linspace(-1, 1, ROWS * model.noise_size).view(ROWS, -1).to(like)
    with torch.no_grad():
        for name, given, shape in (
            ("encode", (x,), (ROWS, model.latent_dim)),
            ("decode", (z,), x.shape),
        ):
            what = f"{where}: {name} of the model that {function} makes"
            _check_tensor(what, tried(what, lambda n=name, g=given: getattr(model, n)(*g)), shape)
        what = f"{where}: the model that {function} makes, called with x and noise,"
        terms = tried(what, lambda: model(x, noise))
    for name, term, shape in zip(("error", "kl", "z"), terms, ((ROWS,), (ROWS,), z.shape), strict=True):
        _check_tensor(f"{what} in its term {name}", term, shape)


def check_form(module: ModuleType, function: str, model: LatentVariableModel, built: LatentVariableModel) -> None:
    """Checks that a model has the same parameters, by name and shape, as the model that ``build`` makes.

    Raises:
        ContractError: a parameter is missing, new, or of another shape.
    """
    shapes = [{name: tuple(p.shape) for name, p in of.named_parameters()} for of in (model, built)]
    different = sorted(name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name))
    if different:
        raise ContractError(
            f"{file_of(module)}: the model that {function} makes differs from build's in {different[0]}; it must have "
            "the same parameters, because they are loaded into build's model"
        )


def check_penalty(module: ModuleType, model: LatentVariableModel, penalty: Callable) -> None:
    """Checks the method's penalty, its hyperparameters already bound: ``penalty(decode, z, noise)``.

    Raises:
        ContractError: its value is not a finite scalar, or its gradient is not finite.
    """
    points = torch.linspace(-1, 1, ROWS * model.latent_dim).view(ROWS, -1).to(next(model.parameters()))
    what = f"{file_of(module)}: penalty"
    value = tried(what, lambda: penalty(model.decode, points, torch.ones_like(points)))
    _check_tensor(what, value, ())
    if value.requires_grad:
        gradients = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
        if not all(g.isfinite().all() for g in gradients if g is not None):
            raise ContractError(f"{what} has a gradient with NaN or infinite values at a fresh model; keep it finite")


def tried(what: str, function: Callable):
    """Calls code of a method's file and returns its result; ``what`` names it in errors.

    Raises:
        ContractError: it raised anything but an InputError or an out-of-memory error (which is not the file's fault).
    """
    try:
        return function()
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ContractError(
            f"{what} failed with {type(error).__name__}: {text}; fix it (contract: flatvae/contract.py)"
        ) from error


def _check_tensor(what: str, value, shape: tuple[int, ...]) -> None:
    if not isinstance(value, Tensor):
        raise ContractError(
            f"{what} returned a {type(value).__name__}; it must return a tensor of shape {tuple(shape)}"
        )
    if value.shape != shape:
        raise ContractError(f"{what} returned the shape {tuple(value.shape)}; it must be {tuple(shape)}")
    if not value.isfinite().all():
        raise ContractError(f"{what} returned NaN or infinite values for a fresh model; it must be finite")
