"""Keeps the results of single tasks beyond the job that made them.

One job runs all tasks of a trained model, as starting a process and loading data takes longer than most tasks. It keeps each
task's files as soon as they are written. When the job runs again, after an interruption or a change of one task, it reuses
the files that were made from the same model, data, code and options.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path


def sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Kept:
    """The kept files of one task, with a record of everything they depend on.

    Args:
        folder: of the files; created when something is kept.
        name: of the task.
        identity: everything that the files depend on, JSON-serialisable.
    """

    def __init__(self, folder: Path, name: str, identity: dict):
        self.folder, self.name = folder, name
        self.identity = json.loads(json.dumps(identity))
        self.record_path = folder / f"{name}.json"

    def restore(self, outputs: list[str]) -> dict | None:
        """Puts the kept files at ``outputs`` and returns their record; returns None if none match the identity."""
        try:
            kept = json.loads(self.record_path.read_text(encoding="utf-8"))
            files = [self.folder / f"{self.name}.{number}" for number in range(len(outputs))]
            fits = kept["identity"] == self.identity and kept["sha256"] == [sha256(file) for file in files]
        except (OSError, ValueError, KeyError, TypeError):  # missing or damaged
            return None
        if not fits:
            return None
        for file, output in zip(files, outputs, strict=True):
            _link(file, output)
        return kept["record"]

    def keep(self, outputs: list[str], record: dict) -> None:
        """Keeps the files written at ``outputs``, as hard links where the file system has them."""
        self.folder.mkdir(exist_ok=True)
        self.record_path.unlink(missing_ok=True)
        for number, output in enumerate(outputs):
            _link(output, self.folder / f"{self.name}.{number}")
        content = {"identity": self.identity, "sha256": [sha256(output) for output in outputs], "record": record}
        partial = self.record_path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(content), encoding="utf-8")
        os.replace(partial, self.record_path)


def _link(source: str | Path, target: str | Path) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def forget_forced(workflow) -> None:
    """Deletes the kept files of evaluations that the user forces, so that they are computed again."""
    for job in workflow.dag.needrun_jobs():
        if job.rule.name.startswith("evaluate_") and workflow.dag.reason(job).forced:
            shutil.rmtree(Path(str(job.input.model)).parent / ".evaluated", ignore_errors=True)
