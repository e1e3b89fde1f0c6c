"""Snakemake runs the smoke config for real; what it reruns, and what it says of bad input."""

import io
import json
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import configs
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from flatvae import load
from flatvae.reporting.statistics import read_metrics

METHODS = ["vae", "vhp_vae", "flat_vae", "flat_vae_scale_free"]
TASKS = ["reconstruction", "flatness", "neighbours", "distances", "interpolation", "likelihood"]


def planned(project, *overlays: str) -> Counter:
    """(rule, method) of the jobs that a dry run would do."""
    run = project.smoke("--dry-run", overlays=overlays)
    assert run.returncode == 0, run.stdout[-3000:]
    jobs = re.split(r"\n(?=(?:local)?rule )", run.stdout)[1:]
    found = Counter()
    for job in jobs:
        rule = re.match(r"(?:local)?rule (\w+):", job)[1]
        method = re.search(r"wildcards:.*method=(\w+)", job)
        found[rule, method[1] if method else ""] += 1
    return found


def edited(path: Path, old: str, new: str):
    """Context: the file with a replacement, restored afterwards with its time stamp."""
    import contextlib

    @contextlib.contextmanager
    def change():
        kept = path.with_suffix(".kept")
        shutil.copy2(path, kept)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        try:
            yield
        finally:
            shutil.move(kept, path)

    return change()


def overlay(tmp_path: Path, content: dict) -> str:
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_the_project_itself_is_not_installed_in_the_environment_of_the_run(project):
    run = subprocess.run([project.python, "-c", "import torch, flatvae"], cwd="/", capture_output=True, text=True)
    assert "No module named 'flatvae'" in run.stderr


def test_smoke_run_gives_every_number_table_and_figure(smoke):
    results = smoke.folder / "results" / "smoke"
    metrics = read_metrics(results / "metrics.csv")
    assert set(metrics["method"]) == {*METHODS, ""}
    trained = metrics[metrics["method"] != ""]
    per_seed = trained.groupby(["method", "task"])["seed"].unique()
    assert all(sorted(seeds) == [0, 1] for seeds in per_seed)
    assert set(metrics["task"]) == {"training", *TASKS}
    for task in (*TASKS, "efficiency"):
        table = pd.read_csv(results / "tables" / f"{task}.csv", keep_default_na=False)
        assert set(METHODS) <= set(table["method"])
        assert r"\toprule" in (results / "tables" / f"{task}.tex").read_text()
    figures = (
        "flatness latent_map reconstructions training_curves equidistance geodesics distances interpolation efficiency"
    )
    for figure in figures.split():
        for kind in ("pdf", "png"):
            assert (results / "figures" / f"pendulum_{figure}.{kind}").stat().st_size > 5000
    for comparison in ("comparison_pareto.pdf", "comparison_pareto.png", "comparison_improvement.pdf"):
        assert (results / "figures" / comparison).stat().st_size > 5000
    compared = pd.read_csv(results / "tables" / "comparison.csv", keep_default_na=False).set_index("method")
    assert list(compared.index) == METHODS
    assert compared.loc["vhp_vae", "condition_number_median"] == 0.5
    recorded = set(json.loads((results / "manifest.json").read_text())["sha256"])
    assert {"figures/comparison_pareto.png", "figures/comparison_improvement.pdf", "tables/comparison.tex"} <= recorded
    assert "None." in (results / "figures" / "left_out.md").read_text()
    times = read_metrics(results / "efficiency.csv")
    assert set(times["method"]) == set(METHODS)
    assert (times.loc[times["metric"] != "peak_memory_mb", "value"] > 0).all()


