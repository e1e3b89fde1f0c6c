"""A new baseline in one file and one entry of the config, as docs/adding_a_baseline.md has it; and what a broken one is told."""

import re
import shutil
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from flatvae.reporting.statistics import read_metrics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding_a_baseline.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
WEIGHT_DECAY, MODULE, RULE, SCRIPT = (text for language, text in BLOCKS if language == "python")
FILES = {
    "weight_decay.py": WEIGHT_DECAY,
    "sk_autoencoder.py": MODULE,
    "sk_autoencoder.smk": RULE,
    "_sk_autoencoder.py": SCRIPT,
}


@contextmanager
def added(project, files: dict[str, str]):
    """The project with more files in baselines/."""
    paths = {project.folder / "baselines" / name: text for name, text in files.items()}
    for path, text in paths.items():
        path.write_text(text)
    try:
        yield
    finally:
        for path in paths:
            path.unlink()
        shutil.rmtree(project.folder / "baselines" / "__pycache__", ignore_errors=True)


def overlay(tmp_path: Path, content: dict) -> str:
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def planned(project, *overlays: str) -> Counter:
    """(rule, method) of the jobs that a dry run would do."""
    run = project.smoke("--dry-run", overlays=overlays)
    assert run.returncode == 0, run.stdout[-3000:]
    jobs = re.split(r"\n(?=(?:local)?rule )", run.stdout)[1:]
    methods = [re.search(r"wildcards:.*method=(\w+)", job) for job in jobs]
    return Counter(
        (re.match(r"(?:local)?rule (\w+):", j)[1], m[1] if m else "") for j, m in zip(jobs, methods, strict=True)
    )


def test_only_the_new_methods_jobs_run(smoke, tmp_path):
    """In a folder with results, beside what gathers them, and efficiency, which times all methods in one process."""
    assert len(WEIGHT_DECAY.splitlines()) <= 25
    (entry,) = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
    assert len(entry["methods"]) == 1
    methods = [*entry["run"]["methods"], "sk_autoencoder"]
    change = {"run": {"methods": methods}, "methods": {**entry["methods"], "sk_autoencoder": {}}}
    with added(smoke, FILES):
        jobs = planned(smoke, overlay(tmp_path, change))
    assert {method for _, method in jobs} == {"", "weight_decay", "sk_autoencoder"}
    assert jobs["train", "weight_decay"] == jobs["train_sk_autoencoder", "sk_autoencoder"] == 1
    assert not jobs["train", "sk_autoencoder"]


def test_it_appears_in_every_number_table_figure_and_the_report(project, tmp_path):
    methods = ["vhp_vae", "weight_decay", "sk_autoencoder"]
    change = {
        "results_dir": "results/added",
        "run": {"methods": methods, "tasks": ["reconstruction", "flatness", "interpolation"]},
        "methods": {"weight_decay": {}, "sk_autoencoder": {}},
    }
    config = overlay(tmp_path, change)
    with added(project, FILES):
        run = project.smoke(overlays=(config,))
        assert run.returncode == 0, run.stdout[-5000:]
        report = project.smoke("--report", str(tmp_path / "report.zip"), overlays=(config,))
        assert report.returncode == 0, report.stdout[-3000:]
        code = "from flatvae import load; m = load('results/added/pendulum/sk_autoencoder/model.safetensors', 1); print(m.decode(m.encode(__import__('torch').ones(1, 256))).mean().item())"
        decoded = subprocess.run([project.python, "-c", code], cwd=project.folder, capture_output=True, text=True)
    assert "time unknown: the rule train_sk_autoencoder makes the models" in run.stdout
    results = project.folder / "results" / "added"
    metrics = read_metrics(results / "metrics.csv")
    per_task = metrics.groupby("task")["method"].unique()
    assert all(set(names) == set(methods) for names in per_task)
    for table in (results / "tables").glob("*.csv"):
        assert set(methods) <= set(pd.read_csv(table, keep_default_na=False)["method"]), table
    for figure in ("training_curves", "flatness", "latent_map", "reconstructions", "interpolation"):
        assert (results / "figures" / f"pendulum_{figure}.png").stat().st_size > 5000
    assert np.isfinite(float(decoded.stdout)), decoded.stderr
    errors = metrics[metrics["metric"] == "test_error"].groupby("method")["value"].mean()
    assert errors["sk_autoencoder"] < 10  # it has learned: the mean image leaves 20


