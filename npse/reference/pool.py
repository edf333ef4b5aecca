"""Pooling: over the whole map (which is the paper's squeeze, equation 2) and over windows.

    x  (N, H, W, C)    input              k  size of the square window
    y  (N, Ho, Wo, C)  output             s  stride, k if left out       p  padding, at most k / 2

    Ho = (H + 2p - k) // s + 1, Wo likewise. With ceil_mode the quotient is rounded up, so the last window may be cut
    off by the border; a window that would begin behind the last row of the map is left out.

The padding never wins a maximum. In an average it counts as zeros, or with count_include_pad=False not at all. What a
window of ceil_mode has beyond the padding never counts. These are the conventions of PyTorch.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from npse.reference.contract import enter, op
from npse.reference.conv import window
from npse.reference.se import squeeze, squeeze_backward
from npse.types import Array, Shape

# One function with two names: the squeeze of the paper is the global average pooling at the end of a ResNet.
global_average_pool = enter("global_average_pool", squeeze)
global_average_pool_backward = enter("global_average_pool_backward", squeeze_backward)


def windows_along(extent: int, size: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Return the number of windows along an axis of a map."""
    count = (extent + 2 * padding - size + (stride - 1) * bool(ceil_mode)) // stride + 1
    return count - (stride * (count - 1) >= extent + padding)     # the last would begin behind the map


def pooled_size(x_shape: Shape, size: int, stride: int | None, padding: int, ceil_mode: bool) -> tuple[int, int]:
    """Return (Ho, Wo), the size of a pooled map."""
    _, H, W, _ = x_shape
    Ho, Wo = (windows_along(n, size, stride or size, padding, ceil_mode) for n in (H, W))
    return Ho, Wo