def test_the_ledger_says_what_it_lacks(smoke):
    ledger = pd.read_csv(smoke.folder / "results" / "smoke" / "claims.csv", keep_default_na=False).set_index("claim")
    assert set(ledger.index) == set(configs.default()["claims"])
    assert set(ledger["verdict"]) <= {"undecided", "not testable", "not run"}  # two seeds, a hundred steps
    assert ledger.loc["1a", "verdict"] != "not run"
    assert "no rows of method flat_vae_no_mixup" in ledger.loc["4a", "note"]
    videos = ("crowd", "mot", "mot_campus", "mot_sunnyday")
    assert ledger.loc["8a", "note"].tolist() == [f"no rows of data set {name}" for name in videos]


def test_table_numbers_are_the_means_of_metrics_csv(smoke):
    results = smoke.folder / "results" / "smoke"
    metrics = read_metrics(results / "metrics.csv")
    table = pd.read_csv(results / "tables" / "flatness.csv").set_index("method")
    chosen = metrics[metrics["metric"] == "condition_number_median"].groupby("method")["value"].agg(stats.gmean)
    for method in METHODS:
        assert table.loc[method, "condition_number_median"] == pytest.approx(chosen[method], rel=1e-6)


def test_stored_models_reproduce_the_stored_arrays(smoke):
    folder = smoke.folder / "results" / "smoke" / "pendulum" / "flat_vae"
    arrays = np.load(folder / "reconstruction.npz")
    model = load(folder / "model.safetensors", seed=1)
    again = model.decode(model.encode(__import__("torch").from_numpy(arrays["originals"]))).numpy()
    np.testing.assert_allclose(again, arrays["reconstructions"][1], rtol=1e-5, atol=1e-6)


def test_the_run_ends_with_what_came_out_and_the_page_to_open(smoke):
    results = smoke.folder / "results" / "smoke"
    lines = smoke.first_run.splitlines()
    began = next(i for i, line in enumerate(lines) if "tests of the paper's claims" in line)
    ended = lines.index("  open results/smoke/index.html")
    assert 0 < ended - began < 10
    assert not any("Finished jobid" in line for line in lines[began:])
    counts = pd.read_csv(results / "claims.csv")["verdict"].value_counts()
    assert f"{counts['not run']} not run" in lines[began]
    text = (results / "index.html").read_text()
    assert text.count('class="test not_run"') + text.count(": · not run") == counts["not run"]
    assert all(f'src="figures/{path.name}"' in text for path in (results / "figures").glob("*.png"))
    assert 'href="report.pdf"' in text
    assert (results / "report.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("template", "text", "rules"),
    [
        ("page/templates/run.html.jinja", "What was run", {"page", "all"}),
        ("document/templates/report.typ.jinja", "= Setting", {"document", "page", "all"}),
    ],
)
def test_changing_a_template_makes_its_page_or_document_alone(smoke, template, text, rules):
    with edited(smoke.folder / "flatvae" / "reporting" / template, text, f"{text} "):
        jobs = planned(smoke)
    assert {rule for rule, _ in jobs} == rules


def test_the_plan_is_printed_before_training(smoke):
    plan = smoke.first_run.index("flatvae: 4 trainings to run")
    assert plan < smoke.first_run.index("rule train")
    assert re.search(r"pendulum/flat_vae: 100 steps × 2 seeds, about \d+\.\d min", smoke.first_run)


def test_logs_hold_the_progress_of_training(smoke):
    log = (smoke.folder / "results/smoke/pendulum/flat_vae/logs/train.log").read_text()
    assert re.search(r"step 100/100 .*error .*bound.*beta .*penalty .*c2 .*steps/s", log)
    assert "ended off its bound" in log  # a hundred steps cannot


def test_a_second_run_does_nothing(smoke):
    run = smoke.smoke()
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout


def test_changing_eta_retrains_that_method_alone(smoke, tmp_path):
    change = overlay(tmp_path, {"datasets": {"pendulum": {"methods": {"flat_vae": {"eta": 3.0}}}}})
    jobs = planned(smoke, change)
    assert {method for rule, method in jobs if rule == "train"} == {"flat_vae"}
    assert {method for rule, method in jobs if rule == "evaluate_pendulum"} == {"flat_vae"}


