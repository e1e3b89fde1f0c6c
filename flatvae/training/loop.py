"""The loop of a training: blocks of steps, the history, progress and snapshots."""

import contextlib
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from flatvae.constraint import DRIFT, equal_reconstruction
from flatvae.training.resume import Interrupted, Snapshots
from flatvae.training.settling import condition_numbers, measured_at, settling
from flatvae.training.step import Trainer

BLOCK = 50  # longest block: between blocks the host reads the device, for history, progress, end of the initial phase


def block_length(steps: int) -> int:
    """Steps of a block: a hundredth of the training (1 to 50), so that the history has enough rows to judge settling."""
    return min(BLOCK, max(1, steps // 100))


@dataclasses.dataclass
class Trained:
    """The result of a training.

    Attributes:
        state: parameters by name, seeds stacked along the first dimension.
        history: one row per block and seed: seed, step, error, kl, beta, penalty, scale, initial.
        seeds: one dictionary per seed: seed, frozen_step (None while finite), initial_phase_end (its step),
            error (Ĉ), beta (None if no bound was enforced), scale (moving average of c²), settling (see
            ``flatvae.training.settling``; None if no bound was enforced, β was held constant, or the seed froze).
        seconds: wall time of the steps, including those before an interruption.
    """

    state: dict[str, Tensor]
    history: pd.DataFrame
    seeds: list[dict]
    seconds: float


class Course:
    """A running training: its trainer, the numbers gathered block by block, and its start time.

    Args:
        trainer: the trainer; a snapshot's state is restored into it.
        found: a snapshot's tensors; empty for a new training.
    """

    COLUMNS = ("seed", "step", "error", "kl", "beta", "penalty", "scale", "initial")
    WHOLE = ("seed", "step", "initial")

    def __init__(self, trainer: Trainer, found: dict[str, Tensor]):
        self.trainer = trainer
        self.history: list[pd.DataFrame] = []
        self.average: Tensor | None = None  # moving average of c², (S,)
        self.phase_end: list[int | None] = [None] * len(trainer.seeds)  # step at which each seed left its initial phase
        # k (active) of each seed at 90 % and at 100 % of the steps, (S, 2); NaN where it was not measured
        self.condition_numbers = torch.full((len(trainer.seeds), 2), torch.nan, dtype=torch.float64)
        self.tenths, self.last = (
            0,
            None,
        )  # for ``stands_still``: the last tenth of the steps that was checked, and k (active) there, (S,)
        self.started = time.perf_counter() - found.get("seconds", torch.zeros(())).item()
        if found:
            trainer.restore(found)
        if "history" in found:
            rows = pd.DataFrame(found["history"].numpy(), columns=self.COLUMNS)
            self.history = [rows.astype(dict.fromkeys(self.WHOLE, int))]
            self.average = found["scale_average"].to(trainer.data.device)
            self.phase_end = [None if end < 0 else end for end in found["phase_end"].tolist()]
            self.condition_numbers = found["condition_numbers"]

    def snapshot(self) -> dict[str, Tensor]:
        """Everything that the rest of the training depends on, as tensors."""
        seconds = torch.tensor(time.perf_counter() - self.started, dtype=torch.float64)
        tensors = self.trainer.snapshot() | {"seconds": seconds}
        if not self.history:
            return tensors
        rows = pd.concat(self.history)[list(self.COLUMNS)].to_numpy(dtype="float64")
        ends = torch.tensor([-1 if end is None else end for end in self.phase_end])
        tensors |= {"history": torch.from_numpy(rows), "scale_average": self.average, "phase_end": ends}
        return tensors | {"condition_numbers": self.condition_numbers}

    def run_block(self, interrupted: Callable[[], bool]) -> bool:
        """Trains to the end of the current block and gathers its numbers; returns False if interrupted before the end."""
        trainer = self.trainer
        was_initial = trainer.bound.initial.tolist()
        begun, steps = trainer.step_count - trainer.block_step, trainer.settings.steps
        block = trainer.run_block(min(block_length(steps), steps - begun), interrupted)
        if block is None:
            return False
        self.gather(*block, was_initial)
        for place, step in enumerate(measured_at(steps)):
            if begun < step <= trainer.step_count:
                self.condition_numbers[:, place] = condition_numbers(trainer)
        alive, is_initial = trainer.alive.tolist(), trainer.bound.initial.tolist()
        for s in range(len(trainer.seeds)):
            if was_initial[s] and not is_initial[s] and alive[s]:
                self.phase_end[s] = trainer.step_count
        return True

    def gather(self, terms: Tensor, scale: Tensor, was_initial: list[bool]) -> None:
        """Adds a block's mean terms (3, S) and c² (S,) to the history; a frozen seed gets no further rows."""
        trainer = self.trainer
        self.average = scale if self.average is None else torch.lerp(self.average, scale, 0.1)
        error, kl, penalty = terms.tolist()
        columns = {
            "seed": trainer.seeds,
            "step": trainer.step_count,
            "error": error,
            "kl": kl,
            "beta": trainer.bound.beta.tolist(),
            "penalty": penalty,
            "scale": scale.tolist(),
            "initial": [int(i) for i in was_initial],
        }
        self.history.append(pd.DataFrame(columns)[trainer.alive.tolist()])

    def stands_still(self) -> bool:
        """Whether more steps at the constant learning rate would change little; checked after each tenth of the steps.

        The conditions, for every seed over the last tenth: the penalty was on, |mean (C − κ²) / κ²| ≤ 0.02, and k (active)
        changed by less than 5 %. Frozen seeds are ignored.
        """
        trainer, steps = self.trainer, self.trainer.settings.steps
        if 10 * trainer.step_count // steps == self.tenths:
            return False
        self.tenths = 10 * trainer.step_count // steps
        before, self.last = self.last, condition_numbers(trainer)
        rows = pd.concat(self.history)
        rows = rows[rows["step"] > trainer.step_count - steps / 10]
        error = rows.groupby("seed")["error"].mean() / trainer.settings.bound
        if before is None or rows["initial"].any() or not error.map(lambda e: equal_reconstruction(e, 1.0)).all():
            return False
        drift = (self.last / before - 1).abs()[trainer.alive.cpu()]
        return bool((drift < DRIFT).all())

    def shorten(self) -> None:
        """Skips to where the learning rate begins to fall, but never into the last fifth, on which settling is judged."""
        steps = self.trainer.settings.steps
        falls = int((1 - self.trainer.settings.decay_fraction) * steps)
        self.trainer.step_count = max(self.trainer.step_count, min(falls, 4 * steps // 5))

    def outcome(self) -> Trained:
        """The training's result."""
        trainer, history = self.trainer, pd.concat(self.history, ignore_index=True)
        columns = {
            "seed": trainer.seeds,
            "frozen_step": [None if step < 0 else step for step in trainer.frozen_step.tolist()],
            "initial_phase_end": self.phase_end,
            "error": [_finite(error) for error in trainer.bound.error.tolist()],
            "beta": trainer.bound.beta.tolist(),
            "scale": [_finite(scale) for scale in self.average.tolist()],
            "settling": self._settling(history),
        }
        return Trained(
            state={name: value.detach().cpu() for name, value in trainer.params.items()},
            history=history,
            seeds=[dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)],
            seconds=time.perf_counter() - self.started,
        )

    def _settling(self, history: pd.DataFrame) -> list[dict | None]:
        """Each seed's numbers for judging whether it settled; None for frozen seeds and where no bound was enforced."""
        trainer, s = self.trainer, self.trainer.settings
        bounded = trainer.step_count > 0 and s.beta_rate > 0
        of_seeds = zip(trainer.seeds, trainer.alive.tolist(), self.condition_numbers.tolist(), strict=True)
        return [
            settling(history[history["seed"] == seed], s.steps, s.bound, k) if alive and bounded else None
            for seed, alive, k in of_seeds
        ]


def _finite(value: float) -> float | None:
    """The value, or None if it is not finite: JSON holds no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _printed(line: str) -> None:
    print(line, flush=True)


def train(
    module: ModuleType,
    dataset,
    hyperparameters: dict,
    seeds: list[int],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    label: str = "",
    snapshots: Snapshots | None = None,
    say: Callable[[str], None] | None = _printed,
    penalty_weights: Sequence[float] | None = None,
    start: Mapping[str, Tensor] | None = None,
    shorten: bool = False,
) -> Trained:
    """Trains all seeds of a method on a data set, with a progress line per block.

    A seed whose loss or gradient becomes non-finite is frozen at its last finite state; the others go on. With ``snapshots``
    a training resumes from an existing snapshot, and writes one at intervals and when the process is asked to end. An
    interrupted training ends bit for bit like an uninterrupted one.

    Args:
        module: the method.
        dataset: its data.
        hyperparameters: see ``split_hyperparameters``.
        seeds: the S seeds.
        device: where the training runs.
        dtype: float32, or float64 in tests.
        label: the beginning of every progress line.
        snapshots: where snapshots are kept; None writes none.
        say: called with each line of progress and each warning; None is silent and shows no bar.
        penalty_weights: see ``Trainer``.
        start: initial parameters by name, seeds stacked (S, …); by default each seed's own random ones.
        shorten: skips the remaining steps at the constant learning rate once every seed has converged
            (``Course.stands_still``). Not with ``snapshots``.

    Raises:
        InputError: the hyperparameters are not the method's.
        Interrupted: the process was asked to end.
    """
    trainer = Trainer(module, dataset, hyperparameters, seeds, device, dtype, penalty_weights=penalty_weights)
    for name, value in (start or {}).items():
        with torch.no_grad():
            trainer.params[name].copy_(value)
    found = (snapshots.read() if snapshots else None) or {}
    course, steps = Course(trainer, found), trainer.settings.steps
    quiet, say = say is None, say or (lambda line: None)
    if found:
        say(f"{label}: goes on from step {trainer.step_count} of {steps}")
    with _Progress(trainer, label, say, quiet) as progress, snapshots or contextlib.nullcontext():
        _prepare(trainer, label, say)
        # a block is always completed, even if every seed froze in it: so an interruption leaves no trace
        while trainer.step_count < steps and (trainer.block_step > 0 or trainer.alive.any()):
            complete = course.run_block(lambda: snapshots is not None and snapshots.interrupted)
            if complete:
                progress.show(trainer.step_count, course.history[-1])
                if shorten and course.stands_still():
                    course.shorten()
            if snapshots and snapshots.due() and trainer.step_count < steps:
                snapshots.write(course.snapshot())
            if not complete:
                raise Interrupted(
                    f"{label}: asked to end at step {trainer.step_count}; the same command goes on from there"
                )
    if not trainer.alive.any():
        say(f"warning: {label}: every seed became non-finite by step {trainer.step_count}; the training ends here")
    if snapshots:  # keeps the trained state until the results are written
        snapshots.write(course.snapshot())
    return course.outcome()


def _prepare(trainer: Trainer, label: str, say: Callable[[str], None]) -> None:
    started = time.perf_counter()
    trainer.prepare()
    if trainer.compiled:
        say(f"{label}: compiled the training step in {time.perf_counter() - started:.0f} s")


class _Progress:
    """Progress: a tqdm bar on a terminal, and at intervals a plain line, which a job's log shows."""

    LINES = 20

    def __init__(self, trainer: Trainer, label: str, say: Callable[[str], None], quiet: bool):
        self.say = say
        self.settings = settings = trainer.settings
        self.done = trainer.step_count  # steps done before this process began
        self.label = f"{label} × {len(trainer.seeds)} seeds"
        self.bar = tqdm(
            initial=self.done,
            total=settings.steps,
            desc=self.label,
            unit="step",
            file=sys.__stderr__,
            disable=quiet or not sys.__stderr__.isatty(),
        )
        self.block = block_length(settings.steps)
        self.every = max(self.block, settings.steps // self.LINES)
        self.started = time.perf_counter()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception) -> None:
        self.bar.close()

    def show(self, step: int, rows: pd.DataFrame) -> None:
        mean = rows.mean(numeric_only=True)
        text = (
            f"error {mean['error']:.4g} (bound {self.settings.bound:.4g})  beta {mean['beta']:.3g}  "
            f"penalty {mean['penalty']:.3g}  c2 {mean['scale']:.3g}"
        )
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix_str(text)
        if step % self.every < self.block or step == self.settings.steps:
            rate = (step - self.done) / (time.perf_counter() - self.started)
            self.say(f"{self.label}: step {step}/{self.settings.steps}  {text}  {rate:.1f} steps/s")
