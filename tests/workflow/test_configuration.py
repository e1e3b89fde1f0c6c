"""The config check: one sentence for every kind of mistake, and what a method really gets."""

import copy
import importlib.util
import sys
from pathlib import Path

import pytest
import yaml
from configs import PARTS, default

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import plan  # noqa: E402
import resolution  # noqa: E402
import validation  # noqa: E402
from outputs import Run  # noqa: E402

from flatvae.reporting.summary.hyperparameters import NOT_TOLD, configured  # noqa: E402

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def merge(base: dict, change: dict) -> dict:
    """Deep merge as Snakemake does it with --configfile; a value None removes the key."""
    merged = copy.deepcopy(base)
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        elif value is REMOVE:
            merged.pop(key)
        else:
            merged[key] = value
    return merged


SEARCH = {"seeds": 1, "widenings": 0, "confirmations": 0}
REMOVE = object()
DEFAULT = default()


def configs() -> dict[str, dict]:
    """Every config file as it runs: laid over the default one."""
    files = [file for file in sorted((ROOT / "config").glob("*.yaml")) if file.stem not in PARTS[1:]]
    return {f.stem: merge(DEFAULT, yaml.safe_load(f.read_text())) for f in files}


@pytest.mark.parametrize("name", sorted(configs()))
def test_every_config_of_the_project_passes(name):
    validation.check(configs()[name], SCHEMA)


def test_no_two_configs_share_a_results_folder():
    folders = [config["results_dir"] for config in configs().values()]
    assert len(set(folders)) == len(folders)


def test_the_reference_runs_every_claim_on_every_data_set():
    config = configs()["paper"]
    run = Run(config, "results")
    seeds = {dataset: resolution.seeds(config, dataset) for dataset in run.datasets}
    videos = {"crowd", "mot", "mot_campus", "mot_sunnyday"}
    assert seeds == {d: 5 if d in videos else 10 for d in config["datasets"]}
    for name, claim in run.claims().items():
        for dataset in claim["datasets"]:
            known = [*run.methods_on(dataset), *run.descriptors, None]
            tests = [claim, *claim.get("requires", [])]
            sides = [test.get(side, {}) for test in tests for side in ("subject", "versus")]
            assert {side.get("method") for side in sides} <= {*known}, (name, dataset)
            assert claim["subject"]["task"] in resolution.tasks(config, dataset), (name, dataset)
    folds = [resolution.dataset_options(config, name) for name in run.datasets if name.startswith("mot")]
    assert {name for fold in folds for name in fold["test"]} == {"TUD-Campus", "TUD-Stadtmitte", "ETH-Sunnyday"}
    assert all(len({*fold["train"], *fold["test"]}) == 3 for fold in folds)


def test_a_data_set_has_its_own_methods_and_number_of_seeds():
    config = {
        "seeds": 5,
        "run": {"datasets": ["a", "b"], "methods": ["vae", "pca"], "tasks": []},
        "datasets": {"a": {"seeds": 2, "only_methods": ["pca", "beta_vae"]}, "b": {}},
    }
    assert [resolution.methods(config, name) for name in "ab"] == [["pca"], ["vae", "pca"]]
    assert [resolution.seeds(config, name) for name in "ab"] == [2, 5]
    models = [path.removesuffix("/model.safetensors") for path in Run(config, "r").models()]
    assert models == ["r/a/pca", "r/b/vae", "r/b/pca"]


def test_a_data_set_without_a_method_of_the_run_is_refused():
    config = configs()["smoke"]
    config["datasets"]["pendulum"]["only_methods"] = ["beta_vae"]
    with pytest.raises(ValueError, match=r"datasets\.pendulum\.only_methods has none of the run's methods; add one"):
        validation.check(config, SCHEMA)
    config["datasets"]["pendulum"]["only_methods"] = ["vea"]
    with pytest.raises(ValueError, match=r"datasets\.pendulum\.only_methods: the method 'vea' does not exist"):
        validation.check(config, SCHEMA)


@pytest.mark.parametrize("dataset", DEFAULT["run"]["datasets"])
def test_all_methods_of_a_data_set_have_one_bound_and_one_network(dataset):
    for name in ("bound", "steps", "latent_dim", "hidden", "batch_size", "activation"):
        values = {
            str(resolution.specification(DEFAULT, dataset, m)["hyperparameters"].get(name))
            for m in DEFAULT["run"]["methods"]
        }
        assert len(values) == 1, name


