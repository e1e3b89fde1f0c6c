"""The training loop as one would write it for one model: a module, torch.optim.Adam, clip_grad_norm_, REWO in floats.

An independent account of ``flatvae.training`` that its tests compare with, and the reference of the performance test.
"""

import math

import torch
from torch.nn.utils import clip_grad_norm_


class PlainTraining:
    """One seed; ``penalty(decode, z, noise)`` or None, and mixup written out."""

    def __init__(
        self, module, dataset, build: dict, settings: dict, seed: int, penalty=None, dtype=torch.float64, device="cpu"
    ):
        self.s = {"learning_rate": 1e-3, "decay_fraction": 0.5, "clip": 10.0, "initial_beta": 1e-3} | settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = module.build(dataset, **build).to(device, dtype)
        self.penalty = penalty
        self.data = dataset.train.to(device, dtype)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=self.s["learning_rate"])
        self.beta = self.s["initial_beta"]
        self.average = self.weight = 0.0
        self.steps_done = 0
        self.gradient_norms: list[float] = []

    def _draw(self):
        size, n = self.s["batch_size"], self.model.latent_dim
        where = {"generator": self.generator, "device": self.data.device}
        index = torch.randint(len(self.data), (size,), **where)
        width = self.model.noise_size + n
        normal = torch.randn(size, width, dtype=self.data.dtype, **where)
        uniform = torch.rand(size, dtype=self.data.dtype, **where)
        return self.data[index], normal[:, :-n], uniform, normal[:, -n:]

    def step(self, initial: bool) -> float:
        """One step; the caller says whether it is in the initial phase. Returns the penalty's value."""
        x, noise, uniform, probe = self._draw()
        error, kl, z = self.model(x, noise)
        loss = error.mean() + self.beta * kl.mean()
        value = torch.zeros(())
        if self.penalty is not None and not initial:
            alpha0 = self.s["alpha0"]
            alpha = (uniform * (1 + 2 * alpha0) - alpha0)[:, None]
            value = self.penalty(self.model.decode, (1 - alpha) * z + alpha * torch.cat([z[-1:], z[:-1]]), probe)
            loss = loss + self.beta * value
        self.optimiser.zero_grad()
        loss.backward()
        if initial:
            for parameter in self.model.prior.parameters():
                parameter.grad.zero_()  # not None: the suite's Adam counts its steps from the start for all parameters
        self.gradient_norms.append(clip_grad_norm_(self.model.parameters(), self.s["clip"]).item())
        left = (self.s["steps"] - self.steps_done) / (self.s["decay_fraction"] * self.s["steps"])
        self.optimiser.param_groups[0]["lr"] = self.s["learning_rate"] * min(1.0, left) ** 2
        self.optimiser.step()
        self._rewo(error.mean().item(), initial, min(1.0, left) ** 2)
        self.steps_done += 1
        return value.item()

    def _rewo(self, error: float, initial: bool, speed: float) -> None:
        self.average = 0.95 * self.average + 0.05 * error
        self.weight = 0.95 * self.weight + 0.05
        if initial:
            return
        delta = max(-0.1, min(0.1, (self.average / self.weight - self.s["bound"]) / self.s["bound"]))
        h = -1.0 if delta > 0 else math.tanh(3.0 * (self.beta - 1))
        rate = self.s["beta_rate"] * (0.25 + 0.75 * speed)
        self.beta = min(1.0, max(self.beta * math.exp(rate * h * delta), 0.1 * self.s["initial_beta"]))
