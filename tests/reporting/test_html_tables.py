"""Markdown tables as HTML: a browser's parser finds the same cells, and text stays text."""

import pytest

pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")

from flatvae.reporting import html_tables

MARKDOWN = """Caption with `code` and <b>no markup</b>.

| dataset | k |
| :------ | -: |
| a \\| b | 1.5 [1, 2] |
| é < ∞   | **1.01** |

† a footnote
"""


def test_the_cells_are_those_of_the_markdown(tmp_path):
    (tmp_path / "flat & free.md").write_text(MARKDOWN)
    html_tables.write(tmp_path / "flat & free.md", tmp_path / "flat & free.html")
    page = (tmp_path / "flat & free.html").read_text(encoding="utf-8")
    bs4 = pytest.importorskip("bs4", reason="beautifulsoup4 is not installed")
    tree = bs4.BeautifulSoup(page, "html.parser")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in tree.find_all("tr")]
    assert rows == [["dataset", "k"], ["a | b", "1.5 [1, 2]"], ["é < ∞", "1.01"]]
    assert tree.title.get_text() == "flat & free"
    assert "Caption with code and <b>no markup</b>." in tree.body.get_text()
    assert "† a footnote" in tree.body.get_text()
    assert not tree.find_all("b")
