"""Training, vectorised over seeds: one process trains every seed of a (data set, method).

The parameters of all seeds are stacked, the loss of one model is mapped over them (``torch.func``: ``stack_module_state``,
``functional_call``, ``vmap``), and since no seed's loss touches another's parameters, the gradient of the losses' sum holds
every seed's own. All noise is drawn outside, from one generator per seed: a seed trained among others equals the same seed
trained alone, to rounding. Within a block of steps nothing waits for the device; between blocks the history is read and the
initial phase may end.

Two promises hold bit by bit: the same command on the same machine (processor, packages, threads, device) gives the same files,
and so does a training that was interrupted. Everything else agrees to rounding, for products of matrices round differently from
one kernel to another, and the kernel depends on the processor, on the number of seeds or rows, on the memory layout, and on
whether a factor requires a gradient. Tests state the tolerance: 1e-8 for a seed among others and alone (float64, fifty
steps), about 1e-6 relative for one float32 evaluation by two routes, 1e-4 for seventy float32 steps as a CUDA graph and without.
"""

import contextlib
import dataclasses
import importlib
import inspect
import io
import math
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, stack_module_state, vmap
from tqdm import tqdm

from flatvae import checkpoint, contract
from flatvae.capture import captured
from flatvae.constraint import TOLERANCE, ReconstructionBound
from flatvae.errors import ContractError, InputError
from flatvae.model import LatentVariableModel
from flatvae.products import exact_float32
from flatvae.replay import Replayed
from flatvae.resume import Interrupted, Snapshots

BLOCK = 50  # steps between two looks at the device: history, progress, end of the initial phase
_FEW = 3  # steps that a training's time is estimated from


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is trained; the config's hyperparameters of the same names.

    Attributes:
        bound: κ², the reconstruction bound, in the units of the likelihood's reconstruction error C.
        steps: training steps.
        batch_size: data drawn per step and seed, with replacement.
        learning_rate: Adam's; constant, then falling linearly to zero over the last ``decay_fraction`` of the steps.
        decay_fraction: see above, in [0, 1].
        clip: largest norm of a seed's gradient.
        initial_beta: β at the start, and throughout the initial phase.
        beta_rate: ν of the multiplier's update.
        initial_fraction: the initial phase ends after this fraction of the steps, the bound met or not.
        alpha0: α₀ of latent mixup for the penalty; ``None`` penalises at the posterior samples themselves.
    """

    bound: float
    steps: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    decay_fraction: float = 0.3
    clip: float = 10.0
    initial_beta: float = 1e-3
    beta_rate: float = 0.02
    initial_fraction: float = 0.5
    alpha0: float | None = 0.2

    def __post_init__(self):
        for name in ("bound", "learning_rate", "clip", "initial_beta", "beta_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"training: {name} is {getattr(self, name)}; it must be finite and > 0")
        for name, least in (("steps", 1), ("batch_size", 2)):
            if getattr(self, name) < least:
                raise InputError(f"training: {name} is {getattr(self, name)}; it must be ≥ {least}")


def _accepted(function) -> set[str]:
    return {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}


def accepted_hyperparameters(module: ModuleType) -> dict[str, set[str]]:
    """Names of the hyperparameters that a method takes, by who takes them: ``build``, ``penalty`` and ``training``."""
    penalty = getattr(module, "penalty", None)
    return {
        "build": _accepted(module.build),
        "penalty": _accepted(penalty) if penalty else set(),
        "training": {field.name for field in dataclasses.fields(Settings)},
    }


def split_hyperparameters(module: ModuleType, hyperparameters: dict) -> tuple[dict, dict, Settings]:
    """One flat dictionary of hyperparameters, dealt out to ``build``, ``penalty`` and the training.

    Names that only another method takes may stand in a data set's common settings; they are checked where the config is
    read, and passed over here.

    Raises:
        InputError: the training lacks a setting that has no default.
    """
    names = accepted_hyperparameters(module)
    build, penalty, training = (
        {k: v for k, v in hyperparameters.items() if k in names[taker]} for taker in ("build", "penalty", "training")
    )
    missing = {"bound", "steps"} - set(training)
    if missing:
        raise InputError(f"training needs {' and '.join(sorted(missing))}; set it for the data set in the config")
    return build, penalty, Settings(**training)


@dataclasses.dataclass
class Trained:
    """What a training leaves.

    Attributes:
        state: parameters by name, seeds stacked along the first dimension.
        history: one row per block and seed: seed, step, error, kl, beta, penalty, scale, initial.
        seeds: one dictionary per seed: seed, frozen_step (None while finite), initial_phase_end (its step),
            error (Ĉ), beta (None where no bound was at work), scale (moving average of c²).
        seconds: wall time of the steps, those before an interruption included.
    """

    state: dict[str, Tensor]
    history: pd.DataFrame
    seeds: list[dict]
    seconds: float


class _Objective(nn.Module):
    """The loss terms of one model on one batch; a module, so that ``functional_call`` replaces the model's parameters."""

    def __init__(self, model: LatentVariableModel, penalty, alpha0: float | None):
        super().__init__()
        self.model = model
        self.penalty = penalty
        self.alpha0 = alpha0

    def forward(
        self, x: Tensor, noise: Tensor, uniform: Tensor, probe: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        error, kl, z = self.model(x, noise)
        value = torch.zeros_like(error[0])
        if self.penalty is not None:
            if self.alpha0 is not None:
                # here and nowhere else in the training: the workflow's fingerprint of a method without a penalty, which
                # never gets here, leaves flattening out
                from flatvae.flattening import mixup

                z = mixup(z, uniform, self.alpha0)
            value = self.penalty(self.model.decode, z, probe)
        return error.mean(), kl.mean(), value, z


class _Scale(nn.Module):
    """c² = E |J v|² / n of one model, v ~ N(0, I): one jvp, unbiased."""

    def __init__(self, model: LatentVariableModel):
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, probe: Tensor) -> Tensor:
        return jvp(self.model.decode, (z,), (probe,))[1].square().sum(-1).mean() / z.shape[-1]


