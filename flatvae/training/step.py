"""One training step of all seeds at once: the objective, its gradients, and the state that a step changes."""

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from flatvae import contract
from flatvae.constraint import ReconstructionBound
from flatvae.errors import ContractError
from flatvae.geometry.metric import FORWARD_MODE
from flatvae.model import LatentVariableModel
from flatvae.products import exact_float32
from flatvae.seeding import seeded
from flatvae.training.adam import Adam, clipped, laid_out, stacked_step
from flatvae.training.compiled import compiled, compiles
from flatvae.training.graph import captured
from flatvae.training.objective import Objective, Scale
from flatvae.training.replay import Replayed
from flatvae.training.settings import split_hyperparameters

_OF_BOUND = ("beta", "average", "weight", "initial")


def build_seeded(module: ModuleType, dataset, build: dict, seed: int) -> LatentVariableModel:
    """A fresh model with the initial weights of ``seed``; leaves the global random state unchanged."""
    with seeded(seed):
        return contract.called(module, "build", dataset, **build)


def _stacked(module: ModuleType, models: list[LatentVariableModel]) -> dict[str, Tensor]:
    """Parameters of all seeds by name, (S, …).

    Raises:
        ContractError: the models have buffers.
    """
    params, buffers = stack_module_state(models)
    if buffers:
        raise ContractError(
            f"{contract.file_of(module)}: build returned a model with buffers; keep constants as attributes"
        )
    return {name: laid_out(parameter) for name, parameter in params.items()}


