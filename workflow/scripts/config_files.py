"""Checks config files as editors save them, and reports an error in one sentence with file and line.

Snakemake reads the files of --configfile before this project can, and names neither file nor line. This script does:
``python workflow/scripts/config_files.py FILE …``
"""

import argparse
import json
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import yaml


def invisible(text: str) -> str | None:
    """Names the first invisible character, such as a non-breaking space; None if there is none."""
    character = next((c for c in text if not c.isprintable()), None)
    if character is None:
        return None
    name = "tab" if character == "\t" else unicodedata.name(character, "control character").lower()
    return f"an invisible character, U+{ord(character):04X} ({name})"


def _repeated(node: yaml.Node) -> yaml.Node | None:
    """The first key that occurs twice in a mapping of the document: YAML would silently take the last."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys and key.value != "<<":
                    return key
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def check(path: str | Path) -> None:
    """Checks that a config file holds keys with values, each key once.

    Raises:
        ValueError: it does not.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"config: {path} cannot be read ({error.strerror}); check its name") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(b"\r\n|\r|\n", raw[: error.start])) + 1
        raise ValueError(f"config: {path}, line {line} is not UTF-8; save the file as UTF-8") from None
    lines = re.split("\r\n|\r|\n", text)
    try:
        document = yaml.compose(text)
    except yaml.reader.ReaderError as error:
        line = len(re.split("\r\n|\r|\n", text[: error.position]))
        raise ValueError(f"config: {path}, line {line} holds {invisible(chr(error.character))}; delete it") from None
    except yaml.MarkedYAMLError as error:
        if _is_json(text):  # JSON may hold tabs, YAML may not
            return
        # the cause may lie some lines before the one where the parser stops
        stop = error.problem_mark.line
        start = error.context_mark.line if error.context_mark else stop
        for number in range(min(start, stop), min(stop + 1, len(lines))):
            if found := invisible(lines[number]):
                place = f"config: {path}, line {number + 1}"
                raise ValueError(f"{place} holds {found}; replace it by spaces") from None
        raise ValueError(f"config: {path}, line {stop + 1} is not valid YAML ({error.problem}); correct it") from None
    if not isinstance(document, yaml.MappingNode):
        raise ValueError(f"config: {path} holds no keys with values; write some, such as results_dir: results")
    if key := _repeated(document):
        line = key.start_mark.line + 1
        raise ValueError(f"config: {path}, line {line} gives {key.value} a second time; keep one of them")


def check_arguments(arguments: Sequence[str]) -> None:
    """Checks the command line for mistakes that Snakemake ignores silently: a repeated option, a missing profile.

    Raises:
        ValueError: it contains one.
    """
    same = {"--configfiles": "--configfile", "-C": "--config"}
    names = [same.get(name, name) for name in (argument.split("=")[0] for argument in arguments)]
    for option, values in (("--configfile", "FILE FILE"), ("--config", "KEY=VALUE KEY=VALUE")):
        if names.count(option) > 1:
            raise ValueError(f"{option} is given twice, but Snakemake uses only the last; write {option} {values}")
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workflow-profile", type=Path)
    profile = parser.parse_known_args(arguments)[0].workflow_profile
    own = Path(__file__).resolve().parents[2] / "profiles"
    if profile and str(profile) != "none" and not any((top / profile).exists() for top in ("", "profiles", own)):
        known = ", ".join(sorted(path.name for path in own.iterdir()))
        raise ValueError(
            f"--workflow-profile {profile} does not exist here, and Snakemake would continue without one; "
            f"give its path, or its name: {known}"
        )


if __name__ == "__main__":
    try:
        for name in sys.argv[1:]:
            check(name)
    except ValueError as error:
        sys.exit(str(error))
