"""Cases for what acts on each number alone: the non-linearities and the residual joins."""

from npse.gradcheck.cases.case import Case, distinct, signed


def _relu(label, make):
    return Case(
        ("relu", "relu_backward"), label, make=lambda rng: {"x": make(rng)},
        forward=lambda ops, x: ops.relu(x),
        backward=lambda ops, dy, x: (ops.relu_backward(dy, ops.relu(x)),),
        wrt=("x",), kinks=lambda x: [x])


def _sigmoid(label, make):
    return Case(
        ("sigmoid", "sigmoid_backward"), label, make=lambda rng: {"x": make(rng)},
        forward=lambda ops, x: ops.sigmoid(x),
        backward=lambda ops, dy, x: (ops.sigmoid_backward(dy, ops.sigmoid(x)),),
        wrt=("x",))


def _add(label, *shape):
    return Case(
        ("add", "add_backward"), label,
        make=lambda rng: {"f": distinct(rng, *shape), "x": distinct(rng, *shape)},
        forward=lambda ops, f, x: ops.add(f, x),
        backward=lambda ops, dy, f, x: ops.add_backward(dy),
        wrt=("f", "x"))


def _add_relu(label, *shape, draw=signed):
    def make(rng):
        f = distinct(rng, *shape)
        return {"f": f, "x": draw(rng, *shape) - f}                # the sum is what was drawn

    return Case(
        ("add_relu", "add_relu_backward"), label, make,
        forward=lambda ops, f, x: ops.add_relu(f, x),
        backward=lambda ops, dy, f, x: ops.add_relu_backward(dy, ops.add_relu(f, x)),
        wrt=("f", "x"), kinks=lambda f, x: [f + x])


def _scale_add_relu(label, *shape, wrt=("u", "s", "x")):
    N, _, _, C = shape

    def make(rng):
        u, s = distinct(rng, *shape), rng.uniform(0.1, 0.9, (N, C))
        return {"u": u, "s": s, "x": signed(rng, *shape) - u * s[:, None, None, :]}

    return Case(
        ("scale_add_relu", "scale_add_relu_backward"), label, make,
        forward=lambda ops, u, s, x: ops.scale_add_relu(u, s, x),
        backward=lambda ops, dy, u, s, x: ops.scale_add_relu_backward(dy, u, s, ops.scale_add_relu(u, s, x)),
        wrt=wrt, kinks=lambda u, s, x: [u * s[:, None, None, :] + x])


def _some_zeros(rng, *shape):
    values = signed(rng, *shape)
    values.flat[::3] = 0
    return values


CASES = (
    _relu("four axes", lambda rng: distinct(rng, 2, 3, 4, 2)),
    _relu("two axes", lambda rng: distinct(rng, 3, 4)),
    _relu("some exactly at the kink", lambda rng: _some_zeros(rng, 2, 3, 2, 2)),
    _sigmoid("four axes", lambda rng: distinct(rng, 2, 3, 4, 2)),
    _sigmoid("one axis", lambda rng: distinct(rng, 5)),
    _sigmoid("saturated", lambda rng: 20 * distinct(rng, 3, 8)),
    _add("H < W", 2, 3, 4, 2),
    _add("1x1 map, N = 1", 1, 1, 1, 3),
    _add_relu("H < W", 2, 3, 4, 2),
    _add_relu("1x1 map, N = 1", 1, 1, 1, 3),
    _add_relu("some exactly at the kink", 2, 3, 2, 2, draw=_some_zeros),
    _scale_add_relu("H < W", 2, 3, 4, 3),
    _scale_add_relu("H > W, N = 1, C = 1", 1, 4, 2, 1),
    _scale_add_relu("1x1 map", 3, 1, 1, 2),
    _scale_add_relu("wide", 3, 9, 7, 37, wrt=()),
)

