"""Records the origin of every table and figure: commit, config, date and code of the run, and the hash of each file and model."""

import datetime
import hashlib
import json
import subprocess
from pathlib import Path

from adapter import job

with job(snakemake):
    folder = Path(snakemake.output[0]).parent
    config = json.dumps(snakemake.config, sort_keys=True)

    def hashes(paths):
        return {
            Path(path).relative_to(folder).as_posix(): hashlib.sha256(Path(path).read_bytes()).hexdigest()
            for path in sorted(paths)
        }

    def git(*arguments):
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:  # a + marks files that differ from the commit, or new files
        commit = git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        commit = "unknown"
    record = {
        "commit": commit,
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "config": snakemake.config,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "code": snakemake.params.code,
        "sha256": hashes(snakemake.input.results),
        "models": hashes(snakemake.input.models),
    }
    Path(snakemake.output[0]).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
