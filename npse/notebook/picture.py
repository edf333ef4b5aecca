"""Pictures of the notebooks: one style for all, and words for those who do not see them."""

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

from npse.support.style import BLUE, DPI, GREEN, INK, LABEL, ORANGE, PURPLE, TITLE, png

WIDTH = 8.0                      # inches: 1040 pixels, which GitHub shows at about 800
DIRECT, SQUEEZE = BLUE, ORANGE   # the two paths of the gradient
STYLE = {
    "figure.dpi": DPI, "savefig.dpi": DPI, "figure.constrained_layout.use": True,
    "font.size": LABEL + 1, "axes.titlesize": TITLE, "figure.titlesize": TITLE, "axes.labelsize": LABEL + 1,
    "xtick.labelsize": LABEL, "ytick.labelsize": LABEL, "legend.fontsize": LABEL,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "grid.alpha": 0.3, "lines.linewidth": 2,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE, INK]),
}
_P = ParamSpec("_P")


class Picture:
    """A figure as a notebook shows it: a PNG file, and a description in words.

    Parameters
    ----------
    draw : function
        Called without arguments when the picture is needed; returns a matplotlib Figure.
    words : str
        What is to be seen. Screen readers read it, and it stands where no picture can be shown.
    colours : int, optional
        The most colours of the file, up to 256: a picture with photographs gets a third of its size. By default all.
    """

    def __init__(self, draw: Callable[[], Figure], words: str, colours: int | None = None) -> None:
        self._draw = draw
        self.words = words
        self._colours = colours

    def png(self) -> bytes:
        """Draw the figure in the style of the notebooks and return the bytes of a PNG file."""
        with matplotlib.rc_context(STYLE):      # type: ignore[arg-type]
            drawn = png(self._draw())
        return _reduced(drawn, self._colours) if self._colours else drawn

    def __repr__(self) -> str:
        return f"[{self.words}]"

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return self.png(), {"alt": self.words}


def _reduced(file: bytes, colours: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(file)).convert("RGB")
    image.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def picture(words: str, colours: int | None = None) -> Callable[[Callable[_P, Figure]], Callable[_P, Picture]]:
    """Return a decorator: the function draws a Figure, the decorated function returns it as a `Picture`.

    In ``words``, fields such as ``{names}`` stand for keyword arguments of the function. ``colours``: see `Picture`.
    """
    def decorate(draw: Callable[_P, Figure]) -> Callable[_P, Picture]:
        @functools.wraps(draw)
        def drawn(*arguments: _P.args, **options: _P.kwargs) -> Picture:
            return Picture(functools.partial(draw, *arguments, **options), words.format(**options),
                           colours)
        return drawn
    return decorate


def subplots(rows: int, columns: int, height: float, width: float = WIDTH, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of the width of a page, and its axes; height and width are in inches."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **options)
