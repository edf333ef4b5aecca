"""Cases for squeezes other than the mean, and for the root mean square over the channels."""

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Array, Ops


def deviation_case(label: str, *shape: int, mean: float = 0.0, eps: float = 1e-5) -> Case:
    """A case for `deviation`; ``mean`` is that of the maps."""
    return Case(
        ("deviation", "deviation_backward"), label, make=lambda rng: {"u": mean + distinct(rng, *shape)},
        forward=lambda ops, u: ops.deviation(u, eps),
        backward=lambda ops, dd, u: (ops.deviation_backward(dd, u, ops.deviation(u, eps)),),
        wrt=("u",))


def weighted_squeeze_case(label: str, *shape: int) -> Case:
    """A case for `weighted_squeeze`."""
    return Case(
        ("weighted_squeeze", "weighted_squeeze_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "b": signed(rng, *shape[1:])},
        forward=lambda ops, u, b: ops.weighted_squeeze(u, b),
        backward=lambda ops, dz, u, b: ops.weighted_squeeze_backward(dz, u, b),
        wrt=("u", "b"))


def attention_squeeze_case(label: str, *shape: int, size: float = 0.5) -> Case:
    """A case for `attention_squeeze`; ``size`` scales the weights k. A large one puts all attention on one pixel."""
    def backward(ops: Ops, dz: Array, u: Array, k: Array) -> tuple[Array, Array]:
        return ops.attention_squeeze_backward(dz, u, k, *ops.attention_squeeze(u, k))

    return Case(
        ("attention_squeeze", "attention_squeeze_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "k": size * signed(rng, shape[3])},
        forward=lambda ops, u, k: ops.attention_squeeze(u, k)[0], backward=backward, wrt=("u", "k"))


def norm_squeeze_case(label: str, *shape: int, eps: float = 1e-5) -> Case:
    """A case for `norm_squeeze`."""
    return Case(
        ("norm_squeeze", "norm_squeeze_backward"), label, make=lambda rng: {"u": distinct(rng, *shape)},
        forward=lambda ops, u: ops.norm_squeeze(u, eps),
        backward=lambda ops, dz, u: (ops.norm_squeeze_backward(dz, u, ops.norm_squeeze(u, eps)),),
        wrt=("u",))


def channel_rms_case(label: str, N: int, C: int, eps: float = 1e-5) -> Case:
    """A case for `channel_rms`."""
    return Case(
        ("channel_rms", "channel_rms_backward"), label, make=lambda rng: {"z": distinct(rng, N, C)},
        forward=lambda ops, z: ops.channel_rms(z, eps),
        backward=lambda ops, dy, z: (ops.channel_rms_backward(dy, z, eps),),
        wrt=("z",))


CASES = (
    deviation_case("H < W", 2, 3, 5, 4),
    deviation_case("N = 1, C = 1", 1, 4, 3, 1),
    deviation_case("two pixels, large eps", 3, 2, 1, 2, eps=0.3),
    deviation_case("1x1 map: the gradient vanishes", 3, 1, 1, 2),
    deviation_case("mean much larger than the deviation", 2, 4, 3, 8, mean=200),
    weighted_squeeze_case("H < W", 2, 3, 5, 4),
    weighted_squeeze_case("N = 1, C = 1", 1, 4, 3, 1),
    weighted_squeeze_case("1x1 map", 3, 1, 1, 2),
    weighted_squeeze_case("8 channels", 5, 2, 3, 8),
    attention_squeeze_case("H < W", 2, 3, 4, 3),
    attention_squeeze_case("N = 1, C = 1", 1, 4, 3, 1),
    attention_squeeze_case("1x1 map: nothing comes back through the score", 3, 1, 1, 2),
    attention_squeeze_case("8 channels, sharp", 3, 4, 2, 8, size=2),
    norm_squeeze_case("H < W", 2, 3, 5, 4),
    norm_squeeze_case("N = 1, C = 1", 1, 4, 3, 1),
    norm_squeeze_case("1x1 map, large eps", 3, 1, 1, 2, eps=0.3),
    norm_squeeze_case("8 channels", 2, 4, 3, 8),
    channel_rms_case("N < C", 2, 5),
    channel_rms_case("N = 1, large eps", 1, 4, eps=0.3),
    channel_rms_case("C = 1, large eps", 3, 1, eps=0.3),
)
