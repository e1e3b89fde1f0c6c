"""Programs that some tests need, installed from Debian's packages where that can be done."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock


def install(*packages: str) -> str | None:
    """Installs packages, one test process at a time; returns why that cannot be done, or None where it is done."""
    if os.geteuid() != 0:
        return "only root can install it"
    if not shutil.which("apt-get"):
        return "there is no apt-get to install it with"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ("apt-get", "install", "-y", "--no-install-recommends", *packages)
    with FileLock(Path(tempfile.gettempdir()) / "flatvae-tests-apt.lock"):
        for command in (wanted, ("apt-get", "update"), wanted):
            try:
                done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
            except subprocess.TimeoutExpired:
                return f"{' '.join(command)} took too long"
            if command == wanted and done.returncode == 0:
                return None
    return f"it could not be installed: {done.stderr.strip().splitlines()[-1:]}"
