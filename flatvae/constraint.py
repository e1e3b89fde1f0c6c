"""The reconstruction bound and its multiplier: constrained optimisation after Rezende & Viola (2018) and REWO.

Every method minimises the Lagrangian F + λ (E[C] − κ²), here divided by λ = 1/β: E[C] + β (F + penalty). The update of β is
that of REWO (Klushyn et al., NeurIPS 2019), with the violation δ taken relative to the bound. One β per seed; all state is
tensors of shape (S,), all updates tensor operations without host synchronisation.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1.02  # the bound is met within 2 %: REWO hovers about κ²
_ROWS = 20  # of the history in the last fifth of the steps, at least
_VIOLATION = 0.01
_BETA_FACTOR = 1.5
DRIFT = 0.05  # of k (active) between two looks
_LARGEST = 0.1  # violation δ that β answers to
_LAST_RATE = 0.25  # of ν, where the learning rate has come to zero
_LEAST_BETA = 0.1  # of its start


def equal_reconstruction(error: float, bound: float) -> bool:
    """Whether a reconstruction error equals the bound within 2 %, from either side: |C / κ² − 1| ≤ 0.02."""
    return abs(error / bound - 1) <= TOLERANCE - 1


def settled(
    *, rows: int, violation: float, log_beta_sd: float, condition_number_active: tuple[float | None, float | None]
) -> bool:
    """Whether a training stood still at its end, so that its results are not those of a moment.

        |mean δ| ≤ 0.01,    SD(log β) ≤ log 1.5,    |k_100 / k_90 − 1| < 0.05

    Args:
        rows: of the history in the last fifth of the steps; fewer than 20 say nothing, and the training has not settled.
        violation: mean over these rows of δ = (C − κ²) / κ².
        log_beta_sd: standard deviation over these rows of log β.
        condition_number_active: k (active) at 90 % and at 100 % of the steps; None where infinite, which never settles.
    """
    earlier, last = condition_number_active
    if rows < _ROWS or earlier is None or last is None:
        return False
    still = abs(last / earlier - 1) < DRIFT
    return abs(violation) <= _VIOLATION and log_beta_sd <= math.log(_BETA_FACTOR) and still


@dataclass
class ReconstructionBound:
    """Multiplier β and moving average Ĉ of the reconstruction error of S seeds.

        Ĉ ← (1 − a) C_batch + a Ĉ         (started without bias: divided by 1 − aᵗ),  a = 0.95
        δ = (Ĉ − κ²) / κ², at most 0.1 in size
        β ← min(1, β · exp(ν_t h(β, δ) δ)),  h = −1 where δ > 0,  tanh(τ (β − 1)) where δ ≤ 0
        ν_t = ν (1/4 + 3/4 r_t / r_0),  r_t the learning rate

    β stays above a tenth of its starting value. In the *initial phase*, until Ĉ < κ² for the first time, β stays at its
    starting value.

    The size of δ, a, the least β and ν_t are this project's choices. β integrates δ. When the penalty sets in, δ jumps, and
    without the limits β fell by three decades and spent the rest of a short training on its way back (pendulum, 3,000 steps:
    error 12 to 15 % below the bound). With a = 0.99 the average lags by a hundred steps, and at the rate that a short training
    needs β swings about its goal. As the learning rate falls, the error falls with its noise, and β has to follow: so ν_t ends at
    a quarter of ν, not at zero.
    """

    bound: float  # κ²
    rate: float  # ν
    initial_beta: float
    decay: float  # a
    steepness: float  # τ
    beta: Tensor  # (S,)
    average: Tensor  # a-weighted sum of errors, (S,)
    weight: Tensor  # 1 − aᵗ, (S,)
    initial: Tensor  # still in the initial phase, (S,) bool

    @classmethod
    def start(
        cls, n_seeds: int, bound: float, rate: float, initial_beta: float, dtype, device
    ) -> "ReconstructionBound":
        """The state before the first step: β = initial_beta, no average yet, all seeds in the initial phase."""
        zeros = torch.zeros(n_seeds, dtype=dtype, device=device)
        phase = torch.ones(n_seeds, dtype=torch.bool, device=device)
        beta = torch.full_like(zeros, initial_beta)
        return cls(bound, rate, initial_beta, 0.95, 3.0, beta, zeros.clone(), zeros.clone(), phase)

    @property
    def error(self) -> Tensor:
        """Ĉ, the moving average of the reconstruction error, (S,)."""
        return self.average / self.weight

    def update(self, error: Tensor, alive: Tensor, speed: float | Tensor = 1.0) -> None:
        """One step: takes the batch error C (S,) of the seeds that are ``alive`` (S,) and moves Ĉ and β.

        ``speed`` is r_t / r_0, the learning rate over its first value.
        """
        a = self.decay
        self.average = torch.where(alive, a * self.average + (1 - a) * error, self.average)
        self.weight = torch.where(alive, a * self.weight + (1 - a), self.weight)
        delta = ((self.error - self.bound) / self.bound).clamp(-_LARGEST, _LARGEST)
        h = torch.where(delta > 0, -1.0, torch.tanh(self.steepness * (self.beta - 1)))
        rate = self.rate * (_LAST_RATE + (1 - _LAST_RATE) * speed)
        beta = (self.beta * torch.exp(rate * h * delta)).clamp(_LEAST_BETA * self.initial_beta, 1.0)
        self.beta = torch.where(alive & ~self.initial, beta, self.beta)

    def end_initial_phase(self, force: bool = False) -> None:
        """Lets the seeds whose Ĉ < κ² leave the initial phase for good; all of them where ``force``."""
        # not (Ĉ < κ²) rather than Ĉ ≥ κ²: a seed frozen before its first step has no Ĉ, and met nothing
        self.initial = self.initial & ~(self.error < self.bound) & (not force)
