"""What a run prints by default: one short line per job that starts or ends, a bar in a terminal, and errors in full."""

import os
import pty
import re
import subprocess
import termios

import pytest
import yaml

WIDTH = 160


def printed(project, *arguments: str) -> list[str]:
    run = project.smoke(*arguments, FLATVAE_CONSOLE="")
    lines = run.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH, max(lines, key=len)
    return lines


def test_a_dry_run_counts_the_jobs_and_says_how_to_see_each(project):
    lines = printed(project, "-n", "--config", "results_dir=results/dry")
    assert len(lines) <= 60
    counts = dict(re.findall(r"^(\w+) +(\d+)$", "\n".join(lines), re.MULTILINE))
    assert counts["train"] == "4"
    assert int(counts["total"]) == sum(int(count) for rule, count in counts.items() if rule != "total")
    assert not any("reason:" in line for line in lines)
    (hint,) = [line for line in lines if "FLATVAE_CONSOLE=snakemake" in line]
    assert hint.endswith("names each job and its reason.")
    arguments = ("-n", "--config", "results_dir=results/dry")
    assert "reason: " in project.smoke(*arguments, FLATVAE_CONSOLE="snakemake").stdout
    assert "reason: " in project.smoke("--verbose", *arguments, FLATVAE_CONSOLE="").stdout


def test_a_line_for_each_job_that_starts_and_one_for_each_that_ends(project):
    lines = printed(project, "results/quiet/pendulum/pca/control.csv", "--config", "results_dir=results/quiet")
    started, finished = (
        [line.split()[1:3] for line in lines if line.startswith(f"  {word}")] for word in ("started", "finished")
    )
    assert started == finished == [["data", "pendulum"], ["descriptor", "pendulum/pca"]]
    assert [re.search(r"\((\d) of 2\)", line)[1] for line in lines if "finished" in line] == ["1", "2"]
    assert any(re.match(r"flatvae: 2 jobs on \d core", line) for line in lines)
    log = project.folder / next(line for line in lines if "Complete log" in line).split()[-1]
    text = log.read_text()  # which `flatvae status` reads
    assert "rule descriptor:" in text
    assert "reason: Missing output files" in text


def test_a_job_that_fails_has_its_sentence_and_its_log(project, tmp_path):
    overlay = tmp_path / "lost.yaml"
    lost = {"loader": "arrays", "options": {"path": str(tmp_path / "lost.npy")}}
    training = {"unexplained": 0.1, "latent_dim": 2, "hidden": [8], "steps": 5}
    content = {"results_dir": "results/lost", "run": {"datasets": ["lost"]}}
    overlay.write_text(yaml.safe_dump(content | {"datasets": {"lost": lost | {"training": training}}}))
    run = project.smoke("results/lost/lost/data.json", overlays=(str(overlay),), FLATVAE_CONSOLE="")
    assert run.returncode == 1
    assert re.search(r"^flatvae: .*lost\.npy.*$", run.stdout, re.MULTILINE)
    assert re.search(r"^  FAILED    data lost  .*; see results/lost/lost/logs/data\.log$", run.stdout, re.MULTILINE)
    assert "Traceback" not in run.stdout
    assert "Logfile" not in run.stdout
    arguments = ("--show-failed-logs", "results/lost/lost/data.json")
    assert "Logfile results/lost" in project.smoke(*arguments, overlays=(str(overlay),), FLATVAE_CONSOLE="").stdout


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_has_a_bar_with_the_time_left(project):
    """Over the jobs of the run, not over a training's steps."""
    target = "results/barred/pendulum/pca/control.csv"
    configs = ["--configfile", "config/smoke.yaml", "--config", "results_dir=results/barred"]
    command = [str(project.python), "-m", "snakemake", "--cores", "1", *configs, "--", target]
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "FLATVAE_CONSOLE"}}
    environment |= {"PATH": f"{project.bin}:{environment['PATH']}", "OMP_NUM_THREADS": "1", "TERM": "xterm"}
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        command, cwd=project.folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert process.wait() == 0, text[-3000:]
    assert re.search(rb"1 of 2 jobs, about \d+ s left \|", text)
    assert b"finished  descriptor pendulum/pca" in text
