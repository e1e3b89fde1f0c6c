"""The HTML page of the committed default run: its numbers are the tables', its verdicts the ledger's, its links lead somewhere."""

import json
import re
import shutil
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest
import results_folder

from flatvae.errors import InputError
from flatvae.reporting import ledgers, page
from flatvae.reporting.claims import seeds_counted
from flatvae.reporting.formatting import format_interval
from flatvae.reporting.names import display_name
from flatvae.reporting.page import __main__ as command
from flatvae.reporting.page.html import slug

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
VOID = {"meta", "img", "br", "path", "link", "input"}  # a path of SVG closes itself


class Parsed(HTMLParser):
    """A page as a list of elements: tag, attributes, and the text in it; fails where a tag is not closed."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", "inside": [e["number"] for e in self.open], "number": len(self.elements)}
        self.elements.append(element | {"attributes": dict(attributes)})
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag, self.getpos()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag: str) -> list[dict]:
        return [element for element in self.elements if element["tag"] == tag]

    def values(self, attribute: str) -> list[str]:
        return [e["attributes"][attribute] for e in self.elements if attribute in e["attributes"]]

    def by_id(self, name: str) -> dict:
        (element,) = (e for e in self.elements if e["attributes"].get("id") == name)
        return element

    def within(self, element: dict, tag: str) -> list[str]:
        """Texts of the elements of a tag inside another."""
        return [" ".join(e["text"].split()) for e in self.all(tag) if element["number"] in e["inside"]]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A copy of the committed default run with its page."""
    folder = tmp_path_factory.mktemp("page") / "default"
    shutil.copytree(REFERENCE / "default", folder)
    page.make([folder], folder / "index.html")
    return folder


@pytest.fixture(scope="module")
def parsed(run) -> Parsed:
    return Parsed((run / "index.html").read_text(encoding="utf-8"))


def test_every_verdict_of_the_ledger_is_in_its_place(run, parsed):
    ledger = ledgers.read(run / "claims.csv")
    assert len(ledger) == 69
    for _, row in ledger.iterrows():
        cell = parsed.by_id(f"run1-test-{row['claim']}-{row['dataset']}")
        assert cell["attributes"]["class"] == f"test {slug(row['verdict'])}"
        text = " ".join(cell["text"].split())
        assert row["verdict"] in text
        if row["n"]:
            assert format_interval(*row[["effect", "low", "high"]]) in text
            assert f"n {seeds_counted(row)}" in text
        assert row["note"] in text


def test_the_counts_are_those_of_the_ledger(run, parsed):
    ledger = ledgers.read(run / "claims.csv")
    for verdict, count in ledger["verdict"].value_counts().items():
        assert any(f"{count} {verdict}" in text for text in parsed.within(parsed.by_id("run1-summary"), "li"))


def test_the_settings_are_those_of_the_manifest(run, parsed):
    """η and learning rate of the flat VAE, and the common bound, on every data set."""
    config = json.loads((run / "manifest.json").read_text())["config"]["datasets"]
    parts = [e for e in parsed.all("details") if e["attributes"].get("class") == "reading settings"]
    assert len(parts) == 3
    for part, dataset in zip(parts, ("pendulum", "digits", "crowd"), strict=True):
        own = config[dataset]["methods"]["flat_vae"]
        assert f"Settings of {dataset}" in part["text"]
        assert f"bound {config[dataset]['training']['bound']:g};" in " ".join(part["text"].split())
        assert {f"{own['eta']:.10g}", f"{own['learning_rate']:g}"} <= set(parsed.within(part, "td"))


