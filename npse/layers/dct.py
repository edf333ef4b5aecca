"""The fixed weights of FcaNet, arXiv 2012.11879: a discrete cosine transform of the maps, by `weighted_squeeze`."""

import numpy as np

from npse.types import Array

# Frequencies (down, across) on a map of 7x7, the best first, as the authors of FcaNet measured each alone on ImageNet.
BEST_FREQUENCIES = ((0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0), (5, 0), (1, 6), (3, 0), (0, 4),
                    (0, 6), (0, 3), (3, 5), (2, 2), (4, 6), (6, 3), (3, 3), (5, 3), (5, 5), (2, 1), (6, 1), (5, 2),
                    (5, 4), (3, 2), (3, 1), (4, 1), (2, 3), (2, 0), (6, 5), (1, 3))


def dct_basis(H: int, W: int, C: int, frequencies: int = 16) -> Array:
    """The weights (H, W, C) of FcaNet for `weighted_squeeze`: a discrete cosine transform, float64.

    b[i, j, c] = f(i, v, H) * f(j, h, W),  f(i, v, H) = 1/H * sqrt(2 if v > 0 else 1) * cos(pi * v * (i + 1/2) / H)

    The channels are split into equal groups, in order. All channels of group g have the frequency (v, h) number g of
    `BEST_FREQUENCIES`, in steps of the map: v * H // 7 down and h * W // 7 across. On maps of fewer than 7 rows or
    columns some groups have the same frequency. The first group has (0, 0), and its weights 1/(H*W) make the mean.
    Different frequencies are orthogonal, and the sum of squares of each is 1/(H*W). The code of the paper has weights
    that are sqrt(H*W) times as large; the formula of the paper leaves constant factors out. Its maps have 7, 14, 28 or
    56 rows and columns, and there the frequencies are the same.

    Parameters
    ----------
    H, W, C : int
        Sizes of the maps.
    frequencies : int
        Number of groups, 1 to 32; it must divide C.

    Raises
    ------
    ValueError
        A number of frequencies that is not possible.
    """
    if not 1 <= frequencies <= len(BEST_FREQUENCIES) or C % frequencies:
        raise ValueError(f"dct_basis: frequencies must be at most {len(BEST_FREQUENCIES)} and divide the {C} channels, "
                         f"but is {frequencies}")
    waves = [np.outer(_cosine(v * H // 7, H), _cosine(h * W // 7, W)) for v, h in BEST_FREQUENCIES[:frequencies]]
    return np.repeat(np.stack(waves, axis=2), C // frequencies, axis=2)


def _cosine(frequency: int, size: int) -> Array:
    """One wave of the discrete cosine transform (DCT-II), divided so that frequency 0 is 1/size."""
    wave = np.cos(np.pi * frequency * (np.arange(size) + 0.5) / size)
    return wave * np.sqrt(2 if frequency else 1) / size
