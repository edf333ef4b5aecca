"""Cases for elementwise ops: the non-linearities and the residual additions."""

from collections.abc import Callable

from numpy.random import Generator

from npse.gradcheck.cases.case import Case, Draw, distinct, signed
from npse.types import Arguments, Array


def relu_case(label: str, draw: Callable[[Generator], Array]) -> Case:
    """A case for `relu`."""
    return Case(
        ("relu", "relu_backward"), label, make=lambda rng: {"x": draw(rng)},
        forward=lambda ops, x: ops.relu(x),
        backward=lambda ops, dy, x: (ops.relu_backward(dy, ops.relu(x)),),
        wrt=("x",), kinks=lambda x: [x])


def sigmoid_case(label: str, draw: Callable[[Generator], Array]) -> Case:
    """A case for `sigmoid`."""
    return Case(
        ("sigmoid", "sigmoid_backward"), label, make=lambda rng: {"x": draw(rng)},
        forward=lambda ops, x: ops.sigmoid(x),
        backward=lambda ops, dy, x: (ops.sigmoid_backward(dy, ops.sigmoid(x)),),
        wrt=("x",))


def add_case(label: str, *shape: int) -> Case:
    """A case for `add`."""
    return Case(
        ("add", "add_backward"), label,
        make=lambda rng: {"f": distinct(rng, *shape), "x": distinct(rng, *shape)},
        forward=lambda ops, f, x: ops.add(f, x),
        backward=lambda ops, dy, f, x: ops.add_backward(dy),
        wrt=("f", "x"))


def add_relu_case(label: str, *shape: int, draw: Draw = signed) -> Case:
    """A case for `add_relu`."""
    def make(rng: Generator) -> Arguments:
        f = distinct(rng, *shape)
        return {"f": f, "x": draw(rng, *shape) - f}                # the sum is what was drawn

    return Case(
        ("add_relu", "add_relu_backward"), label, make,
        forward=lambda ops, f, x: ops.add_relu(f, x),
        backward=lambda ops, dy, f, x: ops.add_relu_backward(dy, ops.add_relu(f, x)),
        wrt=("f", "x"), kinks=lambda f, x: [f + x])


def scale_add_relu_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u", "s", "x")) -> Case:
    """A case for `scale_add_relu`."""
    N, _, _, C = shape

    def make(rng: Generator) -> Arguments:
        u, s = distinct(rng, *shape), rng.uniform(0.1, 0.9, (N, C))
        return {"u": u, "s": s, "x": signed(rng, *shape) - u * s[:, None, None, :]}

    return Case(
        ("scale_add_relu", "scale_add_relu_backward"), label, make,
        forward=lambda ops, u, s, x: ops.scale_add_relu(u, s, x),
        backward=lambda ops, dy, u, s, x: ops.scale_add_relu_backward(dy, u, s, ops.scale_add_relu(u, s, x)),
        wrt=wrt, kinks=lambda u, s, x: [u * s[:, None, None, :] + x])


def _some_zeros(rng: Generator, *shape: int) -> Array:
    values = signed(rng, *shape)
    values.flat[::3] = 0
    return values


CASES = (
    relu_case("four axes", lambda rng: distinct(rng, 2, 3, 4, 2)),
    relu_case("two axes", lambda rng: distinct(rng, 3, 4)),
    relu_case("some exactly at the kink", lambda rng: _some_zeros(rng, 2, 3, 2, 2)),
    sigmoid_case("four axes", lambda rng: distinct(rng, 2, 3, 4, 2)),
    sigmoid_case("one axis", lambda rng: distinct(rng, 5)),
    sigmoid_case("saturated", lambda rng: 20 * distinct(rng, 3, 8)),
    add_case("H < W", 2, 3, 4, 2),
    add_case("1x1 map, N = 1", 1, 1, 1, 3),
    add_relu_case("H < W", 2, 3, 4, 2),
    add_relu_case("1x1 map, N = 1", 1, 1, 1, 3),
    add_relu_case("some exactly at the kink", 2, 3, 2, 2, draw=_some_zeros),
    scale_add_relu_case("H < W", 2, 3, 4, 3),
    scale_add_relu_case("H > W, N = 1, C = 1", 1, 4, 2, 1),
    scale_add_relu_case("1x1 map", 3, 1, 1, 2),
    scale_add_relu_case("wide", 3, 9, 7, 37, wrt=()),
)