def test_editing_the_flat_penalty_retrains_the_flat_methods_alone(smoke):
    with edited(smoke.folder / "flatvae" / "flattening.py", "return torch.lerp(", "return 1.0 * torch.lerp("):
        jobs = planned(smoke)
    assert {method for rule, method in jobs if rule in {"train", "evaluate_pendulum"}} == {
        "flat_vae",
        "flat_vae_scale_free",
    }


def test_editing_a_comment_reruns_nothing(smoke):
    with edited(
        smoke.folder / "flatvae" / "flattening.py",
        '"""Latent mixup and the',
        '# a comment\n"""Prose: latent mixup and the',
    ):
        assert not planned(smoke)


def test_editing_figures_redraws_alone(smoke):
    common = smoke.folder / "flatvae" / "reporting" / "figures" / "_common.py"
    with edited(common, "def save(", "_UNUSED = 1\n\n\ndef save("):
        jobs = planned(smoke)
    assert {rule for rule, _ in jobs} == {"figures_pendulum", "number_figures", "manifest", "document", "page", "all"}


def test_editing_the_geodesic_distance_retrains_nothing(smoke):
    with edited(smoke.folder / "flatvae" / "geometry" / "curves.py", "_FINE = 4", "_FINE = 5"):
        jobs = planned(smoke)
    assert not {rule for rule, _ in jobs} & {"train", "data", "control"}
    assert sum(count for (rule, _), count in jobs.items() if rule == "evaluate_pendulum") == len(METHODS)
    assert ("efficiency", "") in jobs


def test_a_job_does_again_what_has_changed_and_keeps_the_rest(smoke):
    """The code of one task; all tasks where they are forced. The numbers are the same."""
    folder = smoke.folder / "results" / "smoke" / "pendulum" / "vae"
    target, before = "results/smoke/pendulum/vae/flatness.csv", (folder / "flatness.npz").read_bytes()
    with edited(smoke.folder / "flatvae" / "evaluation" / "interpolation.py", "PAIRS = 100", "PAIRS = 100 + 0"):
        run = smoke.smoke(target)
        assert run.returncode == 0, run.stdout[-3000:]
        log = (folder / "logs" / "evaluate.log").read_text()
        assert re.search(r"^interpolation: \d+\.\d s$", log, re.MULTILINE)
        assert log.count(": kept from an earlier job") == 5
    assert (folder / "flatness.npz").read_bytes() == before
    run = smoke.smoke(target, "--forcerun", target)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "kept" not in (folder / "logs" / "evaluate.log").read_text()
    with np.load(io.BytesIO(before)) as first, np.load(folder / "flatness.npz") as again:
        for name in first.files:
            np.testing.assert_array_equal(first[name], again[name])


def test_changing_a_claim_reruns_the_ledger_alone(smoke, tmp_path):
    jobs = planned(smoke, overlay(tmp_path, {"claims": {"1a": {"threshold": 1.2}}}))
    assert {rule for rule, _ in jobs} == {"claims", "html_tables", "manifest", "document", "page", "all"}


def test_figures_that_cannot_be_drawn_are_left_out_with_the_reason(smoke, tmp_path):
    change = overlay(
        tmp_path,
        {
            "results_dir": "results/higher",
            "run": {"methods": ["vae"], "tasks": ["flatness", "distances"]},
            "datasets": {"pendulum": {"training": {"latent_dim": 3}}},
        },
    )
    run = smoke.smoke(overlays=(change,))
    assert run.returncode == 0, run.stdout[-3000:]
    figures = smoke.folder / "results" / "higher" / "figures"
    drawn = {path.stem for path in figures.glob("*.png")}
    assert drawn == {f"pendulum_{f}" for f in ("training_curves", "flatness", "geodesics", "distances")}
    reason = "it needs a latent space of two dimensions for every method, and vae has latent_dim 3"
    text = (figures / "left_out.md").read_text()
    assert f"pendulum, equidistance: {reason}" in text
    assert f"pendulum, latent_map: {reason}" in text


