"""Task ``likelihood``: −log p(x) of test data by importance sampling, in nats.

With z_s ~ q(z|x), s = 1 … S (Burda et al., ICLR 2016):

    log p(x) ≈ log (1/S) Σ_s w_s,   w_s = p(x|z_s) p(z_s) / q(z_s|x)

A Gaussian likelihood has the variance s² = κ²/D, fixed per data set so that methods are comparable: log p(x|z) = −C/2s² − ½ D log
2πs². A Bernoulli likelihood has log p(x|z) = −C. The density of the hierarchical prior is itself estimated, with K samples ζ ~
q(ζ|z) (Klushyn et al., NeurIPS 2019, eq. 8).

Bias: for finite S, log p̂(x) is a stochastic lower bound of log p(x), and for finite K the nested log p̂(z) one of log p(z). So
``nll`` is too high on average. But p̂(z), and hence p̂(x), is unbiased for every K: a small K only adds variance to the weights,
which shows in the standard error and the effective samples, and ``nll`` converges as S grows for any K. To first order a datum's
bias is v/2, v the variance below. The standard error does not include this bias, and over many data it may be smaller.

Metrics: ``nll`` = mean of −log p̂(x) over the data; ``nll_median``, the median, which is robust to a few outliers; if labels have
names, as for human motion, ``nll_<name>``, the mean over each class.

``nll_standard_error`` = √(Σ_i v_i) / N, by the delta method with v = Var(w) / (S w̄²) for each datum. It is the Monte-Carlo error
of the estimate on these data, not the spread between data. ``nll_effective_samples`` = median over data of (Σ w)² / Σ w², from
1 to S: if it is near 1, neither ``nll`` nor its error can be trusted.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flatvae.evaluation import Result, by_name, generator, spread
from flatvae.networks import gaussian_log_density, gaussian_sample

_DATA = 250  # N, evenly spaced in the test part
_SAMPLES = 256  # S
_PRIOR_SAMPLES = 64  # K; in training 8 by default
# rows that pass a network together: on a CPU as many as its cache holds; elsewhere all
_CHUNK = {"cpu": 256}  # z, through the decoder
_ROWS, _ROWS_ELSEWHERE = {"cpu": 2048}, 2**17  # z of several data
_PRIOR_CHUNK = {"cpu": 4096}  # ζ, through the prior's networks, which are small


class Estimate(NamedTuple):
    """The importance-sampling estimate of log p(x), one entry per datum, float64."""

    log_density: Tensor  # (N,), nats
    variance: Tensor  # of log_density by the delta method, (N,), nats²
    effective_samples: Tensor  # (N,), from 1 to S; 0 where every weight is zero


def _log_weights(model, variance: float, x: Tensor, posterior: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """log p(x|z) p(z) / q(z|x) of data (B, D) at z = μ + σ ε, ε the first n columns of the noise (S, …): (B, S), float64."""
    mean, log_variance = (of_data[:, None] for of_data in posterior)  # (B, 1, n)
    posterior_noise, prior_noise = noise.tensor_split([model.latent_dim], dim=-1)
    z = gaussian_sample(mean, log_variance, posterior_noise)  # (B, S, n)
    # with z = μ + σ ε, log q(z|x) needs ε and σ alone
    zero = torch.zeros_like(log_variance[:1], dtype=torch.float64)
    log_q = gaussian_log_density(posterior_noise.double(), zero, zero) - 0.5 * log_variance.double().sum(-1)
    output = model.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    log_prior = _log_prior(model, z.flatten(0, 1), prior_noise.repeat(len(x), 1)).unflatten(0, z.shape[:2])
    log_weights = model.likelihood.log_density(x[:, None], output, variance) + log_prior - log_q
    # a sample whose networks overflow (∞ − ∞, 0 · ∞) gets weight zero, so that NaN does not spread
    return log_weights.masked_fill(log_weights.isnan(), -torch.inf)


def _log_prior(model, z: Tensor, noise: Tensor) -> Tensor:
    """log p̂(z) with K samples ζ for each z (S, n), from noise (S, K n): (S,)."""
    rows = _PRIOR_CHUNK.get(z.device.type)
    size = len(z) if rows is None else max(1, rows * z.shape[-1] // max(1, noise.shape[-1]))
    parts = zip(z.split(size), noise.split(size), strict=True)
    return torch.cat([model.prior.log_density(points, of_points) for points, of_points in parts])


def _summary(log_weights: Tensor) -> Estimate:
    """The estimates from the log weights of data (B, S)."""
    n_samples = log_weights.shape[1]
    total = log_weights.logsumexp(1)
    share = torch.exp(log_weights - total[:, None])  # w / Σ w
    variance = (share - 1 / n_samples).square().sum(1) * n_samples / (n_samples - 1)
    none = total == -torch.inf  # p̂(x) = 0: the estimate's error is unknown
    return Estimate(
        torch.where(none, total, total - np.log(n_samples)),
        torch.where(none, torch.inf, variance),
        torch.where(none, 0.0, 1 / share.square().sum(1)),
    )


@torch.no_grad()
def log_marginal(
    model, x: Tensor, variance: float, n_samples: int, n_prior_samples: int, source: torch.Generator
) -> Estimate:
    """log p(x) by importance sampling with z ~ q(z|x), see above.

    Cost: N · S passes of the decoder and, with the hierarchical prior, N · S · K of p(z|ζ). Memory does not depend on N: the
    noise of one datum, S · (1 + K) · n numbers, and the activations of at most 256 z and 4,096 ζ on a CPU, of all elsewhere.

    Args:
        model: a LatentVariableModel; computes in its own precision, weights are summed in float64.
        x: observations (N, D).
        variance: s² of a Gaussian likelihood; a Bernoulli likelihood ignores it.
        n_samples: S ≥ 2.
        n_prior_samples: K; a prior that needs no noise is exact and ignores it.
        source: generator of all noise, drawn datum by datum: so an estimate depends neither on later data nor on the chunk size.
    """
    like = next(model.parameters())
    chunk = _CHUNK.get(like.device.type, n_samples)
    width = model.latent_dim * (1 + (n_prior_samples if model.prior.noise_size else 0))
    estimates = []
    for row in x.to(like).split(1):
        posterior = model.encoder(row)
        noise = torch.randn(n_samples, width, generator=source).to(like)
        parts = [_log_weights(model, variance, row, posterior, part) for part in noise.split(chunk)]
        estimates.append(_summary(torch.cat(parts, dim=1)))
    return Estimate(*map(torch.cat, zip(*estimates, strict=True)))


@torch.no_grad()
def log_marginal_of_rows(
    model, x: Tensor, variance: float, n_samples: int, n_prior_samples: int, source: torch.Generator
) -> Estimate:
    """``log_marginal`` with the same noise for every datum, and many data at once; it takes the same arguments.

    A datum's value does not depend on other data, except for rounding. The errors of different data are correlated and do not
    average out: differences between data are more exact than their mean, especially with few effective samples. One core
    evaluates 200 data of 50 numbers per second with n = 2, S = 512, K = 10 and the networks of ``FlatVAE``.
    """
    like = next(model.parameters())
    width = model.latent_dim * (1 + (n_prior_samples if model.prior.noise_size else 0))
    noise = torch.randn(n_samples, width, generator=source).to(like)
    rows = max(1, _ROWS.get(like.device.type, _ROWS_ELSEWHERE) // n_samples)
    estimates = [
        _summary(_log_weights(model, variance, part, model.encoder(part), noise)) for part in x.to(like).split(rows)
    ]
    return Estimate(*map(torch.cat, zip(*estimates, strict=True)))


def evaluate(model, dataset) -> Result:
    """−log p(x) of 250 evenly spaced test data (all, if there are fewer); S = 256, K = 64.

    Arrays: nll, effective_samples (N,).
    """
    rows = spread(len(dataset.test), _DATA)
    x, labels = dataset.test[rows], None if dataset.test_labels is None else dataset.test_labels[rows]
    variance = model.config["training"]["bound"] / x.shape[-1]
    estimate = log_marginal(model, x, variance, _SAMPLES, _PRIOR_SAMPLES, generator())
    nll = -estimate.log_density.cpu()
    values = {
        "nll": nll.mean().item(),
        "nll_median": float(np.median(nll)),
        "nll_standard_error": estimate.variance.sum().sqrt().item() / len(x),
        "nll_effective_samples": float(np.median(estimate.effective_samples.numpy(force=True))),
        **by_name("nll", nll, labels, dataset),
    }
    arrays = {"nll": nll.numpy(), "effective_samples": estimate.effective_samples.numpy(force=True)}
    return Result([("", name, value) for name, value in values.items()], arrays, {})
