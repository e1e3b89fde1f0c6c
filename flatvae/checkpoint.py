"""Checkpoints: one safetensors file per (data set, method), all seeds stacked; its header says how to rebuild the model.

The header's JSON holds the format version, the builder's module, its hyperparameters and the description of the data set.
So a checkpoint can be loaded without the config and the data that it was trained with.
"""

import hashlib
import importlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flatvae.datasets import Dataset, expanded
from flatvae.errors import InputError
from flatvae.model import LatentVariableModel
from flatvae.seeding import seeded

VERSION = 2  # since 2 the header holds a hash of the file's content
_KEY = "flatvae"


def digest(tensors: dict[str, Tensor], text: str) -> str:
    """sha256 over tensors and the text written with them: the format itself detects only a truncated file."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name}: {tensor.dtype}, {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().flatten().numpy())
    return found.hexdigest()


def _sha256(state: dict[str, Tensor], content: dict) -> str:
    """The hash of parameters and metadata, without the hash that the metadata hold."""
    hashed = {key: value for key, value in content.items() if key != "sha256"}
    return digest(state, json.dumps(hashed, sort_keys=True, allow_nan=False))


def save(path: str | Path, state: dict[str, Tensor], metadata: dict) -> None:
    """Writes the stacked parameters and the metadata. Atomic: the file is complete or absent.

    Args:
        path: ``….safetensors``.
        state: parameters by name, (S, …).
        metadata: JSON-able: ``builder`` ("module:function"), ``build`` (its hyperparameters), ``dataset`` (a
            ``Dataset.description()``), ``seeds`` (one dictionary per seed), and anything else worth keeping.
    """
    path = expanded(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    content = {"version": VERSION, **metadata}
    # one text, because safetensors writes several header entries in no fixed order, and equal models must give equal bytes
    text = json.dumps({**content, "sha256": _sha256(state, content)}, sort_keys=True, allow_nan=False)
    try:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary, metadata={_KEY: text})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # there only if something went wrong


def metadata(path: str | Path) -> dict:
    """The metadata that ``save`` was given.

    Raises:
        InputError: the file is missing, damaged, not written by flatvae, or of another format version.
    """
    return _read(expanded(path))[0]


def finite_seeds(path: str | Path) -> list[int]:
    """The seeds whose training stayed finite."""
    return [s["seed"] for s in metadata(path)["seeds"] if s["frozen_step"] is None]


def load(path: str | Path, seed: int) -> LatentVariableModel:
    """The trained model of one seed, in evaluation mode and with ``config`` set to the checkpoint's metadata and ``seed``.

    Args:
        path: ``{results_dir}/{dataset}/{method}/model.safetensors``.
        seed: one of the seeds it was trained with.

    Raises:
        InputError: the file is missing, truncated, of another version or model, or has no such seed.
    """
    path = expanded(path)
    content, tensors = _read(path)
    seeds = [s["seed"] for s in content["seeds"]]
    if seed not in seeds:
        raise InputError(f"checkpoint {path} has no seed {seed}; it holds {', '.join(map(str, seeds))}.")
    model = _build(path, content)
    state = {name: tensor[seeds.index(seed)] for name, tensor in tensors.items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"checkpoint {path} does not fit the model that {content['builder']} builds now; train it again."
        ) from error
    model.config = {**content, "seed": seed}
    return model.requires_grad_(False).eval()


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Metadata and stacked parameters, verified by their hash."""
    if not os.path.isfile(path):
        raise InputError(f"checkpoint {path} does not exist; train the method first, or check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no iterator
    except OSError as error:
        raise InputError(f"checkpoint {path} cannot be read ({error}); make it readable.") from error
    except SafetensorError as error:
        raise InputError(
            f"checkpoint {path} is truncated or not a safetensors file; delete it and train again."
        ) from error
    if text is None:
        raise InputError(f"checkpoint {path} was not written by flatvae; name a model.safetensors of its results.")
    damaged = InputError(
        f"checkpoint {path} is damaged: its content does not match its hash; delete it and train again."
    )
    try:
        content = json.loads(text)
        version, whole = content["version"], content.get("sha256") == _sha256(tensors, content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged from error
    if version != VERSION:
        raise InputError(
            f"checkpoint {path} has format version {version}, but this flatvae reads {VERSION}; train it again."
        )
    if not whole:
        raise damaged
    return content, tensors


def _build(path: Path, content: dict) -> LatentVariableModel:
    module_name, function = content["builder"].split(":")
    try:
        build = getattr(importlib.import_module(module_name), function)
        with seeded(0):  # its weights are replaced
            return build(Dataset.from_description(content["dataset"]), **content["build"])
    except InputError as error:
        raise InputError(f"checkpoint {path}: {error}") from error
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"checkpoint {path} needs the builder {content['builder']}, which is missing or now takes other "
            "hyperparameters; restore it or train again."
        ) from error