def pipe_table(path: Path) -> list[dict]:
    """The rows of a table in Markdown, by its headings."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    heading, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(heading, row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    "task", [path.stem for path in sorted((REFERENCE / "default" / "tables").glob("*.md")) if path.stem != "comparison"]
)
def test_the_numbers_are_those_of_the_tables(run, parsed, task):
    rows, checked = pipe_table(run / "tables" / f"{task}.md"), 0
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        for metric in set(own[0]) - {"dataset", "method", "distance", "descriptor", "n"}:
            numbers = [row[metric] for row in own]
            if set(numbers) == {"–"}:
                continue
            shown = parsed.by_id(f"run1-{dataset}-{task}-{metric}")
            assert parsed.within(shown, "td") == numbers, (dataset, metric)
            checked += len(numbers)
    assert checked


def test_the_leaderboards_show_the_numbers_of_the_tables(run, parsed):
    expected = {
        (row["dataset"], display_name(row["method"].removesuffix(" †"))): row["condition_number_median"]
        for row in pipe_table(run / "tables" / "flatness.md")
    }
    boards = [e for e in parsed.all("table") if "leaders" in e["attributes"].get("class", "")]
    assert len(boards) == 3
    for dataset, board in zip(("pendulum", "digits", "crowd"), boards, strict=True):
        trs = [e for e in parsed.all("tr") if board["number"] in e["inside"]][1:]
        for tr in trs:
            (name,) = parsed.within(tr, "th")
            text = parsed.within(tr, "td")[1].removesuffix(" (best or tied)")
            assert text == expected.get((dataset, name.removesuffix(" †")), "–")


def test_ids_are_unique_and_links_lead_somewhere(run, parsed):
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    for href in [*parsed.values("href"), *parsed.values("src")]:
        if href.startswith("#"):
            assert href[1:] in ids, href
        elif not href.startswith(("data:", "https:")):
            assert (run / urllib.parse.unquote(href)).is_file(), href
    assert set(parsed.values("popovertarget")) <= set(ids)


def test_nothing_is_loaded_from_elsewhere(parsed):
    loaded = [e for e in parsed.elements if e["tag"] in ("img", "script", "link", "iframe", "source", "object")]
    assert not any(":" in e["attributes"].get(name, "") for e in loaded for name in ("src", "href", "srcset", "data"))
    (style,) = parsed.all("style")
    assert not re.search(r"url\(|@import", style["text"])
    assert {href.split("/")[2] for href in parsed.values("href") if "://" in href} == {"datatables.net"}


def test_the_config_repeats_the_run(run, parsed):
    (link,) = (e["attributes"]["href"] for e in parsed.all("a") if e["attributes"].get("download") == "config.json")
    head, _, text = link.partition(",")
    assert head == "data:application/json;charset=utf-8"
    manifest = json.loads((run / "manifest.json").read_text())
    assert json.loads(urllib.parse.unquote(text)) == manifest["config"]


def test_the_page_is_small(run):
    """The largest part is the table widget; figures are files of their own."""
    assert (run / "index.html").stat().st_size < 1.5e6


def test_several_runs_are_told_apart(tmp_path):
    first, second = (results_folder.write(tmp_path / "two runs" / name) for name in ("a", "b & c"))
    output = tmp_path / "pages" / "index.html"
    page.make([first, second], output)
    parsed = Parsed(output.read_text(encoding="utf-8"))
    assert [e["attributes"]["id"] for e in parsed.all("main")] == ["run1", "run2"]
    assert parsed.values("data-shows") == ["run1", "run2"]
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    pictures = [value for value in parsed.values("src") if value]
    assert {value.rpartition("/figures/")[0] for value in pictures} == {
        "../two%20runs/a",
        "../two%20runs/b%20%26%20c",
    }
    assert all((output.parent / urllib.parse.unquote(value)).is_file() for value in pictures)


def test_names_are_text_and_not_markup(tmp_path):
    metrics = results_folder.numbers()
    metrics["method"] = metrics["method"].replace("vhp_vae", "<i>mine</i>")
    folder = results_folder.write(tmp_path / "run", metrics)
    page.make([folder], folder / "index.html")
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "<i>mine" not in text
    assert any("<i>mine</i>" in e["text"] for e in Parsed(text).all("th"))


def test_tests_on_other_data_sets_are_listed(tmp_path):
    folder = results_folder.write(tmp_path / "run")
    page.make([folder], folder / "index.html")
    parsed = Parsed((folder / "index.html").read_text(encoding="utf-8"))
    assert "10b on mot: · not run (no rows of data set mot)" in parsed.by_id("run1-test-10b-mot")["text"]


def test_the_command_writes_the_page_into_the_folder(tmp_path, capsys):
    folder = results_folder.write(tmp_path / "run")
    command.main([str(folder)])
    assert (folder / "index.html").is_file()
    assert capsys.readouterr().out == f"open {folder / 'index.html'}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["nowhere"], "nowhere has no metrics.csv"), (["a", "b"], "several runs need --output; name the page to write")],
)
def test_what_cannot_be_made_is_one_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert sentence in capsys.readouterr().err


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "itables", None)
    with pytest.raises(InputError, match=r"needs the package itables; install 'flatvae\[workflow\]'"):
        page.make([results_folder.write(tmp_path / "run")], tmp_path / "index.html")
