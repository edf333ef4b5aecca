"""Pictures of a wrong gradient: ours and numeric, their difference, and the V-curve of the worst entry.

    draw(result).savefig("du.png")          matplotlib is imported on the first call
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from npse.gradcheck.results import Result, View
from npse.gradcheck.steps import Budget
from npse.support.style import BLUE, GREY, LABEL, ORANGE, SMALL, TITLE, figure, plain
from npse.support.style import png as png_of
from npse.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

OURS, RIGHT_SIDE = ORANGE, BLUE


def draw(result: Result) -> Figure:
    """Draw a wrong gradient.

    Parameters
    ----------
    result : Result
        One with a ``view``: the gradient of an argument, found wrong.

    Returns
    -------
    matplotlib Figure
        It opens no window: save it, or let a notebook show it.

    Raises
    ------
    ValueError
        The result has no ``view``.
    """
    if result.view is None:
        raise ValueError(f"there is nothing to draw for {result.op}, {result.judged}: only a gradient found wrong has "
                         "a picture; see report.failures")
    picture = figure(11, 6.6)
    top, bottom = picture.subfigures(2, 1, squeeze=False, height_ratios=(1.25, 1))[:, 0]
    name, view = result.argument, result.view
    top.suptitle(f"{result.op} [{result.case}]: d{name}, {view.ours.shape}", fontsize=TITLE, x=0.012, ha="left",
                 weight="bold")
    if result.diagnosis:
        picture.text(0.012, 0.005, str(result.diagnosis), fontsize=LABEL + 1, wrap=True, va="bottom", color=OURS)
        bottom.set_facecolor("none")
    _maps(top, name, view)
    scatter, v_curve = bottom.subplots(1, 2)
    _scatter(scatter, view)
    _v_curve(v_curve, name, view, result.budget)
    picture.set_layout_engine("constrained", rect=(0, 0.05, 1, 0.95))
    return picture


def png(result: Result) -> bytes:
    """The picture of `draw` as the bytes of a PNG file."""
    return png_of(draw(result))


def flat(array: Array, is_filter: bool = False) -> Array:
    """An array with any number of axes as a picture with two; lines of nan separate the tiles.

    (N, H, W, C) -> a row for each image, a tile (H, W) for each channel; (kh, kw, Cin, Cout) -> a row for each Cin, a
    tile (kh, kw) for each Cout.
    """
    if array.ndim != 4:
        return array.reshape(array.shape[0] if array.ndim > 1 else 1, -1)
    tiles = array.transpose(2, 3, 0, 1) if is_filter else array.transpose(0, 3, 1, 2)
    rows, columns, height, width = tiles.shape
    picture = np.full((rows, height + 1, columns, width + 1), np.nan)
    picture[:, :-1, :, :-1] = tiles.transpose(0, 2, 1, 3)
    return picture.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def _maps(figure: SubFigure, name: str, view: View) -> None:
    is_filter, largest = name.startswith("w"), np.nanmax(np.abs(view.numeric), initial=0) or 1
    difference = view.ours - view.numeric
    axes = figure.subplots(1, 3)
    panels = (("ours", view.ours, largest), ("numeric", view.numeric, largest),
              ("ours - numeric", difference, np.abs(difference[np.isfinite(difference)]).max(initial=0) or 1))
    for ax, (title, array, limit) in zip(axes, panels, strict=True):
        image = ax.imshow(flat(array, is_filter), cmap="RdBu_r" if title != "ours - numeric" else "PuOr_r", vmin=-limit,
                          vmax=limit, interpolation="nearest", aspect="auto")
        ax.set_facecolor("#e5e7eb")
        ax.set(title=title, xticks=[], yticks=[])
        plain(ax, grid=False)
        ax.spines[:].set_visible(False)
        figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02).ax.tick_params(labelsize=SMALL)
    if view.ours.ndim == 4:
        rows, tiles = ("Cin", "Cout, a filter each") if is_filter else ("images", "channels, a map each")
        axes[0].set(ylabel=rows, xlabel=tiles)


def _scatter(ax: Axes, view: View) -> None:
    known = np.isfinite(view.numeric) & np.isfinite(view.ours)
    right, ours = view.numeric[known], view.ours[known]
    span = np.array([min(right.min(), 0), max(right.max(), 0)])
    ax.plot(span, span, color=RIGHT_SIDE, lw=1, zorder=1, label="equal")
    ax.scatter(right, ours, s=14, color=OURS, alpha=0.6, linewidths=0, zorder=2, label="an entry")
    ax.set(xlabel="numeric", ylabel="ours", title="entry by entry")
    ax.legend(frameon=False, fontsize=SMALL)
    plain(ax)


def _v_curve(ax: Axes, name: str, view: View, budget: Budget | None) -> None:
    """Error of the central difference against the step: with smaller steps truncation falls and rounding grows."""
    ours, best = float(view.ours[view.index]), view.expected
    scale = max(abs(best), abs(ours), np.finfo(float).tiny)
    with np.errstate(all="ignore"):
        to_right, to_ours = (np.maximum(np.abs(view.values - value) / scale, 1e-16) for value in (best, ours))
    ax.loglog(view.steps, to_right, color=RIGHT_SIDE, marker=".", lw=1, label="from the value used")
    ax.loglog(view.steps, to_ours, color=OURS, marker=".", lw=1, label="from ours")
    if budget:
        ax.axvline(budget.step, color=GREY, lw=1, ls=":")
        ax.annotate(" the step that was used", (budget.step, 0.02), xycoords=("data", "axes fraction"),
                    fontsize=SMALL, color=GREY)
    where = ", ".join(map(str, view.index))
    ax.set(xlabel="step h", ylabel="relative deviation",
           title=f"d{name}[{where}]: the numeric value at many steps",
           ylim=(1e-14, max(10, float(np.nanmax(to_right[np.isfinite(to_right)], initial=1)))))
    ax.legend(frameon=False, fontsize=SMALL, loc="lower left", bbox_to_anchor=(0, 0.05))
    plain(ax)
