"""Converts text and Markdown to Typst source, so that no character of the text acts as markup.

Text becomes a Typst string, ``#"text";``, instead of escaped markup, because only backslash and quote are special in a string.
Typst source is a ``Markup`` of markupsafe, the type that templates do not escape.
"""

import re
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from markupsafe import Markup

from flatvae.errors import InputError


def quoted(text: str) -> Markup:
    """Text as a Typst string literal."""
    return Markup('"{}"').format(Markup(re.sub(r'[\\"\x00-\x1f\x7f-\x9f\u2028\u2029]', _escape, text)))


def _escape(found: re.Match) -> str:
    character = found[0]
    return f"\\{character}" if character in '\\"' else f"\\u{{{ord(character):x}}}"


def literal(value: object) -> Markup:
    """A value as Typst content; Typst source is returned unchanged."""
    return value if isinstance(value, Markup) else Markup("#{};").format(quoted(str(value)))


def with_code(text: str) -> Markup:
    """Text with parts between backticks as code."""
    parts = enumerate(re.split(r"`([^`]+)`", text))
    return _joined(code(part) if number % 2 else literal(part) for number, part in parts if part)


def code(text: str) -> Markup:
    """Text in a monospaced font."""
    return Markup("#raw({});").format(quoted(text))


def markdown(text: str) -> Markup:
    """A Markdown page of headings, paragraphs, lists and tables as Typst source; links within the site become text.

    Raises:
        InputError: the page has another element.
    """
    return _node(SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text)))


_AROUND = {  # Typst source before and after the content of an element
    "root": ("", ""),
    "inline": ("", ""),
    "paragraph": ("", "\n\n"),
    "strong": ("#strong[", "];"),
    "em": ("#emph[", "];"),
    "bullet_list": ("#list(", ")\n\n"),
    "list_item": ("[", "],"),
    "thead": ("table.header(", "),"),
    "tbody": ("", ""),
    "tr": ("", ""),
    "th": ("strong[", "],"),
    "td": ("[", "],"),
}


def _node(node: SyntaxTreeNode) -> Markup:
    inside = _joined(map(_node, node.children))
    match node.type:
        case "text":
            return literal(node.content)
        case "code_inline":
            return code(node.content)
        case "softbreak":
            return Markup(" ")
        case "heading":
            return Markup("{} {}\n\n").format(Markup("=" * int(node.tag[1:])), inside)
        case "link":
            address = str(node.attrs["href"])
            return Markup("#link({})[{}];").format(quoted(address), inside) if "://" in address else inside
        case "table":
            columns = len(node.children[0].children[0].children)
            return Markup("#plain({}, {})\n\n").format(Markup(columns), inside)
        case known if known in _AROUND:
            before, after = map(Markup, _AROUND[known])
            return before + inside + after
    raise InputError(f"the report cannot show the Markdown element {node.type}; write it as text, a list or a table.")


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
