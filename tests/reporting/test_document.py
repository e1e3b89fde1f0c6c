"""The report as a PDF: its numbers are those of the files, no name is markup, the same folder gives the same bytes."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import results_folder
import typst
from hypothesis import given, settings
from hypothesis import strategies as st

from flatvae.errors import InputError
from flatvae.reporting import document, ledgers, summary
from flatvae.reporting.claims import holds_after, seeds_counted
from flatvae.reporting.document import __main__ as command
from flatvae.reporting.document import markup
from flatvae.reporting.document.typesetting import TEMPLATES, halves, source
from flatvae.reporting.formatting import format_interval, format_p
from flatvae.reporting.overview import SIGNS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference" / "default"
FIDELITY = ROOT / "docs" / "fidelity.md"
NASTY = "#x $y$ @z *a* _b_ <c> \\d \"e\" 'f' `g` [h] {i} // j /* k */ ~ = - + ; {{ l }} ö β κ² \u2028 ∞ &"


def shown(typeset: str) -> str:
    """The texts of Typst source, without markup, between single spaces."""
    parts = re.findall(r'#(?:raw\()?"((?:[^"\\]|\\.)*)"', typeset)
    return " ".join(" ".join(parts).split())


def compiled(text: str, folder: Path) -> bytes:
    return typst.compile(text.encode(), root=folder, ignore_system_fonts=True)


@pytest.fixture(scope="module")
def reference() -> str:
    """The source of the report on the committed default run."""
    return source(summary.read(REFERENCE), FIDELITY.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path) -> Path:
    return results_folder.write(tmp_path / "run")


# --------------------------------------------------------------------------------------------------------------- numbers


TEXT = r'#"([^"]*)";'
TEST = re.compile(  # a row of the ledger, and the note below it
    rf'\[{TEXT}[^\n]*?\], verdict\(\[#"(.)";\], "([^"]*)"\), \[{TEXT}\], \[{TEXT}\],\s+\[{TEXT}\], \[{TEXT}\], \[{TEXT}\],'
    rf"(?:\s+table.cell\(colspan: 6, [^\n]*\[{TEXT}\.\]\))?"
)


def test_every_verdict_is_that_of_the_ledger(reference):
    ledger, place = ledgers.read(REFERENCE / "claims.csv"), 0
    expected = [
        (
            row["dataset"],
            SIGNS[row["verdict"]],
            row["verdict"],
            format_interval(*row[["effect", "low", "high"]]),
            re.search(r"[≤≥<>] \S+$", row["test"])[0],
            seeds_counted(row) if row["n"] else "–",
            format_p(row["p"]),
            holds_after(row),
            row["note"],
        )
        for _, row in ledger.iterrows()
    ]
    assert len(expected) == 69
    assert TEST.findall(reference) == expected
    for claim, rows in ledger.groupby("claim", sort=False):
        place = reference.index(f'#strong[#"{claim}";] #"{rows.iloc[0]["statement"]}";', place)
        following = [test[0] for test in TEST.findall(reference[place:])]
        assert following[: len(rows)] == list(rows["dataset"])
    for verdict, count in ledger["verdict"].value_counts().items():
        assert f'#strong[#"{count}";] #verdict([#"{SIGNS[verdict]}";], "{verdict}")' in reference


def test_numbers_are_those_of_the_tables(reference):
    """Every row of every table of the run, as it is in its Markdown."""
    texts, checked = shown(reference.partition("All numbers")[2]), 0
    for path in sorted((REFERENCE / "tables").glob("*.md")):
        if path.stem == "comparison":
            continue
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        heading, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
        for column, metric in enumerate(heading):
            for dataset in dict.fromkeys(row[heading.index("dataset")] for row in rows):
                numbers = [row[column] for row in rows if row[heading.index("dataset")] == dataset]
                if metric in ("dataset", "method", "distance", "descriptor", "n") or set(numbers) == {"–"}:
                    continue
                assert f" {metric} {' '.join(numbers)} " in texts, (path.stem, dataset, metric)
                checked += len(numbers)
    assert checked > 500


def test_the_setting_the_fidelity_table_and_the_metrics_are_there(reference):
    texts = shown(reference)
    manifest, run = (json.loads((REFERENCE / f"{name}.json").read_text()) for name in ("manifest", "run"))
    (seeds,) = {job["seeds"] for job in run["training"].values()}
    jobs = [*run["training"].values(), *(job for tasks in run["evaluation"].values() for job in tasks.values())]
    minutes, seconds = divmod(round(sum(job["seconds"] for job in jobs)), 60)
    day, time = manifest["date"].split("T")
    stated = (manifest["commit"][:12], f"{day} {time[:8]} UTC", f"{minutes} min {seconds} s of job time")
    for wanted in (*stated, f"{seeds} per method and data set"):
        assert wanted in texts
    assert "not counted: data, control descriptors" in texts
    assert "times the bound on crowd (every method)" in texts
    crowd = manifest["config"]["datasets"]["crowd"]
    settings_of_crowd = texts.partition("Settings of crowd.")[0].rpartition("Settings of digits.")[2]
    for method in ("flat_vae", "flat_vae_scale_free"):
        own = crowd["methods"][method]
        assert f"{own['learning_rate']} {own['eta']}" in settings_of_crowd
    assert f"bound {crowd['training']['bound']:g} ;" in texts
    rows = pd.read_csv(REFERENCE / "metrics.csv").query("metric in ('equal_reconstruction', 'settled')")
    assert ("Seeds missed equal reconstruction" in texts) == (rows["value"] < 1).any()
    assert "as published, except for the next row" in texts
    assert "|error / κ² − 1| ≤ 2 %" in texts  # an escaped pipe in a table
    assert "median of the condition number k(G) = λ_max / λ_min" in texts


def test_a_number_and_its_interval():
    assert halves("1.04 [1.01, 1.07]") == ("1.04", "[1.01, 1.07]")
    assert halves("0.77 ± 0.02") == ("0.77", "± 0.02")
    assert halves("(1.2 ± 0.3)·10⁵") == ("(1.2 ± 0.3)·10⁵", "")
    assert halves("–") == ("–", "")


# ---------------------------------------------------------------------------------------------------------- text and markup


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
def test_text_is_the_same_in_typst(text):
    found = typst.query(f"#metadata({markup.quoted(text)}) <it>".encode(), "<it>", field="value", one=True)
    assert json.loads(found) == text


def markup_alone(typeset: str) -> str:
    """Typst source without the content of its strings."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', typeset)


