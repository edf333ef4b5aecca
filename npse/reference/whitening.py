"""Whitening: filters of a first convolution that are computed from the images, and not learned.

Neighbouring pixels of a photograph are nearly equal, and so are its colours. So the numbers of a patch of kh x kw
pixels are correlated, and a gradient step is much longer in some directions than in others. After whitening, the
outputs have no correlation and equal variances (K. Jordan, arXiv 2404.00498, section 3.2).

    x  (N, H, W, C)           images       P = kh * kw * C  numbers of a patch
    w  (kh, kw, C, 2 * K)     filters        K  directions, at most P
"""

import numpy as np

from npse.reference.contract import op
from npse.types import Array


def _sizes(op: str, letters: dict[str, int], kernel: int, directions: int | None) -> dict[str, int]:
    """Check the size and the number of the filters; return their sizes."""
    for name, value, most in (("kernel", kernel, min(letters["H"], letters["W"])),
                              ("directions", directions, kernel * kernel * letters["C"])):
        if value is not None and not (isinstance(value, (int, np.integer)) and 1 <= value <= most):
            raise ValueError(f"{op}: {name} must be an integer in 1..{most} for these images, but is {value!r}")
    return {"kh": kernel, "kw": kernel, "Cout": 2 * (directions or kernel * kernel * letters["C"])}


@op("x: N H W C -> w: kh kw C Cout", backward=None, sizes=_sizes,
    flops=lambda x, *_, y: 2 * (x.size // x.shape[3]) * (y.size // y.shape[3])**2)
def whitening_filters(x: Array, kernel: int = 2, eps: float = 5e-4, directions: int | None = None) -> Array:
    """Return filters whose outputs on patches of x have no correlation: each eigenvector of their covariance, scaled.

    covariance = mean over all patches p of  p p^T  =  sum over k of  l[k] e[k] e[k]^T
    filter k   = e[k] / sqrt(l[k] + eps),  and the filters -e[k] / sqrt(l[k] + eps) after them

    The mean of x is taken as zero, as it is for normalized images. eps keeps directions without variance, such as the
    difference of neighbouring pixels in a flat image, from being amplified to noise. An activation such as the ReLU
    loses one sign of its input, so each filter is there with both signs. The first filter has the largest variance; the
    largest entry of each of the first half is positive.

    Parameters
    ----------
    x : array (N, H, W, C)
        Normalized images.
    kernel : int
        Height and width of a patch.
    eps : float
    directions : int, optional
        How many eigenvectors are used, those with the largest variances; by default all.

    Returns
    -------
    w : array (kernel, kernel, C, 2 * directions)

    Source: arXiv 2404.00498.
    """
    P = kernel * kernel * x.shape[3]
    covariance, patches = np.zeros((P, P)), 0
    for image in x:                                                   # all patches at once would need much memory
        views = np.lib.stride_tricks.sliding_window_view(image, (kernel, kernel), axis=(0, 1))   # (a, b, C, kh, kw)
        rows = views.transpose(0, 1, 3, 4, 2).reshape(-1, P).astype(np.float64)
        covariance, patches = covariance + rows.T @ rows, patches + len(rows)
    covariance /= patches
    variances, vectors = np.linalg.eigh(covariance)                   # vectors are columns, variances grow
    variances, vectors = variances[::-1][:directions], vectors[:, ::-1][:, :directions]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    scaled = vectors * np.sign(largest) / np.sqrt(np.maximum(variances, 0) + eps)
    both = np.concatenate([scaled, -scaled], axis=1).astype(x.dtype)
    return both.reshape(kernel, kernel, x.shape[3], -1)
