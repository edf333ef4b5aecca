"""Convolution in groups of channels, and with distance between the taps of a filter.

    x   (N, H, W, Cin)        input                 G   groups: channels of one group are convolved with each other only
    w   (kh, kw, D, Cout)     filters, D = Cin / G  d   dilation: the taps of a filter are d pixels apart
    y   (N, Ho, Wo, Cout)     output                s   stride         p   padding, zeros on all four sides

Ho = (H + 2p - d*(kh - 1) - 1) // s + 1, Wo likewise. With G = 1 and d = 1 it is `conv2d`. With G = Cin each channel has
filters of its own: a depthwise convolution, arXiv 1704.04861. ResNeXt has 32 groups, arXiv 1611.05431. Dilation:
arXiv 1511.07122.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.conv import output_size, pad, products, sizes_of_result, window
from npse.types import Array, Shape


def _sizes(op: str, letters: dict[str, int], groups: int, stride: int, padding: int, dilation: int) -> dict[str, int]:
    """Check groups, stride, padding, dilation and the filter's size; return Ho and Wo."""
    for name, value in (("groups", groups), ("dilation", dilation)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{op}: {name} must be an integer of at least 1, but is {value!r}")
    Cin, Cout, D = (letters[letter] for letter in ("Cin", "Cout", "D"))
    if Cin % groups or Cout % groups:
        raise ValueError(f"{op}: groups must divide the channels, but {groups} groups do not divide "
                         f"{Cin if Cin % groups else Cout} channels")
    if Cin // groups != D:
        raise ValueError(f"{op}: with {groups} groups of {Cin} channels each filter has {Cin // groups} channels, "
                         f"but w has {D} on axis 2")
    kh, kw = (reach(letters[letter], dilation) for letter in ("kh", "kw"))
    return sizes_of_result(op, letters | {"kh": kh, "kw": kw}, stride, padding)


def reach(k: int, dilation: int) -> int:
    """Return d * (k - 1) + 1: the pixels from the first to the last tap of a filter."""
    return dilation * (k - 1) + 1


def _output_size(x_shape: Shape, w_shape: Shape, stride: int, padding: int, dilation: int) -> tuple[int, int]:
    kh, kw = (reach(k, dilation) for k in w_shape[:2])
    return output_size(x_shape, (kh, kw), stride, padding)


def _in_groups(maps: Array, groups: int) -> Array:
    """View maps (N, H, W, C) as (N, H, W, G, C/G)."""
    return maps.reshape(*maps.shape[:3], groups, -1)


def _by_group(w: Array, groups: int) -> Array:
    """View filters (kh, kw, D, Cout) as (kh, kw, D, G, Cout/G): each group has Cout/G of the output channels."""
    return w.reshape(*w.shape[:3], groups, -1)


@op("x: N H W Cin, w: kh kw D Cout -> y: N Ho Wo Cout", sizes=_sizes,
    backward=("grouped_conv2d_backward_x", "grouped_conv2d_backward_w"),
    flops=lambda x, w, *_, y: products(y.shape, w.shape),
    multiply_adds=lambda x, w, *_, y: products(y.shape, w.shape) // 2)
def grouped_conv2d(x: Array, w: Array, groups: int = 1, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """Convolve each group of channels with its own filters.

    y[n, a, b, k] = sum over i, j, c < D of  xp[n, s*a + d*i, s*b + d*j, g*D + c] * w[i, j, c, k],
    where xp is x padded with zeros and g = k // (Cout/G) is the group of the output channel k

    Parameters
    ----------
    x : array (N, H, W, Cin)
    w : array (kh, kw, Cin/groups, Cout)
    groups, stride, padding, dilation : int

    Returns
    -------
    y : array (N, Ho, Wo, Cout)

    Raises
    ------
    ValueError, TypeError
        As for `conv2d`; groups that do not divide the channels; a dilated filter larger than the padded map.
    """
    Ho, Wo = _output_size(x.shape, w.shape, stride, padding, dilation)
    xp, wg = _in_groups(pad(x, padding), groups), _by_group(w, groups)
    y = np.zeros((x.shape[0], Ho, Wo, groups, wg.shape[4]), x.dtype)
    for i, j in np.ndindex(w.shape[:2]):
        y += np.einsum("nabgc,cgk->nabgk", window(xp, dilation * i, dilation * j, Ho, Wo, stride), wg[i, j])
    return y.reshape(*y.shape[:3], -1)


@op("x_shape: (N H W Cin), w: kh kw D Cout, dy: N Ho Wo Cout -> dx: N H W Cin", sizes=_sizes,
    flops=lambda dy, w, *_, y: products(dy.shape, w.shape))
def grouped_conv2d_backward_x(dy: Array, w: Array, x_shape: Shape, groups: int = 1, stride: int = 1, padding: int = 0,
                              dilation: int = 1) -> Array:
    """Gradient of `grouped_conv2d` with respect to x: (N, Ho, Wo, Cout), (kh, kw, D, Cout) -> (N, H, W, Cin).

    dxp[n, s*a + d*i, s*b + d*j, g*D + c] += sum over k of group g of  dy[n, a, b, k] * w[i, j, c, k]
    """
    Ho, Wo = _output_size(x_shape, w.shape, stride, padding, dilation)
    N, H, W, _ = x_shape
    dyg, wg = _in_groups(dy, groups), _by_group(w, groups)
    dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, groups, w.shape[2]), dy.dtype)
    for i, j in np.ndindex(w.shape[:2]):
        window(dxp, dilation * i, dilation * j, Ho, Wo, stride)[...] += np.einsum("nabgk,cgk->nabgc", dyg, wg[i, j])
    return dxp[:, padding:padding + H, padding:padding + W].reshape(x_shape)


@op("x: N H W Cin, w_shape: (kh kw D Cout), dy: N Ho Wo Cout -> dw: kh kw D Cout", sizes=_sizes,
    flops=lambda dy, x, w_shape, *_, y: products(dy.shape, w_shape))
def grouped_conv2d_backward_w(dy: Array, x: Array, w_shape: Shape, groups: int = 1, stride: int = 1, padding: int = 0,
                              dilation: int = 1) -> Array:
    """Gradient of `grouped_conv2d` with respect to w: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, D, Cout).

    dw[i, j, c, k] = sum over n, a, b of  xp[n, s*a + d*i, s*b + d*j, g*D + c] * dy[n, a, b, k],  g the group of k
    """
    Ho, Wo = _output_size(x.shape, w_shape, stride, padding, dilation)
    xp, dyg = _in_groups(pad(x, padding), groups), _in_groups(dy, groups)
    dw = np.empty((*w_shape[:3], groups, dyg.shape[4]), x.dtype)
    for i, j in np.ndindex(w_shape[:2]):
        dw[i, j] = np.einsum("nabgc,nabgk->cgk", window(xp, dilation * i, dilation * j, Ho, Wo, stride), dyg)
    return dw.reshape(w_shape)
