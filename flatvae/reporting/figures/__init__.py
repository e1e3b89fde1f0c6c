"""Figures from arrays; every seed is drawn.

A method has the same colour, line and marker in every figure of every run (`flatvae.reporting.names`); line, marker or position
distinguish methods in greyscale too. Figures take identifiers and write display names, with † for a missed bound. If a method's
arrays include `seeds` (S,), these name its seeds (without frozen ones); otherwise seeds are 0 … S − 1. Figures are made without
pyplot, so there is no global state and nothing to close, and Agg draws them on any machine.
"""

from flatvae.reporting.figures._common import note, save
from flatvae.reporting.figures.comparisons import improvement, pareto
from flatvae.reporting.figures.costs import efficiency, scaling
from flatvae.reporting.figures.distributions import distances, flatness, interpolation, normalised_factor
from flatvae.reporting.figures.latent import equidistance, latent_map
from flatvae.reporting.figures.motion import nearest_frames, poses, trajectories
from flatvae.reporting.figures.observations import reconstructions
from flatvae.reporting.figures.paths import geodesics
from flatvae.reporting.figures.retrieval import retrieval
from flatvae.reporting.figures.sweeps import sweep
from flatvae.reporting.figures.tracks import tracks
from flatvae.reporting.figures.training import training_curves

__all__ = [
    "distances",
    "efficiency",
    "equidistance",
    "flatness",
    "geodesics",
    "improvement",
    "interpolation",
    "latent_map",
    "nearest_frames",
    "normalised_factor",
    "note",
    "pareto",
    "poses",
    "reconstructions",
    "retrieval",
    "save",
    "scaling",
    "sweep",
    "tracks",
    "training_curves",
    "trajectories",
]