def _for_each(seeds: Tensor, like: Tensor) -> Tensor:
    """One number for each seed, to go with a tensor of all seeds: (S,), (S, …) -> (S, 1, …)."""
    return seeds.view((-1,) + (1,) * (like.dim() - 1))


def _laid_out(parameter: Tensor) -> Tensor:
    """The same parameter, matrices laid out in memory by columns: as the gradients of F.linear come, which spares copies."""
    parameter = parameter.detach()
    return _as_in_memory(_as_in_memory(parameter).contiguous()).requires_grad_()


def _as_in_memory(tensor: Tensor) -> Tensor:
    """A view of what is laid out as parameters are, its numbers in the order of memory: matrices transposed."""
    return tensor.mT if tensor.dim() == 3 else tensor


class _Adam:
    """Adam (Kingma & Ba, ICLR 2015) for S seeds whose gradients are clipped, and whose steps are left out, one by one.

    torch's fused kernel, seed by seed: it divides by the clipping's divisor, and passes over a frozen seed, on its way. Of
    matrices it is given the transposes: numbers in the order of memory take it half the time.
    """

    def __init__(self, params: dict[str, Tensor]):
        self.params = params
        self.means, self.squares = ({k: torch.zeros_like(p).detach() for k, p in params.items()} for _ in range(2))
        self.count = torch.zeros((), device=next(iter(params.values())).device)
        kept = (params, self.means, self.squares)
        per_seed = [[_as_in_memory(t.detach()).unbind() for t in d.values()] for d in kept]
        self.lists = [list(zip(*tensors, strict=True)) for tensors in per_seed]  # of each seed

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on."""
        kept = {"means": self.means, "squares": self.squares}
        return {f"{kind}/{name}": t for kind, d in kept.items() for name, t in d.items()} | {"count": self.count}

    def step(self, gradients: list[Tensor], rate: float | Tensor, divisor: Tensor, left_out: Tensor) -> None:
        """One step with gradients (S, …), which are overwritten, divided by ``divisor`` (S,); none where ``left_out`` (S,)."""
        self.count += 1
        seen: set[int] = set()
        own = []
        for gradient, parameter in zip(gradients, self.params.values(), strict=True):
            if gradient.stride() != parameter.stride() or gradient.data_ptr() in seen:
                gradient = torch.empty_like(parameter).copy_(gradient)
            seen.add(gradient.data_ptr())
            own.append(_as_in_memory(gradient).unbind())
        for seed, gradient in enumerate(zip(*own, strict=True)):
            params, means, squares = (rows[seed] for rows in self.lists)
            torch._fused_adam_(
                params,
                gradient,
                means,
                squares,
                [],
                [self.count] * len(params),
                lr=rate,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
                grad_scale=divisor[seed],
                found_inf=left_out[seed],
            )


def build_seeded(module: ModuleType, dataset, build: dict, seed: int) -> LatentVariableModel:
    """A fresh model with the initial weights of ``seed``; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return contract.called(module, "build", dataset, **build)


