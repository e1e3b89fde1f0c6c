"""Likelihoods p(x|z): how to read the decoder network's output, and the reconstruction term C(x, z)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from flatvae.errors import InputError


class Gaussian(nn.Module):
    """p(x|z) = N(x; f(z), s² I); training does not fit s: C = ‖x − f(z)‖²."""

    binarises = False

    def mean(self, output: Tensor) -> Tensor:
        """The mean f(z): the network's output itself."""
        return output

    def reconstruction_error(self, x: Tensor, output: Tensor) -> Tensor:
        """C = ‖x − f(z)‖², in squared units of the data: (..., D) -> (...)."""
        return (x - output).square().sum(-1)

    def log_density(self, x: Tensor, output: Tensor, variance: float) -> Tensor:
        """log p(x|z) = −C / 2s² − ½ D log 2πs², s² the variance, in nats and float64: (..., D) -> (...)."""
        constant = 0.5 * x.shape[-1] * math.log(2 * math.pi * variance)
        return -self.reconstruction_error(x, output).double() / (2 * variance) - constant

    def observe(self, x: Tensor, uniform: Tensor) -> Tensor:
        """A training observation of a stored datum: the datum itself."""
        return x


class Bernoulli(nn.Module):
    """p(x|z) = Π Bernoulli(x_d; σ(o_d)) with logits o: C = the binary cross-entropy in nats."""

    binarises = True  # training observations are drawn, which needs uniform numbers

    def mean(self, output: Tensor) -> Tensor:
        """f(z) = σ(o), in (0, 1)."""
        return torch.sigmoid(output)

    def reconstruction_error(self, x: Tensor, output: Tensor) -> Tensor:
        """C = Σ_d log(1 + e^{o_d}) − x_d o_d = −log p(x|z), in nats: (..., D) -> (...)."""
        return (softplus(output) - x * output).sum(-1)

    def log_density(self, x: Tensor, output: Tensor, variance: float) -> Tensor:
        """log p(x|z) = −C, in nats and float64: (..., D) -> (...); ignores the variance."""
        return -self.reconstruction_error(x, output).double()

    def observe(self, x: Tensor, uniform: Tensor) -> Tensor:
        """A training observation of a stored datum: grey values x in [0, 1] binarised at random, 1 with probability x."""
        return (uniform < x).to(x.dtype)


LIKELIHOODS = {"gaussian": Gaussian, "bernoulli": Bernoulli}


def likelihood(name: str) -> nn.Module:
    """The likelihood of that name.

    Raises:
        InputError: the likelihood is unknown.
    """
    if name not in LIKELIHOODS:
        raise InputError(f"likelihood {name!r} is unknown; choose {' or '.join(LIKELIHOODS)}")
    return LIKELIHOODS[name]()
