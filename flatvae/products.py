"""Matrix products in float32: without TF32 on a GPU, with 512-bit registers on a CPU.

torch calls MKL for products. MKL uses 512-bit registers only on Intel's processors and runs at half speed on others. oneDNN,
which torch includes, uses them on all, but torch calls it only where rounding to bfloat16 is allowed. Without matrix units (AMX)
oneDNN does not round: its products have float32 precision. ``widened()`` verifies this before oneDNN is used.

oneDNN about doubles the speed of products on AMD's processors with AVX-512. On Intel's it gains nothing and stays off.
"""

import contextlib
import functools
import threading
from pathlib import Path

import torch

_PROBE = 1 + 2.0**-12  # bfloat16 rounds it to 1


def _intel() -> bool:
    """Whether the processor is Intel's; True where the system does not say."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True


@functools.cache
def widened() -> bool:
    """Whether oneDNN's float32 products are as exact as MKL's on this machine, and faster."""
    capable = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    if not capable or torch.cpu._is_amx_tile_supported() or _intel():
        return False
    x = torch.full((2, 64, 64), _PROBE)
    with _BY_ONEDNN:
        found = torch.bmm(x, x).double()
    return bool(((found / (64 * _PROBE**2) - 1).abs() < 1e-6).all())


class _Held(contextlib.AbstractContextManager):
    """Holds a precision setting of torch, which is global to the process, at a value while any thread is in the context.

    Args:
        place: a module of torch with the setting ``fp32_precision``.
        value: the value that is held.
    """

    def __init__(self, place, value: str):
        self.place, self.value = place, value
        self.lock, self.users, self.before = threading.Lock(), 0, "none"

    def __enter__(self) -> None:
        with self.lock:
            if self.users == 0:
                self.before = self.place.fp32_precision
                self.place.fp32_precision = self.value
            self.users += 1

    def __exit__(self, *exception) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.place.fp32_precision = self.before


_BY_ONEDNN = _Held(torch.backends.mkldnn.matmul, "bf16")
_WITHOUT_TF32 = [
    _Held(place, "ieee") for place in (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
]


@contextlib.contextmanager
def exact_float32():
    """A context in which float32 products have float32 precision: without TF32 on a GPU, with 512-bit registers on a CPU.

    Trainings and evaluations run in it. torch.get_float32_matmul_precision() may raise inside: torch forbids mixing its old and
    its new precision settings.
    """
    with contextlib.ExitStack() as stack:
        for setting in [*_WITHOUT_TF32, *([_BY_ONEDNN] if widened() else [])]:
            stack.enter_context(setting)
        yield