def test_a_sweep_is_drawn_from_the_methods_own_values(smoke, tmp_path):
    change = overlay(
        tmp_path,
        {
            "results_dir": "results/sweep",
            "run": {"methods": ["vhp_vae", "weak", "strong"], "tasks": ["flatness", "reconstruction"]},
            "methods": {
                name: {"builder": "flatvae.flat_vae", "eta": eta} for name, eta in (("weak", 1), ("strong", 9.5))
            },
            "sweeps": {"eta": {"hyperparameter": "eta", "curves": {"flat": ["weak", "strong"]}, "baseline": "vhp_vae"}},
        },
    )
    figure = "results/sweep/figures/pendulum_sweep_eta.png"
    run = smoke.smoke(figure, overlays=(change,))
    assert run.returncode == 0, run.stdout[-3000:]
    assert (smoke.folder / figure).stat().st_size > 5000


def test_methods_are_compared_where_there_are_several_and_both_tasks(smoke, tmp_path):
    """Without the method that they are compared with, table and figure say that there is nothing to compare."""
    change = {"results_dir": "results/compared", "run": {"methods": ["vae"], "tasks": ["flatness", "reconstruction"]}}
    for methods, tasks in ((["vae"], ["flatness", "reconstruction"]), (["vae", "flat_vae"], ["flatness"])):
        change["run"] = {"methods": methods, "tasks": tasks}
        assert "comparison" not in smoke.smoke("--dry-run", overlays=(overlay(tmp_path, change),)).stdout
    change["run"] = {"methods": ["vae", "flat_vae"], "tasks": ["flatness", "reconstruction"]}
    made = ("tables/comparison.md", "figures/comparison_improvement.png", "figures/comparison_pareto.png")
    run = smoke.smoke(*(f"results/compared/{name}" for name in made), overlays=(overlay(tmp_path, change),))
    assert run.returncode == 0, run.stdout[-3000:]
    results = smoke.folder / "results" / "compared"
    said = "There are no numbers of vhp_vae to compare with."
    assert said in (results / "tables" / "comparison.md").read_text()
    assert (results / "figures" / "comparison_improvement.png").is_file()
    assert (results / "figures" / "comparison_pareto.png").stat().st_size > 5000


def test_the_default_config_shares_no_file_with_the_smoke_config(smoke):
    before = {p: p.stat().st_mtime_ns for p in (smoke.folder / "results").rglob("*") if p.is_file()}
    run = smoke.snakemake("--cores", "all", "--dry-run")
    outputs = set(re.findall(r"(?<=output: ).*", run.stdout))
    assert outputs
    assert not any("results/smoke" in line for line in outputs)
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_the_same_seeds_give_the_same_bytes(smoke):
    run = smoke.smoke("results/again/metrics.csv", "--config", "results_dir=results/again")
    assert run.returncode == 0, run.stdout[-3000:]
    first, second = (smoke.folder / "results" / name / "metrics.csv" for name in ("smoke", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_the_report_opens_with_captions_and_categories(smoke):
    run = smoke.smoke("--report", "report.zip")
    assert run.returncode == 0, run.stdout[-3000:]
    with zipfile.ZipFile(smoke.folder / "report.zip") as archive:
        names = archive.namelist()
        text = "".join(archive.read(n).decode("utf-8", "ignore") for n in names if n.endswith((".html", ".js")))
    assert any(n.endswith("pendulum_latent_map.png") for n in names)
    assert any(n.endswith("comparison_pareto.png") for n in names)
    assert '"Comparison"' in text
    assert "probability of being better than vhp_vae" in " ".join(text.split())
    assert "Figures" in text
    assert "magnification factor" in text
    assert "Verdicts of the claims, one sign for each test" in text  # on the first page
    assert {"flatness.html", "claims.html", "controls.html"} <= {Path(name).name for name in names}
    categories = json.loads(re.search(r"var categories = (\{.*?\});", text)[1])
    assert set(categories) == {"Claims", "Comparison", "Figures", "Tables"}
    assert not any("Other" in subcategories for subcategories in categories.values())  # what has none is put there


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"run": {"methods": ["vea"]}}, "config: run.methods: the method 'vea' does not exist; there are"),
        ({"methods": {"flat_vae": {"eta": -1}}}, "config: methods.flat_vae.eta is -1; it must be ≥ 0"),
    ],
)
def test_a_bad_config_is_one_sentence_before_anything_runs(smoke, tmp_path, change, sentence):
    run = smoke.smoke(overlays=(overlay(tmp_path, change),))
    assert run.returncode != 0
    assert sentence in run.stdout
    assert "Traceback" not in run.stdout


