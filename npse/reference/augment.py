"""From stored images to a training batch: crop, flip, normalize; and change contrast and brightness.

    images  (N, H, W, C) uint8     mean, std  (C,) of the pixels, in units of 0..1
    x       (N, H, W, C)           (pixel / 255 - mean) / std, in the dtype of mean

The random choices are arguments, so the same arguments always give the same batch.
"""

import numpy as np

from npse.reference.contract import op
from npse.types import Array


def expect_crops(op: str, letters: dict[str, int], top: Array, left: Array, padding: int) -> None:
    """Raise ValueError unless each window lies inside its padded image."""
    H, W = letters["H"], letters["W"]
    if not 0 <= padding < min(H, W):
        raise ValueError(f"{op}: padding must lie in 0..{min(H, W) - 1} for images of {H} x {W}, but is {padding}")
    for name, value in (("top", top), ("left", left)):
        if value.min() < 0 or value.max() > 2 * padding:
            raise ValueError(f"{op}: {name} must lie in 0..{2 * padding} for padding {padding}, "
                             f"but reaches {value.min()}..{value.max()}")


@op("images: N H W C uint8, mean: C, std: C -> x: N H W C", backward=None, flops=3)
def normalize(images: Array, mean: Array, std: Array) -> Array:
    """x[n, i, j, c] = (images[n, i, j, c] / 255 - mean[c]) / std[c]."""
    return (images.astype(mean.dtype) / 255 - mean) / std


@op("images: N H W C uint8, top: N int, left: N int, flip: N bool, mean: C, std: C -> x: N H W C", backward=None,
    values=expect_crops, flops=3)
def augment(images: Array, top: Array, left: Array, flip: Array, mean: Array, std: Array,
            padding: int = 4) -> Array:
    """Put a border around each image, cut an H x W window out of it, flip the window if ``flip``, and normalize.

    The border holds the pixels of the image, mirrored at its edge (..., 2, 1, 0, 1, 2, ...). So a crop looks like a
    test image. A black border would occur only in training.

    Parameters
    ----------
    images : uint8 array (N, H, W, C)
    top, left : integer arrays (N,), corner of the window, 0 .. 2 * padding; with `padding` the image is not moved
    flip : bool array (N,), whether to exchange left and right
    mean, std : arrays (C,)
    padding : int, width of the border in pixels; less than H and W

    Returns
    -------
    x : array (N, H, W, C) of mean's dtype
    """
    N, H, W, _ = images.shape
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="reflect")
    n = np.arange(N)[:, None, None]
    rows = top[:, None] + np.arange(H)                                        # (N, H)
    columns = left[:, None] + np.where(flip[:, None], np.arange(W)[::-1], np.arange(W))   # (N, W)
    return normalize(padded[n, rows[:, :, None], columns[:, None, :]], mean, std)


@op("x: N H W C, contrast: N, brightness: N -> y: N H W C", backward=None, flops=2)
def jitter(x: Array, contrast: Array, brightness: Array) -> Array:
    """y[n, i, j, c] = contrast[n] * x[n, i, j, c] + brightness[n], for normalized images.

    Zero is the mean color of the data set. So contrast moves the pixels away from that color or towards it, and
    brightness moves all pixels of an image, in units of the data set's standard deviation.
    """
    return x * contrast[:, None, None, None] + brightness[:, None, None, None]
