"""Supervised descriptor: the suite's encoder trained with labels by the cosine softmax of Wojke & Bewley (WACV 2018).

L = E −log softmax(κ Wᵀ r)_y,  r(x) = e(x) / |e(x)|;  W (columns of length 1), κ > 0 and the encoder e are learnt.

An upper control: it shows the value of labels, which no method of this suite uses. DeepSORT uses such a descriptor.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from flatvae.datasets import UNLABELLED
from flatvae.errors import InputError
from flatvae.evaluation import encode
from flatvae.model import LatentVariableModel, standard_model
from flatvae.priors import StandardNormal


def descriptor(
    dataset,
    *,
    seed: int,
    latent_dim: int = 2,
    hidden: Sequence[int] = (128, 128),
    activation: str = "tanh",
    channels: Sequence[int] = (),
    steps: int = 1000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
) -> Callable[[Tensor], Tensor]:
    """The descriptor of observations (N, D) -> (N, n) of length 1, trained on the labelled training data.

    Adam's learning rate falls linearly to zero; batches are drawn with replacement, as in the training of the methods.

    Raises:
        InputError: the training data have no two different labels.
    """
    rows = [] if dataset.train_labels is None else torch.nonzero(dataset.train_labels != UNLABELLED)[:, 0]
    if len(rows) == 0 or len(dataset.train_labels[rows].unique()) < 2:
        raise InputError(f"supervised: {dataset.name} has no two labels in training; leave it out of the descriptors.")
    classes, labels = dataset.train_labels[rows].unique(return_inverse=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = standard_model(dataset, StandardNormal(), latent_dim, hidden, activation, channels)
        weight = nn.Parameter(torch.randn(len(classes), latent_dim))
    log_scale = nn.Parameter(torch.tensor(2.0))
    parameters = [*model.encoder.parameters(), weight, log_scale]
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = torch.randint(len(labels), (batch_size,), generator=generator)
        loss = _loss(model, weight, log_scale, dataset.train[rows[batch]], labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return lambda x: normalize(encode(model, x), dim=-1)


def _loss(model: LatentVariableModel, weight: Tensor, log_scale: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    cosine = normalize(model.encode(x), dim=-1) @ normalize(weight, dim=-1).T  # (B, classes)
    return cross_entropy(log_scale.exp() * cosine, labels)
