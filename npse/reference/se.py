"""The squeeze-and-excitation block: arXiv 1709.01507, equations (2), (3) and (4).

    squeeze   z = mean of u over the map                       (2)
    excite    s = sigma(W2 delta(W1 z))                        (3)
    scale     y = s * u, channel by channel                    (4)

    u   (N, H, W, C)   output of a convolution        w1  (M, C)   reduces C channels to M = C/r
    z   (N, C)         squeezed: one number a channel  w2  (C, M)   expands M back to C
    h   (N, M)         hidden: delta(W1 z)             b1 (M,), b2 (C,)  biases; the paper's formula has none
    s   (N, C)         gates, between 0 and 1          y   (N, H, W, C)  recalibrated maps

u reaches y on two paths: directly, as the factor that s multiplies, and through the squeeze, because s depends on
every pixel of u. Its gradient is the sum of both. To forget the second path is a common mistake.
"""

import numpy as np

from npse.reference.activation import relu, relu_backward, sigmoid, sigmoid_backward
from npse.reference.contract import op
from npse.reference.dense import dense, dense_backward
from npse.reference.numerics import average, total
from npse.types import Array, Shape


@op("u: N H W C -> z: N C", flops=1, multiply_adds=1)
def squeeze(u: Array) -> Array:
    """z[n, c] = 1/(H*W) * sum over i, j of  u[n, i, j, c];  (N, H, W, C) -> (N, C). Equation (2)."""
    return average(u, (1, 2))


@op("u_shape: (N H W C), dz: N C -> du: N H W C", flops=1)
def squeeze_backward(dz: Array, u_shape: Shape) -> Array:
    """du[n, i, j, c] = dz[n, c] / (H*W): every pixel has the same share;  (N, C) -> (N, H, W, C)."""
    _, H, W, _ = u_shape
    return np.broadcast_to(dz[:, None, None, :] / (H * W), u_shape).copy()


@op("z: N C, w1: M C, w2: C M, b1?: M, b2?: C -> s: N C", kink=lambda z, w1, w2, b1=None, *_: dense(z, w1, b1) > 0,
    flops=lambda z, w1, w2, *_, y: 2 * len(z) * (w1.size + w2.size),
    multiply_adds=lambda z, w1, w2, *_, y: len(z) * (w1.size + w2.size))
def excite(z: Array, w1: Array, w2: Array, b1: Array | None = None,
           b2: Array | None = None) -> Array:
    """s = sigma(W2 delta(W1 z + b1) + b2);  (N, C), (M, C), (C, M), (M,), (C,) -> (N, C). Equation (3)."""
    h = relu(dense(z, w1, b1))                                    # (N, M)
    return sigmoid(dense(h, w2, b2))                              # (N, C)


@op("z: N C, w1: M C, w2: C M, b1?: M, s: N C, ds: N C -> dz: N C, dw1: M C, dw2: C M, db1: M, db2: C",
    flops=lambda ds, z, s, w1, w2, *_, y: 2 * len(z) * (3 * w1.size + 2 * w2.size))
def excite_backward(ds: Array, z: Array, s: Array, w1: Array, w2: Array,
                    b1: Array | None = None) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of `excite`, from the gates back to z.

    da2 = ds * s * (1 - s)         dw2 = da2^T h    db2 = sum over n of da2    dh = da2 W2
    da1 = dh where h > 0, else 0   dw1 = da1^T z    db1 = sum over n of da1    dz = da1 W1

    The hidden layer h is small and is computed again from z. b2 is not needed, because no gradient contains it.

    Parameters
    ----------
    ds, z, s : arrays (N, C)
    w1 : array (M, C)
    w2 : array (C, M)
    b1 : array (M,), optional

    Returns
    -------
    dz (N, C), dw1 (M, C), dw2 (C, M), db1 (M,), db2 (C,)
        A bias that was left out counts as zero, and its gradient is returned too.
    """
    h = relu(dense(z, w1, b1))
    da2 = sigmoid_backward(ds, s)
    dh, dw2, db2 = dense_backward(da2, h, w2)
    da1 = relu_backward(dh, h)
    dz, dw1, db1 = dense_backward(da1, z, w1)
    return dz, dw1, dw2, db1, db2


@op("u: N H W C, s: N C -> y: N H W C", flops=1, multiply_adds=1)
def scale(u: Array, s: Array) -> Array:
    """y[n, i, j, c] = s[n, c] * u[n, i, j, c];  (N, H, W, C), (N, C) -> (N, H, W, C). Equation (4)."""
    return u * s[:, None, None, :]


@op("u: N H W C, s: N C, dy: N H W C -> du: N H W C, ds: N C", flops=3)
def scale_backward(dy: Array, u: Array, s: Array) -> tuple[Array, Array]:
    """Gradients of `scale`: (N, H, W, C), (N, H, W, C), (N, C) -> du (N, H, W, C), ds (N, C).

    du[n, i, j, c] = dy[n, i, j, c] * s[n, c]
    ds[n, c]       = sum over i, j of  dy[n, i, j, c] * u[n, i, j, c]       (a sum, not a mean)
    """
    du = dy * s[:, None, None, :]
    ds = total(dy * u, (1, 2))
    return du, ds


@op("u: N H W C, w1: M C, w2: C M, b1?: M, b2?: C -> y: N H W C",
    kink=lambda u, w1, w2, b1=None, *_: dense(squeeze(u), w1, b1) > 0,
    flops=lambda u, w1, w2, *_, y: 2 * u.size + 2 * len(u) * (w1.size + w2.size),
    multiply_adds=lambda u, w1, w2, *_, y: 2 * u.size + len(u) * (w1.size + w2.size))
def se(u: Array, w1: Array, w2: Array, b1: Array | None = None, b2: Array | None = None) -> Array:
    """The whole block: y = scale(u, excite(squeeze(u)));  (N, H, W, C) -> (N, H, W, C). Equations (2) to (4)."""
    return scale(u, excite(squeeze(u), w1, w2, b1, b2))


@op("u: N H W C, dy: N H W C, w1: M C, w2: C M, b1?: M, b2?: C "
    "-> du: N H W C, dw1: M C, dw2: C M, db1: M, db2: C")
def se_backward(dy: Array, u: Array, w1: Array, w2: Array, b1: Array | None = None,
                b2: Array | None = None) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of the whole block, in closed form, with both paths to u.

    du[n, i, j, c] = dy[n, i, j, c] * s[n, c]  +  dz[n, c] / (H*W)
                     `---- direct, (4) -----'     `- through the squeeze, (2) -'

    Parameters
    ----------
    dy, u : arrays (N, H, W, C)
    w1, w2, b1, b2 : as in `se`

    Returns
    -------
    du (N, H, W, C), dw1 (M, C), dw2 (C, M), db1 (M,), db2 (C,)
    """
    z = squeeze(u)
    s = excite(z, w1, w2, b1, b2)
    direct, ds = scale_backward(dy, u, s)
    dz, dw1, dw2, db1, db2 = excite_backward(ds, z, s, w1, w2, b1)
    _, H, W, _ = u.shape
    du = direct + dz[:, None, None, :] / (H * W)
    return du, dw1, dw2, db1, db2
