"""The zoo's own cases: ops that only add the gradients of two paths, the excitation at a kink, and a whole block."""

from npse import reference
from npse.gradcheck import Case
from npse.gradcheck.cases.case import distinct, signed
from npse.zoo import block


def _add_squeeze_backward(label, *shape):
    """y = squeeze(u) * u: a block without an excitation."""
    def backward(ops, dy, u):
        du, dz = ops.scale_backward(dy, u, ops.squeeze(u))
        return (ops.add_squeeze_backward(du, dz),)

    return Case(("add_squeeze_backward",), label,
                make=lambda rng: {"u": distinct(rng, *shape) + 0.5 * signed(rng, shape[0], 1, 1, shape[-1])},
                forward=lambda ops, u: ops.scale(u, ops.squeeze(u)), backward=backward, wrt=("u",))


def _conv2d_backward_x_add(label, shape, kernel):
    """y = conv2d(x) + x."""
    C, padding = shape[-1], kernel // 2
    return Case(("conv2d_backward_x_add",), label,
                make=lambda rng: {"x": distinct(rng, *shape), "w": signed(rng, kernel, kernel, C, C)},
                forward=lambda ops, x, w: ops.add(ops.conv2d(x, w, 1, padding), x),
                backward=lambda ops, dy, x, w: (ops.conv2d_backward_x_add(dy, w, dy, 1, padding),), wrt=("x",))


def _conv2d_backward_x_add_strided(label, *shape):
    """y = conv2d(x) + average_pool(x), both of stride 2."""
    C = shape[-1]

    def backward(ops, dy, x, w):
        return (ops.conv2d_backward_x_add(dy, w, ops.average_pool_backward(dy, x.shape, 2), 2, 1),)

    return Case(("conv2d_backward_x_add",), label,
                make=lambda rng: {"x": distinct(rng, *shape), "w": signed(rng, 3, 3, C, C)},
                forward=lambda ops, x, w: ops.add(ops.conv2d(x, w, 2, 1), ops.average_pool(x, 2)),
                backward=backward, wrt=("x",))


def _excite_at_the_kink(label, N, C, M):
    """Some rows of z are zero, and so are the inputs of the ReLU: as in a new block whose last gamma is zero."""
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

    return Case(("se_block_backward",), label, make,
                forward=lambda ops, **arguments: block.forward(ops, *arguments.values())[-1],
                backward=lambda ops, dy, **arguments: ops.se_block_backward(dy, *arguments.values()),
                wrt=("x", "w", "gamma", "beta", "w1", "w2"), kinks=kinks)


CASES = (
    _add_squeeze_backward("H < W", 2, 3, 4, 3),
    _add_squeeze_backward("N = 1, H > W", 1, 4, 2, 2),
    _conv2d_backward_x_add("3x3, H < W", (2, 3, 5, 2), 3),
    _conv2d_backward_x_add("1x1 kernel, N = 1", (1, 4, 3, 3), 1),
    _conv2d_backward_x_add_strided("stride 2", 2, 4, 6, 2),
    _excite_at_the_kink("no biases, some rows at the kink", 5, 4, 3),
    _se_block("H < W", (2, 3, 4, 3), 3, 2),
    _se_block("N = 1, H > W, 1x1 kernel", (1, 4, 3, 4), 1, 2),
)
