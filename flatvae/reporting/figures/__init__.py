"""Figures from arrays, every seed drawn.

A method's colour is fixed by its place in the order; line style, marker or position keep methods apart in grey too.
Where the arrays of a method have `seeds` (S,), these name its seeds (a frozen seed is not among them), else 0 … S − 1.
Figures are made without pyplot: there is no global state and nothing to close, and Agg draws them on any machine.
"""

from flatvae.reporting.figures._common import method_style, note, save
from flatvae.reporting.figures.comparisons import improvement, pareto
from flatvae.reporting.figures.costs import efficiency, scaling
from flatvae.reporting.figures.distributions import distances, flatness, interpolation, normalised_factor
from flatvae.reporting.figures.latent import equidistance, latent_map
from flatvae.reporting.figures.motion import nearest_frames, poses, trajectories
from flatvae.reporting.figures.observations import reconstructions
from flatvae.reporting.figures.paths import geodesics
from flatvae.reporting.figures.sweeps import sweep
from flatvae.reporting.figures.tracks import retrieval, tracks
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
    "method_style",
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
