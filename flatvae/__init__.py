"""flatvae: flat latent manifolds (Chen et al., ICML 2020), their baselines' common ground, and how both are measured.

Importing the package is cheap; its modules, and with them torch, are loaded when first used.
"""

import importlib
import pkgutil

_LAZY = {
    "FlatVAE": "flatvae.estimator",
    "InputError": "flatvae.errors",
    "load": "flatvae.checkpoint",
    "report": "flatvae.diagnostics",
}
__all__ = ["FlatVAE", "InputError", "load", "report"]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in {module.name for module in pkgutil.iter_modules(__path__)}:
        return importlib.import_module(f"flatvae.{name}")
    raise AttributeError(f"module 'flatvae' has no attribute {name!r}")