def _sizes(op: str, letters: dict[str, int], size: int, stride: int | None, padding: int,
           ceil_mode: bool) -> dict[str, int]:
    """Check size, stride and padding; return Ho and Wo."""
    for name, value, least in (("size", size, 1), ("stride", size if stride is None else stride, 1),
                               ("padding", padding, 0)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{op}: {name} must be an integer of at least {least}, but is {value!r}")
    if 2 * padding > size:
        raise ValueError(f"{op}: padding must be at most half of the size {size}, but is {padding}")
    H, W = letters["H"], letters["W"]
    Ho, Wo = pooled_size((1, H, W, 1), size, stride, padding, ceil_mode)
    if min(Ho, Wo) < 1:
        raise ValueError(f"{op}: a {size}x{size} window does not fit a {H}x{W} map with padding {padding}; "
                         "use a smaller size, or a padding of up to half of it")
    return {"Ho": Ho, "Wo": Wo}


def border(x_shape: Shape, size: int, stride: int, padding: int, ceil_mode: bool) -> list[tuple[int, int]]:
    """Return how far the windows reach beyond the map, before and behind it, along each axis."""
    Ho, Wo = pooled_size(x_shape, size, stride, padding, ceil_mode)
    behind = [max(0, stride * (count - 1) + size - padding - extent)
              for count, extent in zip((Ho, Wo), x_shape[1:3], strict=True)]
    return [(0, 0), (padding, behind[0]), (padding, behind[1]), (0, 0)]


def taps(xp: Array, size: int, stride: int, Ho: int, Wo: int) -> Iterator[Array]:
    """Yield for each pixel (i, j) of a window the view of the padded maps that it reads: (N, Ho, Wo, C)."""
    for i, j in np.ndindex(size, size):
        yield window(xp, i, j, Ho, Wo, stride)


def divisors(x_shape: Shape, dtype: Any, size: int, stride: int, padding: int, ceil_mode: bool,
             count_include_pad: bool) -> Array:
    """Return the number of pixels of each window that count in an average: (Ho, Wo, 1)."""
    def along(extent: int) -> Array:
        first = stride * np.arange(windows_along(extent, size, stride, padding, ceil_mode)) - padding
        frame = padding if count_include_pad else 0
        return np.minimum(first + size, extent + frame) - np.maximum(first, -frame)
    return (along(x_shape[1])[:, None] * along(x_shape[2]))[:, :, None].astype(dtype)


@op("x: N H W C -> y: N Ho Wo C", sizes=_sizes, flops=lambda x, size, *_, y: size**2 * y.size,
    multiply_adds=lambda x, size, *_, y: size**2 * y.size)
def average_pool(x: Array, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> Array:
    """y[n, a, b, c] = 1/k^2 * sum over i, j < k of  xp[n, s*a + i, s*b + j, c],  xp = x padded with zeros.

    With count_include_pad=False the divisor is the number of pixels of x in the window, in place of k^2. In a window
    that ceil_mode adds, k^2 is the number of pixels of xp in it.
    """
    how = size, stride or size, padding, ceil_mode
    Ho, Wo = pooled_size(x.shape, *how)
    y = np.zeros((len(x), Ho, Wo, x.shape[3]), x.dtype)
    for pixels in taps(np.pad(x, border(x.shape, *how)), *how[:2], Ho, Wo):
        y += pixels
    return y / divisors(x.shape, x.dtype, *how, count_include_pad)


@op("x_shape: (N H W C), dy: N Ho Wo C -> dx: N H W C", sizes=_sizes,
    flops=lambda dy, x_shape, size, *_, y: (size**2 + 1) * dy.size)
def average_pool_backward(dy: Array, x_shape: Shape, size: int, stride: int | None = None, padding: int = 0,
                          ceil_mode: bool = False, count_include_pad: bool = True) -> Array:
    """dxp[n, s*a + i, s*b + j, c] += dy[n, a, b, c] / k^2  for every a, b, i, j; with the divisors of `average_pool`.

    dx is dxp without the padding.
    """
    how = size, stride or size, padding, ceil_mode
    share = dy / divisors(x_shape, dy.dtype, *how, count_include_pad)
    dxp = np.pad(np.zeros(x_shape, dy.dtype), border(x_shape, *how))
    for pixels in taps(dxp, *how[:2], *dy.shape[1:3]):
        pixels += share
    return without_padding(dxp, x_shape, padding)


def _winners(x: Array, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False) -> Array:
    """Return the tap i*k + j of the first maximum of each window, a pixel of x: (N, Ho, Wo, C)."""
    how = size, stride or size, padding, ceil_mode
    values, inside = tap_values(x, -np.inf, *how), tap_values(np.ones((1, *x.shape[1:3], 1), bool), False, *how)
    return (((values == values.max(axis=0)) | np.isnan(values)) & inside).argmax(axis=0)


@op("x: N H W C -> y: N Ho Wo C", sizes=_sizes, kink=_winners, flops=1)
def max_pool(x: Array, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False) -> Array:
    """y[n, a, b, c] = max over i, j < k of  xp[n, s*a + i, s*b + j, c],  xp = x padded with minus infinity."""
    return tap_values(x, -np.inf, size, stride or size, padding, ceil_mode).max(axis=0)


@op("x: N H W C, dy: N Ho Wo C -> dx: N H W C", sizes=_sizes, flops=2)
def max_pool_backward(dy: Array, x: Array, size: int, stride: int | None = None, padding: int = 0,
                      ceil_mode: bool = False) -> Array:
    """dxp[n, s*a + i, s*b + j, c] += dy[n, a, b, c] where (i, j) is the first maximum of window (a, b); else 0.

    dx is dxp without the padding.
    """
    how = size, stride or size, padding, ceil_mode
    winner = _winners(x, *how)
    dxp = np.pad(np.zeros_like(x), border(x.shape, *how))
    for tap, pixels in enumerate(taps(dxp, *how[:2], *dy.shape[1:3])):
        pixels += dy * (winner == tap)
    return without_padding(dxp, x.shape, padding)


def tap_values(x: Array, beyond: float, size: int, stride: int, padding: int, ceil_mode: bool) -> Array:
    """Return the values of each tap, with ``beyond`` for those that are not in the map: (k*k, N, Ho, Wo, C)."""
    how = size, stride, padding, ceil_mode
    xp = np.pad(x, border(x.shape, *how), constant_values=beyond)
    return np.stack([*taps(xp, size, stride, *pooled_size(x.shape, *how))])


def without_padding(xp: Array, x_shape: Shape, padding: int) -> Array:
    """Return the maps without what `border` put around them."""
    return np.ascontiguousarray(xp[:, padding:padding + x_shape[1], padding:padding + x_shape[2]])


def _first_maximum(u: Array) -> Array:
    """Return the place i*W + j of the first maximum of each channel: (N, C)."""
    N, _, _, C = u.shape
    return u.reshape(N, -1, C).argmax(axis=1)


@op("u: N H W C -> z: N C", kink=_first_maximum, flops=1)
def global_max_pool(u: Array) -> Array:
    """z[n, c] = max over i, j of  u[n, i, j, c]: the second squeeze of CBAM, arXiv 1807.06521."""
    return u.max(axis=(1, 2))


@op("u: N H W C, dz: N C -> du: N H W C", flops=1)
def global_max_pool_backward(dz: Array, u: Array) -> Array:
    """du[n, i, j, c] = dz[n, c] where (i, j) is the first maximum of the channel, row by row; else 0."""
    _, H, W, _ = u.shape
    won = _first_maximum(u)[:, None] == np.arange(H * W)[:, None]                      # (N, H*W, C)
    return np.where(won, dz[:, None], 0).reshape(u.shape)
