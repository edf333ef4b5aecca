"""Channels put together, taken apart, and put into another order.

    a, b, c, d  (N, H, W, Ca) ...   maps of one size, two to four of them      y  (N, H, W, Ca + Cb + ...)
"""

import numpy as np

from npse.reference.contract import enter, op
from npse.types import Array


def _expect_widths(op: str, letters: dict[str, int], widths: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError unless ``widths`` are two to four sizes that add up to the channels of x."""
    if not isinstance(widths, tuple) or not all(isinstance(width, (int, np.integer)) for width in widths):
        raise TypeError(f"{op}: widths must be a tuple of integers, but is {widths!r:.60}")
    if not 2 <= len(widths) <= 4 or min(widths) < 1 or sum(widths) != letters["C"]:
        raise ValueError(f"{op}: widths must be two to four sizes of at least 1 that add up to C = {letters['C']}, "
                         f"but are {widths}")


def _expect_groups(op: str, letters: dict[str, int], groups: int) -> None:
    """Raise ValueError unless the channels can be divided into groups of one size."""
    if not isinstance(groups, (int, np.integer)) or groups < 1 or letters["C"] % groups:
        raise ValueError(f"{op}: groups must be an integer that divides C = {letters['C']}, but is {groups!r}")


@op("a: N H W Ca, b: N H W Cb, c?: N H W Cc, d?: N H W Cd -> y: N H W C", flops=0)
def concat(a: Array, b: Array, c: Array | None = None, d: Array | None = None) -> Array:
    """Put two to four maps side by side along their channels, in order: an Inception module does so, arXiv 1409.4842.

    y[..., :Ca] = a, y[..., Ca:Ca + Cb] = b, and so on.
    """
    return np.concatenate([maps for maps in (a, b, c, d) if maps is not None], axis=3)


@op("x: N H W C -> a: N H W Ca, b: N H W Cb, c?: N H W Cc, d?: N H W Cd", sizes=_expect_widths, flops=0)
def split(x: Array, widths: tuple[int, ...]) -> tuple[Array, ...]:
    """Take maps apart along their channels, into as many parts as there are ``widths`` (Ca, Cb, ...), two to four."""
    return tuple(np.ascontiguousarray(part) for part in np.split(x, np.cumsum(widths[:-1]), axis=3))


# Each is the gradient of the other: concat_backward(dy, widths) -> da, db, ...; split_backward(da, db, ...) -> dx.
concat_backward = enter("concat_backward", split)
split_backward = enter("split_backward", concat)


@op("x: N H W C -> y: N H W C", sizes=_expect_groups, flops=0)
def channel_shuffle(x: Array, groups: int) -> Array:
    """y[..., j*G + g] = x[..., g*(C/G) + j]: channels next to each other come from different groups.

    The channels as a table (G, C/G) are transposed, so that the next convolution with groups sees channels of all.
    Source: arXiv 1707.01083.
    """
    N, H, W, C = x.shape
    return x.reshape(N, H, W, groups, C // groups).swapaxes(3, 4).reshape(x.shape)


@op("dy: N H W C -> dx: N H W C", sizes=_expect_groups)
def channel_shuffle_backward(dy: Array, groups: int) -> Array:
    """dx[..., g*(C/G) + j] = dy[..., j*G + g]: the inverse order, which is a shuffle with C/G groups."""
    return channel_shuffle(dy, dy.shape[3] // groups)
