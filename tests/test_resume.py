"""A training that was interrupted ends in the same bits as one that was not."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from baselines import vae, vhp_vae
from flatvae import checkpoint, datasets, flat_vae, training
from flatvae.training.resume import EXIT_STATUS, Interrupted, Snapshots

ROOT = Path(__file__).resolve().parents[1]
COMMON = {"steps": 130, "batch_size": 16, "hidden": [12], "prior_hidden": [8], "n_prior_samples": 2, "latent_dim": 2}
CASES = {
    "vae": (vae, "pendulum", {"bound": 2.0}),
    "vhp_vae, never in the bound": (vhp_vae, "pendulum", {"bound": 1e-3}),
    "flat_vae": (flat_vae, "pendulum", {"bound": 8.0, "eta": 10.0, "estimator": "probe"}),
    "bernoulli": (vhp_vae, "bernoulli", {"bound": 40.0}),
}


@pytest.fixture(scope="module")
def data():
    pendulum = datasets.load("pendulum", train=64, validation=8, test=8)
    grey = {part: getattr(pendulum, part).clamp(0, 1) for part in ("train", "validation", "test")}
    return {"pendulum": pendulum, "bernoulli": datasets.Dataset("grey", **grey, likelihood="bernoulli", shape=(16, 16))}


@pytest.fixture
def fifty(monkeypatch):
    """Blocks of 50 steps."""
    monkeypatch.setattr("flatvae.training.loop.block_length", lambda steps: 50)


class Interrupting(Snapshots):
    """Asks to end after so many steps, as a signal might at any moment."""

    after = 0

    @property
    def interrupted(self) -> bool:
        self.asked += 1
        return self.asked > self.after

    @interrupted.setter
    def interrupted(self, value: bool) -> None:
        self.asked = 0


def interrupted_run(data, case: str, path: Path, pieces: list[int]) -> training.Trained:
    """Trained in pieces of so many steps, each in a trainer of its own, and then to the end."""
    module, name, own = CASES[case]
    for steps in pieces:
        snapshots = Interrupting(path, {"case": case}, 1e9)
        snapshots.after = steps
        with pytest.raises(Interrupted, match="the same command goes on"):
            training.train(module, data[name], COMMON | own, [3, 0], snapshots=snapshots)
    return training.train(module, data[name], COMMON | own, [3, 0], snapshots=Snapshots(path, {"case": case}, 1e9))


def assert_same(found: training.Trained, expected: training.Trained) -> None:
    assert found.seeds == expected.seeds
    for name, value in expected.state.items():
        assert torch.equal(found.state[name], value), name
    pd.testing.assert_frame_equal(found.history, expected.history, check_exact=True)


@pytest.mark.parametrize("case", CASES)
def test_interruptions_leave_no_trace(data, case, tmp_path, capsys, fifty):
    """Also within a block, at its edge, in the initial phase, twice on end, and before the first step."""
    module, name, own = CASES[case]
    expected = training.train(module, data[name], COMMON | own, [3, 0])
    found = interrupted_run(data, case, tmp_path / "s.safetensors", [0, 17, 33, 1, 60])
    assert_same(found, expected)
    steps = [int(step) for step in re.findall(r"goes on from step (\d+) of 130", capsys.readouterr().out)]
    assert steps[:4] == [0, 17, 50, 51]
    assert steps[4] > 100
    assert steps[4] % 50


@pytest.mark.parametrize("pieces", [[179, 1, 1], [185], [198, 2]])
def test_interruptions_leave_what_tells_whether_it_settled(data, tmp_path, pieces):
    """About the step at which k (active) is first measured, 180 of 200, after it, and after the last step."""
    settings = {"steps": 200, "bound": 2.0}
    expected = training.train(vae, data["pendulum"], COMMON | settings, [3, 0])
    for seed in expected.seeds:
        assert seed["settling"]["rows"] == 20
        assert None not in seed["settling"]["condition_number_active"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CASES, "short", (vae, "pendulum", settings))
        assert_same(interrupted_run(data, "short", tmp_path / "s.safetensors", pieces), expected)


@pytest.mark.parametrize(("rate", "nan_from", "pieces"), [(1e30, 10**9, [20]), (1e-3, 70, [20, 59]), (1e-3, 70, [100])])
def test_interruptions_leave_no_trace_where_every_seed_freezes(
    data, tmp_path, monkeypatch, fifty, rate, nan_from, pieces
):
    """In the block in which they freeze, before the interruption or after it, and at its edge."""
    draw, settings = training.Trainer._draw, COMMON | {"bound": 2.0, "learning_rate": rate}

    def poisoned(self):
        x, *noise = draw(self)
        return (x * math.nan if self.step_count >= nan_from else x, *noise)

    monkeypatch.setattr(training.Trainer, "_draw", poisoned)
    monkeypatch.setitem(CASES, "frozen", (vae, "pendulum", {"bound": 2.0, "learning_rate": rate}))
    expected = training.train(vae, data["pendulum"], settings, [3, 0])
    assert [seed["frozen_step"] is None for seed in expected.seeds] == [False, False]
    assert_same(interrupted_run(data, "frozen", tmp_path / "s.safetensors", pieces), expected)


def test_a_frozen_seed_stays_frozen(data, tmp_path):
    path, settings = tmp_path / "s.safetensors", COMMON | {"bound": 2.0}
    one = training.Trainer(vae, data["pendulum"], settings, [0, 1])
    with torch.no_grad():
        next(iter(one.params.values()))[1] = torch.nan
    one.run_block(50)
    Snapshots(path, {}, 0).write(one.snapshot())
    other = training.Trainer(vae, data["pendulum"], settings, [0, 1])
    other.restore(Snapshots(path, {}, 0).read())
    one.run_block(50)
    other.run_block(50)
    assert other.alive.tolist() == one.alive.tolist() == [True, False]
    assert other.frozen_step.tolist() == one.frozen_step.tolist() == [-1, 0]
    for name, value in one.params.items():
        torch.testing.assert_close(other.params[name], value, rtol=0, atol=0, equal_nan=True)


def flip(path: Path, position: int) -> None:
    """One bit of a file, as a disk may lose it."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: None, "comes from other code, settings or data; the training starts anew"),
        (lambda path: path.write_bytes(path.read_bytes()[:-7]), "is damaged; the training starts anew"),
        (lambda path: flip(path, -7), "is damaged; the training starts anew"),
        (lambda path: path.write_bytes(b"nonsense"), "is damaged; the training starts anew"),
    ],
)
def test_what_does_not_fit_is_not_used_and_that_is_said(data, change, why, tmp_path, capsys):
    path, settings = tmp_path / "s.safetensors", COMMON | {"bound": 2.0}
    snapshots = Interrupting(path, {"version": 1}, 1e9)
    snapshots.after = 20
    with pytest.raises(Interrupted):
        training.train(vae, data["pendulum"], settings, [0], snapshots=snapshots)
    change(path)
    found = training.train(vae, data["pendulum"], settings, [0], snapshots=Snapshots(path, {"version": 2}, 1e9))
    assert why in capsys.readouterr().out
    assert_same(found, training.train(vae, data["pendulum"], settings, [0]))


