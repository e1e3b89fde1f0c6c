"""Training curves."""

from collections.abc import Collection, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatvae.reporting.figures._common import RC, check, counts, explained, heading, log_axis, new_figure
from flatvae.reporting.names import Style, method_style

_CURVES = (
    ("error", "reconstruction error $C$"),
    ("kl", "KL [nats]"),
    ("beta", r"$\beta = 1/\lambda$"),
    ("penalty", "weighted penalty"),
    ("scale", "scale $c^2$"),
)


def training_curves(
    methods: Mapping[str, pd.DataFrame], bound: float, title: str, missed: Collection[str] = ()
) -> Figure:
    """Error, KL, β, penalty and scale during training: a thin line for each seed.

    `methods`: {method: frame} with columns seed, step, error, kl, beta, penalty, scale, initial. The panel of the error shows
    `bound` = κ² (dashed), in the error's units (squared error, or nats). All panels but KL have log axes and draw values > 0
    only. The axis of KL cuts off extreme peaks; a note gives the highest. A marker is at the first step after the initial phase.
    `missed`: methods that get a †. Raises InputError if there are no methods or a column is missing.
    """
    check(methods, ("seed", "step", *(name for name, _ in _CURVES), "initial"), "figure training_curves")
    with mpl.rc_context(RC):
        figure = new_figure(7.2, 4.4, explained(title, methods, missed))
        axes = figure.subplots(2, 3, sharex=True).flat
        for panel, (name, label) in zip(axes, _CURVES, strict=False):
            panel.set(ylabel=label, xlabel="training step")
            panel.tick_params(labelbottom=True)
            counts(panel.xaxis)
            for method, frame in methods.items():
                for _, seed in frame.groupby("seed", sort=False):
                    _training_curve(panel, seed, name, method_style(method), method)
            if name == "error":
                panel.axhline(bound, color="black", linewidth=0.9, linestyle="--", zorder=3)
            if name == "kl":
                _leave_out_peaks(panel, np.concatenate([frame["kl"].to_numpy(float) for frame in methods.values()]))
            else:
                log_axis(panel)
        _explain_curves(axes[5], methods, missed)
    return figure


def _training_curve(axes: Axes, seed: pd.DataFrame, name: str, style: Style, label: str) -> None:
    values = seed[name].to_numpy(float)
    if name != "kl":
        values = np.where(values > 0, values, np.nan)
    if np.isnan(values).all():
        return
    steps, initial = seed["step"].to_numpy(), seed["initial"].to_numpy().astype(bool)
    axes.plot(steps, values, color=style.colour, linestyle=style.line, linewidth=0.8, label=label)
    if initial.any() and not initial.all():
        end = int(np.argmin(initial))
        look = {"color": style.colour, "markersize": 3.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
        axes.plot(steps[end], values[end], style.marker, **look)


def _leave_out_peaks(axes: Axes, values: np.ndarray) -> None:
    """If a value exceeds ten times the 99th percentile, end the axis at twice that percentile and write the peak."""
    finite = values[np.isfinite(values)]
    usual, peak = np.quantile(finite, [0.99, 1.0]) if finite.size else (0.0, 0.0)
    if peak > 10 * usual > 0:
        axes.set_ylim(min(0.0, finite.min()) - 0.1 * usual, 2 * usual)
        digits, exponent = f"{peak:.1e}".split("e")
        text = rf"peak: ${digits} \cdot 10^{{{int(exponent)}}}$"
        axes.text(0.97, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=7)


def _explain_curves(axes: Axes, methods: Mapping[str, pd.DataFrame], missed: Collection[str]) -> None:
    axes.axis("off")
    styles = {heading(method, missed): method_style(method) for method in methods}
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, marker=s.marker, markersize=3.5, linewidth=0.9, label=method)
        for method, s in styles.items()
    ]
    handles.append(Line2D([], [], color="black", linewidth=0.9, linestyle="--", label=r"bound $\kappa^2$"))
    note = "one line per seed;\nmarker: initial phase ends"
    axes.legend(handles=handles, loc="center", frameon=False, title=note, handlelength=4)
