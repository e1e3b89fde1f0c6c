"""What snapshots cost a training, as ratios measured in one run: make performance

Wall time, as a snapshot waits for the disk.
"""

import statistics
import time
from pathlib import Path

import pytest
import yaml
from measured import DEVICE, PENDULUM, PIXELS, dataset

from flatvae import flat_vae
from flatvae.training import BLOCK, Trainer, train
from flatvae.training.resume import Snapshots

CONFIG = Path(__file__).resolve().parents[2] / "config" / "config.yaml"
DEFAULT = 60 * yaml.safe_load(CONFIG.read_text())["checkpoint_minutes"]
HARSH = 2  # seconds
CASES = {
    "pendulum, 5 seeds": (256, PENDULUM | {"estimator": "forward_mode"}),
    "pixels, 5 seeds": (784, PIXELS | {"estimator": "probe"}),
}
SEEDS = list(range(5))


def seconds(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@pytest.mark.parametrize("case", CASES)
def test_a_snapshot_against_the_time_between_two(case, tmp_path):
    """Alternating with blocks of training, so that both meet the same machine."""
    dim, settings = CASES[case]
    trainer = Trainer(flat_vae, dataset(dim), settings, SEEDS, DEVICE)
    snapshots = Snapshots(tmp_path / "s.safetensors", {}, 0)
    trainer.bound.end_initial_phase(force=True)
    trainer.run_block(1)
    blocks, writes = [], []
    for _ in range(7):
        blocks.append(seconds(lambda: trainer.run_block(BLOCK)))
        writes.append(seconds(lambda: snapshots.write(trainer.snapshot())))
    block, write = statistics.median(blocks), statistics.median(writes)
    size = snapshots.path.stat().st_size / 2**20
    print(f"\n{case}: {BLOCK} steps {block:.2f} s, a snapshot of {size:.1f} MB {1e3 * write:.1f} ms")
    print(f"  = {write / block:.2%} of these steps, {write / DEFAULT:.4%} of the {DEFAULT} s between two by default")
    assert max(writes) / DEFAULT <= 0.02


class Timed(Snapshots):
    """Adds up what writing takes."""

    spent, count = 0.0, 0

    def write(self, tensors) -> None:
        self.spent += seconds(lambda: Snapshots.write(self, tensors))
        self.count += 1


def test_a_training_with_a_snapshot_every_other_second(tmp_path):
    """A whole training, with 150 times as many as by default: what it spends on them of all its time."""
    dim, settings = CASES["pendulum, 5 seeds"]
    snapshots = Timed(tmp_path / "s.safetensors", {}, HARSH)
    taken = seconds(
        lambda: train(flat_vae, dataset(dim), settings | {"steps": 1200}, SEEDS, device=DEVICE, snapshots=snapshots)
    )
    share = snapshots.spent / taken
    print(
        f"\n  {snapshots.count} snapshots in {taken:.1f} s: {share:.2%} of it, {share * HARSH / DEFAULT:.4%} by default"
    )
    assert snapshots.count >= 5
    assert share <= 0.02