def test_foreign_weights_compute_what_the_foreign_code_computes(project):
    """The model with scikit-learn's weights decodes its codes to scikit-learn's own predictions."""
    from sklearn.neural_network import MLPRegressor

    from flatvae import datasets

    dataset = datasets.load("pendulum", train=64, validation=8, test=8)
    x = dataset.train.numpy()
    net = MLPRegressor(hidden_layer_sizes=[6, 2, 6], activation="tanh", max_iter=5, random_state=0).fit(x, x)
    namespace: dict = {}
    exec(MODULE, namespace)
    model = namespace["build"](dataset, latent_dim=2, hidden=[6]).requires_grad_(False)
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    for layer, weight, bias in zip(layers, net.coefs_, net.intercepts_, strict=True):
        layer.weight[: len(bias)], layer.bias[: len(bias)] = torch.from_numpy(weight.T), torch.from_numpy(bias)
    predicted = model.decode(model.encode(dataset.test)).numpy()
    np.testing.assert_allclose(predicted, net.predict(dataset.test.numpy()), rtol=1e-4, atol=1e-5)


def test_the_template_runs_at_once_and_a_name_that_is_taken_is_refused(project):
    def lay_down(name: str) -> subprocess.CompletedProcess:
        command = [project.python, "-m", "baselines", name]
        return subprocess.run(command, cwd=project.folder, capture_output=True, text=True)

    done = lay_down("my_method")
    try:
        assert "snakemake --cores all --configfile config/my_method.yaml" in done.stdout
        target = "results/my_method/pendulum/my_method/flatness.csv"
        small = {"training": {"steps": 60, "hidden": [8]}, "options": {"train": 200, "validation": 20, "test": 20}}
        extra = project.folder / "config" / "small.yaml"
        extra.write_text(yaml.safe_dump({"datasets": {"pendulum": small}}))
        run = project.snakemake(target, "--cores", "1", "--configfile", "config/my_method.yaml", str(extra))
        assert run.returncode == 0, run.stdout[-3000:]
        assert len(pd.read_csv(project.folder / target)["seed"].unique()) == 3
        for name, why in (
            ("my_method", "baselines/my_method.py exists already; choose another NAME"),
            ("My-Method", "NAME is 'My-Method'; it must be a Python name of lowercase letters, digits and _"),
            ("", "NAME is ''; it must be"),
        ):
            refused = lay_down(name)
            assert refused.returncode == 1
            assert why in refused.stderr
    finally:
        for path in ("baselines/my_method.py", "config/my_method.yaml", "config/small.yaml"):
            (project.folder / path).unlink(missing_ok=True)


BROKEN = {
    "no build": ("import torch\n", "baselines/broken.py has no function build(dataset, *, …); every method needs one"),
    "signature": (
        "def build(dataset, latent_dim=2): ...\n",
        "baselines/broken.py: build(dataset, latent_dim=2) breaks the contract; write build(dataset, *, …) with a default",
    ),
    "penalty's signature": (
        "from baselines.vae import build\ndef penalty(decode, z): ...\n",
        "baselines/broken.py: penalty(decode, z) breaks the contract; write penalty(decode, z, noise, *, …)",
    ),
    "type": (
        "import torch\ndef build(dataset, *, latent_dim=2): return torch.nn.Linear(2, 2)\n",
        "baselines/broken.py: build returned a Linear; it must return a flatvae.model.LatentVariableModel",
    ),
    "shape": (
        "from baselines import vae\ndef build(dataset, *, latent_dim=2):\n"
        "    model = vae.build(dataset)\n    model.decode = lambda z: z\n    return model\n",
        "baselines/broken.py: decode of the model that build makes returned the shape (4, 2); it must be (4, 256)",
    ),
    "NaN": (
        "from baselines.vae import build\ndef penalty(decode, z, noise): return decode(z).sum() * float('nan')\n",
        "baselines/broken.py: penalty returned NaN or infinite values for a fresh model; it must be finite",
    ),
    "no vmap": (
        "from baselines.vae import build\ndef penalty(decode, z, noise):\n"
        "    return decode(z).sum() if z.sum() > 0 else decode(z).mean()\n",
        "baselines/broken.py: a training step, all seeds at once by torch.func.vmap, failed with RuntimeError",
    ),
    "fit's signature": (
        "from baselines.vae import build\ndef fit(dataset, *, seed, latent_dim=2): ...\n",
        "baselines/broken.py: fit lacks the parameter activation, which build has; both get the same hyperparameters: add it",
    ),
    "fit": (
        "from baselines import vae\nfrom baselines.vae import build\n"
        "def fit(dataset, *, seed, **_): return vae.build(dataset, hidden=[3])\n",
        "baselines/broken.py: the model that fit makes differs from build's in decoder.0.bias; it must have the same",
    ),
}