CONDITION = {
    "subject": {"method": "vae", "task": "tracking", "metric": "IDF1"},
    "compare": "value",
    "direction": "above",
    "threshold": 0,
    "reason": "For a test.",
}
MISTAKES = [
    ({"run": {"datasets": ["pendulm"]}}, "config: run.datasets: the dataset 'pendulm' does not exist; there are "),
    ({"run": {"methods": ["vae", "gan"]}}, "config: run.methods: the method 'gan' does not exist; there are "),
    ({"run": {"tasks": ["flattness"]}}, "config: run.tasks: the task 'flattness' does not exist; there are distances"),
    ({"seed": 3}, "config: seed is an unknown key; there are checkpoint_minutes, claims, controls"),
    ({"seeds": "five"}, "config: seeds is 'five'; it must be of type integer"),
    ({"seeds": 0}, "config: seeds is 0; it must be ≥ 1"),
    ({"device": "gpu"}, "config: device is 'gpu'; it must be one of ['cpu', 'cuda', 'auto']"),
    ({"run": {"methods": []}}, "config: run.methods is []; it must be a list of at least 1"),
    ({"results_dir": ""}, "config: results_dir is ''; it must be a text that is not empty"),
    ({"datasets": {"mine": {"loader": "arrays", "options": {"path": 3}, "training": {"bound": 1.0, "steps": 1}}}}, "config: datasets.mine.options.path is 3; it must be a text"),
    ({"results_dir": 3}, "config: results_dir is 3; it must be of type string"),
    ({3: 1, "sedes": 2}, "config: 3 is an unknown key; there are"),
    ({"methods": {"va\u00a0e": {}}}, r"config: methods has the name 'va\xa0e'; a name must have only letters"),
    ({"run": {"tasks\u200b": ["flatness"]}}, r"config: run.'tasks\u200b' holds an invisible character, U+200B (zero width space)"),
    ({"run": {"tasks": ["flatness\u00a0"]}}, r"config: run.tasks: the task 'flatness\xa0' does not exist"),
    ({"results_dir": REMOVE}, "config: the config lacks results_dir; add it"),
    ({"datasets": {"pendulum": {"train": 5}}}, "config: datasets.pendulum.train is an unknown key; there are "),
    ({"datasets": {"pendulum": {"options": {"noize": 1}}}}, "config: datasets.pendulum.options: 'noize' does not exist; there are "),
    ({"datasets": {"mine": {"training": {}}}}, "config: datasets.mine: the loader 'mine' does not exist; there are arrays"),
    ({"datasets": {"pendulum": {"training": {"bound": 0}}}}, "config: datasets.pendulum.training.bound is 0; it must be > 0"),
    ({"datasets": {"pendulum": {"training": {"step": 5}}}}, "config: datasets.pendulum.training: the hyperparameter 'step' does not"),
    ({"datasets": {"pendulum": {"training": {"bound": REMOVE}}}}, "config: datasets.pendulum.training lacks bound or unexplained; add one"),
    ({"datasets": {"digits": {"training": {"unexplained": 0.1}}}}, "config: datasets.digits.training has bound and unexplained; leave one"),
    ({"datasets": {"digits": {"training": {"unexplained": 1}}}}, "config: datasets.digits.training.unexplained is 1; it must be < 1"),
    ({"datasets": {"digits": {"methods": {"vae": {"unexplained": 0.5}}}}}, "config: datasets.digits.methods.vae sets unexplained; methods"),
    ({"datasets": {"pendulum": {"methods": {"gan": {}}}}}, "config: datasets.pendulum.methods: the method 'gan' does not exist"),
    ({"methods": {"flat_vae": {"eta": -1}}}, "config: methods.flat_vae.eta is -1; it must be ≥ 0"),
    ({"methods": {"flat_vae": {"etaa": 1}}}, "config: methods.flat_vae: the hyperparameter 'etaa' does not exist; there are "),
    ({"methods": {"vae": {"eta": 1}}}, "config: methods.vae: the hyperparameter 'eta' does not exist; there are "),
    ({"methods": {"mine": {}}}, "config: methods.mine.builder is 'baselines.mine', which is no module of this project; write baselines/mine.py"),
    ({"methods": {"mine": {"builder": "flatvae.priors"}}}, "flatvae/priors.py has no function build(dataset, *, …)"),
    ({"methods": {"mine": {"builder": "os.path"}}}, "config: methods.mine.builder is 'os.path'; it must be of the form"),
    ({"methods": {"vae": {"bound": 2.0}}}, "config: methods.vae sets bound; methods are compared under one bound"),
    ({"training": {"learning_rate": float("nan")}}, "config: training.learning_rate is nan; it must be a finite number"),
    ({"methods": {"flat_vae": {"eta": "1e4"}}}, "config: methods.flat_vae.eta is the text '1e4'; write a number, such as 1.0e+4"),
    ({"datasets": {"my data": {"loader": "digits", "training": {}}}}, "config: datasets has the name 'my data'; a name must have only letters"),
    ({"datasets": {"search": {"loader": "digits", "training": {}}}}, "config: datasets has the name 'search'; a name must have only letters"),
    ({"training": {"activation": "relu"}}, "config: training.activation is 'relu'; it must be one of"),
    ({"search": SEARCH | {"candidates": {"vae": {"clip": [1.0, 2.0]}, "vhp_vae": {"clip": [1.0]}}}}, "config: search.candidates has more points for one method"),
    ({"search": SEARCH | {"candidates": {"vae": {"clap": [1.0]}}}}, "config: search.candidates.vae: the hyperparameter 'clap' does not exist"),
    ({"datasets": {"digits": {"search": {"vea": {"clip": [1.0]}}}}}, "config: datasets.digits.search: the method 'vea' does not exist"),
    ({"distances": {"geodesics": {}}}, "config: distances.geodesics has the builder baselines.geodesics, which has no function distance"),
    ({"distances": {"geodesic": {"builder": "baselines.vae"}}}, "config: distances.geodesic has the builder baselines.vae, which has no"),
    ({"distances": {"geodesic": {"nodes": 9}}}, "config: distances.geodesic: the option 'nodes' does not exist; there are code_nodes"),
    ({"distances": {"geodesic": {"n_neighbours": 0}}}, "config: distances.geodesic.n_neighbours is 0; it must be ≥ 1"),
    ({"distances": REMOVE}, "config: run.tasks has distances, which needs a distance; add distances: {geodesic: {}}"),
    ({"efficiency": REMOVE}, "config: run.tasks has efficiency, but the config lacks efficiency: {sizes, queries}; add it"),
    ({"efficiency": {"sizes": [10]}}, "config: efficiency.sizes.0 is 10; it must be ≥ 50"),
    ({"claims": {"1a": {"subject": {"method": "flat"}}}}, "config: claims.1a.subject: the method 'flat' does not exist; there are"),
    ({"claims": {"1a": {"direction": "under"}}}, "config: claims.1a.direction is 'under'; it must be one of ['at_most', 'at_least', 'below', 'above']"),
    ({"claims": {"1a": {"fixed": "November"}}}, "config: claims.1a.fixed is 'November'; it must be of the form"),
    ({"claims": {"1a": {"reason": REMOVE}}}, "config: claims.1a lacks reason; add it"),
    ({"claims": {"1a": {"threshold": {"pendulum": "low"}}}}, "config: claims.1a.threshold.pendulum is 'low'; it must be of type number"),
    ({"claims": {"2c": {"threshold": {"pendulum": -1}}}}, "config: claims.2c.threshold.pendulum is -1; it must be > 0"),
    ({"claims": {"1a": {"requires": [{"subject": {"method": "vae"}}]}}}, "config: claims.1a.requires.0"),
    ({"claims": {"8a": {"requires": [CONDITION | {"subject": {"method": "gan", "task": "tracking", "metric": "IDF1"}}]}}}, "config: claims.8a.requires.0.subject: the method 'gan' does not"),
    ({"claims": {"8a": {"requires": [CONDITION | {"versus": {"method": "vae"}}]}}}, "config: claims.8a.requires.0 has versus, which does not belong there; leave it out"),
    ({"claims": {"1a": {"threshold": REMOVE}}}, "config: claims.1a lacks threshold; add it"),
    ({"claims": {"2c": {"threshold": 0}}}, "config: claims.2c.threshold is 0; it must be > 0"),
    ({"claims": {"1a": {"versus": {"method": "vae"}}}}, "config: claims.1a has versus, which does not belong there; leave it out"),
    ({"claims": {"2c": {"versus": REMOVE}}}, "config: claims.2c lacks versus; add it"),
    ({"datasets": {"digits": {"distances": {"shortest": {}}}}}, "config: datasets.digits.distances: the distance 'shortest' does not"),
    ({"datasets": {"digits": {"distances": {"geodesic": {"k": 1}}}}}, "config: datasets.digits.distances.geodesic: the option 'k' does"),
    ({"datasets": {"digits": {"tasks": ["trackin"]}}}, "config: datasets.digits.tasks: the task 'trackin' does not exist; there are"),
    ({"descriptors": {"mine": {}}}, "config: descriptors.mine has the builder baselines.mine, which has no function descriptor"),
    ({"descriptors": {"pca": {"n": 3}}}, "config: descriptors.pca: the option 'n' does not exist; there are latent_dim"),
    ({"descriptors": {"sort": {"builder": "baselines.pca"}}}, "config: descriptors.sort has the name of a tracker; give it another"),
    ({"sweeps": {"s": {"hyperparameter": "eta", "curves": {"a": ["gan"]}}}}, "config: sweeps.s.curves.a: the method 'gan' does not"),
    ({"sweeps": {"s": {"hyperparameter": "eta", "curves": {"a": ["vae"]}}}}, "config: sweeps.s is over eta, which is None for vae on"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), MISTAKES, ids=[s[:60] for _, s in MISTAKES])
