"""From stored images to a training batch: crop, flip, normalize.

    images  (N, H, W, C) uint8     mean, std  (C,) of the pixels, in units of 0..1
    x       (N, H, W, C)           (pixel / 255 - mean) / std, in the dtype of mean

The random choices are arguments, so an augmented batch is as reproducible as any other result.
"""

import numpy as np

from npse.reference.arrays import expect, expect_array


def normalize(images, mean, std):
    """x[n, i, j, c] = (images[n, i, j, c] / 255 - mean[c]) / std[c]."""
    expect_images("normalize", images, mean, std)
    return (images.astype(mean.dtype) / 255 - mean) / std


def augment(images, top, left, flip, mean, std, padding=4):
    """Cut an H x W window out of each image continued by its mirror image, flip it where asked, and normalize.

    A border of the image's own pixels, mirrored at its edge (..., 2, 1, 0, 1, 2, ...), makes a crop look like the
    images to come; a black one would be seen in training alone.

    Parameters
    ----------
    images : uint8 array (N, H, W, C)
    top, left : integer arrays (N,), corner of the window, 0 .. 2 * padding; `padding` is the middle
    flip : bool array (N,), exchange left and right
    mean, std : arrays (C,)
    padding : int, rows and columns put around each image; fewer than it has

    Returns
    -------
    x : array (N, H, W, C) of mean's dtype
    """
    expect_images("augment", images, mean, std)
    expect_crops("augment", images, top, left, flip, padding)
    N, H, W, _ = images.shape
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="reflect")
    n = np.arange(N)[:, None, None]
    rows = top[:, None] + np.arange(H)                                        # (N, H)
    columns = left[:, None] + np.where(flip[:, None], np.arange(W)[::-1], np.arange(W))   # (N, W)
    return normalize(padded[n, rows[:, :, None], columns[:, None, :]], mean, std)


def expect_images(op, images, mean, std):
    """Raise TypeError or ValueError unless images are uint8 (N, H, W, C) and mean, std fit them."""
    expect_array(op, "images", images)
    if images.dtype != np.uint8:
        raise TypeError(f"{op}: images must be an array of uint8, but have dtype {images.dtype}")
    expect(op, images=(images.shape, "N H W C"), mean=(mean, "C"), std=(std, "C"))


def expect_crops(op, images, top, left, flip, padding):
    """Raise TypeError or ValueError unless there is one window inside the padded image for each image."""
    if not 0 <= padding < min(images.shape[1:3]):
        raise ValueError(f"{op}: padding must lie in 0..{min(images.shape[1:3]) - 1} for images of "
                         f"{images.shape[1]} x {images.shape[2]}, but is {padding}")
    for name, value in (("top", top), ("left", left), ("flip", flip)):
        expect_array(op, name, value)
        if value.shape != (len(images),):
            raise ValueError(f"{op}: {name} needs shape ({len(images)},), one for each image, but has {value.shape}")
    for name, value in (("top", top), ("left", left)):
        if value.min() < 0 or value.max() > 2 * padding:
            raise ValueError(f"{op}: {name} must lie in 0..{2 * padding} for padding {padding}, "
                             f"but reaches {value.min()}..{value.max()}")
