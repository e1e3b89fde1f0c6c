"""Makes the project's docstrings valid reStructuredText, whose markup would misread their formulas."""

import re

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields|Note|Notes|Example|Examples):$")
KEPT = re.compile(r"(``.+?``|(?<![\w*])\*\w[\w ]*\*(?![\w*]))")  # literals and emphasis


def setup(app) -> dict:
    """Registers the conversion to run before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", convert, priority=100)
    return {"parallel_read_safe": True}


def convert(app, what, name, obj, options, lines: list[str]) -> None:
    """Converts a docstring's lines in place: formulas become literal blocks, accidental markup is escaped elsewhere."""
    lines[:] = converted(lines)


def converted(lines: list[str]) -> list[str]:
    """Makes indented paragraphs outside sections literal blocks, and escapes «|», «*» and trailing «_» elsewhere."""
    found: list[str] = []
    section = literal = False
    for number, line in enumerate(lines):
        indented = line.startswith("    ")
        after_blank = number > 0 and not lines[number - 1].strip()
        if line.strip() and not indented:
            section, literal = bool(SECTION.match(line.strip())), line.rstrip().endswith("::")
        elif indented and after_blank and not section and not literal:
            found += ["::", ""]
            literal = True
        found.append(line if literal and indented else escaped(line))
    return found


def escaped(line: str) -> str:
    """Escapes markup characters outside ``literals`` and *emphasis*."""
    if re.match(r"\s*[-*] ", line):  # keep the bullet of a list
        mark = re.match(r"\s*[-*] ", line)[0]
        return mark + escaped(line[len(mark) :])
    return "".join(part if KEPT.fullmatch(part) else _escaped(part) for part in KEPT.split(line))


def _escaped(text: str) -> str:
    return re.sub(r"([|*])", r"\\\1", re.sub(r"(?<=\w)_(?!\w)", r"\\_", text))