BROKEN |= {
    "no Python": ("def build(dataset, *\n", "baselines/broken.py, line 1: '(' was never closed; fix it"),
    "import": (
        "import no_such_package\nfrom baselines.vae import build\n",
        "baselines/broken.py: its import failed with ModuleNotFoundError: No module named 'no_such_package'; fix it",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_baseline_is_named_before_anything_runs(project, tmp_path, case):
    text, sentence = BROKEN[case]
    change = {
        "results_dir": "results/broken",
        "run": {"methods": ["vae", "broken"]},
        "methods": {"broken": {}},
    }
    with added(project, {"broken.py": text}):
        run = project.smoke(overlays=(overlay(tmp_path, change),))
    assert run.returncode == 1
    assert sentence in " ".join(run.stdout.split()), run.stdout[-3000:]
    assert "Traceback" not in run.stdout
    assert not (project.folder / "results" / "broken" / "pendulum").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "model.safetensors",
            "modell.safetensors",
            "sk_autoencoder.smk: 0 rules have the output model: results/broken/{dataset}/sk_autoencoder/model.safetensors; there",
        ),
        (
            "history=",
            "story=",
            "rules have the output history: results/broken/{dataset}/sk_autoencoder/history.csv; there must be one",
        ),
        (
            'methods_of("baselines.sk_autoencoder")',
            '".*"',
            "sk_autoencoder.smk: the rule train_sk_autoencoder would also make vae's files; give it wildcard_constraints: method=",
        ),
    ],
)
def test_a_rule_of_its_own_that_makes_something_else_is_named(project, tmp_path, old, new, sentence):
    assert old in RULE
    change = {
        "results_dir": "results/broken",
        "run": {"methods": ["vae", "sk_autoencoder"]},
        "methods": {"sk_autoencoder": {}},
    }
    with added(project, FILES | {"sk_autoencoder.smk": RULE.replace(old, new)}):
        run = project.smoke("--dry-run", overlays=(overlay(tmp_path, change),))
    assert run.returncode == 1
    assert sentence in " ".join(run.stdout.split()), run.stdout[-3000:]


def test_a_method_of_the_config_without_a_file_is_named(project, tmp_path):
    change = {"run": {"methods": ["vae", "nowhere"]}, "methods": {"nowhere": {}}}
    run = project.smoke("--dry-run", overlays=(overlay(tmp_path, change),))
    assert run.returncode == 1
    assert (
        "config: methods.nowhere.builder is 'baselines.nowhere', which is no module of this project; write baselines/nowhere.py"
        in run.stdout
    )


def test_a_control_that_does_not_hold_fails_the_run_and_leaves_all_it_made(project, tmp_path):
    """A hundred steps make no flat method: the control that says so must lose."""
    control = {
        "statement": "Nonsense.",
        "method": "vae",
        "task": "reconstruction",
        "metric": "test_error",
        "better": "lower",
        "must": "lose",
        "against": ["pca"],
    }
    change = {
        "results_dir": "results/controlled",
        "run": {"methods": ["vae", "pca"], "tasks": ["reconstruction"]},
        "controls": {
            "nonsense": control | {"method": "pca", "against": ["vae"]},
            "right": control | {"must": "win", "method": "pca", "against": ["vae"]},
        },
    }
    run = project.smoke(overlays=(overlay(tmp_path, change),))
    assert run.returncode == 1
    sentence = r"flatvae: control nonsense does not hold on pendulum: required is test_error of pca > that of vae, found [\d.]+ against [\d.]+ of vae; Nonsense\."
    assert re.search(sentence, run.stdout), run.stdout[-3000:]
    table = pd.read_csv(project.folder / "results" / "controlled" / "controls.csv").set_index("control")
    assert table.loc["right", "holds"] == 1
    assert table.loc["nonsense", "holds"] == 0
    assert (project.folder / "results" / "controlled" / "manifest.json").is_file()
    assert "  open results/controlled/index.html" in run.stdout
    page = (project.folder / "results" / "controlled" / "index.html").read_text()
    assert "Control " in page.partition("Keep in mind")[2].partition("</ul>")[0]
