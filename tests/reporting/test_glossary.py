"""Every metric of the tables is explained, once, and the explanations agree with what else knows a metric."""

from pathlib import Path

import pytest

from flatvae.errors import InputError
from flatvae.reporting import captions, comparison, glossary

METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"
TASKS = [task for task in captions.TASK_METRICS if task not in ("performance", "scaling")]


@pytest.mark.parametrize("metric", [metric for task in TASKS for metric in captions.TASK_METRICS[task]])
def test_every_metric_of_the_tables_is_defined(metric):
    assert glossary.define(metric).meaning


def test_no_metric_is_defined_twice():
    entries = [entry for section in glossary.GLOSSARY.values() for entry in section.entries]
    names = [entry.metric for entry in entries]
    assert sorted(names) == sorted({*names, "peak_memory_mb"})


def test_every_metric_has_a_sentence_of_its_own():
    entries = [entry for section in glossary.GLOSSARY.values() for entry in section.entries]
    meanings = [entry.meaning for entry in entries]
    assert sorted(meanings) == sorted(set(meanings))


def test_the_times_say_which_of_them_compares_methods():
    """Times of jobs that ran next to others differ from times measured alternately."""
    assert "trust it" in glossary.define("step_ratio").best
    for name in ("train_seconds", "steps_per_second"):
        best = glossary.define(name).best
        assert "step_ratio" in best or "as uncertain as `train_seconds`" in best


def test_better_is_what_comparisons_take_for_better():
    assert {m.name: m.better for m in comparison.METRICS} == {
        m.name: glossary.better(m.name) for m in comparison.METRICS
    }


def test_suffixes_and_classes_have_the_definition_of_their_metric():
    assert glossary.define("mf_std_mixup").meaning.startswith(glossary.define("mf_std").meaning)
    assert "mixup points" in glossary.define("mf_std_mixup").meaning
    assert glossary.define("nll_walk").meaning.endswith("of the class walk")
    assert glossary.define("nll_median").meaning == "median −log p(x) of test data, nats"
    assert glossary.define("test_error_recordings").meaning.endswith("on whole held-out recordings")
    assert glossary.define("no_such_metric") is None
    assert glossary.better("no_such_metric") == 0


def test_the_documentation_has_these_definitions():
    """Made by: python -m flatvae.reporting.glossary docs/metrics.md"""
    page = METRICS.read_text(encoding="utf-8")
    assert glossary.with_tables(page) == page


def test_a_page_without_markers_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="the page lacks the markers <!-- reconstruction:begin -->"):
        glossary.with_tables("no markers")
    (tmp_path / "page.md").write_text("no markers")
    with pytest.raises(SystemExit):
        glossary.main([str(tmp_path / "page.md")])
    assert "lacks the markers" in capsys.readouterr().err