def test_a_mistake_is_named_in_one_sentence(change, sentence):
    base = DEFAULT if "search" not in change else {k: v for k, v in DEFAULT.items() if k != "search"}
    with pytest.raises(ValueError, match=r"config: |build") as error:
        validation.check(merge(base, change), SCHEMA)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


EXTRA = ("deep_sort_realtime", "supervision", "trackeval", "trackers")


@pytest.mark.parametrize("lost", [*([name] for name in EXTRA), list(EXTRA)], ids=", ".join)
def test_what_tracking_needs_is_asked_for_at_the_start(lost, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in lost else found(name, *rest))
    be = "is" if len(lost) == 1 else "are"
    sentence = (
        f"config: run.tasks has tracking, but {', '.join(lost)} {be} not installed; pip install '.[tracking]', or"
    )
    with pytest.raises(ValueError, match=r"run.tasks has tracking") as error:
        validation.check(DEFAULT, SCHEMA)
    assert str(error.value).startswith(sentence)
    validation.check(configs()["mnist"], SCHEMA)  # where nobody is tracked nothing is missed
    without = [task for task in DEFAULT["run"]["tasks"] if task != "tracking"]
    validation.check(merge(DEFAULT, {"run": {"tasks": without}}), SCHEMA)


def test_the_more_special_setting_wins():
    config = merge(
        DEFAULT,
        {
            "training": {"batch_size": 7},
            "datasets": {"pendulum": {"training": {"clip": 2.0}, "methods": {"flat_vae": {"eta": 7.0}}}},
            "methods": {"flat_vae": {"batch_size": 9, "eta": 5.0}},
        },
    )
    flat = resolution.specification(config, "pendulum", "flat_vae")
    assert flat["builder"] == "flatvae.flat_vae"
    assert {k: flat["hyperparameters"][k] for k in ("batch_size", "clip", "eta")} == {
        "batch_size": 9,
        "clip": 2.0,
        "eta": 7.0,
    }
    vae = resolution.specification(config, "pendulum", "vae")["hyperparameters"]
    assert vae["batch_size"] == 7
    assert not {"eta", "estimator", "n_prior_samples", "alpha0"} & set(vae)  # nothing that it does not read


