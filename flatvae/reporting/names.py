"""The display name of each method and its look in every figure: one table, by identifier.

A method that is not in the table is shown by its identifier, and its look follows from that, so that a colour means the same
method in every figure of every run. The module imports no plotting, because pages and messages need names alone.
"""

import zlib
from typing import NamedTuple


class Style(NamedTuple):
    """How a method looks in figures; its line or marker distinguishes it in greyscale too."""

    colour: str
    line: object
    marker: str


class Shown(NamedTuple):
    """A method's display name, and its look in figures."""

    name: str
    style: Style


# dashes and gaps in line widths, as in matplotlib
_DASHED, _DOTTED, _DASH_DOT = (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1))
_LONG, _DASH_DOT_DOT, _SHORT, _SPARSE = (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)), (0, (1, 3))

# Okabe and Ito (2008) and Tol (2021), both safe for colour-blind readers, without yellows, which are hard to see on white
METHODS = {
    "vae": Shown("VAE", Style("#0072B2", "-", "o")),
    "vhp_vae": Shown("VHP-VAE", Style("#D55E00", _DASHED, "s")),
    "flat_vae": Shown("Flat VAE", Style("#009E73", _DOTTED, "^")),
    "flat_vae_scale_free": Shown("Flat VAE (scale-free)", Style("#CC79A7", _DASH_DOT, "D")),
    "flat_vae_no_mixup": Shown("Flat VAE (no mixup)", Style("#E69F00", _LONG, "v")),
    "flat_vae_normal_prior": Shown("Flat VAE (normal prior)", Style("#56B4E9", _DASH_DOT_DOT, "P")),
    "beta_vae": Shown("β-VAE", Style("#000000", _SHORT, "X")),
    "vamp_vae": Shown("VampPrior VAE", Style("#882255", _SPARSE, "*")),
    "irvae": Shown("IRVAE", Style("#999933", _DASHED, "<")),
    "geometric_ae": Shown("Geometric AE", Style("#332288", _DOTTED, ">")),
    "fisher_flat_vae": Shown("Fisher-flat VAE", Style("#8C510A", _DASH_DOT, "p")),
    "jacobian_norm": Shown("Jacobian norm", Style("#AA4499", _LONG, "h")),
    "pca": Shown("PCA", Style("#555555", _DASH_DOT_DOT, "d")),
    "random_encoder": Shown("Random encoder", Style("#888888", _SHORT, "8")),
    "constant": Shown("Constant descriptor", Style("#AAAAAA", _SPARSE, "o")),
    "supervised": Shown("Supervised descriptor", Style("#117733", _DASHED, "*")),
    "sort": Shown("SORT", Style("#661100", "-", "X")),
    "": Shown("raw data", Style("#333333", "-", "s")),
}
# looks of methods that are not in the table; colours and markers avoid those of the default run's four methods
_COLOURS = ("#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#332288", "#8C510A", "#AA4499", "#555555")
_LINES = ("-", _DASHED, _DOTTED, _DASH_DOT, _LONG, _DASH_DOT_DOT, _SHORT, _SPARSE)
_MARKERS = ("v", "P", "X", "*", "<", ">", "p", "h", "d", "8")

FACTORS = {"pendulum": "angle"}  # the name of a loader's generating factor; the others are «true factor»


def display_name(method: str) -> str:
    """The display name of a method or control; its identifier if it is not in the table."""
    return METHODS[method].name if method in METHODS else method


def method_style(method: str) -> Style:
    """Colour, line and marker of a method in all figures: from the table, otherwise from the CRC-32 of its identifier."""
    if method in METHODS:
        return METHODS[method].style
    rest, colour = divmod(zlib.crc32(method.encode()), len(_COLOURS))
    rest, marker = divmod(rest, len(_MARKERS))
    return Style(_COLOURS[colour], _LINES[rest % len(_LINES)], _MARKERS[marker])
