"""Cases for what may stand in place of the two dense layers, and for the gates."""

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Array, Ops


def gate_case(op: str, label: str, *shape: int, size: float = 1.0) -> Case:
    """A case for an elementwise gate, whose backward takes its output; ``size`` scales what is drawn."""
    return Case(
        (op, f"{op}_backward"), label, make=lambda rng: {"x": size * distinct(rng, *shape)},
        forward=lambda ops, x: getattr(ops, op)(x),
        backward=lambda ops, dy, x: (getattr(ops, f"{op}_backward")(dy, getattr(ops, op)(x)),),
        wrt=("x",), kinks=(lambda x: [x + 3, x - 3]) if op == "hard_sigmoid" else None)


def per_channel_case(label: str, N: int, C: int, biased: bool = True) -> Case:
    """A case for `per_channel`."""
    wrt = ("z", "w", "b") if biased else ("z", "w")
    return Case(
        ("per_channel", "per_channel_backward"), label,
        make=lambda rng: {"z": distinct(rng, N, C), "w": signed(rng, C), **({"b": signed(rng, C)} if biased else {})},
        forward=lambda ops, z, w, b=None: ops.per_channel(z, w, b),
        backward=lambda ops, da, z, w, b=None: ops.per_channel_backward(da, z, w)[:len(wrt)],
        wrt=wrt)


def channel_conv_case(label: str, N: int, C: int, K: int, circular: bool = False) -> Case:
    """A case for `channel_conv`."""
    return Case(
        ("channel_conv", "channel_conv_backward"), label,
        make=lambda rng: {"z": distinct(rng, N, C), "w": signed(rng, K)},
        forward=lambda ops, z, w: ops.channel_conv(z, w, circular),
        backward=lambda ops, da, z, w: ops.channel_conv_backward(da, z, w, circular),
        wrt=("z", "w"))


def grouped_dense_case(label: str, N: int, G: int, D: int, M: int, biased: bool = True) -> Case:
    """A case for `grouped_dense`."""
    wrt = ("z", "w", "b") if biased else ("z", "w")
    return Case(
        ("grouped_dense", "grouped_dense_backward"), label,
        make=lambda rng: {"z": distinct(rng, N, G, D), "w": signed(rng, G, M, D),
                          **({"b": signed(rng, G, M)} if biased else {})},
        forward=lambda ops, z, w, b=None: ops.grouped_dense(z, w, b),
        backward=lambda ops, da, z, w, b=None: ops.grouped_dense_backward(da, z, w)[:len(wrt)],
        wrt=wrt)


def channel_norm_case(label: str, *shape: int, eps: float = 1e-5) -> Case:
    """A case for `channel_norm`."""
    return Case(
        ("channel_norm", "channel_norm_backward"), label, make=lambda rng: {"z": distinct(rng, *shape)},
        forward=lambda ops, z: ops.channel_norm(z, eps),
        backward=lambda ops, dzhat, z: (ops.channel_norm_backward(dzhat, z, eps),),
        wrt=("z",))


def gaussian_case(label: str, *shape: int, width: float = 2.0) -> Case:
    """A case for `gaussian`."""
    def backward(ops: Ops, dy: Array, x: Array) -> tuple[Array]:
        return (ops.gaussian_backward(dy, x, ops.gaussian(x, width), width),)

    return Case(
        ("gaussian", "gaussian_backward"), label, make=lambda rng: {"x": distinct(rng, *shape)},
        forward=lambda ops, x: ops.gaussian(x, width), backward=backward, wrt=("x",))


CASES = (
    *(gate_case(op, label, *shape, size=size)
      for op in ("twice_sigmoid", "one_plus_tanh", "tanh", "hard_sigmoid")
      for label, shape, size in (("two axes", (3, 4), 2.5), ("one axis", (7,), 2.0))),
    gate_case("twice_sigmoid", "saturated", 3, 8, size=20),
    gate_case("one_plus_tanh", "saturated", 3, 8, size=20),
    gate_case("tanh", "saturated", 3, 8, size=20),
    per_channel_case("N < C", 2, 5),
    per_channel_case("N = 1, no bias", 1, 4, biased=False),
    per_channel_case("C = 1", 3, 1),
    channel_conv_case("K = 3", 2, 7, 3),
    channel_conv_case("K = 5, N = 1", 1, 6, 5),
    channel_conv_case("K = 1", 3, 4, 1),
    channel_conv_case("K > C", 2, 2, 5),
    channel_conv_case("K = 3, circular", 2, 7, 3, circular=True),
    channel_conv_case("K > C, circular", 2, 3, 5, circular=True),
    grouped_dense_case("D > M", 2, 3, 4, 2),
    grouped_dense_case("D < M, N = 1, no bias", 1, 2, 2, 3, biased=False),
    grouped_dense_case("one group", 3, 1, 4, 4),
    grouped_dense_case("D = 1, M = 1", 3, 4, 1, 1),
    channel_norm_case("G < D", 3, 2, 5),
    channel_norm_case("one group, N = 1", 1, 1, 6),
    channel_norm_case("D = 2, large eps", 2, 3, 2, eps=0.3),
    channel_norm_case("D = 1: the gradient vanishes", 2, 3, 1),
    gaussian_case("two axes", 3, 5),
    gaussian_case("narrow", 2, 4, width=0.7),
)
