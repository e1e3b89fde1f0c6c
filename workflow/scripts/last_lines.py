"""Says at the end of a run what came out, and where to look. Runs in Snakemake's own process."""

import sys
import time

_began = time.monotonic()  # this module is imported when the workflow is read


def tell(workflow, folder: str) -> None:
    """Prints what the run came to; nothing where its page was not asked for, or could not be made.

    A run whose controls do not hold fails, and has a page.
    """
    dag = workflow.dag
    pages = [job for job in dag.jobs if job.rule.name == "page"]
    if pages and all(dag.finished(job) or not dag.needrun(job) for job in pages):
        from flatvae.reporting import ending, summary  # imported last, for it takes a second

        lines = ending.lines(summary.read(folder), f"{folder}/index.html", time.monotonic() - _began)
        print("\n".join(["", *lines, ""]), file=sys.stderr, flush=True)
