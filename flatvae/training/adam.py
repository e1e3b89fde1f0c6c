"""Adam for all seeds of a training, seed by seed."""

import torch
from torch import Tensor


def for_each(seeds: Tensor, like: Tensor) -> Tensor:
    """One number for each seed, to go with a tensor of all seeds: (S,), (S, …) -> (S, 1, …)."""
    return seeds.view((-1,) + (1,) * (like.dim() - 1))


def laid_out(parameter: Tensor) -> Tensor:
    """The same parameter, matrices laid out in memory by columns: as the gradients of F.linear come, which spares copies."""
    parameter = parameter.detach()
    return _as_in_memory(_as_in_memory(parameter).contiguous()).requires_grad_()


def _as_in_memory(tensor: Tensor) -> Tensor:
    """A view of what is laid out as parameters are, its numbers in the order of memory: matrices transposed."""
    return tensor.mT if tensor.dim() == 3 else tensor


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) for S seeds whose gradients are clipped, and whose steps are left out, one by one.

    torch's fused kernel, called seed by seed. The kernel also clips and skips frozen seeds. Matrices are passed transposed: the
    kernel takes half the time on numbers in the order of memory.
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
