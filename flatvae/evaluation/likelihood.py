"""Task ``likelihood``: −log p(x) of test data by importance sampling, in nats.

With z_s ~ q(z|x), s = 1 … S (Burda et al., ICLR 2016):

    log p(x) ≈ log (1/S) Σ_s w_s,   w_s = p(x|z_s) p(z_s) / q(z_s|x)

A Gaussian likelihood has the variance s² = κ²/D, fixed per data set so that methods compare: log p(x|z) = −C/2s² − ½ D log 2πs²;
a Bernoulli likelihood has log p(x|z) = −C. The density of the hierarchical prior is itself estimated, with K samples ζ ~ q(ζ|z)
(Klushyn et al., NeurIPS 2019, eq. 8).

Bias: for finite K the nested log p̂(z) is a stochastic lower bound of log p(z), as log p̂(x) is of log p(x) for finite S, so
``nll`` is too high on average. But p̂(z) itself is unbiased, hence p̂(x) too, for every K: what K leaves is more variance of the
weights, which the standard error and the effective samples see, and ``nll`` converges as S grows whatever K is. To first order
a datum's bias is v/2, v the variance below; the standard error does not contain it, and over many data may be smaller than it.

Metrics: ``nll`` = mean of −log p̂(x) over the data; ``nll_median``, the median, which a few outlying data do not carry; where
labels have names, as those of human motion have, ``nll_<name>``, the mean over each class.

``nll_standard_error`` = √(Σ_i v_i) / N, by the delta method with v = Var(w) / (S w̄²) for each datum. It is the Monte-Carlo error
of the estimate on these data, not the spread between data. ``nll_effective_samples`` = median over data of (Σ w)² / Σ w², from
1 to S: near 1, neither ``nll`` nor its error can be trusted.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flatvae.evaluation import Result, by_name, generator, spread
from flatvae.networks import gaussian_log_density, gaussian_sample

_DATA = 250  # N, evenly spread over the test part
_SAMPLES = 256  # S
_PRIOR_SAMPLES = 64  # K; the training has 8 by default
# rows that pass a network together: on a CPU they stay in its cache; elsewhere all do
_CHUNK = {"cpu": 256}  # z, of the decoder
_ROWS, _ROWS_ELSEWHERE = {"cpu": 2048}, 2**17  # z of several data
_PRIOR_CHUNK = {"cpu": 4096}  # ζ, of the prior's networks, which are small


class Estimate(NamedTuple):
    """Importance sampling's log p(x), one entry a datum, float64."""

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
    # where the networks overflow (∞ − ∞, 0 · ∞) the sample explains nothing: it has no weight, and NaN goes no further
    return log_weights.masked_fill(log_weights.isnan(), -torch.inf)


def _log_prior(model, z: Tensor, noise: Tensor) -> Tensor:
    """log p̂(z) with K samples ζ for each of the z (S, n), whose noise is (S, K n): (S,)."""
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
    none = total == -torch.inf  # p̂(x) = 0 is what was found, and nothing is known of its error
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

    Cost: N · S passes of the decoder and, with the hierarchical prior, N · S · K of p(z|ζ). Memory: the noise of one datum,
    S · (1 + K) · n numbers, and the activations of at most 256 z and 4,096 ζ on a CPU, of all elsewhere; N does not enter them.

    Args:
        model: a LatentVariableModel; computes in its own precision, weights are summed in float64.
        x: observations (N, D).
        variance: s² of a Gaussian likelihood; a Bernoulli likelihood has none and passes it over.
        n_samples: S ≥ 2.
        n_prior_samples: K; a prior that needs no noise is exact, and passes it over.
        source: of all noise, drawn datum by datum: an estimate depends neither on the data after it nor on the chunk.
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
    """``log_marginal`` with the same noise for every datum, and many data at once.

    So the value of a datum depends on no other, but for rounding. The errors of different data go together, and do not average
    out: differences between data are more exact than their mean, above all with few effective samples. Takes the same
    arguments. 200 data of 50 numbers a second on one core with n = 2, S = 512, K = 10 and the networks of ``FlatVAE``.
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
    """−log p(x) of 250 test data, evenly spread over the part (all, where there are fewer); S = 256, K = 64.

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
