"""Task ``reconstruction``: does the reconstruction error equal its bound, and at what KL?

Metrics: ``train_error`` and ``test_error`` are means of C(x, z) with posterior samples z ~ q(z|x). The training error uses as
many z per datum as bring its standard error to half a percent, the test error one z. ``bound`` = κ². ``beta`` is β at the end, if
a bound was enforced. ``kl`` = mean over the test set of log q(z|x) − log p(z), in nats (for the hierarchical prior an upper bound
of the KL). If labels have names, as for human motion, ``test_error_<name>`` is the test error of each class. If whole recordings
are held out, ``test_error_recordings`` and ``test_error_recordings_<name>`` are their errors.

Methods are comparable only at equal reconstruction. Two metrics, 0 or 1, say whether a seed may be compared; both must be 1:

- ``equal_reconstruction``: |train_error / κ² − 1| ≤ 2 %, from either side: an error far below the bound has a cost elsewhere.
- ``settled``: over the last fifth of the training's steps (at least 20 rows of its history) the mean violation |mean δ| ≤ 1 %,
  δ = (C − κ²) / κ², and the standard deviation of log β ≤ log 1.5; and k (active), the median condition number of the active
  dimensions over 250 training data, differs by less than 5 % between 90 % and 100 % of the steps. If it is 0, the seed's
  numbers depend on the moment at which training stopped.

A method that was not trained to meet a bound (PCA, a random encoder, a β-VAE with constant β) has neither metric.
"""

import torch
from torch import Tensor

from flatvae.constraint import equal_reconstruction, settled
from flatvae.errors import InputError
from flatvae.evaluation import Result, by_name, encode, generator, spread

_TRAIN = 10_000  # training data over which train_error is averaged, at most
_STANDARD_ERROR = 0.005  # relative standard error of train_error: a quarter of the tolerance
_PASSES = 20  # passes through these data, at most
_SHOWN = 10
_CHUNK = 1000


@torch.no_grad()
def _terms(model, x: Tensor, noise_source: torch.Generator, observe: bool = False) -> tuple[Tensor, Tensor]:
    """Error and KL of each row of x, (N,), (N,), float64; ``observe`` turns stored data into training observations."""
    like = next(model.parameters())
    errors, divergences = [], []
    for rows in x.to(like).split(_CHUNK):
        if observe:
            rows = model.likelihood.observe(rows, torch.rand(rows.shape, generator=noise_source).to(like))
        terms = model(rows, torch.randn(len(rows), model.noise_size, generator=noise_source).to(like))
        errors.append(terms.error)
        divergences.append(terms.kl)
    return torch.cat(errors).double().cpu(), torch.cat(divergences).double().cpu()


def train_error(model, x: Tensor) -> float:
    """Mean of C(x, z) over at most 10,000 rows of the training data x (N, D), with k posterior samples z per row.

        k = ⌈v / (N (0.005 C̄)²)⌉, from 2 to 20,    v = mean over rows of ½ (C(x, z₁) − C(x, z₂))²,    C̄ the mean of C

    v / (N k) is the variance of the mean due to z. With one z and few data the standard error is as large as the tolerance of
    equal reconstruction: on human motion's 4,929 rows it was 0.8 to 1.9 % for the VHP-VAE.
    """
    x, source = x[spread(len(x), _TRAIN)], generator()
    errors = [_terms(model, x, source, observe=True)[0] for _ in range(2)]
    variance = (errors[0] - errors[1]).square().mean() / 2
    wanted = _STANDARD_ERROR * torch.stack(errors).mean()
    passes = (variance / (len(x) * wanted**2)).ceil().nan_to_num(2).clamp(2, _PASSES)
    errors += [_terms(model, x, source, observe=True)[0] for _ in range(int(passes) - 2)]
    return torch.stack(errors).mean().item()


def _comparable(seed: dict, error: float, bound: float) -> dict[str, float]:
    """The two metrics that say whether a seed may be compared; empty if no bound was enforced."""
    if "settling" not in seed:
        raise InputError(
            "reconstruction: the checkpoint does not say whether its training settled, because an older flatvae "
            "wrote it; train it again."
        )
    if seed["settling"] is None:
        return {}
    equal = equal_reconstruction(error, bound)
    return {"equal_reconstruction": float(equal), "settled": float(settled(**seed["settling"]))}


def evaluate(model, dataset) -> Result:
    """Errors, KL and multiplier of a trained model; arrays: ten test data and their reconstructions at posterior means.

    Raises:
        InputError: the checkpoint comes from an older flatvae that did not record whether a training settled.
    """
    bound = model.config["training"]["bound"]
    (seed,) = [s for s in model.config["seeds"] if s["seed"] == model.config["seed"]]
    error = train_error(model, dataset.train)
    test_error, kl = _terms(model, dataset.test, generator())
    values = {
        "train_error": error,
        "test_error": test_error.mean().item(),
        "bound": bound,
        **_comparable(seed, error, bound),
        **({} if seed["beta"] is None else {"beta": seed["beta"]}),
        "kl": kl.mean().item(),
        **by_name("test_error", test_error, dataset.test_labels, dataset),
    }
    if dataset.test_recordings is not None:
        error = _terms(model, dataset.test_recordings, generator())[0]
        values["test_error_recordings"] = error.mean().item()
        values |= by_name("test_error_recordings", error, dataset.test_recordings_labels, dataset)
    shown = dataset.test[spread(len(dataset.test), _SHOWN)]
    reconstructed = model.decode(encode(model, shown)).numpy(force=True)
    metrics = [("", name, value) for name, value in values.items()]
    return Result(metrics, {"reconstructions": reconstructed}, {"originals": shown.numpy()})
