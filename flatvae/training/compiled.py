"""A training step as one compiled function: when compiling pays, what it needs, and where the compiler's cache is.

Uncompiled, a step is some hundred operations that each read and write memory. torch's compiler (inductor) fuses them into C++
loops on a CPU, into Triton kernels on a GPU.

On one core of an Intel Xeon (five seeds, the pendulum's networks) a step of the flat VAE takes 13.9 ms instead of 20.9; a step of
the VAE takes about 0.87 of its uncompiled time. Compiling the flat VAE's two steps, with and without the penalty, takes 49 s on
that core, about 8 s from the cache. On an H200 a prototype (ten seeds, CUDA graphs) took 0.64 ms instead of 1.43, and 0.30
instead of 0.66.
"""

import hashlib
import os
import platform
import shutil
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves, tree_map

from flatvae.errors import InputError
from flatvae.training.graph import traced
from flatvae.training.settings import Settings

LEAST_STEPS = {"cuda": 5_000, "cpu": 10_000}  # from here on compiling saves more time than it takes
_WIDEST = 256  # in wider networks a CPU spends its time in matrix products, which compiling does not change
_COMPILER = threading.RLock()  # all threads share the compiler's state
CACHE = "TORCHINDUCTOR_CACHE_DIR"


def compiles(settings: Settings, widths: Iterable[int], device: str | torch.device) -> bool:
    """Whether a training's steps are compiled: the config asks for it, and this machine can do it.

    ``compile: auto`` compiles from ``LEAST_STEPS`` steps on, on a CPU only networks up to 256 wide. The decision uses no timing,
    so it is always the same for the same training.

    Args:
        settings: the training's settings.
        widths: widths of its networks' hidden layers.
        device: where it runs.

    Raises:
        InputError: ``compile`` is ``always`` and this machine lacks something that the compiler needs. (With ``auto`` this is a
            warning.)
    """
    kind = torch.device(device).type
    pays = settings.steps >= LEAST_STEPS[kind] and (kind != "cpu" or max(widths, default=0) <= _WIDEST)
    if settings.compile == "never" or (settings.compile == "auto" and not pays):
        return False
    missing = lacking(kind)
    if missing is not None:
        fallen_back(settings, f"{missing} is missing here; install it, or set compile to never")
    return missing is None


def lacking(kind: str) -> str | None:
    """What torch's compiler needs for a kind of device (``cpu``, ``cuda``) but does not find; None if nothing is missing."""
    if kind == "cpu":
        known = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
        variable, compilers, name = "CXX", (known,), "a C++ compiler"
    else:  # Triton's
        variable, compilers, name = "CC", ("gcc", "clang"), "a C compiler"
    own = os.environ.get(variable, "").split()
    if not any(shutil.which(compiler) for compiler in own[:1] or compilers):
        return f"{name} ({own[0] if own else ' or '.join(compilers)})"
    header = Path(sysconfig.get_path("include"), "Python.h")
    return None if header.is_file() else f"Python's header {header} (Debian's package python3-dev)"


def keep_cache(folder: str | Path) -> None:
    """Keeps this process's compiled code in a folder, by processor, unless TORCHINDUCTOR_CACHE_DIR names another folder.

    A cluster's nodes may share the folder, and code compiled for one processor may not run on another.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        processor = platform.processor()
    own = hashlib.sha256(f"{platform.machine()}\n{processor}".encode()).hexdigest()[:8]
    os.environ.setdefault(CACHE, str(Path(folder, own).expanduser().absolute()))


def compiled(settings: Settings, function: Callable, *examples) -> Callable | None:
    """Compiles a function for arguments of the examples' shapes (see ``captured``); it may overwrite its arguments.

    The examples are not changed. If the compiler fails, returns None and prints a warning.

    Raises:
        InputError: the compiler fails and ``compile`` is ``always``.
    """
    from torch._dynamo.exc import TorchDynamoException  # a slow import

    copies = tree_map(lambda t: t.detach().clone(), examples)
    flat = traced(function, *copies)
    options: dict[str, bool | int] = {}
    if not any(t.is_cuda for t in tree_leaves(copies)):
        # in this process: a forked pool of workers would lack threads, and a job has no spare cores
        options["compile_threads"] = 1
        _logistic_tanh(flat)
    if "deterministic" in torch._inductor.list_options():
        options["deterministic"] = True  # kernels are not chosen by timing, so an empty cache gives the same bits
    made = torch.no_grad()(torch.compile(flat, fullgraph=True, dynamic=False, options=options))
    try:
        with _COMPILER:
            made(*copies)  # compiles
    except TorchDynamoException as error:
        fallen_back(settings, f"torch's compiler failed ({' '.join(str(error).split())}); set compile to never")
        return None
    return made


def fallen_back(settings: Settings, why: str) -> None:
    """Prints a warning that says why a step is not compiled.

    Raises:
        InputError: ``compile`` is ``always``.
    """
    if settings.compile == "always":
        raise InputError(f"training: compile is always, but {why}")
    print(f"warning: the training step is not compiled: {why}", flush=True)


def _logistic_tanh(flat: GraphModule) -> None:
    """Replaces tanh a by 2 σ(2a) − 1, which inductor's CPU loops compute faster.

    It saves a tenth of a step of the pendulum's flat VAE (13.8 ms instead of 15.4, see above). The rounding error is relative to
    1, not to tanh a: 6e-8 in float32.
    """
    aten = torch.ops.aten
    for node in flat.graph.find_nodes(op="call_function", target=aten.tanh.default):
        with flat.graph.inserting_before(node):
            value = flat.graph.call_function(aten.mul.Tensor, (node.args[0], 2.0))
            value = flat.graph.call_function(aten.sigmoid.default, (value,))
            value = flat.graph.call_function(aten.mul.Tensor, (value, 2.0))
            value = flat.graph.call_function(aten.sub.Tensor, (value, 1.0))
        node.replace_all_uses_with(value)
        flat.graph.erase_node(node)
    flat.recompile()