@pytest.mark.parametrize(
    ("device", "driver", "wanted"),
    [("cuda", None, True), ("cpu", "x", False), ("auto", "x", True), ("auto", None, False)],
)
def test_auto_asks_for_a_gpu_where_there_is_one(device, driver, wanted, monkeypatch):
    monkeypatch.setattr(resolution.shutil, "which", lambda name: driver)
    assert resolution.wants_gpu(device) == wanted


def test_a_share_of_the_variance_becomes_the_number_in_the_data_set_s_record(tmp_path):
    training = {"bound": REMOVE, "unexplained": 0.1}
    config = merge(DEFAULT, {"datasets": {"digits": {"training": training}}})
    validation.check(config, SCHEMA)
    assert resolution.summary_options(config, "digits") == {"latent_dim": 8, "unexplained": 0.1}
    assert resolution.bound(config, "digits") == {"unexplained": 0.1}
    chosen = resolution.specification(config, "digits", "flat_vae")["hyperparameters"]
    assert "bound" not in chosen  # which only the data can tell
    record = tmp_path / "data.json"
    record.write_text('{"unexplained": 0.1, "bound": 1.75}')
    assert resolution.with_bound(chosen, record) == {**chosen, "bound": 1.75}
    record.write_text('{"unexplained": 0.2, "bound": 3.5}')
    with pytest.raises(ValueError, match="was made with another unexplained; delete it"):
        resolution.with_bound(chosen, record)
    given = resolution.specification(DEFAULT, "digits", "flat_vae")["hyperparameters"]
    assert resolution.with_bound(given, tmp_path / "none.json") == given


def test_a_change_of_any_of_a_users_files_is_noticed(tmp_path):
    files = {part: tmp_path / f"{part}.csv" for part in ("train", "test")}
    for path in files.values():
        path.write_text("x\n1\n")
    config = merge(DEFAULT, {"datasets": {"mine": {"options": {"path": {p: str(f) for p, f in files.items()}}}}})
    before = plan.file_stamp(config, "mine")
    assert before[::2] == [4, 4]
    files["test"].write_text("x\n10\n")
    assert plan.file_stamp(config, "mine")[::2] == [4, 5]
    files["test"].unlink()
    assert plan.file_stamp(config, "mine") is None


@pytest.mark.parametrize("dataset", DEFAULT["datasets"])
def test_the_page_shows_the_hyperparameters_that_the_workflow_trains_with(dataset):
    for method in DEFAULT["methods"]:
        used = resolution.hyperparameters(DEFAULT, dataset, method)
        assert configured(DEFAULT, dataset, method) == {k: v for k, v in used.items() if k not in NOT_TOLD}
