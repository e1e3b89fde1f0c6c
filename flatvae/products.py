"""Matrix products in float32 at the full width of a CPU.

torch's products go to MKL, which uses the 512-bit half of a core on Intel's processors alone; on others it does the work of
half of one. oneDNN, which torch brings as well, uses it wherever it is, but is asked only where rounding to bfloat16 is
allowed. Allowed is not done: without matrix units (AMX) oneDNN has nothing that rounds, and its products are those of float32.
That is looked at before it is relied on.
"""

import contextlib
import functools
import threading
from pathlib import Path

import torch

_matmul = torch.backends.mkldnn.matmul
_PROBE = 1 + 2.0**-12  # which bfloat16 takes for 1


def _intel() -> bool:
    """Whether the processor is Intel's; where the system does not tell, it might be."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True


@functools.cache
def widened() -> bool:
    """Whether products of float32 are as exact by oneDNN here, and faster than by MKL."""
    capable = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    if not capable or torch.cpu._is_amx_tile_supported() or _intel():
        return False
    x = torch.full((2, 64, 64), _PROBE)
    with _ByOneDNN():
        found = torch.bmm(x, x).double()
    return bool(((found / (64 * _PROBE**2) - 1).abs() < 1e-6).all())


class _ByOneDNN(contextlib.AbstractContextManager):
    """The setting, which is the process's, as long as anybody wants it; in it torch.get_float32_matmul_precision() raises."""

    lock, users, before = threading.Lock(), 0, "none"

    def __enter__(self) -> None:
        with self.lock:
            if self.__class__.users == 0:
                self.__class__.before = _matmul.fp32_precision
                _matmul.fp32_precision = "bf16"
            self.__class__.users += 1

    def __exit__(self, *exception) -> None:
        with self.lock:
            self.__class__.users -= 1
            if self.__class__.users == 0:
                _matmul.fp32_precision = self.before


def full_width():
    """A context in which products of float32 on a CPU are as fast as it can, and no less exact; see above."""
    return _ByOneDNN() if widened() else contextlib.nullcontext()
