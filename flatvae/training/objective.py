"""The computations of a training step for one model and one batch: the terms of the loss, and the metric's scale c²."""

import torch
from torch import Tensor, nn
from torch.func import jvp

from flatvae.model import LatentVariableModel


class Objective(nn.Module):
    """The loss terms of one model on one batch; a module, so that ``functional_call`` can replace the model's parameters."""

    def __init__(self, model: LatentVariableModel, penalty, alpha0: float | None):
        super().__init__()
        self.model = model
        self.penalty = penalty
        self.alpha0 = alpha0

    def forward(
        self, x: Tensor, noise: Tensor, uniform: Tensor, probe: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean error, mean KL and penalty of a batch (B, D), and the points z̃ (B, n) at which the penalty was taken."""
        error, kl, z = self.model(x, noise)
        value = torch.zeros_like(error[0])
        if self.penalty is not None:
            if self.alpha0 is not None:
                # imported here so that the fingerprints of methods without a penalty exclude flattening
                from flatvae.flattening import mixup

                z = mixup(z, uniform, self.alpha0)
            value = self.penalty(self.model.decode, z, probe)
        return error.mean(), kl.mean(), value, z


class Scale(nn.Module):
    """c² = E |J v|² / n of one model, v ~ N(0, I): one jvp, unbiased."""

    def __init__(self, model: LatentVariableModel):
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, probe: Tensor) -> Tensor:
        """c² at latent points z (B, n) with probes v (B, n): ()."""
        return jvp(self.model.decode, (z,), (probe,))[1].square().sum(-1).mean() / z.shape[-1]
