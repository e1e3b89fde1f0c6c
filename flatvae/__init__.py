"""flatvae: flat latent manifolds (Chen et al., ICML 2020), what the baselines share with them, and the evaluation of both.

Importing the package is cheap: its modules, and torch with them, are loaded on first use.
"""

import importlib
import pkgutil

_LAZY = {
    "FlatVAE": "flatvae.estimator",
    "InputError": "flatvae.errors",
    "load": "flatvae.checkpoint",
    "load_pretrained": "flatvae.pretrained",
    "report": "flatvae.diagnostics",
}
__all__ = ["FlatVAE", "InputError", "__version__", "load", "load_pretrained", "report"]


def __getattr__(name: str):
    if name == "__version__":
        return _version()
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in {module.name for module in pkgutil.iter_modules(__path__)}:
        return importlib.import_module(f"flatvae.{name}")
    raise AttributeError(f"module 'flatvae' has no attribute {name!r}")


def _version() -> str:
    """The installed version; for a folder that is not installed, the version in its pyproject.toml."""
    from importlib import metadata
    from pathlib import Path

    try:
        return metadata.version("flatvae")
    except metadata.PackageNotFoundError:
        import tomllib

        pyproject = Path(__path__[0]).parent / "pyproject.toml"
        return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"]