def full(*paths):
    raise OSError("disk full")


def test_snapshots_are_written_now_and_then_whole_or_not_at_all(data, tmp_path, monkeypatch, capsys, fifty):
    written = []
    snapshots = Snapshots(tmp_path / "folder" / "s.safetensors", {}, 0.0)
    monkeypatch.setattr(
        snapshots,
        "write",
        lambda tensors: (Snapshots.write(snapshots, tensors), written.append(tensors["count"].tolist())),
    )
    training.train(vae, data["pendulum"], COMMON | {"bound": 2.0}, [0], snapshots=snapshots)
    assert written == [[50, 0], [100, 0], [130, 0]]
    assert [path.name for path in snapshots.path.parent.iterdir()] == ["s.safetensors"]
    with monkeypatch.context() as patch:
        patch.setattr("flatvae.training.resume.os.replace", full)
        Snapshots.write(snapshots, {"count": torch.zeros(1)})
    assert "could not be written (disk full); the training goes on" in capsys.readouterr().out
    assert load_file(snapshots.path)["count"].tolist() == [130, 0]
    assert [path.name for path in snapshots.path.parent.iterdir()] == ["s.safetensors"]
    snapshots.remove()
    assert not snapshots.path.parent.exists()


SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
import torch
torch.set_num_threads(1)
from flatvae import datasets, training
from flatvae.training import resume
data = datasets.load("pendulum", train=64, validation=8, test=8)
try:
    training.train_and_save(
        "baselines.vae", data, {settings!r}, [0, 1], device="cpu", label="test", model_path="model.safetensors",
        history_path="history.csv", metrics_path="metrics.csv", code="1", snapshot_seconds=0.2,
    )
except resume.Interrupted as error:
    print(error)
    sys.exit(resume.EXIT_STATUS)
"""


def run(folder: Path, kill: signal.Signals | None = None) -> tuple[int, str]:
    """A training in a process of its own, killed once it has written a snapshot."""
    folder.mkdir(exist_ok=True)
    code = SCRIPT.format(root=str(ROOT), settings=COMMON | {"bound": 2.0, "steps": 1500})
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    snapshot = folder / ".checkpoint" / "training.safetensors"
    if kill is not None:
        while not snapshot.exists() and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, kill)
    out = process.communicate(timeout=300)[0]
    return process.returncode, out


def test_signals_end_a_process_and_the_same_command_goes_on(tmp_path):
    """SIGTERM: at once, with a snapshot of that moment; SIGKILL: from the last snapshot. The files are the same bytes."""
    assert run(tmp_path / "whole")[0] == 0
    folder = tmp_path / "pieces"
    status, out = run(folder, signal.SIGTERM)
    assert status == EXIT_STATUS, out
    assert "asked to end at step" in out
    assert not (folder / "model.safetensors").exists()
    stopped = int(out.split("asked to end at step ")[1].split(";")[0])
    assert load_file(folder / ".checkpoint" / "training.safetensors")["count"][0] == stopped
    assert run(folder, signal.SIGKILL)[0] == -signal.SIGKILL
    status, out = run(folder)
    assert status == 0, out
    assert "test: goes on from step " in out
    assert not (folder / ".checkpoint").exists()
    for name in ("history.csv", "metrics.csv", "model.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert checkpoint.finite_seeds(folder / "model.safetensors") == [0, 1]