def test_no_name_is_markup(tmp_path):
    """Whatever a method, a data set or a machine is called, the markup is the same, and it compiles."""
    found = []
    for name in (NASTY, " ".join("word" for _ in NASTY.split(" "))):
        metrics = results_folder.numbers().replace(
            {"method": {"vhp_vae": name}, "dataset": {"pendulum": f"{name} data"}}
        )
        run = results_folder.write(tmp_path / str(len(found)) / "run", metrics)
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"platform": name}))
        found.append(source(summary.read(run)))
        assert compiled(found[-1], run).startswith(b"%PDF")
    assert str(markup.literal(NASTY)) in found[0]
    assert str(markup.quoted(f"{NASTY} data")) in found[0]
    assert markup_alone(found[0]) == markup_alone(found[1])


def test_markdown_becomes_typst():
    page = "# A *b*\n\nOne [two](three.md) [four](https://five.org/#six)\n`s_even`.\n\n- eight\n\n| a | b |\n| - | - |\n| 1 \\| 2 | # |\n"
    assert markup.markdown(page) == (
        '= #"A ";#emph[#"b";];\n\n#"One ";#"two";#" ";#link("https://five.org/#six")[#"four";]; #raw("s_even");#".";\n\n'
        '#list([#"eight";\n\n],)\n\n#plain(2, table.header(strong[#"a";],strong[#"b";],),[#"1 | 2";],[#"#";],)\n\n'
    )
    with pytest.raises(InputError, match="Markdown element fence"):
        markup.markdown("```\ncode\n```\n")


