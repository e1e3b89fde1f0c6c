"""Config files as editors save them: the same run as the clean file, or one sentence with file and line."""

import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.common.configfile import load_configfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import config_files  # noqa: E402

CLEAN = "results_dir: results/odd\nseeds: 2\nrun:\n  datasets: [pendulum]\n  tasks: [flatness]\n"
NBSP = "\u00a0"
SAME = {
    "byte-order mark": b"\xef\xbb\xbf" + CLEAN.encode(),
    "Windows line ends": CLEAN.replace("\n", "\r\n").encode(),
    "old Macintosh line ends": CLEAN.replace("\n", "\r").encode(),
    "mark and Windows line ends": b"\xef\xbb\xbf" + CLEAN.replace("\n", "\r\n").encode(),
    "odd spaces in a comment": f"#{NBSP}\u200b\tnote\n{CLEAN}".encode(),
    "JSON with tabs": b'{\n\t"results_dir": "results/odd",\n\t"seeds": 2,\n\t"run": {"datasets": ["pendulum"], "tasks": ["flatness"]}}',
}
DAMAGED = {
    "UTF-16": (CLEAN.encode("utf-16"), ", line 1 is not UTF-8; save the file as UTF-8"),
    "Latin-1": (f"{CLEAN}# é\n".encode("latin-1"), ", line 6 is not UTF-8; save the file as UTF-8"),
    "Latin-1, Windows": (f"{CLEAN}# é\n".replace("\n", "\r\n").encode("latin-1"), ", line 6 is not UTF-8; save"),
    "NBSP as indentation": (CLEAN.replace("  datasets", f"{NBSP} datasets").encode(), ", line 4 holds an invisible character, U+00A0 (no-break space)"),
    "NBSP after a colon": (CLEAN.replace("seeds: ", f"seeds:{NBSP}").encode(), ", line 2 holds an invisible character, U+00A0"),
    "tab as indentation": (CLEAN.replace("  datasets", "\tdatasets").encode(), ", line 4 holds an invisible character, U+0009 (tab)"),
    "tab after a colon": (CLEAN.replace("seeds: ", "seeds:\t").encode(), ", line 2 holds an invisible character, U+0009 (tab)"),
    "zero byte": (CLEAN.replace("odd", "o\0d").encode(), ", line 1 holds an invisible character, U+0000 (control character); delete it"),
    "an open bracket": (b"seeds: 2\nrun: {datasets: [pendulum\nmethods: }\n", ", line 3 is not valid YAML ("),
    "an alias of nothing": (b"seeds: 2\nrun: *nothing\n", ", line 2 is not valid YAML (found undefined alias"),
    "a key twice": (f"{CLEAN}seeds: 3\n".encode(), ", line 6 gives seeds a second time; keep one of them"),
    "a key twice, further in": (CLEAN.replace("  tasks", "  datasets").encode(), ", line 5 gives datasets a second time"),
    "JSON with a key twice": (b'{"seeds": 2, "run": {},\n"seeds": 3}', ", line 2 gives seeds a second time"),
    "a list in JSON": (b"[1, 2]", " holds no keys with values"),
    "nothing": (b"", " holds no keys with values"),
    "a comment alone": (b"# nothing\n", " holds no keys with values"),
    "a list": (b"- seeds\n- run\n", " holds no keys with values"),
    "a word": (b"hello\n", " holds no keys with values"),
}  # fmt: skip


@pytest.mark.parametrize("form", SAME)
def test_what_an_editor_adds_changes_nothing(form, tmp_path):
    (tmp_path / "c.yaml").write_bytes(SAME[form])
    config_files.check(tmp_path / "c.yaml")
    assert load_configfile(str(tmp_path / "c.yaml")) == {
        "results_dir": "results/odd",
        "seeds": 2,
        "run": {"datasets": ["pendulum"], "tasks": ["flatness"]},
    }


@pytest.mark.parametrize("form", DAMAGED)
def test_a_damaged_file_is_named_with_its_line(form, tmp_path):
    content, sentence = DAMAGED[form]
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^config: ") as error:
        config_files.check(path)
    assert str(error.value).startswith(f"config: {path}{sentence}")
    assert "\n" not in str(error.value)


def test_merged_keys_are_no_repetition(tmp_path):
    (tmp_path / "c.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: {<<: *a, x: 3}\nd: [*a, *a]\n")
    config_files.check(tmp_path / "c.yaml")


def test_every_config_of_the_project_is_a_clean_file():
    for path in [*(ROOT / "config").glob("*.yaml"), *(ROOT / "profiles").glob("*/*.yaml")]:
        config_files.check(path)


@pytest.mark.parametrize("name", ["nothere.yaml", "."])
def test_the_command_says_the_sentence_and_nothing_else(name, tmp_path):
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / "config_files.py"), name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"config: {name} cannot be read (")


HALF = {
    "--configfile a --configfile b": "--configfile is given twice, but Snakemake uses only the last; write --configfile FILE FILE",
    "--configfile=a --configfiles b": "--configfile is given twice",
    "--config x=1 -C y=2": "--config is given twice",
    "--workflow-profile profiles/slurm": "--workflow-profile profiles/slurm does not exist here, and Snakemake would continue without one; "
    "give its path, or its name: default, gpu, slurm",
    "--workflow-profile=nowhere -n": "--workflow-profile nowhere does not exist here",
}


@pytest.mark.parametrize("arguments", HALF)
def test_what_snakemake_would_pass_over_in_silence_is_refused(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Snakemake") as error:
        config_files.check_arguments(arguments.split())
    assert str(error.value).startswith(HALF[arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        "--configfile a b --config x=1 y=2 -n",
        "--workflow-profile slurm",
        "--workflow-profile none",
        "--workflow-profile mine",
        f"--workflow-profile={ROOT}/profiles/gpu",
    ],
)
def test_what_snakemake_takes_whole_is_not(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles" / "mine").mkdir(parents=True)
    config_files.check_arguments(arguments.split())
