"""A picture and filters that the pages look at."""

import numpy as np

from npse.types import Array


def example_picture(colour: tuple[float, float, float] = (0.9, 0.15, 0.1), centre: tuple[float, float] = (16, 16),
                    size: int = 40, radius: float = 8) -> Array:
    """Return an RGB image (1, size, size, 3) in 0..1: a coloured disc and a grey bar on dark green.

    Parameters
    ----------
    colour : (float, float, float)
        Red, green and blue of the disc, 0 to 1.
    centre : (float, float)
        Row and column of the disc's centre, in pixels.
    size, radius : int, float
        Height and width of the image, and the disc's radius, in pixels.
    """
    rows, columns = np.mgrid[:size, :size]
    picture = np.empty((size, size, 3))
    picture[:] = 0.1, 0.25, 0.15
    picture[size - 9:size - 5, 5:size - 5] = 0.6, 0.6, 0.6
    picture[np.hypot(rows - centre[0], columns - centre[1]) < radius] = colour
    return picture[None]


def example_filters() -> tuple[Array, tuple[str, ...]]:
    """Return four filters (3, 3, 3, 4) made by hand, and their names: two for edges, one for a colour, a blur."""
    w = np.zeros((3, 3, 3, 4))
    edge = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 12
    w[..., 0] = edge[:, :, None]                                  # the same for red, green and blue
    w[..., 1] = edge.T[:, :, None]
    w[1, 1, :, 2] = 1, -0.5, -0.5                                 # the centre only: red minus the mean of the rest
    w[..., 3] = 1 / 27
    return w, ("horizontal edges", "vertical edges", "redness", "blur")
