"""flatvae: flat latent manifolds (Chen et al., ICML 2020), their baselines' common ground, and how both are measured.

Importing the package is cheap; its modules, and with them torch, are loaded when first used.
"""

import importlib

_LAZY = {"load": "flatvae.checkpoint", "InputError": "flatvae.errors"}
_MODULES = {
    *("checkpoint", "constraint", "datasets", "errors", "evaluation", "flat_vae", "flattening", "geometry"),
    *("likelihoods", "model", "networks", "priors", "reporting", "training"),
}
__all__ = ["InputError", "load"]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"flatvae.{name}")
    raise AttributeError(f"module 'flatvae' has no attribute {name!r}")
