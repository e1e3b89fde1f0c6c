"""A training step as one compiled function: where that pays, what it needs, where the compiler keeps what it made.

Uncompiled, a step is some hundred operations that each read and write memory. torch's compiler (inductor) fuses them: into loops
of C++ on a CPU, into Triton's kernels on a GPU.

On one core of an Intel Xeon (five seeds, the pendulum's networks) a step of the flat VAE takes 13.9 ms in place of 20.9, one of
the VAE about 0.87 of its time. Compiling the flat VAE's steps with the penalty and without takes 49 seconds of that core, from
the cache about 8. On an H200 a prototype (ten seeds, CUDA graphs) took 0.64 ms in place of 1.43, and 0.30 in place of 0.66.
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

LEAST_STEPS = {"cuda": 5_000, "cpu": 10_000}  # from which compiling takes less time than it saves
_WIDEST = 256  # of the networks; in wider ones a CPU does little but products of matrices, which stay what they are
_COMPILER = threading.RLock()  # it has state that all threads share
CACHE = "TORCHINDUCTOR_CACHE_DIR"


def compiles(settings: Settings, widths: Iterable[int], device: str | torch.device) -> bool:
    """Whether a training's steps are compiled: as its config says, and if it can be done here.

    ``compile: auto`` compiles from ``LEAST_STEPS`` steps on, on a CPU networks up to 256 wide. It depends on no clock, so
    that the same training is always the same.

    Args:
        settings: of the training.
        widths: of its networks' hidden layers.
        device: where it runs.

    Raises:
        InputError: ``compile`` is ``always``, and this machine lacks what the compiler needs. (With ``auto`` that is a
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
    """What torch's compiler needs for a kind of device (``cpu``, ``cuda``) and does not find; None where all is there."""
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
    """Has this process keep what it compiles in a folder, by processor, unless TORCHINDUCTOR_CACHE_DIR names another.

    A cluster's nodes may share the folder, and code made for one processor may not run on another.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        processor = platform.processor()
    own = hashlib.sha256(f"{platform.machine()}\n{processor}".encode()).hexdigest()[:8]
    os.environ.setdefault(CACHE, str(Path(folder, own).expanduser().absolute()))


def compiled(settings: Settings, function: Callable, *examples) -> Callable | None:
    """The same function, of arguments of the same shapes (see ``captured``), compiled; it may write over its arguments.

    The examples stay as they are. Where the compiler fails, None and a warning.

    Raises:
        InputError: it fails, and ``compile`` is ``always``.
    """
    from torch._dynamo.exc import TorchDynamoException  # takes a while

    copies = tree_map(lambda t: t.detach().clone(), examples)
    flat = traced(function, *copies)
    options: dict[str, bool | int] = {}
    if not any(t.is_cuda for t in tree_leaves(copies)):
        # in this process: a fork would leave a pool of workers without its threads, and a job has no cores but its own
        options["compile_threads"] = 1
        _logistic_tanh(flat)
    if "deterministic" in torch._inductor.list_options():
        options["deterministic"] = True  # no kernel is chosen by its time: an empty cache gives the same bits
    made = torch.no_grad()(torch.compile(flat, fullgraph=True, dynamic=False, options=options))
    try:
        with _COMPILER:
            made(*copies)  # compiles
    except TorchDynamoException as error:
        fallen_back(settings, f"torch's compiler failed ({' '.join(str(error).split())}); set compile to never")
        return None
    return made


def fallen_back(settings: Settings, why: str) -> None:
    """Says why a step is not compiled: a warning.

    Raises:
        InputError: ``compile`` is ``always``.
    """
    if settings.compile == "always":
        raise InputError(f"training: compile is always, but {why}")
    print(f"warning: the training step is not compiled: {why}", flush=True)


def _logistic_tanh(flat: GraphModule) -> None:
    """tanh a = 2 σ(2a) − 1, for which inductor's loops on a CPU take less time than for its tanh.

    Of a step of the pendulum's flat VAE it takes a tenth (13.8 ms in place of 15.4, see above).

    The error is one of rounding, relative to 1 and not to tanh a: 6e-8 in float32.
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
