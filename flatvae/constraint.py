"""The reconstruction bound and its multiplier: constrained optimisation after Rezende & Viola (2018) and REWO.

Every method minimises the Lagrangian F + λ (E[C] − κ²), here divided by λ = 1/β: E[C] + β (F + penalty). REWO (Klushyn et al.,
NeurIPS 2019) updates β; here the violation δ is relative to the bound. There is one β per seed. All state is tensors of shape
(S,), and all updates are tensor operations without host synchronisation.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1.02  # the error may differ from the bound by 2 %: REWO oscillates about κ²
_ROWS = 20  # least number of history rows in the last fifth of the steps
_VIOLATION = 0.01
_BETA_FACTOR = 1.5
DRIFT = 0.05  # least relative change of k (active), between two measurements, that counts as moving
_LARGEST = 0.1  # |δ| is clipped to this
_LAST_RATE = 0.25  # ν_t / ν where the learning rate has reached zero
_LEAST_BETA = 0.1  # least β, relative to its start


def equal_reconstruction(error: float, bound: float) -> bool:
    """Whether a reconstruction error equals the bound within 2 %, from either side: |C / κ² − 1| ≤ 0.02."""
    return abs(error / bound - 1) <= TOLERANCE - 1


def settled(
    *, rows: int, violation: float, log_beta_sd: float, condition_number_active: tuple[float | None, float | None]
) -> bool:
    """Whether a training had converged at its end, so that its results do not depend on the moment it stopped.

        |mean δ| ≤ 0.01,    SD(log β) ≤ log 1.5,    |k_100 / k_90 − 1| < 0.05

    Args:
        rows: rows of the history in the last fifth of the steps; with fewer than 20 the training counts as not settled.
        violation: mean over these rows of δ = (C − κ²) / κ².
        log_beta_sd: standard deviation over these rows of log β.
        condition_number_active: k (active) at 90 % and at 100 % of the steps; None means infinite, which never settles.
    """
    earlier, last = condition_number_active
    if rows < _ROWS or earlier is None or last is None:
        return False
    still = abs(last / earlier - 1) < DRIFT
    return abs(violation) <= _VIOLATION and log_beta_sd <= math.log(_BETA_FACTOR) and still


@dataclass
class ReconstructionBound:
    """Multiplier β and moving average Ĉ of the reconstruction error of S seeds.

        Ĉ ← (1 − a) C_batch + a Ĉ         (bias-corrected: divided by 1 − aᵗ),  a = 0.95
        δ = (Ĉ − κ²) / κ², clipped to |δ| ≤ 0.1
        β ← min(1, β · exp(ν_t h(β, δ) δ)),  h = −1 where δ > 0,  tanh(τ (β − 1)) where δ ≤ 0
        ν_t = ν (1/4 + 3/4 r_t / r_0),  r_t the learning rate

    β stays above a tenth of its starting value. In the *initial phase*, until Ĉ < κ² for the first time, β stays at its
    starting value.

    The limit of δ, a, the least β and ν_t are this project's choices. β integrates δ. When the penalty sets in, δ jumps. Without
    the limits β fell by three decades and spent the rest of a short training recovering (pendulum, 3,000 steps: error 12 to 15 %
    below the bound). With a = 0.99 the average lags by a hundred steps, and at the rate that a short training needs, β
    oscillates. As the learning rate falls, gradient noise and with it the error fall, and β must follow: so ν_t ends at a quarter
    of ν, not at zero.
    """

    bound: float  # κ²
    rate: float  # ν
    initial_beta: float
    decay: float  # a
    steepness: float  # τ
    beta: Tensor  # (S,)
    average: Tensor  # sum of errors with decaying weights, (S,)
    weight: Tensor  # 1 − aᵗ, (S,)
    initial: Tensor  # still in the initial phase, (S,) bool

    @classmethod
    def start(
        cls, n_seeds: int, bound: float, rate: float, initial_beta: float, dtype, device
    ) -> "ReconstructionBound":
        """The state before the first step: β = initial_beta, an empty average, all seeds in the initial phase."""
        zeros = torch.zeros(n_seeds, dtype=dtype, device=device)
        phase = torch.ones(n_seeds, dtype=torch.bool, device=device)
        beta = torch.full_like(zeros, initial_beta)
        return cls(bound, rate, initial_beta, 0.95, 3.0, beta, zeros.clone(), zeros.clone(), phase)

    @property
    def error(self) -> Tensor:
        """Ĉ, the moving average of the reconstruction error, (S,)."""
        return self.average / self.weight

    def update(self, error: Tensor, alive: Tensor, speed: float | Tensor = 1.0) -> None:
        """One step: updates Ĉ and β by the batch error C (S,), for the seeds that are ``alive`` (S,).

        ``speed`` is r_t / r_0, the learning rate relative to its first value.
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
        """Ends the initial phase, for good, of the seeds whose Ĉ < κ²; of all seeds with ``force``."""
        # not (Ĉ < κ²) rather than Ĉ ≥ κ²: a seed frozen before its first step has Ĉ = NaN and has not met the bound
        self.initial = self.initial & ~(self.error < self.bound) & (not force)
