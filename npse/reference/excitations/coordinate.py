"""Coordinate attention, arXiv 2103.02907: a gate for each row and one for each column of a map.

    u   (N, H, W, C)    maps                             sh  (N, H, C)  gates of the rows
    zh  (N, H, C)       means of the rows                sw  (N, W, C)  gates of the columns
    zw  (N, W, C)       means of the columns             y   (N, H, W, C) = u * sh * sw
    z   (N, H+W, 1, C)  zh, then zw: a map of one column

One 1x1 convolution with batch norm runs over z; its result is split again, and each part gets a convolution of its
own and a gate. `join_rows` and `split_rows` are inverses of one another, so that each is the other's gradient.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import average, total
from npse.types import Array


@op("u: N H W C -> zh: N H C, zw: N W C", flops=2, multiply_adds=2)
def axis_means(u: Array) -> tuple[Array, Array]:
    """zh[n, i, c] = mean over j of u,  zw[n, j, c] = mean over i of u;  (N, H, W, C) -> (N, H, C), (N, W, C)."""
    return average(u, 2), average(u, 1)


@op("dzh: N H C, dzw: N W C -> du: N H W C", flops=3)
def axis_means_backward(dzh: Array, dzw: Array) -> Array:
    """du[n, i, j, c] = dzh[n, i, c] / W + dzw[n, j, c] / H;  (N, H, C), (N, W, C) -> (N, H, W, C)."""
    H, W = dzh.shape[1], dzw.shape[1]
    return dzh[:, :, None] / W + dzw[:, None] / H


def _joined(op: str, letters: dict[str, int]) -> dict[str, int]:
    return {"Ho": letters["H"] + letters["W"]}


@op("zh: N H C, zw: N W C -> z: N Ho 1 C", backward="split_rows", sizes=_joined, flops=0)
def join_rows(zh: Array, zw: Array) -> Array:
    """z is zh, then zw, as one map of one column;  (N, H, C), (N, W, C) -> (N, H + W, 1, C)."""
    return np.concatenate([zh, zw], axis=1)[:, :, None]


def _split(op: str, letters: dict[str, int], height: int) -> None:
    if not isinstance(height, (int, np.integer)) or not 1 <= height < letters["L"]:
        raise ValueError(f"{op}: height must be an integer from 1 to {letters['L'] - 1}, so that both parts of the "
                         f"{letters['L']} rows have rows, but is {height!r}")


@op("z: N L 1 C -> zh: N H C, zw: N W C", backward="join_rows", sizes=_split, flops=0)
def split_rows(z: Array, height: int) -> tuple[Array, Array]:
    """zh is the first ``height`` rows, zw the rest;  (N, H + W, 1, C) -> (N, H, C), (N, W, C)."""
    return z[:, :height, 0].copy(), z[:, height:, 0].copy()


@op("u: N H W C, sh: N H C, sw: N W C -> y: N H W C", flops=2, multiply_adds=2)
def scale_axes(u: Array, sh: Array, sw: Array) -> Array:
    """y[n, i, j, c] = u[n, i, j, c] * sh[n, i, c] * sw[n, j, c];  -> (N, H, W, C). arXiv 2103.02907, equation (9)."""
    return u * (sh[:, :, None] * sw[:, None])


@op("u: N H W C, sh: N H C, sw: N W C, dy: N H W C -> du: N H W C, dsh: N H C, dsw: N W C", flops=7)
def scale_axes_backward(dy: Array, u: Array, sh: Array, sw: Array) -> tuple[Array, Array, Array]:
    """Gradients of `scale_axes`: du (N, H, W, C), dsh (N, H, C), dsw (N, W, C).

    du = dy * sh * sw        dsh = sum over j of dy * u * sw        dsw = sum over i of dy * u * sh
    """
    rows, columns, g = sh[:, :, None], sw[:, None], dy * u
    return dy * (rows * columns), total(g * columns, 2), total(g * rows, 1)