# ------------------------------------------------------------------------------------------------------------------ the PDF


def test_the_same_folder_gives_the_same_bytes(folder, tmp_path):
    for name in ("a", "b"):
        document.make(folder, tmp_path / name / "report.pdf", FIDELITY)
    first, second = ((tmp_path / name / "report.pdf").read_bytes() for name in ("a", "b"))
    assert first == second
    assert first.startswith(b"%PDF")
    assert b"CreationDate" not in first


def test_pages_have_the_figures(folder):
    """A figure is a PDF where the run has one, else a PNG."""
    text = source(summary.read(folder))
    assert re.findall(r'picture\("([^"]*)"', text) == [
        "/figures/comparison_pareto.png",
        "/figures/pendulum_flatness.pdf",
        "/figures/pendulum_sweep_eta.png",
    ]


@pytest.mark.parametrize(
    ("columns", "cell", "tables"), [(4, "0.77 ± 0.02", 1), (30, "[0.0052, 0.0116]", 4), (7, "w" * 400, 2)]
)
def test_a_table_too_wide_for_the_page_is_split(columns, cell, tables):
    """Every column is in one of the tables, the first in all, and none is wider than the page."""
    heads = [f"h{number}" for number in range(columns + 1)]
    contents = "".join(f"[{head}]," for head in heads), f"([first], {f'[{cell}],' * columns})," * 2
    text = (TEMPLATES / "style.typ").read_text(encoding="utf-8") + (
        f"#layout(area => {{ let made = parts-of(area.width, ({contents[0]}), ({contents[1]})); made.join()\n"
        "[#metadata(made.map(part => measure(part).width <= area.width)) <fits>] })"
    )
    (fits,) = json.loads(typst.query(text.encode(), "<fits>", field="value", ignore_system_fonts=True))
    assert fits == [True] * tables
    shown = [
        cell["body"]["text"]
        for table in json.loads(typst.query(text.encode(), "table", ignore_system_fonts=True))
        for header in table["children"]
        if header["func"] == "header"
        for cell in header["children"]
    ]
    assert shown.count("h0") == tables
    assert [head for head in shown if head != "h0"] == heads[1:]


def test_what_a_run_lacks_the_report_lacks(tmp_path):
    results_folder.numbers().to_csv(tmp_path / "metrics.csv", index=False)
    text = source(summary.read(tmp_path))
    headings = re.findall(r"^=+ .*", text, re.MULTILINE)
    assert headings == ["= Setting", "= Results", '== #"pendulum";', "= All numbers", '== #"pendulum";', "= Metrics"]
    assert "picture(" not in text.partition("= Setting")[2]
    document.make(tmp_path, tmp_path / "report.pdf", tmp_path / "no_such_page.md")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_damaged_figure_is_one_sentence(folder):
    (folder / "figures" / "pendulum_flatness.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(InputError, match=r"^.*report.pdf cannot be typeset \(.+\); make the figures again.$"):
        document.make(folder, folder / "report.pdf")


def test_the_command_writes_into_the_folder(folder, capsys):
    command.main([str(folder)])
    assert (folder / "report.pdf").is_file()
    assert capsys.readouterr().out == f"open {folder / 'report.pdf'}\n"
    assert summary.read(folder).downloads["Document"] == [summary.Download("report", {"PDF": "report.pdf"})]
    with pytest.raises(SystemExit):
        command.main(["nowhere"])
    assert "nowhere has no metrics.csv" in capsys.readouterr().err


def test_a_missing_package_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(InputError, match=r"needs the package typst; install 'flatvae\[workflow\]'"):
        document.make(folder, folder / "report.pdf")
