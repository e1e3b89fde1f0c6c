"""Says at the end of a run what came out, and where to look. Runs in Snakemake's own process."""

import sys
import time

_began = time.monotonic()  # this module is imported when the workflow is read


def tell(workflow, folder: str) -> None:
    """Prints what the run came to; nothing where its page was not asked for, as when a single file was."""
    if any(job.rule.name == "page" for job in workflow.dag.jobs):
        from flatvae.reporting import ending, summary  # imported last, for it takes a second

        lines = ending.lines(summary.read(folder), f"{folder}/index.html", time.monotonic() - _began)
        print("\n".join(["", *lines, ""]), file=sys.stderr, flush=True)
