"""Runs tests under several choices of a processor's kernels: `make kernels`, or `python tests/kernels.py [pytest's arguments]`.

Results are promised bit by bit for one command on one machine alone (see flatvae.training); a test that holds under one kernel only
is broken. Each choice limits all three libraries that torch calls, and is verified to take effect before the tests run: a
variable of a wrong spelling is ignored in silence. MKL cannot be limited on processors that are not Intel's; the last
choice emulates there what its kernels do (see tests/rounding.py).
"""

import os
import subprocess
import sys

CHOICES = {
    "oldest": {"MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    "avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "avx512": {
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "ATEN_CPU_CAPABILITY": "avx512",
    },
    "otherwise": {"FLATVAE_TEST_PRODUCTS": "otherwise"},
}
PROBE = """
import torch
print("aten", torch.backends.cpu.get_cpu_capability())
torch.ones(99, 99) @ torch.ones(99, 99)
torch.nn.functional.conv2d(torch.ones(4, 8, 32, 32), torch.ones(16, 8, 3, 3))
"""
SHOWS = {  # what a library says of itself under a choice
    "oldest": {"MKL": "CNR:COMPATIBLE", "oneDNN": "isa:Intel SSE4.1", "ATen": "aten DEFAULT"},
    "avx2": {"MKL": "(Intel(R) AVX2) enabled", "oneDNN": "isa:Intel AVX2", "ATen": "aten AVX2"},
    "avx512": {"MKL": "(Intel(R) AVX-512) enabled", "oneDNN": "isa:Intel AVX-512", "ATen": "aten AVX512"},
    "otherwise": {},
}


def forced(choice: str) -> dict[str, bool]:
    """For each library whether the choice takes effect on this machine."""
    environment = {**os.environ, **CHOICES[choice], "MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True)
    return {library: words in done.stdout + done.stderr for library, words in SHOWS[choice].items()}


def main() -> None:
    """Runs pytest once for each choice of which a library takes notice; the exit status is 0 if all passed."""
    status = 0
    for choice, variables in CHOICES.items():
        effects = forced(choice)
        print(f"== {choice}: {' '.join(f'{k}={v}' for k, v in variables.items())}; takes effect: {effects}", flush=True)
        if effects and not any(effects.values()):
            print(f"== {choice}: left out, no library takes notice of it on this processor", flush=True)
            continue
        command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        status = subprocess.run(command, env={**os.environ, **variables}, check=False).returncode or status
    sys.exit(status)


if __name__ == "__main__":
    main()