SMALL = {"bound": 3.0, "steps": 50, "latent_dim": 2, "hidden": [8]}


def test_bad_arrays_stop_their_own_data_set_and_nothing_else(smoke, tmp_path):
    bad, good = tmp_path / "bad.npz", tmp_path / "good.npz"
    values = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    np.savez(good, train=values, test=values[:50] + 1)
    values[3, 2] = np.nan
    np.savez(bad, train=values, test=values[10:60])
    change = {
        "results_dir": "results/own",
        "seeds": 1,
        "run": {"datasets": ["mine", "broken"], "methods": ["vae"], "tasks": ["reconstruction"]},
        "datasets": {
            "mine": {"loader": "arrays", "options": {"path": str(good)}, "training": SMALL},
            "broken": {"loader": "arrays", "options": {"path": str(bad)}, "training": SMALL},
        },
    }
    run = smoke.smoke(overlays=(overlay(tmp_path, change),))
    assert run.returncode != 0
    assert re.search(r"flatvae: .*bad\.npz.*NaN", run.stdout)
    results = smoke.folder / "results" / "own"
    assert (results / "mine" / "vae" / "reconstruction.csv").is_file()
    assert not (results / "metrics.csv").exists()
    log = (results / "broken" / "logs" / "data.log").read_text()
    assert re.fullmatch(
        r"flatvae: .*bad\.npz.*NaN.*\n", log
    )  # the sentence alone, for a cluster's profile shows the log


def test_own_data_without_labels_beside_a_method_that_loses_every_seed(smoke, tmp_path):
    """The neighbours table has what needs no labels; the lost method is in the tables with n = 0; nothing fails.

    The data are a table, and their bound is a share of the variance, which every job reads as a number.
    """
    values = np.random.default_rng(0).normal(size=(250, 6))
    pd.DataFrame(values).to_csv(tmp_path / "mine.csv", index=False)
    share = {name: value for name, value in SMALL.items() if name != "bound"} | {"unexplained": 0.5}
    change = {
        "results_dir": "results/lost",
        "run": {"datasets": ["mine"], "methods": ["vae", "vhp_vae"]},
        "datasets": {"mine": {"loader": "arrays", "options": {"path": str(tmp_path / "mine.csv")}, "training": share}},
        "methods": {"vhp_vae": {"learning_rate": 1e30}},
    }
    run = smoke.smoke(overlays=(overlay(tmp_path, change),))
    assert run.returncode == 0, run.stdout[-3000:]
    results = smoke.folder / "results" / "lost"
    record = json.loads((results / "mine" / "data.json").read_text())
    assert record["bound"] == pytest.approx(record["total_variance"] / 2, rel=1e-5)
    assert record["total_variance"] == pytest.approx(6, rel=0.2)
    metrics = read_metrics(results / "metrics.csv")
    assert set(metrics.loc[metrics["metric"] == "bound", "value"]) == {record["bound"]}
    assert re.search(r"mine: D = 6, total variance \S+, PCA with n = 2 leaves \S+ \(\S+%\), bound \S+ \(50", run.stdout)
    assert "every seed became non-finite" in (results / "mine" / "vhp_vae" / "logs" / "train.log").read_text()
    flatness = (results / "tables" / "flatness.md").read_text()
    assert re.search(r"\| vhp_vae ‡ *\| +0 \|", flatness)
    neighbours = (results / "tables" / "neighbours.csv").read_text().partition("\n")[0]
    assert "trustworthiness_at_10" in neighbours
    assert "knn_accuracy" not in neighbours
    assert (results / "figures" / "mine_latent_map.png").is_file()


