"""Fingerprints of the code that a rule's result depends on: the result is made again exactly when that code changes."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("flatvae", "baselines")


def source(module: str) -> Path | None:
    """The file of a module of this project, or None where there is none."""
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((c for c in candidates if c.is_file()), None)


@functools.cache
def tree(module: str) -> ast.Module:
    """Syntax tree of a module without docstrings: a change of comments or docstrings retrains nothing.

    Raises:
        ValueError: the file is not valid Python.
    """
    path = source(module)
    try:
        parsed = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(f"{path.relative_to(ROOT)}, line {error.lineno}: {error.msg}; fix it") from None
    for node in ast.walk(parsed):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:]
    return parsed


def imports(module: str) -> set[str]:
    """Modules of this project that a module imports, anywhere in its code."""
    names = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            names |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return {n for n in names if n.split(".")[0] in PACKAGES and n not in PACKAGES and source(n)}


def _origin(module: str, node: ast.ImportFrom) -> str:
    """Absolute name of the module in a ``from … import``, with leading dots resolved."""
    if not node.level:
        return node.module
    package = module.split(".") if source(module).name == "__init__.py" else module.split(".")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def closure(modules: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """The modules and all project modules they import, sorted; ``without`` excludes modules known not to be called."""
    found, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in without:
            found.add(module)
            waiting += imports(module)
    return sorted(found)


def fingerprint(*modules: str, without: Iterable[str] = ()) -> str:
    """Hash of the syntax trees of the modules and of all project modules they import."""
    digest = hashlib.sha256()
    for module in closure(modules, without):
        digest.update(f"{module}\n{ast.dump(tree(module))}\n".encode())
    return digest.hexdigest()[:16]


def files_fingerprint(*places: Path) -> str:
    """Hash of files and of all files below folders, such as templates and captions."""
    digest = hashlib.sha256()
    for path in sorted(path for place in places for path in (place, *place.rglob("*")) if path.is_file()):
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()[:16]


def definition(module: str, function: str) -> ast.FunctionDef | None:
    """A function of a module, read from its source; None where the module has no such function.

    A function imported from another module of this project counts too: a baseline may import another's ``build``.
    """
    for node in tree(module).body:
        if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == function for a in node.names):
            (name,) = (a.name for a in node.names if (a.asname or a.name) == function)
            origin = _origin(module, node)
            return definition(origin, name) if origin.split(".")[0] in PACKAGES and source(origin) else None
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return node
    return None


def keywords(module: str, function: str) -> set[str] | None:
    """Names of a function's keyword-only parameters; None where the module has no such function."""
    found = definition(module, function)
    return None if found is None else {a.arg for a in found.args.kwonlyargs}


def fields(module: str, name: str) -> set[str]:
    """Names of a dataclass's fields, read from its source."""
    (found,) = [n for n in tree(module).body if isinstance(n, ast.ClassDef) and n.name == name]
    return {n.target.id for n in found.body if isinstance(n, ast.AnnAssign)}


def has_penalty(builder: str) -> bool:
    """Whether a method's module has a penalty."""
    return keywords(builder, "penalty") is not None
