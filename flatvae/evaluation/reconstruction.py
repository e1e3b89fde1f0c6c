"""Task ``reconstruction``: is the bound met, at which price?

Metrics: ``train_error`` and ``test_error``, the mean of C(x, z) with one posterior sample z ~ q(z|x) a datum; ``bound`` = κ²;
``bound_met`` = 1 where Ĉ, the moving average of the error over the last training batches, ended ≤ 1.02 κ²; ``beta`` at the
end, where the bound was at work; ``kl`` = mean over the test set of log q(z|x) − log p(z), nats (an upper bound of the KL
for the hierarchical prior).
"""

import torch
from torch import Tensor

from flatvae.constraint import TOLERANCE
from flatvae.evaluation import Result, encode, generator, spread

_TRAIN = 10_000  # training data that train_error is averaged over: its standard error is far below the 2 % tolerance
_SHOWN = 10
_CHUNK = 1000


@torch.no_grad()
def _terms(model, x: Tensor, observe: bool) -> tuple[float, float]:
    """Mean error and KL over the rows of x; ``observe`` turns stored data into training observations."""
    noise_source = generator()
    like = next(model.parameters())
    error = kl = 0.0
    for rows in x.to(like).split(_CHUNK):
        if observe:
            rows = model.likelihood.observe(rows, torch.rand(rows.shape, generator=noise_source).to(like))
        terms = model(rows, torch.randn(len(rows), model.noise_size, generator=noise_source).to(like))
        error += terms.error.sum().item()
        kl += terms.kl.sum().item()
    return error / len(x), kl / len(x)


def evaluate(model, dataset) -> Result:
    """Errors, KL and multiplier of a trained model; arrays: ten test data and their reconstructions at posterior means."""
    bound = model.config["training"]["bound"]
    (seed,) = [s for s in model.config["seeds"] if s["seed"] == model.config["seed"]]
    train_error, _ = _terms(model, dataset.train[spread(len(dataset.train), _TRAIN)], observe=True)
    test_error, kl = _terms(model, dataset.test, observe=False)
    values = {
        "train_error": train_error,
        "test_error": test_error,
        "bound": bound,
        "bound_met": float(seed["error"] <= TOLERANCE * bound),
        **({} if seed["beta"] is None else {"beta": seed["beta"]}),
        "kl": kl,
    }
    shown = dataset.test[spread(len(dataset.test), _SHOWN)]
    reconstructed = model.decode(encode(model, shown)).numpy(force=True)
    metrics = [("", name, value) for name, value in values.items()]
    return Result(metrics, {"reconstructions": reconstructed}, {"originals": shown.numpy()})
