"""Geodesic distance in a trained model's latent space (Chen et al. 2019, arXiv 1812.08284): ``flatvae.geometry.geodesic``."""

import torch
from torch import Tensor

from flatvae.evaluation import SEED, encode, generator, in_float64
from flatvae.geometry.geodesic import GeodesicDistance, Geodesics, NeighbourIndex

__all__ = ["GeodesicDistance", "Geodesics", "NeighbourIndex", "box_cover", "distance", "prior_samples"]


def prior_samples(model, count: int) -> Tensor:
    """Samples of the model's prior, with the evaluations' common seed: (count, n)."""
    noise = torch.randn(count, 2 * model.latent_dim, generator=generator())
    with torch.no_grad():
        return model.prior.sample(noise.to(next(model.parameters())))


def box_cover(codes: Tensor, count: int) -> Tensor:
    """An even cover of the codes' box by scrambled Sobol points: (N, n) -> (count, n)."""
    unit = torch.quasirandom.SobolEngine(codes.shape[1], scramble=True, seed=SEED).draw(count).to(codes)
    return torch.lerp(codes.amin(0), codes.amax(0), unit)


def distance(
    model,
    dataset,
    *,
    code_nodes: int = 2000,
    prior_nodes: int = 0,
    cover_nodes: int = 0,
    n_neighbours: int = 40,
    iterations: int = 200,
) -> GeodesicDistance:
    """The geodesic distance of a trained model; its graph's nodes are encodings of training data and optional further points.

    Args:
        model: a trained model.
        dataset: the data it was trained on.
        code_nodes: number of encodings of training data, drawn with the evaluations' common seed; at most all of them.
        prior_nodes: number of samples of the prior.
        cover_nodes: number of points that cover the encodings' box evenly.
        n_neighbours, iterations: see ``GeodesicDistance``.
    """
    chosen = torch.randperm(len(dataset.train), generator=generator())[:code_nodes]
    codes = encode(model, dataset.train[chosen])
    nodes = [codes]
    if prior_nodes:
        nodes.append(prior_samples(model, prior_nodes))
    if cover_nodes:
        nodes.append(box_cover(codes, cover_nodes))
    exact = in_float64(model).decode
    return GeodesicDistance(model.decode, torch.cat(nodes), n_neighbours, iterations=iterations, exact=exact)
