"""Convolution, equation (1) of the paper: u_c = v_c * X = sum over s of v_c^s * x^s.

As usual in this field, the star is a cross-correlation. A bias is an op of its own, `add_bias`;
most convolutions have none, because a batch norm follows them.

    x   (N, H, W, Cin)        input                 s   stride
    w   (kh, kw, Cin, Cout)   filters               p   padding, zeros on all four sides
    y   (N, Ho, Wo, Cout)     output                Ho = (H + 2p - kh) // s + 1, Wo likewise

A convolution is a sum of kh*kw matrix products. For each tap (i, j) of the filter, a shifted and strided view of x,
as rows of Cin numbers, is multiplied by the matrix w[i, j] of shape (Cin, Cout).
"""

import math

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array, Shape


def output_size(x_shape: Shape, w_shape: Shape, stride: int, padding: int) -> tuple[int, int]:
    """Ho = (H + 2p - kh) // s + 1, and Wo likewise: the number of positions of the filter along each axis."""
    _, H, W, _ = x_shape
    kh, kw = w_shape[:2]
    return (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1


def sizes_of_result(op: str, letters: dict[str, int], stride: int, padding: int) -> dict[str, int]:
    """Check stride, padding and the filter's size; return Ho and Wo. A hook of `npse.reference.contract.op`."""
    H, W, kh, kw = (letters[letter] for letter in ("H", "W", "kh", "kw"))
    for name, value, least in (("stride", stride, 1), ("padding", padding, 0)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{op}: {name} must be an integer of at least {least}, but is {value!r}")
    if H + 2 * padding < kh or W + 2 * padding < kw:
        raise ValueError(f"{op}: a {kh}x{kw} filter does not fit a {H}x{W} map with padding {padding}; "
                         f"use a padding of at least {max(kh - H, kw - W, 0) + 1 >> 1}")
    Ho, Wo = output_size((1, H, W, 1), (kh, kw), stride, padding)
    return {"Ho": Ho, "Wo": Wo}


def products(y_shape: Shape, w_shape: Shape) -> int:
    """Operations of any pass of a convolution. Those on the zeros around the map count too, as usual in this field."""
    return 2 * math.prod(y_shape) * math.prod(w_shape[:3])


def pad(x: Array, p: int) -> Array:
    """Put p rows and columns of zeros around every map: (N, H, W, C) -> (N, H + 2p, W + 2p, C)."""
    return np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))


def window(x: Array, i: int, j: int, Ho: int, Wo: int, stride: int) -> Array:
    """View of x that tap (i, j) reads: x[n, stride*a + i, stride*b + j, c] for a < Ho, b < Wo."""
    return x[:, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride, :]


@op("x: N H W Cin, w: kh kw Cin Cout -> y: N Ho Wo Cout", backward=("conv2d_backward_x", "conv2d_backward_w"),
    sizes=sizes_of_result, flops=lambda x, w, *_, y: products(y.shape, w.shape),
    multiply_adds=lambda x, w, *_, y: products(y.shape, w.shape) // 2)
def conv2d(x: Array, w: Array, stride: int = 1, padding: int = 0) -> Array:
    """Convolve a batch of maps with a bank of filters.

    y[n, a, b, k] = sum over i, j, c of  xp[n, s*a + i, s*b + j, c] * w[i, j, c, k],  xp = x padded with zeros

    Parameters
    ----------
    x : array (N, H, W, Cin)
    w : array (kh, kw, Cin, Cout)
    stride, padding : int

    Returns
    -------
    y : array (N, Ho, Wo, Cout)

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, mixed or non-floating dtypes, a stride below 1, a filter larger than the padded map.

    Source: arXiv 1709.01507, equation (1).
    """
    Ho, Wo = output_size(x.shape, w.shape, stride, padding)
    xp = pad(x, padding)
    y = np.zeros((x.shape[0], Ho, Wo, w.shape[3]), x.dtype)
    for i, j in np.ndindex(w.shape[:2]):
        y += window(xp, i, j, Ho, Wo, stride) @ w[i, j]           # (N, Ho, Wo, Cin) @ (Cin, Cout)
    return y


@op("x_shape: (N H W Cin), w: kh kw Cin Cout, dy: N Ho Wo Cout -> dx: N H W Cin",
    sizes=sizes_of_result, flops=lambda dy, w, *_, y: products(dy.shape, w.shape))
def conv2d_backward_x(dy: Array, w: Array, x_shape: Shape, stride: int = 1,
                      padding: int = 0) -> Array:
    """Gradient of `conv2d` with respect to x.

    dxp[n, s*a + i, s*b + j, c] += sum over k of  dy[n, a, b, k] * w[i, j, c, k]   for every a, b, i, j

    If the stride leaves a remainder, no filter reads the last rows and columns of x, and their gradient is zero.
    So dy and w do not determine the shape of x, and it is an argument.

    Parameters
    ----------
    dy : array (N, Ho, Wo, Cout)
    w : array (kh, kw, Cin, Cout)
    x_shape : tuple (N, H, W, Cin)
    stride, padding : int

    Returns
    -------
    dx : array (N, H, W, Cin)
    """
    Ho, Wo = output_size(x_shape, w.shape, stride, padding)
    N, H, W, Cin = x_shape
    dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
    for i, j in np.ndindex(w.shape[:2]):
        window(dxp, i, j, Ho, Wo, stride)[...] += dy @ w[i, j].T  # windows overlap: add, never assign
    return np.ascontiguousarray(dxp[:, padding:padding + H, padding:padding + W])


@op("x: N H W Cin, w_shape: (kh kw Cin Cout), dy: N Ho Wo Cout -> dw: kh kw Cin Cout",
    sizes=sizes_of_result, flops=lambda dy, x, w_shape, *_, y: products(dy.shape, w_shape))
def conv2d_backward_w(dy: Array, x: Array, w_shape: Shape, stride: int = 1,
                      padding: int = 0) -> Array:
    """Gradient of `conv2d` with respect to w.

    dw[i, j, c, k] = sum over n, a, b of  xp[n, s*a + i, s*b + j, c] * dy[n, a, b, k]

    Parameters
    ----------
    dy : array (N, Ho, Wo, Cout)
    x : array (N, H, W, Cin)
    w_shape : tuple (kh, kw, Cin, Cout)
    stride, padding : int

    Returns
    -------
    dw : array (kh, kw, Cin, Cout)
    """
    Ho, Wo = output_size(x.shape, w_shape, stride, padding)
    xp = pad(x, padding)
    dw = np.empty(w_shape, x.dtype)
    for i, j in np.ndindex(w_shape[:2]):
        dw[i, j] = np.tensordot(window(xp, i, j, Ho, Wo, stride), dy, axes=([0, 1, 2], [0, 1, 2]))
    return dw


@op("y: N H W C, b: C -> z: N H W C", flops=1)
def add_bias(y: Array, b: Array) -> Array:
    """z[n, i, j, c] = y[n, i, j, c] + b[c];  (N, H, W, C), (C,) -> (N, H, W, C)."""
    return y + b


@op("dz: N H W C -> dy: N H W C, db: C", flops=1)
def add_bias_backward(dz: Array) -> tuple[Array, Array]:
    """dy = dz, which is the same array,  db[c] = sum over n, i, j of  dz[n, i, j, c];  -> (N, H, W, C), (C,)."""
    return dz, total(dz, (0, 1, 2))
