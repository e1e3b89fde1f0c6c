"""Prints the results at the end of a run, and where to look. Runs in Snakemake's own process."""

import sys
import time

_began = time.monotonic()  # this module is imported when the workflow is read


def tell(workflow, folder: str) -> None:
    """Prints a summary of the run if its page was requested and made.

    A run whose controls do not hold fails, but has a page.
    """
    dag = workflow.dag
    pages = [job for job in dag.jobs if job.rule.name == "page"]
    if pages and all(dag.finished(job) or not dag.needrun(job) for job in pages):
        from flatvae.reporting import ending, summary  # imported late, as it takes a second

        lines = ending.lines(summary.read(folder), f"{folder}/index.html", time.monotonic() - _began)
        print("\n".join(["", *lines, ""]), file=sys.stderr, flush=True)
