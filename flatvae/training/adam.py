"""Adam for all seeds of a training: seed by seed, or on the stacked tensors in a compiled step."""

from collections.abc import Iterable

import torch
from torch import Tensor

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def for_each(seeds: Tensor, like: Tensor) -> Tensor:
    """One number for each seed, shaped to broadcast with a tensor of all seeds: (S,), (S, …) -> (S, 1, …)."""
    return seeds.view((-1,) + (1,) * (like.dim() - 1))


def laid_out(parameter: Tensor) -> Tensor:
    """The same parameter, with matrices in column-major memory order, like their gradients: this avoids copies."""
    parameter = parameter.detach()
    return _as_in_memory(_as_in_memory(parameter).contiguous()).requires_grad_()


def _as_in_memory(tensor: Tensor) -> Tensor:
    """A contiguous view of a tensor that is laid out like the parameters: matrices are transposed."""
    return tensor.mT if tensor.dim() == 3 else tensor


@torch.no_grad()
def clipped(
    names: Iterable[str],
    gradients: list[Tensor],
    loss: Tensor,
    on: Tensor,
    clip: float,
    alive: Tensor,
    frozen_step: Tensor,
    count: Tensor,
) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Prepares the gradients (S, …) of all seeds for a step: clips each seed's, and freezes seeds that are not finite.

    A frozen seed is skipped, so its parameters stay exactly the same. In the initial phase the prior is not trained: its
    gradient is zero. (Adam's step count runs on, so the prior's first updates after the phase are a few times the learning
    rate, for some tens of steps.)

    Args:
        names: names of the parameters.
        gradients, loss: the step's gradients (S, …) and losses (S,).
        on: the seeds past their initial phase, (S,).
        clip: largest norm of a seed's gradient.
        alive, frozen_step: which seeds are not frozen, and the step at which the others froze, (S,).
        count: number of steps done.

    Returns:
        The gradients, each seed's divisor for them (S,), and the new ``alive`` and ``frozen_step``.
    """
    gradients = [
        gradient * for_each(on, gradient) if name.startswith("prior.") else gradient
        for name, gradient in zip(names, gradients, strict=True)
    ]
    norm = sum(torch.linalg.vector_norm(g, dim=[*range(1, g.dim())]).square() for g in gradients).sqrt()
    still = alive & torch.isfinite(loss) & torch.isfinite(norm)
    frozen_step = torch.where(alive & ~still, count.long(), frozen_step)
    return gradients, (norm / clip).clamp(min=1.0).float(), still, frozen_step


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) for S seeds; each seed's gradients are clipped, and its step skipped, separately.

    It calls torch's fused kernel seed by seed. The kernel also clips and skips frozen seeds. Matrices are passed transposed: on
    contiguous numbers the kernel takes half the time.
    """

    def __init__(self, params: dict[str, Tensor]):
        self.params = params
        self.means, self.squares = ({k: torch.zeros_like(p).detach() for k, p in params.items()} for _ in range(2))
        self.count = torch.zeros((), device=next(iter(params.values())).device)
        kept = (params, self.means, self.squares)
        per_seed = [[_as_in_memory(t.detach()).unbind() for t in d.values()] for d in kept]
        self.lists = [list(zip(*tensors, strict=True)) for tensors in per_seed]  # one entry per seed

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        kept = {"means": self.means, "squares": self.squares}
        return {f"{kind}/{name}": t for kind, d in kept.items() for name, t in d.items()} | {"count": self.count}

    def step(self, gradients: list[Tensor], rate: float | Tensor, divisor: Tensor, left_out: Tensor) -> None:
        """One step with gradients (S, …), which it overwrites, over ``divisor`` (S,); skips the seeds ``left_out`` (S,)."""
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
                beta1=_BETA1,
                beta2=_BETA2,
                weight_decay=0.0,
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
                grad_scale=divisor[seed],
                found_inf=left_out[seed],
            )


def stacked_step(
    params: dict[str, Tensor],
    state: dict[str, Tensor],
    gradients: list[Tensor],
    rate: Tensor,
    divisor: Tensor,
    left_out: Tensor,
) -> None:
    """``Adam.step`` on the stacked tensors, which a compiler fuses. Overwrites ``params`` and ``state`` (from ``Adam.state``).

    Uncompiled it is slower than the fused kernel on a CPU: a step of the pendulum's flat VAE takes 25.6 ms instead of 19.3.
    """
    count = state["count"].add_(1).double()
    first, second = 1 - _BETA1**count, (1 - _BETA2**count).sqrt()
    for (name, parameter), gradient in zip(params.items(), gradients, strict=True):
        gradient = gradient / for_each(divisor, gradient)
        means, squares = state[f"means/{name}"], state[f"squares/{name}"]
        mean = _BETA1 * means + (1 - _BETA1) * gradient
        square = _BETA2 * squares + (1 - _BETA2) * gradient.square()
        size = (rate.double() / first).to(parameter.dtype)
        stepped = parameter - size * mean / (square.sqrt() / second.to(parameter.dtype) + _EPSILON)
        kept = for_each(left_out, parameter)
        for old, new in ((means, mean), (squares, square), (parameter, stepped)):
            old.copy_(torch.where(kept, old, new))