def test_a_run_that_loses_every_seed_of_every_method_ends_with_tables_and_figures_that_say_so(smoke, tmp_path):
    values = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    np.savez(tmp_path / "mine.npz", train=values, test=values[:50] + 1)
    change = {
        "results_dir": "results/all_lost",
        "run": {"datasets": ["mine"], "methods": ["vhp_vae"], "tasks": ["reconstruction"]},
        "datasets": {"mine": {"loader": "arrays", "options": {"path": str(tmp_path / "mine.npz")}, "training": SMALL}},
        "methods": {"vhp_vae": {"learning_rate": 1e30}},
    }
    run = smoke.smoke(overlays=(overlay(tmp_path, change),))
    assert run.returncode == 0, run.stdout[-3000:]
    results = smoke.folder / "results" / "all_lost"
    assert {p.stem for p in (results / "figures").glob("*.png")} == {"mine_training_curves", "mine_reconstructions"}
    assert "No data set and method of this run has numbers" in (results / "tables" / "reconstruction.md").read_text()
    assert "0 supported, 0 not supported" in (results / "claims.md").read_text()


def test_a_checkpoint_of_another_method_is_refused(smoke, tmp_path):
    change = overlay(tmp_path, {"results_dir": "results/swapped", "run": {"methods": ["vae"], "tasks": ["flatness"]}})
    results = smoke.folder / "results"
    shutil.copytree(results / "smoke" / "pendulum" / "vhp_vae", results / "swapped" / "pendulum" / "vae")
    (results / "swapped" / "pendulum" / "vae" / "flatness.csv").unlink()
    shutil.copy2(results / "smoke" / "pendulum" / "data.json", results / "swapped" / "pendulum" / "data.json")
    target = "results/swapped/pendulum/vae/flatness.csv"
    run = smoke.smoke(target, "--rerun-triggers", "mtime", overlays=(change,))
    assert run.returncode != 0
    assert re.search(r"flatvae: checkpoint .* is from baselines.vhp_vae:build, not from baselines.vae", run.stdout)


def test_a_missing_mnist_is_said_in_one_sentence(smoke, tmp_path):
    change = overlay(
        tmp_path, {"results_dir": "results/none", "run": {"datasets": ["mnist"]}, "data_root": str(tmp_path)}
    )
    dead_end = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    run = smoke.smoke("results/none/mnist/data.json", overlays=(change,), **dead_end)
    assert run.returncode != 0
    assert re.search(r"flatvae: .*train-images-idx3-ubyte\.gz", run.stdout)


def test_the_search_tries_as_many_candidates_for_each_method_and_marks_one(smoke, tmp_path):
    second = {"vae": "beta_rate", "vhp_vae": "beta_rate", "flat_vae": "eta", "flat_vae_scale_free": "eta"}
    candidates = {method: {"learning_rate": [1e-3], second[method]: [0.5, 1.0]} for method in METHODS}
    search = {"seeds": 1, "widenings": 0, "confirmations": 1, "candidates": candidates}
    change = overlay(tmp_path, {"results_dir": "results/tried", "search": search})
    run = smoke.smoke("search", overlays=(change,))
    assert run.returncode == 0, run.stdout[-3000:]
    table = pd.read_csv(smoke.folder / "results" / "tried" / "search" / "pendulum.csv")
    assert list(table.groupby("method").size()) == [2] * 4
    assert list(table.groupby("method")["chosen"].sum()) == [1] * 4
    assert set(table.loc[table["chosen"] == 1, "edge"]) == {"beta_rate", "eta"}  # a grid of two has no inside