class Trainer:
    """The state of a training and its step, for S seeds at once.

    Args:
        module: a method: has ``build`` and, where it needs one, ``penalty``.
        dataset: a ``flatvae.datasets.Dataset``.
        hyperparameters: see ``split_hyperparameters``.
        seeds: the S seeds.
        device: where the training runs.
        dtype: float32, or float64 in tests.
        graphs: whether steps are replayed as CUDA graphs; by default on a GPU. The numbers are the same but for rounding.
    """

    def __init__(
        self,
        module: ModuleType,
        dataset,
        hyperparameters: dict,
        seeds: list[int],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        graphs: bool | None = None,
    ):
        build, penalty, self.settings = split_hyperparameters(module, hyperparameters)
        self.seeds = list(seeds)
        self.dtype = dtype
        self.data = dataset.train.to(device, dtype)
        # seeds are initialised in float32 whatever the dtype, so that they start from the same weights
        models = [build_seeded(module, dataset, build, seed) for seed in self.seeds]
        contract.check_model(module, "build", models[0], dataset)
        models = [model.to(device, dtype) for model in models]
        self.model = models[0]
        params, buffers = stack_module_state(models)
        if buffers:
            raise ContractError(
                f"{contract.file_of(module)}: build returned a model with buffers; keep constants as attributes"
            )
        self.params = {name: _laid_out(parameter) for name, parameter in params.items()}
        has_penalty = hasattr(module, "penalty")
        bound_penalty = (lambda decode, z, noise: module.penalty(decode, z, noise, **penalty)) if has_penalty else None
        if has_penalty:
            contract.check_penalty(module, self.model, bound_penalty)
        self.objective = _Objective(self.model, bound_penalty, self.settings.alpha0)
        self.objective_without_penalty = _Objective(self.model, None, None)
        self.scale_of = _Scale(self.model)
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in self.seeds]
        self.adam = _Adam(self.params)
        self.captured: dict[nn.Module, Callable] = {}
        self.graphs = torch.device(device).type == "cuda" if graphs is None else graphs
        self.replayed: dict[nn.Module, Replayed] = {}
        self.rate = torch.zeros((), device=device)  # the learning rate, where a graph reads it
        s = self.settings
        self.bound = ReconstructionBound.start(len(self.seeds), s.bound, s.beta_rate, s.initial_beta, dtype, device)
        self.alive = torch.ones(len(self.seeds), dtype=torch.bool, device=device)
        self.frozen_step = torch.full((len(self.seeds),), -1, device=device)
        self.step_count = 0
        self.block_step = 0  # steps of the present block that are done, and the sum of their terms
        self.block_terms = torch.zeros(3, len(self.seeds), dtype=dtype, device=device)

    def snapshot(self) -> dict[str, Tensor]:
        """All that the rest of the training depends on; see ``restore``."""
        tensors = {f"parameter/{name}": parameter for name, parameter in self.params.items()}
        tensors |= {f"adam/{key}": value for key, value in self.adam.state().items()}
        tensors |= {f"generator/{s}": generator.get_state() for s, generator in enumerate(self.generators)}
        tensors |= {f"bound/{name}": getattr(self.bound, name) for name in ("beta", "average", "weight", "initial")}
        tensors |= {name: getattr(self, name) for name in ("alive", "frozen_step", "block_terms")}
        return tensors | {"count": torch.tensor([self.step_count, self.block_step])}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes back, or on, to where ``snapshot`` was taken, bit by bit."""
        for name, parameter in self.params.items():
            with torch.no_grad():
                parameter.copy_(tensors[f"parameter/{name}"])
        for key, value in self.adam.state().items():
            value.copy_(tensors[f"adam/{key}"])
        for s, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator/{s}"])
        device = self.alive.device
        for name in ("beta", "average", "weight", "initial"):
            setattr(self.bound, name, tensors[f"bound/{name}"].to(device))
        for name in ("alive", "frozen_step", "block_terms"):
            setattr(self, name, tensors[name].to(device))
        self.step_count, self.block_step = tensors["count"].tolist()

    def _draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A batch and its noise for every seed, each from the seed's own generator.

        Returns:
            x (S, B, D), model noise (S, B, noise_size), mixup positions (S, B), probes (S, B, n).
        """
        size, n = self.settings.batch_size, self.model.latent_dim
        width = self.model.noise_size + n
        index, normal, uniform, threshold = [], [], [], []
        for generator in self.generators:
            kwargs = {"generator": generator, "device": self.data.device}
            index.append(torch.randint(len(self.data), (size,), **kwargs))
            normal.append(torch.randn(size, width, dtype=self.dtype, **kwargs))
            uniform.append(torch.rand(size, dtype=self.dtype, **kwargs))
            if self.model.likelihood.binarises:
                threshold.append(torch.rand(size, self.data.shape[1], dtype=self.dtype, **kwargs))
        x = self.data.index_select(0, torch.cat(index)).unflatten(0, (-1, size))
        if self.model.likelihood.binarises:
            x = self.model.likelihood.observe(x, torch.stack(threshold))
        noise, probe = torch.stack(normal).split([self.model.noise_size, n], dim=-1)
        return x, noise, torch.stack(uniform), probe

    def _mapped(self, module: nn.Module, prefix: str, params: dict[str, Tensor], *arguments: Tensor):
        """``module`` evaluated for every seed, its model's parameters replaced by the seed's."""

        def single(params: dict[str, Tensor], *arguments: Tensor):
            return functional_call(module, {prefix + name: value for name, value in params.items()}, arguments)

        return vmap(single)(params, *arguments)

    def _differentiated(self, objective: nn.Module) -> Callable:
        """Terms, penalty's points and gradients of all seeds' losses, as a function of tensors alone."""

        def function(params: dict[str, Tensor], beta: Tensor, on: Tensor, x: Tensor, *noise: Tensor):
            error, kl, penalty, z = self._mapped(objective, "model.", params, x, *noise)
            loss = error + beta * (kl + torch.where(on, penalty, 0.0))
            gradients = torch.autograd.grad(loss.sum(), list(params.values()), materialize_grads=True)
            return torch.stack([error, kl, penalty]).detach(), loss.detach(), z.detach(), list(gradients)

        return function

    def step(self, objective: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """One training step of all seeds: no host synchronisation.

        Returns:
            terms (3, S): error, KL and penalty of the batch; the penalty's points z̃ (S, B, n); probes (S, B, n). The next step
            may overwrite them.
        """
        rate = self._learning_rate()
        with exact_float32():
            if self.graphs and objective not in self.replayed:
                self._record(objective)
            if self.graphs:
                self.rate.fill_(rate)
                result = self.replayed[objective]()
            else:
                result = self._step(objective, rate)
        self.step_count += 1
        return result

    def _record(self, objective: nn.Module) -> None:
        """Makes the step a graph, and leaves the training where it was; where that fails, steps stay plain ones."""
        before = {name: tensor.clone() for name, tensor in self.snapshot().items()}
        changed = [(self.bound, name) for name in ("beta", "average", "weight", "initial")]
        changed += [(weakref.proxy(self), name) for name in ("alive", "frozen_step")]
        try:
            self.replayed[objective] = Replayed(lambda: self._step(objective, self.rate), changed, self.generators)
        except RuntimeError as error:  # of the driver, or of operations in a penalty that wait for the device
            if isinstance(error, torch.OutOfMemoryError):
                raise
            self.graphs = False
            print(f"warning: no CUDA graph of the training step could be recorded, it runs without: {error}")
        self.restore(before)

    def _step(self, objective: nn.Module, rate: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, noise, uniform, probe = self._draw()
        on = ~self.bound.initial
        arguments = self.params, self.bound.beta, on, x, noise, uniform, probe
        if objective not in self.captured:
            self.captured[objective] = captured(self._differentiated(objective), *arguments)
        terms, loss, z, gradients = self.captured[objective](*arguments)
        self._descend(gradients, loss, on, rate)
        self.bound.update(terms[0], self.alive)
        return terms, z, probe

    @torch.no_grad()
    def _descend(self, gradients: list[Tensor], loss: Tensor, on: Tensor, rate: float | Tensor) -> None:
        """Clips each seed's gradient, freezes seeds that are not finite, and steps.

        A frozen seed is passed over, so that its parameters stay exactly where they are. In the initial phase the prior is
        not trained: its gradient is zero. (Adam's step count runs on, so the prior's first updates after the phase are a few
        times the learning rate, for some tens of steps.)
        """
        gradients = [
            gradient * _for_each(on, gradient) if name.startswith("prior.") else gradient
            for name, gradient in zip(self.params, gradients, strict=True)
        ]
        squares = [torch.linalg.vector_norm(g, dim=[*range(1, g.dim())]).square() for g in gradients]
        norm = sum(squares).sqrt()
        was_alive = self.alive
        self.alive = was_alive & torch.isfinite(loss) & torch.isfinite(norm)
        now = self.adam.count.long()  # steps done, where a graph reads it
        self.frozen_step = torch.where(was_alive & ~self.alive, now, self.frozen_step)
        divisor = (norm / self.settings.clip).clamp(min=1.0).float()
        self.adam.step(gradients, rate, divisor, (~self.alive).float())

    def _learning_rate(self) -> float:
        s = self.settings
        left = (s.steps - self.step_count) / max(1.0, s.decay_fraction * s.steps)
        return s.learning_rate * min(1.0, left)

    def run_block(self, steps: int, interrupted: Callable[[], bool] = lambda: False) -> tuple[Tensor, Tensor] | None:
        """``steps`` steps, those of a block begun before included, then the end of the initial phase where it is due.

        Returns:
            mean terms (3, S) over the block, and c² (S,) at its last points; None where ``interrupted`` between two steps:
            the next call goes on from there.
        """
        # while every seed is in its initial phase the penalty is off for all: it need not be computed
        objective = self.objective_without_penalty if bool(self.bound.initial.all()) else self.objective
        while self.block_step < steps:
            if interrupted():
                return None
            terms, z, probe = self.step(objective)
            self.block_terms = self.block_terms + terms
            self.block_step += 1
        with torch.no_grad():
            scale = self._mapped(self.scale_of, "model.", self.params, z, probe)
        limit = self.step_count >= self.settings.initial_fraction * self.settings.steps
        self.bound.end_initial_phase(force=limit)
        mean = self.block_terms / steps
        self.block_step, self.block_terms = 0, torch.zeros_like(mean)
        return mean, scale


@dataclasses.dataclass
class _Course:
    """What a training gathers block by block."""

    history: list[pd.DataFrame]
    average: Tensor | None  # moving average of c², (S,)
    phase_end: list[int | None]  # of each seed

    COLUMNS = ("seed", "step", "error", "kl", "beta", "penalty", "scale", "initial")
    WHOLE = ("seed", "step", "initial")

    def snapshot(self) -> dict[str, Tensor]:
        """As tensors."""
        if not self.history:
            return {}
        rows = pd.concat(self.history)[list(self.COLUMNS)].to_numpy(dtype="float64")
        ends = torch.tensor([-1 if end is None else end for end in self.phase_end])
        return {"history": torch.from_numpy(rows), "scale_average": self.average, "phase_end": ends}

    @classmethod
    def restored(cls, tensors: dict[str, Tensor], n_seeds: int, device) -> "_Course":
        """From a snapshot's tensors; from none, the beginning."""
        if "history" not in tensors:
            return cls([], None, [None] * n_seeds)
        rows = pd.DataFrame(tensors["history"].numpy(), columns=cls.COLUMNS).astype(dict.fromkeys(cls.WHOLE, int))
        ends = [None if end < 0 else end for end in tensors["phase_end"].tolist()]
        return cls([rows], tensors["scale_average"].to(device), ends)


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
) -> Trained:
    """Trains all seeds of a method on a data set, with a progress line per block.

    A seed whose loss or gradient becomes non-finite is frozen at its last finite state; the others go on. With
    ``snapshots`` a training goes on from the snapshot that is there, writes one now and then, and when the process is
    asked to end; one that was interrupted ends in the same bits as one that was not.

    Raises:
        InputError: the hyperparameters are not the method's.
        Interrupted: the process was asked to end.
    """
    trainer = Trainer(module, dataset, hyperparameters, seeds, device, dtype)
    settings = trainer.settings
    found = (snapshots.read() if snapshots else None) or {}
    course = _Course.restored(found, len(seeds), trainer.data.device)
    if found:
        trainer.restore(found)
        print(f"{label}: goes on from step {trainer.step_count} of {settings.steps}", flush=True)
    started = time.perf_counter() - found.get("seconds", torch.zeros(())).item()

    def state() -> dict[str, Tensor]:
        spent = torch.tensor(time.perf_counter() - started, dtype=torch.float64)
        return trainer.snapshot() | course.snapshot() | {"seconds": spent}

    with _Progress(settings, label, len(seeds), trainer.step_count) as progress, snapshots or contextlib.nullcontext():
        while trainer.step_count < settings.steps:
            initial = trainer.bound.initial.tolist()
            left = settings.steps - trainer.step_count + trainer.block_step
            block = trainer.run_block(min(BLOCK, left), lambda: snapshots is not None and snapshots.interrupted)
            if block is not None:
                _gather(course, trainer, *block, initial)
                progress.show(trainer.step_count, course.history[-1])
            if snapshots and snapshots.due() and trainer.step_count < settings.steps:
                snapshots.write(state())
            if block is None:
                raise Interrupted(
                    f"{label}: asked to end at step {trainer.step_count}; the same command goes on from there"
                )
            if not trainer.alive.any():
                print(
                    f"warning: {label}: every seed became non-finite by step {trainer.step_count}; the training ends here"
                )
                break
    if snapshots:  # so that nothing is lost until the results are written
        snapshots.write(state())
    return _trained(trainer, course, started)


def _gather(course: _Course, trainer: Trainer, terms: Tensor, scale: Tensor, initial: list[bool]) -> None:
    """A block's numbers; ``initial`` says which seeds were in their initial phase when it began."""
    course.average = scale if course.average is None else torch.lerp(course.average, scale, 0.1)
    alive = trainer.alive.tolist()
    for s, still_initial in enumerate(trainer.bound.initial.tolist()):
        if initial[s] and not still_initial and alive[s]:
            course.phase_end[s] = trainer.step_count
    course.history.append(_history_rows(trainer, terms, scale, initial))


def fit(
    module: ModuleType, dataset, hyperparameters: dict, seeds: list[int], *, device: torch.device, label: str
) -> Trained:
    """Every seed's model from the method's own ``fit(dataset, *, seed, …)``, for methods that are not trained by steps.

    Raises:
        ContractError: what ``fit`` returned is no model of ``build``'s form.
    """
    build = split_hyperparameters(module, hyperparameters)[0]
    started = time.perf_counter()
    models = {seed: contract.called(module, "fit", dataset, seed=seed, **build) for seed in seeds}
    print(f"{label}: made by {module.__name__}.fit, not trained")
    return _measured(module, dataset, hyperparameters, models, "fit", device, started)


@torch.no_grad()
def _measured(
    module: ModuleType,
    dataset,
    hyperparameters: dict,
    models: dict[int, LatentVariableModel],
    maker: str,
    device: torch.device,
    started: float,
) -> Trained:
    """Ĉ, KL and c² of models that no training of this suite made, on a block's batches.

    The history has one row per seed, at step 0, where β is what a training would start with; in the end there is none.
    """
    trainer = Trainer(module, dataset, hyperparameters, list(models), device)
    for model in models.values():
        contract.check_model(module, maker, model, dataset)
        contract.check_form(module, maker, model, trainer.model)
    for name, value in trainer.params.items():
        value.copy_(torch.stack([model.state_dict()[name] for model in models.values()]))
    total = 0.0
    for _ in range(BLOCK):
        x, noise, uniform, probe = trainer._draw()
        *terms, z = trainer._mapped(
            trainer.objective_without_penalty, "model.", trainer.params, x, noise, uniform, probe
        )
        trainer.bound.update(terms[0], trainer.alive)
        total = total + torch.stack([*terms, trainer._mapped(trainer.scale_of, "model.", trainer.params, z, probe)])
    *terms, scale = total / BLOCK
    trainer.alive = total.isfinite().all(0)
    trainer.frozen_step = torch.where(trainer.alive, -1, 0)
    history = [_history_rows(trainer, torch.stack(terms), scale, [False] * len(models))]
    trained = _trained(trainer, _Course(history, scale, [None] * len(models)), started)
    return dataclasses.replace(trained, seeds=[seed | {"beta": None} for seed in trained.seeds])


def _trained(trainer: Trainer, course: _Course, started: float) -> Trained:
    frozen = trainer.frozen_step.tolist()
    outcome = zip(
        trainer.seeds,
        frozen,
        course.phase_end,
        trainer.bound.error.tolist(),
        trainer.bound.beta.tolist(),
        course.average.tolist(),
        strict=True,
    )
    return Trained(
        state={name: value.detach().cpu() for name, value in trainer.params.items()},
        history=pd.concat(course.history, ignore_index=True),
        seeds=[
            {
                "seed": seed,
                "frozen_step": None if step < 0 else step,
                "initial_phase_end": end,
                "error": error if math.isfinite(error) else None,
                "beta": beta,
                "scale": c2 if math.isfinite(c2) else None,
            }
            for seed, step, end, error, beta, c2 in outcome
        ],
        seconds=time.perf_counter() - started,
    )


def snapshots_at(
    path: str | Path,
    builder: str,
    dataset,
    hyperparameters: dict,
    seeds: Iterable[int],
    device: str,
    code: str,
    seconds: float,
) -> Snapshots:
    """Where a training keeps its snapshots, every so many ``seconds``; ``code`` is what they must have been made with."""
    identity = {
        "code": code,
        "builder": builder,
        "hyperparameters": hyperparameters,
        "seeds": list(seeds),
        "data": dataset.fingerprint(),
        "device": str(choose_device(device)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return Snapshots(path, identity, seconds)


def train_and_save(
    builder: str,
    dataset,
    hyperparameters: dict,
    seeds: Iterable[int],
    *,
    device: str,
    label: str,
    model_path: str | Path,
    history_path: str | Path,
    metrics_path: str | Path,
    code: str = "",
    snapshot_seconds: float = math.inf,
) -> float:
    """Trains a method and writes its checkpoint, its history and the metrics of the task ``training``.

    A method that has ``fit`` makes its models by that, and is not trained. Snapshots of a training (see ``flatvae.resume``) are
    kept in the folder ``.checkpoint`` beside the model, every ``snapshot_seconds``, until the results are written; ``code`` is
    what they must have been made with.

    Metrics per seed: ``frozen`` (0/1, with ``frozen_step`` where 1), ``initial_phase_end`` (step), ``bound_met``
    (0/1: Ĉ ≤ 1.02 κ² at the end), ``scale_average`` (moving average of c²). A seed that was frozen, or that never met the
    bound, is named in a warning.

    Returns:
        Seconds of the steps, those before an interruption included.
    """
    module = method_module(builder)
    common = {"device": choose_device(device), "label": label}
    kept = Path(model_path).parent / ".checkpoint" / "training.safetensors"
    snapshots = snapshots_at(kept, builder, dataset, hyperparameters, seeds, device, code, snapshot_seconds)
    if hasattr(module, "fit"):
        trained = fit(module, dataset, hyperparameters, list(seeds), **common)
    else:
        trained = train(module, dataset, hyperparameters, list(seeds), **common, snapshots=snapshots)
    _save(module, dataset, hyperparameters, trained, common["device"], label, model_path, history_path, metrics_path)
    snapshots.remove()
    print(f"{label}: trained {len(trained.seeds)} seeds in {trained.seconds:.1f} s", flush=True)
    return trained.seconds


def hand_over(
    models: dict[int, LatentVariableModel],
    *,
    builder: str,
    dataset,
    hyperparameters: dict,
    label: str,
    model_path: str | Path,
    history_path: str | Path,
    metrics_path: str | Path,
) -> None:
    """Writes what ``train_and_save`` writes, for models by seed that other code has trained (a baseline's own rule).

    Each must have the form that the method's ``build`` makes, with the other code's weights in its encoder and decoder.

    Raises:
        ContractError: a model is not of that form, or not finite on the data.
    """
    module, device = method_module(builder), torch.device("cpu")
    trained = _measured(module, dataset, hyperparameters, models, "its own rule", device, time.perf_counter())
    _save(module, dataset, hyperparameters, trained, device, label, model_path, history_path, metrics_path)


def _save(
    module: ModuleType,
    dataset,
    hyperparameters: dict,
    trained: Trained,
    device: torch.device,
    label: str,
    model_path: str | Path,
    history_path: str | Path,
    metrics_path: str | Path,
) -> None:
    """The files of ``train_and_save``, and a warning for every seed that was frozen or did not meet the bound."""
    build, penalty, settings = split_hyperparameters(module, hyperparameters)
    rows = []
    for seed in trained.seeds:
        frozen = seed["frozen_step"] is not None
        met = not frozen and seed["error"] <= TOLERANCE * settings.bound
        values = {"frozen": int(frozen), "initial_phase_end": seed["initial_phase_end"], "bound_met": int(met)}
        values |= {"frozen_step": seed["frozen_step"]} if frozen else {"scale_average": seed["scale"]}
        rows += [("", "training", name, seed["seed"], value) for name, value in values.items() if value is not None]
        if frozen:
            print(
                f"warning: {label} seed {seed['seed']} became non-finite at step {seed['frozen_step']} and was frozen"
            )
        elif seed["error"] > TOLERANCE * settings.bound:
            print(
                f"warning: {label} seed {seed['seed']} did not meet the bound: error {seed['error']:.4g} > "
                f"{TOLERANCE} × {settings.bound:.4g}"
            )
    trained.history.to_csv(history_path, index=False, float_format="%.7g")
    columns = ["distance", "task", "metric", "seed", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(metrics_path, index=False)
    checkpoint.save(
        model_path,
        trained.state,
        {
            "builder": f"{module.__name__}:build",
            "build": build,
            "penalty": penalty,
            "training": dataclasses.asdict(settings),
            "dataset": dataset.description(),
            "seeds": trained.seeds,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": device_record(device),
        },
    )


def method_module(builder: str) -> ModuleType:
    """The module of a method.

    Raises:
        ContractError: it cannot be imported.
    """
    what = f"{builder.replace('.', '/')}.py: its import"
    return contract.tried(what, lambda: importlib.import_module(builder))


def check_build(builder: str, dataset, hyperparameters: dict) -> None:
    """Tries what the method's ``build`` makes.

    Raises:
        ContractError: the method's file does not keep its contract.
    """
    module = method_module(builder)
    model = build_seeded(module, dataset, split_hyperparameters(module, hyperparameters)[0], 0)
    contract.check_model(module, "build", model, dataset)


def estimated_seconds(builder: str, dataset, hyperparameters: dict, n_seeds: int, device: str = "cpu") -> float:
    """About how long a training takes here, from a few steps of it; of a method that has ``fit``, from one seed's.

    Raises:
        ContractError: the method's file does not keep its contract.
    """
    module = method_module(builder)
    if not hasattr(module, "fit"):
        what = f"{contract.file_of(module)}: a training step, all seeds at once by torch.func.vmap,"
        measured = contract.tried(what, lambda: step_timer(builder, dataset, hyperparameters, n_seeds, device)(_FEW))
        return hyperparameters["steps"] * measured
    with contextlib.redirect_stdout(io.StringIO()):
        made = fit(module, dataset, hyperparameters, [0], device=choose_device(device), label=builder)
    return made.seconds * n_seeds


def step_timer(
    builder: str, dataset, hyperparameters: dict, n_seeds: int, device: str = "cpu"
) -> Callable[[int], float]:
    """A function of a number of steps: wall time of one training step of all seeds, penalty included, measured over so many."""
    trainer = Trainer(
        importlib.import_module(builder), dataset, hyperparameters, list(range(n_seeds)), choose_device(device)
    )
    trainer.bound.end_initial_phase(force=True)
    trainer.step(trainer.objective)  # the first is slow

    def measure(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            terms, _, _ = trainer.step(trainer.objective)
        terms.tolist()  # waits for the device
        return (time.perf_counter() - started) / steps

    return measure


def choose_device(device: str) -> torch.device:
    """``cpu``, ``cuda``, or ``auto``: the GPU where there is one.

    Raises:
        InputError: a GPU is asked for and there is none, or something else is asked for.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise InputError(f"device is {device!r}; it must be cpu, cuda or auto")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("config: device is cuda, but torch finds no GPU here; set device to cpu or auto")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def device_record(device: torch.device) -> dict:
    """What a training ran on, for the records: name, and of a GPU its driver, CUDA and the most memory taken so far (MB)."""
    if device.type == "cpu":
        return {"name": "cpu"}
    record = {
        "name": torch.cuda.get_device_name(device),
        "cuda": torch.version.cuda,
        "memory_mb": torch.cuda.max_memory_allocated(device) / 2**20,
    }
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        driver = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False).stdout
        record["driver"] = driver.strip().split("\n")[0]
    return record


def _history_rows(trainer: Trainer, terms: Tensor, scale: Tensor, initial: list[bool]) -> pd.DataFrame:
    error, kl, penalty = terms.tolist()
    rows = pd.DataFrame(
        {
            "seed": trainer.seeds,
            "step": trainer.step_count,
            "error": error,
            "kl": kl,
            "beta": trainer.bound.beta.tolist(),
            "penalty": penalty,
            "scale": scale.tolist(),
            "initial": [int(i) for i in initial],
        }
    )
    return rows[trainer.alive.tolist()]  # a frozen seed has no further history


class _Progress:
    """A tqdm bar where there is a terminal, and a plain line to standard output, in a job the log, now and then."""

    LINES = 20

    def __init__(self, settings: Settings, label: str, n_seeds: int, done: int):
        self.settings = settings
        self.done = done  # steps that were there when this process began
        self.label = f"{label} × {n_seeds} seeds"
        self.bar = tqdm(
            initial=done,
            total=settings.steps,
            desc=self.label,
            unit="step",
            file=sys.__stderr__,
            disable=not sys.__stderr__.isatty(),
        )
        self.every = max(BLOCK, settings.steps // self.LINES)
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
        if step % self.every < BLOCK or step == self.settings.steps:
            rate = (step - self.done) / (time.perf_counter() - self.started)
            print(f"{self.label}: step {step}/{self.settings.steps}  {text}  {rate:.1f} steps/s", flush=True)
