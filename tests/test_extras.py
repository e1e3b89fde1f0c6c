"""Without the packages of an extra its tests are skipped, with the package's name, and all others are still found."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
COLLECT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


@pytest.mark.parametrize(
    ("packages", "skipped", "found"),
    [
        ("snakemake,snakefmt", ["workflow", "cluster"], "test_selection.py"),
        ("motmetrics", ["evaluation/test_trackeval.py"], "evaluation/test_trackers.py"),
        ("supervision", ["evaluation/test_trackeval.py", "evaluation/test_tracking.py"], "evaluation/test_devices.py"),
    ],
)
def test_tests_of_a_missing_package_are_skipped_by_name(packages, skipped, found):
    paths = [str(TESTS / place) for place in [*skipped, found]]
    command = [sys.executable, "-c", COLLECT, packages, *paths]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    collected = [line.split("::")[0] for line in done.stdout.splitlines() if "::" in line]
    assert set(collected) == {f"tests/{found}"}
    assert f"{packages.split(',')[0]} is not installed" in done.stdout
