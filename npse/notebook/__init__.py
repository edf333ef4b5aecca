"""What the notebooks use: listings of the shipped code, worked numbers, sliders, and the central difference."""

from npse.notebook.listing import Source
from npse.notebook.measure import numeric_gradient, relative_error
from npse.notebook.play import Play
from npse.notebook.worked import Worked

__all__ = ["Play", "Source", "Worked", "numeric_gradient", "relative_error"]
