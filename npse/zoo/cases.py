"""Cases that the judge's list has not: gradients of two composites that only add paths, and the whole block."""

import numpy as np

from npse import reference
from npse.gradcheck import Case
from npse.gradcheck.cases.case import distinct, signed
from npse.zoo import block


def _add_squeeze_backward(label, *shape):
    """y = u + squeeze(u): u takes both paths, and the op adds what comes back on them."""
    return Case(
        ("add_squeeze_backward",), label,
        make=lambda rng: {"u": distinct(rng, *shape)},
        forward=lambda ops, u: u + ops.squeeze(u)[:, None, None, :],
        backward=lambda ops, dy, u: (ops.add_squeeze_backward(dy, dy.sum(axis=(1, 2))),),
        wrt=("u",))


def _conv2d_backward_x_add(label, x_shape, w_shape, stride, padding):
    """y holds conv2d(x, w) and x itself, one after the other."""
    def forward(ops, x, w):
        return np.concatenate([ops.conv2d(x, w, stride, padding).ravel(), x.ravel()])

    def backward(ops, dy, x, w):
        convolved = dy[:-x.size].reshape(ops.conv2d(x, w, stride, padding).shape)
        return (ops.conv2d_backward_x_add(convolved, w, dy[-x.size:].reshape(x.shape), stride, padding),)

    return Case(("conv2d_backward_x_add",), label,
                make=lambda rng: {"x": distinct(rng, *x_shape), "w": signed(rng, *w_shape)},
                forward=forward, backward=backward, wrt=("x",))


def _excite_at_the_kink(label, N, C, M):
    """Some rows of z are zero, so what enters the ReLU is: the start of a block whose last gamma is zero."""
    def make(rng):
        z = distinct(rng, N, C)
        z[::2] = 0
        return {"z": z, "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M}

    return Case(("excite", "excite_backward"), label, make,
                forward=lambda ops, z, w1, w2: ops.excite(z, w1, w2),
                backward=lambda ops, ds, z, w1, w2: ops.excite_backward(ds, z, ops.excite(z, w1, w2), w1, w2)[:3],
                wrt=("z", "w1", "w2"), kinks=lambda z, w1, w2: [z @ w1.T])


def _se_block(label, shape, kernel, M):
    C = shape[-1]

    def make(rng):
        return {"x": 2 * distinct(rng, *shape), "w": signed(rng, kernel, kernel, C, C) / 3, "gamma": signed(rng, C),
                "beta": signed(rng, C), "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M}

    def kinks(x, w, gamma, beta, w1, w2):
        *_, b, z, s, _ = block.forward(reference, x, w, gamma, beta, w1, w2)
        return [z @ w1.T, s[:, None, None, :] * b + x]

    return Case(("se_block", "se_block_backward"), label, make,
                forward=lambda ops, **arguments: ops.se_block(*arguments.values()),
                backward=lambda ops, dy, **arguments: ops.se_block_backward(dy, *arguments.values()),
                wrt=("x", "w", "gamma", "beta", "w1", "w2"), kinks=kinks)


CASES = (
    _add_squeeze_backward("H < W", 2, 3, 4, 3),
    _add_squeeze_backward("N = 1, H > W", 1, 4, 2, 2),
    _conv2d_backward_x_add("H < W, Cin < Cout", (2, 4, 5, 2), (3, 3, 2, 3), 1, 1),
    _conv2d_backward_x_add("3x2, stride 2", (2, 5, 6, 3), (3, 2, 3, 2), 2, 1),
    _excite_at_the_kink("no biases, some rows at the kink", 5, 4, 3),
    _se_block("H < W", (2, 3, 4, 3), 3, 2),
    _se_block("N = 1, H > W, 1x1 kernel", (1, 4, 3, 4), 1, 2),
)
