"""Progress lines for interactive use."""

import math
import time

SECONDS = 3.0  # between two lines


class Lines:
    """Prints a line at most every few seconds; warnings always."""

    def __init__(self):
        self.last = -math.inf

    def __call__(self, line: str) -> None:
        """Prints the line, if it is due or a warning."""
        now = time.monotonic()
        if now - self.last >= SECONDS or line.startswith("warning"):
            print(line, flush=True)
            self.last = now
