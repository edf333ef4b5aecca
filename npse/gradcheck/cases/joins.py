"""Cases for joins of residual networks that have no ReLU: gates and sum in one op, and the mixture of two branches."""

from npse.gradcheck.cases.case import Case, distinct


def scale_add_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u", "s", "x")) -> Case:
    """A case for `scale_add`."""
    N, _, _, C = shape
    return Case(
        ("scale_add", "scale_add_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "s": rng.uniform(0.1, 0.9, (N, C)), "x": distinct(rng, *shape)},
        forward=lambda ops, u, s, x: ops.scale_add(u, s, x),
        backward=lambda ops, dy, u, s, x: ops.scale_add_backward(dy, u, s), wrt=wrt)


def shake_case(label: str, *shape: int, wrt: tuple[str, ...] = ("a", "b")) -> Case:
    """A case for `shake`; its backward pass takes the shares of the forward pass."""
    return Case(
        ("shake", "shake_backward"), label,
        make=lambda rng: {"a": distinct(rng, *shape), "b": distinct(rng, *shape),
                          "alpha": rng.uniform(0.1, 0.4, shape[0]) + 0.5 * (rng.permutation(shape[0]) % 2)},
        forward=lambda ops, a, b, alpha: ops.shake(a, b, alpha),
        backward=lambda ops, dy, a, b, alpha: ops.shake_backward(dy, alpha), wrt=wrt)


CASES = (
    scale_add_case("H < W", 2, 3, 4, 3),
    scale_add_case("H > W, N = 1, C = 1", 1, 4, 2, 1),
    scale_add_case("1x1 map", 3, 1, 1, 2),
    scale_add_case("wide", 3, 9, 7, 37, wrt=()),
    shake_case("H < W", 3, 2, 4, 2),
    shake_case("H > W, N = 1, C = 1", 1, 4, 2, 1),
    shake_case("N = H = W = C", 2, 2, 2, 2),
    shake_case("wide", 5, 9, 7, 37, wrt=()),
)