class Trainer:
    """The state of a training and its step, for S seeds at once.

    Args:
        module: a method, with ``build`` and optionally ``penalty``.
        dataset: a ``flatvae.datasets.Dataset``.
        hyperparameters: see ``split_hyperparameters``.
        seeds: the S seeds.
        device: where the training runs.
        dtype: float32, or float64 in tests.
        graphs: whether steps are replayed as CUDA graphs; by default on a GPU only. Results agree to rounding.
        penalty_weights: a factor of the penalty for each seed; by default 1. A penalty is linear in its weight η, so seeds with
            different η can be trained at once.
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
        penalty_weights: Sequence[float] | None = None,
    ):
        build, penalty, self.settings = split_hyperparameters(module, hyperparameters)
        self.seeds, self.dtype = list(seeds), dtype
        self.data = dataset.train.to(device, dtype)
        self.penalty_weights = (
            None if penalty_weights is None else torch.tensor(penalty_weights, dtype=dtype).to(device)
        )
        # initialised in float32 for every dtype, so that a seed always starts from the same weights
        models = [build_seeded(module, dataset, build, seed) for seed in self.seeds]
        contract.check_model(module, "build", models[0], dataset)
        models = [model.to(device, dtype) for model in models]
        self.model = models[0]
        self.params = _stacked(module, models)
        self._set_objectives(module, penalty)
        self.adam = Adam(self.params)
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in self.seeds]
        self.graphs = torch.device(device).type == "cuda" if graphs is None else graphs
        widths = [width for name in ("hidden", "channels") for width in hyperparameters.get(name, ())]
        self.compiled = compiles(self.settings, widths, device)
        self.captured: dict[nn.Module, Callable] = {}
        # compiled: on a GPU the whole step; on a CPU only the gradients, because torch's fused Adam is as fast there
        self.stacked = torch.device(device).type == "cuda"
        self.fused: dict[nn.Module, Callable] = {}
        self.replayed: dict[nn.Module, Replayed] = {}
        self._set_state(torch.device(device))

    def _set_objectives(self, module: ModuleType, hyperparameters: dict) -> None:
        """Sets the objectives with and without the method's penalty, and the one for c²."""
        penalty = None
        if hasattr(module, "penalty"):

            def penalty(decode, z, noise):
                return module.penalty(decode, z, noise, **hyperparameters)

            contract.check_penalty(module, self.model, penalty)
        self.objective = Objective(self.model, penalty, self.settings.alpha0)
        self.objective_without_penalty = Objective(self.model, None, None) if penalty else self.objective
        self.scale_of = Scale(self.model)

    def _set_state(self, device: torch.device) -> None:
        """Sets the state before the first step, apart from parameters and optimiser."""
        s, n_seeds = self.settings, len(self.seeds)
        self.rate = torch.zeros((), device=device)  # the learning rate; a CUDA graph reads it from here
        self.bound = ReconstructionBound.start(n_seeds, s.bound, s.beta_rate, s.initial_beta, self.dtype, device)
        self.alive = torch.ones(n_seeds, dtype=torch.bool, device=device)
        self.frozen_step = torch.full((n_seeds,), -1, device=device)
        self.step_count = 0
        self.block_step = 0  # steps done in the current block; block_terms is the sum of their terms
        self.block_terms = torch.zeros(3, n_seeds, dtype=self.dtype, device=device)

    def snapshot(self) -> dict[str, Tensor]:
        """Everything that the rest of the training depends on; see ``restore``."""
        tensors = {f"parameter/{name}": parameter for name, parameter in self.params.items()}
        tensors |= {f"adam/{key}": value for key, value in self.adam.state().items()}
        tensors |= {f"generator/{s}": generator.get_state() for s, generator in enumerate(self.generators)}
        tensors |= {f"bound/{name}": getattr(self.bound, name) for name in _OF_BOUND}
        tensors |= {name: getattr(self, name) for name in ("alive", "frozen_step", "block_terms")}
        tensors["count"] = torch.tensor([self.step_count, self.block_step])
        return tensors | {"compiled": torch.tensor(self.compiled)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restores the state of a ``snapshot`` exactly, bit by bit."""
        for name, parameter in self.params.items():
            with torch.no_grad():
                parameter.copy_(tensors[f"parameter/{name}"])
        for key, value in self.adam.state().items():
            value.copy_(tensors[f"adam/{key}"])
        for s, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator/{s}"])
        device = self.alive.device
        for name in _OF_BOUND:
            setattr(self.bound, name, tensors[f"bound/{name}"].to(device))
        for name in ("alive", "frozen_step", "block_terms"):
            setattr(self, name, tensors[name].to(device))
        self.step_count, self.block_step = tensors["count"].tolist()
        self.compiled = self.compiled and bool(
            tensors["compiled"]
        )  # once the compiler has failed, the training stays uncompiled to its end

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
        """Evaluates ``module`` for every seed, with its model's parameters replaced by the seed's."""

        def single(params: dict[str, Tensor], *arguments: Tensor):
            return functional_call(module, {prefix + name: value for name, value in params.items()}, arguments)

        return vmap(single)(params, *arguments)

    def _differentiated(self, objective: nn.Module) -> Callable:
        """A function of tensors alone that returns terms, losses, the penalty's points and gradients for all seeds."""

        def function(params: dict[str, Tensor], beta: Tensor, on: Tensor, x: Tensor, *noise: Tensor):
            error, kl, penalty, z = self._mapped(objective, "model.", params, x, *noise)
            if self.penalty_weights is not None:
                penalty = self.penalty_weights * penalty
            loss = error + beta * (kl + torch.where(on, penalty, 0.0))
            gradients = torch.autograd.grad(loss.sum(), list(params.values()), materialize_grads=True)
            return torch.stack([error, kl, penalty]).detach(), loss.detach(), z.detach(), list(gradients)

        return function

    def step(self, objective: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """One training step of all seeds, without host synchronisation.

        Returns:
            terms (3, S): error, KL and penalty of the batch; the penalty's points z̃ (S, B, n); probes (S, B, n). The next step
            may overwrite them.
        """
        rate = self._learning_rate()
        self.rate.fill_(rate)
        with exact_float32():
            if self.graphs and objective not in self.replayed:
                self._record(objective)
            result = self.replayed[objective]() if self.graphs else self._step(objective, rate)
        self.step_count += 1
        return result

    def _record(self, objective: nn.Module) -> None:
        """Records the step as a CUDA graph and leaves the training's state unchanged; on failure, steps run without a graph."""
        before = {name: tensor.clone() for name, tensor in self.snapshot().items()}
        changed = [(self.bound, name) for name in _OF_BOUND]
        changed += [(weakref.proxy(self), name) for name in ("alive", "frozen_step")]
        try:
            self.replayed[objective] = Replayed(lambda: self._step(objective, self.rate), changed, self.generators)
        except RuntimeError as error:  # from the driver, or because operations of a penalty wait for the device
            if isinstance(error, torch.OutOfMemoryError):
                raise
            self.graphs = False
            print(f"warning: no CUDA graph of the training step could be recorded; steps run without one: {error}")
        self.restore(before)

    def prepare(self) -> None:
        """Compiles the coming steps, if they are compiled at all: compilation in mid-training would delay a request to end."""
        if self.compiled:
            before = {name: tensor.clone() for name, tensor in self.snapshot().items()}
            initial = [self.objective_without_penalty] if bool(self.bound.initial.all()) else []
            for objective in dict.fromkeys([*initial, self.objective]):
                self.step(objective)
            self.restore(before)

    def _step(self, objective: nn.Module, rate: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch = self._draw()
        if self.compiled and objective not in self.fused:
            self._compile(objective, batch)
        if self.compiled and self.stacked:
            terms, z, changed = self.fused[objective](*self._state(), *batch)
            self.alive, self.frozen_step = changed["alive"], changed["frozen_step"]
            for name in _OF_BOUND[:-1]:
                setattr(self.bound, name, changed[name])
            return terms, z, batch[-1]
        on = ~self.bound.initial
        if self.compiled:
            terms, loss, z, gradients = self.fused[objective](self._values(), self.bound.beta, on, *batch)
        else:
            terms, loss, z, gradients = self._gradients_of(objective, batch)(self.params, self.bound.beta, on, *batch)
        self._descend(terms, loss, gradients, on, rate)
        return terms, z, batch[-1]

    def _descend(self, terms: Tensor, loss: Tensor, gradients: list[Tensor], on: Tensor, rate: float | Tensor) -> None:
        """Clips gradients, freezes seeds that are not finite, and updates parameters and β, seed by seed."""
        count = self.adam.count
        step = clipped(self.params, gradients, loss, on, self.settings.clip, self.alive, self.frozen_step, count)
        gradients, divisor, self.alive, self.frozen_step = step
        self.adam.step(gradients, rate, divisor, (~self.alive).float())
        self.bound.update(terms[0], self.alive, rate / self.settings.learning_rate)

    def _gradients_of(self, objective: nn.Module, batch: tuple[Tensor, ...]) -> Callable:
        if objective not in self.captured:
            arguments = self.params, self.bound.beta, ~self.bound.initial, *batch
            self.captured[objective] = captured(self._differentiated(objective), *arguments)
        return self.captured[objective]

    def _values(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.params.items()}

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Tensor]:
        """What a whole step reads apart from its batch: parameters, Adam's state, the bound's state, the learning rate."""
        small = {name: getattr(self.bound, name) for name in _OF_BOUND}
        small |= {"alive": self.alive, "frozen_step": self.frozen_step}
        return self._values(), self.adam.state(), small, self.rate

    def _compile(self, objective: nn.Module, batch: tuple[Tensor, ...]) -> None:
        """Compiles the step of all seeds, or its gradients; on failure, steps stay uncompiled."""
        differentiated, clip = self._gradients_of(objective, batch), self.settings.clip

        def whole(
            params: dict[str, Tensor], adam: dict[str, Tensor], small: dict[str, Tensor], rate: Tensor, *batch: Tensor
        ):
            bound = dataclasses.replace(self.bound, **{name: small[name] for name in _OF_BOUND})
            on = ~bound.initial
            terms, loss, z, gradients = differentiated(params, bound.beta, on, *batch)
            step = clipped(params, gradients, loss, on, clip, small["alive"], small["frozen_step"], adam["count"])
            gradients, divisor, alive, frozen_step = step
            stacked_step(params, adam, gradients, rate, divisor, ~alive)
            bound.update(terms[0], alive, rate / self.settings.learning_rate)
            changed = {name: getattr(bound, name) for name in _OF_BOUND[:-1]}
            return terms, z, changed | {"alive": alive, "frozen_step": frozen_step}

        arguments = self._values(), self.bound.beta, ~self.bound.initial, *batch
        function, arguments = (whole, (*self._state(), *batch)) if self.stacked else (differentiated, arguments)
        made = compiled(self.settings, function, *arguments)
        self.compiled = made is not None
        self.fused |= {objective: made} if made else {}

    def _learning_rate(self) -> float:
        s = self.settings
        left = (s.steps - self.step_count) / max(1.0, s.decay_fraction * s.steps)
        return s.learning_rate * min(1.0, left) ** 2

    def run_block(self, steps: int, interrupted: Callable[[], bool] = lambda: False) -> tuple[Tensor, Tensor] | None:
        """Trains a block of ``steps`` steps (or the rest of a block already begun), then ends the initial phase if it is due.

        Returns:
            mean terms (3, S) over the block, and c² (S,) at its last points; None if ``interrupted`` between two steps: the next
            call continues the block.
        """
        # while every seed is in its initial phase the penalty is off for all seeds, so it is not computed
        objective = self.objective_without_penalty if bool(self.bound.initial.all()) else self.objective
        while self.block_step < steps:
            if interrupted():
                return None
            terms, z, probe = self.step(objective)
            self.block_terms = self.block_terms + terms
            self.block_step += 1
        with torch.no_grad(), FORWARD_MODE:
            scale = self._mapped(self.scale_of, "model.", self.params, z, probe)
        limit = self.step_count >= self.settings.initial_fraction * self.settings.steps
        self.bound.end_initial_phase(force=limit)
        mean = self.block_terms / steps
        self.block_step, self.block_terms = 0, torch.zeros_like(mean)
        return mean, scale
